"""Faults of the service, forced by a test or at random.

Names for `POST /_sim/faults` (`when` says whether the request was carried out before it fails; * marks the default):

503           503 with a JSON body                                     before* or after the commit
503-empty     503 with an empty text/plain body                        before* or after
504           504 `UnknownError`                                       before or after*
500           500 `ErrorInternalServerError`                           before* or after
cut           the connection ends without an answer                    before* or after
429           429 `ApplicationThrottled`, nothing done
412           412 `ErrorIrresolvableConflict` without reason, nothing done
409           409 `ErrorConcurrentItemSave`, nothing done
401           a valid token is refused
403           403 `ErrorAccessDenied` with the [RAOP] text
404           404 `MailboxNotEnabledForRESTAPI`
404-item      404 `ErrorItemNotFound`, although the event is there
slow          the answer takes some hundred ms longer (`seconds`)
listing-lag   a write is not seen by listings for a while (`seconds`)

Short forms: 503-before, 503-after-commit, 504-after-commit, cut-before, cut-after.
For the login endpoint (no mailbox): token-401 (wrong secret), token-503, token-429.

Further members of the request: `times` (1), `mailbox` (any), `method` (any, e.g. "POST"; listing-lag: any write),
`skip` (let so many matching requests pass first), `seconds`, `retry_after`. At random (unless --kind) happen: 503, 503-empty,
504, cut (each before and after), 429, 412, 401, 403, 404, slow and listing-lag.
"""

import random
from collections import Counter
from dataclasses import dataclass
from typing import Any

from . import errors

WRITES = frozenset(("POST", "PATCH", "DELETE"))
RATE = 0.02
SLOW_S = (0.2, 0.8)
LAG_S = (0.5, 5.0)

_DEFAULT_WHEN = {"504": "after"}
_ALIASES = {
    "503-before": ("503", "before"),
    "503-after-commit": ("503", "after"),
    "504-after-commit": ("504", "after"),
    "cut-before": ("cut", "before"),
    "cut-after": ("cut", "after"),
}
_EITHER = frozenset(("503", "503-empty", "504", "500", "cut"))
_BEFORE = frozenset(("429", "412", "409", "401", "403", "404", "404-item"))
_SOFT = frozenset(("slow", "listing-lag"))
LOGIN = frozenset(("token-401", "token-503", "token-429"))
NAMES = _EITHER | _BEFORE | _SOFT | LOGIN | frozenset(_ALIASES)
RANDOM = (
    ("503", "before"), ("503", "after"), ("503-empty", "before"), ("503-empty", "after"), ("504", "after"),
    ("cut", "before"), ("cut", "after"), ("429", "before"), ("412", "before"), ("401", "before"),
    ("403", "before"), ("404", "before"), ("slow", "before"), ("listing-lag", "before"),
)  # fmt: skip


class Cut(Exception):
    """The connection is to be closed without an answer."""


@dataclass(slots=True)
class Fault:
    """One fault waiting for `times` requests."""

    name: str
    when: str
    times: int = 1
    mailbox: str | None = None
    method: str | None = None
    skip: int = 0
    seconds: float | None = None
    retry_after: int | None = None

    def fits(self, mailbox: str | None, method: str) -> bool:
        """Whether it is meant for this request."""
        if self.name == "listing-lag" and method not in WRITES:
            return False
        return self.mailbox in (None, mailbox) and self.method in (None, method)

    def raise_if(self, when: str) -> None:
        """Fails the request, if this is the moment."""
        if self.when != when or self.name in _SOFT:
            return
        if self.name == "cut":
            raise Cut
        raise self.error()

    def error(self) -> errors.GraphError:
        """What the client is told."""
        match self.name:
            case "503":
                return errors.unavailable(self.retry_after)
            case "503-empty":
                return errors.silent_unavailable()
            case "504":
                return errors.gateway_timeout()
            case "429":
                return errors.throttled("MailboxConcurrency", self.retry_after or 1)
            case "412":
                return errors.conflict()
            case "409":
                return errors.concurrent_save()
            case "401":
                return errors.unauthenticated("CompactToken validation failed with reason code: 80049228.")
            case "403":
                return errors.denied_by_policy()
            case "404":
                return errors.no_mailbox()
            case "404-item":
                return errors.item_not_found()
        return errors.GraphError(500, "ErrorInternalServerError", "An internal server error occurred.")


