"""One turn of a lane: what every call in it shares."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import structlog

from common.errors import Configuration, SyncError, Throttled
from common.graph.protocol import Calendar
from common.zones import zone
from graph_publisher.budget import Budget
from graph_publisher.settings import Tuning
from graph_publisher.store.attempts import AttemptStore, Outcome
from graph_publisher.store.lanes import Due, LaneStore, Lease

log = structlog.get_logger()
T = TypeVar("T")

_STATES = {
    "EXC-MAILBOX-NOT-FOUND": "no mailbox",
    "EXC-MAILBOX-NO-LICENCE": "no licence",
    "EXC-MAILBOX-NO-ACCESS": "no access",
    "EXC-MAILBOX-FULL": "full",
    "EXC-THROTTLED": "throttled",
}


@dataclass(slots=True)
class Turn:
    """A lane's stay at one mailbox. `stopped`: no new call is begun any more. `at_work`: links in somebody's hands."""

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
    worked: int = 0
    at_work: set[int] = field(default_factory=set)

    async def call(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make one call within the mailbox's budget; raises what the call raises."""
        await self.budget.take()
        answer = await call()
        if not self.succeeded:
            self.succeeded = True
            await self.lanes.recovered(self.lease)
        return answer

    @property
    def zone(self) -> ZoneInfo:
        """The mailbox's time zone."""
        return zone(self.lease.time_zone or self.default_zone) or ZoneInfo("UTC")

    @property
    def time_zone(self) -> str:
        """The mailbox's time zone as Graph is told it."""
        return self.lease.time_zone or self.default_zone

    def transaction_key(self, due: Due) -> UUID:
        """Give the transactionId of a create: the same for the same incarnation, even after a loss of our database.

        https://learn.microsoft.com/graph/api/resources/event (transactionId): Graph drops a repeated create.
        """
        parts = (
            self.installation,
            due.appointment_guid,
            due.resource_no,
            self.lease.mailbox,
            due.incarnation,
        )
        return uuid5(NAMESPACE_URL, "exconn:" + "/".join(map(str, parts)))

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
        patient = isinstance(error, Configuration)
        first = self.tuning.hold_configuration_s if patient else self.tuning.hold_first_s
        seconds = min(self.tuning.hold_max_s, first * 2 ** min(self.lease.hold_count, 20))
        if isinstance(error, Throttled):
            seconds = max(seconds, error.retry_after)
        self.lease.hold_count += 1
        seconds *= random.uniform(1.0, 1.2)  # noqa: S311 - spreads retries, guards nothing
        await self.lanes.hold(self.lease, _STATES.get(error.code, "pending"), error.code, seconds)


def outcome(error: SyncError) -> Outcome:
    """Record an error as the end of an attempt; its message holds no secret and nobody's text."""
    return Outcome(error.status, error.request_id, error.code, str(error))
