"""One turn of a lane: what every call in it shares."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from common.errors import Configuration, SyncError, Throttled
from common.graph.protocol import Calendar, Changed
from common.zones import zone
from graph_publisher.adoption import transaction_key
from graph_publisher.budget import Budget
from graph_publisher.settings import Tuning
from graph_publisher.store.attempts import AttemptStore, Open, Outcome
from graph_publisher.store.lanes import Due, LaneStore, Lease

log = structlog.get_logger()
T = TypeVar("T")


class LeaseLost(Exception):
    """The mailbox is another holder's by now: nothing may be called or released here any more."""


_STATES = {
    "EXC-MAILBOX-NOT-FOUND": "no mailbox",
    "EXC-MAILBOX-NO-LICENCE": "no licence",
    "EXC-MAILBOX-NO-ACCESS": "no access",
    "EXC-MAILBOX-FULL": "full",
    "EXC-THROTTLED": "throttled",
}


@dataclass(slots=True)
class Turn:
    """A lane's stay at one mailbox. `stopped`: no new call is begun any more. `held`: by this turn."""

    lease: Lease
    calendar: Calendar
    lanes: LaneStore
    attempts: AttemptStore
    budget: Budget
    tuning: Tuning
    installation: str
    default_zone: str
    stopped: bool = False
    succeeded: bool = False
    held: bool = False
    worked: int = 0
    wrote_at: float | None = None
    """When the last write succeeded, by the process's monotonic clock."""

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call within the mailbox's budget; raises what the call raises."""
        await self.budget.take()
        return await self.paid(call)

    async def paid(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call that the budget was asked for already; raises what the call raises."""
        answer = await call()
        if not self.succeeded and not self.held:
            self.succeeded = True
            # Trouble with our own database must not pass for trouble with the call.
            with suppress(SyncError):
                await self.lanes.recovered(self.lease)
        return answer

    def wrote(self) -> None:
        """Note that a write succeeded: whatever else fails in this mailbox is not the mailbox's fault."""
        self.wrote_at = time.monotonic()

    async def release(self) -> None:
        """Give the mailbox back."""
        ago = None if self.wrote_at is None else time.monotonic() - self.wrote_at
        await self.lanes.release(self.lease, wrote_ago=ago)

    @property
    def zone(self) -> ZoneInfo:
        """The mailbox's time zone."""
        return zone(self.lease.time_zone or self.default_zone) or ZoneInfo("UTC")

    @property
    def time_zone(self) -> str:
        """The mailbox's time zone as Graph is told it."""
        return self.lease.time_zone or self.default_zone

    def transaction_key(self, due: Due) -> UUID:
        """Give the transactionId of a link's next create."""
        return transaction_key(
            self.installation, due.appointment_guid, due.resource_no, self.lease.mailbox, due.incarnation
        )

    async def keep_lease(self) -> bool:
        """Lengthen the lease when half of it is gone; False, and the turn stops, where it is lost."""
        now = time.monotonic()
        if self.lease.until - now > self.tuning.lease_s / 2:
            return True
        if await self.lanes.renew(self.lease, self.tuning.lease_s, now):
            return True
        log.warning("lease.lost", mailbox=self.lease.mailbox)
        self.stopped = True
        return False

    async def trouble(self, error: SyncError) -> None:
        """Hold what the error reaches, mailbox or tenant, and stop; trouble with an item holds nothing."""
        if error.scope == "item":
            return
        self.stopped = True
        if error.scope == "tenant":
            await self.lanes.hold_tenant(
                self.lease.profile, error.code, self.tuning.hold_configuration_s, self.tuning.hold_max_s
            )
        else:
            await self._hold(error)
        log.warning(
            "mailbox.held", mailbox=self.lease.mailbox, code=error.code, scope=error.scope, reason=str(error)
        )

    async def _hold(self, error: SyncError) -> None:
        """Grow by one step per turn, however many calls failed side by side; a turn that wrote begins anew."""
        if self.wrote_at is not None and not self.held:
            self.lease.hold_count = 0
        self.held = True
        patient = isinstance(error, Configuration)
        first = self.tuning.hold_configuration_s if patient else self.tuning.hold_first_s
        seconds = min(self.tuning.hold_max_s, first * 2 ** min(self.lease.hold_count, 20))
        if isinstance(error, Throttled):
            seconds = max(seconds, error.retry_after)
        seconds *= random.uniform(1.0, 1.2)  # noqa: S311 - spreads retries, guards nothing
        await self.lanes.hold(self.lease, _STATES.get(error.code, "pending"), error.code, seconds)

    async def wait_or_give_up(self, link: Open, error: SyncError) -> None:
        """An item in trouble waits, twice as long each time, but not at all for somebody's change in between."""
        soon = isinstance(error, Changed) and link.tries == 0
        wait = 0.0 if soon else self.patience(self.tuning.hold_first_s, link.tries)
        await self.attempts.postpone(link, wait, error.code, str(error), tried=True)
        await self.give_up(link, link.tries + 1, str(error))

    async def give_up(self, link: Open, tries: int, last: str) -> bool:
        """Fail an item that failed often enough, if others of its mailbox were written since its trouble began."""
        if tries < self.tuning.tries or not await self.attempts.others_succeed(link):
            return False
        await self.attempts.failed(link, "EXC-EXHAUSTED", f"last: {last}")
        return True

    def patience(self, first_s: float, tries: int) -> float:
        """Return how long to wait after so many tries, in seconds."""
        return min(self.tuning.hold_max_s, first_s * 2.0 ** min(tries, 12))


def outcome(error: SyncError) -> Outcome:
    """Record an error as the end of an attempt; its message holds no secret and nobody's text."""
    return Outcome(error.status, error.request_id, error.code, str(error))