NONE = Fault("none", "never")


class Faults:
    """The forced ones, first come first served, and the dice."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self._rng = rng
        self._share = rate * len(RANDOM)
        self._forced: list[Fault] = []
        self.injected: Counter[str] = Counter()

    def force(self, asked: dict[str, Any]) -> Fault:
        """Queues a fault; ValueError names what is wrong with the request."""
        asked = dict(asked)
        written = str(asked.pop("fault", ""))
        if written not in NAMES:
            raise ValueError(f"unknown fault {written!r}; known: {', '.join(sorted(NAMES))}")
        name, when = _ALIASES.get(written, (written, _DEFAULT_WHEN.get(written, "before")))
        when = asked.pop("when", None) or when
        if when not in ("before", "after") or (when == "after" and name not in _EITHER):
            raise ValueError(f"{written!r} cannot happen {when!r} the commit")
        unknown = asked.keys() - {"times", "mailbox", "method", "skip", "seconds", "retry_after"}
        if unknown:
            raise ValueError(f"unknown members: {', '.join(sorted(unknown))}")
        fault = Fault(name, when, **{key: value for key, value in asked.items() if value is not None})
        fault.mailbox = fault.mailbox and fault.mailbox.lower()
        self._forced.append(fault)
        return fault

    def draw(self, mailbox: str, method: str) -> Fault:
        """The fault of this request, or NONE."""
        fault = self._next_forced(mailbox, method) if self._forced else None
        if fault is None and self._share:
            fault = self._thrown(method)
        if fault is None:
            return NONE
        self.injected[f"{fault.name}-{fault.when}" if fault.name in _EITHER else fault.name] += 1
        return fault

    def draw_login(self) -> str | None:
        """The name of the forced fault of this token request."""
        for fault in self._forced:
            if fault.name in LOGIN:
                self._use(fault)
                self.injected[fault.name] += 1
                return fault.name
        return None

    def lag(self, fault: Fault) -> float:
        """For how many seconds listings shall not see what this request writes."""
        if fault.name != "listing-lag":
            return 0.0
        return self._rng.uniform(*LAG_S) if fault.seconds is None else fault.seconds

    def delay(self, fault: Fault) -> float:
        """By how many seconds this request takes longer."""
        if fault.name != "slow":
            return 0.0
        return self._rng.uniform(*SLOW_S) if fault.seconds is None else fault.seconds

    def pending(self) -> list[dict[str, Any]]:
        """What is still to happen."""
        return [
            {"fault": each.name, "when": each.when, "times": each.times, "mailbox": each.mailbox}
            for each in self._forced
        ]

    def clear(self) -> None:
        """Forgets the forced ones and the counts."""
        self._forced.clear()
        self.injected.clear()

    def _next_forced(self, mailbox: str, method: str) -> Fault | None:
        for fault in self._forced:
            if fault.name in LOGIN or not fault.fits(mailbox, method):
                continue
            if fault.skip > 0:
                fault.skip -= 1
                continue
            self._use(fault)
            return fault
        return None

    def _use(self, fault: Fault) -> None:
        fault.times -= 1
        if fault.times <= 0:
            self._forced.remove(fault)

    def _thrown(self, method: str) -> Fault | None:
        dice = self._rng.random()
        if dice >= self._share:
            return None
        name, when = RANDOM[int(dice / self._share * len(RANDOM))]
        if name == "listing-lag" and method not in WRITES:
            return None
        # The service sends Retry-After with some of its 503s and not with others.
        return Fault(name, when, retry_after=self._rng.choice((None, 1)))
