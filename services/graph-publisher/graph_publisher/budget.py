"""How fast one mailbox may be called: a bucket of tokens that is empty at the start."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

Clock = Callable[[], float]


class Budget:
    """Requests to one mailbox: `rate` per second sustained, up to `burst` saved up."""

    def __init__(self, rate: float, burst: int, clock: Clock = time.monotonic) -> None:
        """Start empty: whoever called this mailbox before us may have used everything."""
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._tokens, self._at = 0.0, clock()

    def reserve(self) -> float:
        """Take a token and return the seconds to wait before it may be used."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate) - 1.0
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    async def take(self) -> None:
        """Wait for the next token."""
        wait = self.reserve()
        if wait > 0:
            await asyncio.sleep(wait)


class Budgets:
    """The budgets of the mailboxes that were called lately, at most `keep` of them."""

    def __init__(self, rate: float, burst: int, keep: int = 10_000) -> None:
        """A budget that was dropped begins empty again, which only slows."""
        self._rate, self._burst, self._keep = rate, burst, keep
        self._budgets: OrderedDict[str, Budget] = OrderedDict()

    def of(self, mailbox: str) -> Budget:
        """Return the budget of a mailbox."""
        budget = self._budgets.setdefault(mailbox, Budget(self._rate, self._burst))
        self._budgets.move_to_end(mailbox)
        if len(self._budgets) > self._keep:
            self._budgets.popitem(last=False)
        return budget
