"""Outlook's limits per application and mailbox, and the record of how near a client came to them.

https://learn.microsoft.com/graph/throttling-limits#outlook-service-limits: 4 requests at a time, 10,000 requests in
10 minutes, 150 MB of upload in 5 minutes. Refused requests count too.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from . import errors
from .clock import Clock

IN_FLIGHT = 4
REQUESTS, REQUESTS_WINDOW_S = 10_000, 600
UPLOAD, UPLOAD_WINDOW_S = 150_000_000, 300


class Window:
    """A sliding sum over the last seconds, kept per second."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        self._parts: deque[list[int]] = deque()
        self._sum = 0
        self.most = 0

    def add(self, now: float, amount: int = 1) -> int:
        """The sum including this amount."""
        second = int(now)
        while self._parts and self._parts[0][0] <= second - self._seconds:
            self._sum -= self._parts.popleft()[1]
        if self._parts and self._parts[-1][0] == second:
            self._parts[-1][1] += amount
        else:
            self._parts.append([second, amount])
        self._sum += amount
        self.most = max(self.most, self._sum)
        return self._sum


@dataclass(slots=True)
class Gauge:
    """One application at one mailbox."""

    in_flight: int = 0
    max_in_flight: int = 0
    requests: int = 0
    throttled: int = 0
    injected_429: int = 0
    window: Window = field(default_factory=lambda: Window(REQUESTS_WINDOW_S))
    upload: Window = field(default_factory=lambda: Window(UPLOAD_WINDOW_S))

    def clear(self) -> None:
        """As after a start, but for the requests that are still in flight."""
        self.max_in_flight = self.requests = self.throttled = self.injected_429 = 0
        self.window, self.upload = Window(REQUESTS_WINDOW_S), Window(UPLOAD_WINDOW_S)

    def record(self) -> dict[str, int]:
        """What /_sim/throttling shows."""
        return {
            "max_in_flight": self.max_in_flight,
            "max_in_10_minutes": self.window.most,
            "throttled": self.throttled,
            "injected_429": self.injected_429,
            "requests": self.requests,
        }


class Throttle:
    """All gauges. A slot is taken by `enter` and given back by `leave`, before the answer is on the wire."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._gauges: dict[tuple[str, str], Gauge] = {}

    def enter(self, client: str, mailbox: str, size: int) -> Gauge:
        """The gauge, one more in flight; GraphError 429 where a limit is reached (then nothing is in flight)."""
        gauge = self._gauges.setdefault((client, mailbox), Gauge())
        now = self._clock.time()
        gauge.requests += 1
        gauge.max_in_flight = max(gauge.max_in_flight, gauge.in_flight + 1)
        exceeded = None
        if gauge.window.add(now) > REQUESTS:
            exceeded = "MailboxRequests"
        if size and gauge.upload.add(now, size) > UPLOAD:
            exceeded = "MailboxUpload"
        if gauge.in_flight >= IN_FLIGHT:
            exceeded = "MailboxConcurrency"
        if exceeded:
            gauge.throttled += 1
            raise errors.throttled(exceeded)
        gauge.in_flight += 1
        return gauge

    def leave(self, gauge: Gauge) -> None:
        """Gives the slot back."""
        gauge.in_flight -= 1

    def record(self) -> dict[str, Any]:
        """Per mailbox (over all applications the largest) and in total."""
        mailboxes: dict[str, dict[str, int]] = {}
        for (_, mailbox), gauge in self._gauges.items():
            _merge(mailboxes.setdefault(mailbox, {}), gauge.record())
        total: dict[str, int] = {}
        for record in mailboxes.values():
            _merge(total, record)
        return {"mailboxes": mailboxes, "total": total or Gauge().record()}

    def clear(self) -> None:
        """Forgets the record, not what is in flight."""
        for gauge in self._gauges.values():
            gauge.clear()


def _merge(into: dict[str, int], record: dict[str, int]) -> None:
    for name, value in record.items():
        into[name] = max(into.get(name, 0), value) if name.startswith("max_") else into.get(name, 0) + value
