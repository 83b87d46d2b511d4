"""Plan: appointments in, links that are wanted and their transactions out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from common.messages import AppointmentChanged, AppointmentUnreadable, MailboxDirty, Message
from graph_publisher.deciding import Decision, Policy, Profiles, decide
from graph_publisher.metrics import PLANNED
from graph_publisher.store.appointments import Stored
from graph_publisher.store.plans import Planned

log = structlog.get_logger()

Publish = Callable[[Sequence[Message]], Awaitable[object]]


class PlanStore(Protocol):
    """What planning needs of the state database."""

    async def plan(self, news: Sequence[AppointmentChanged], decide: Decide) -> Planned:
        """Store what is newer and what `decide` makes of it, in one transaction."""

    async def recompute(self, generation: int, limit: int, decide: Decide) -> Planned:
        """Decide again for appointments that an older generation of the settings decided."""

    async def note_unreadable(self, message: AppointmentUnreadable) -> None:
        """Open a failed transaction for an appointment that could not be read."""


Decide = Callable[[Stored], Decision]


@dataclass(frozen=True, slots=True)
class Planner:
    """The consumer of appointments. Safe to run in any number of processes, with messages in any order."""

    store: PlanStore
    publish: Publish
    policy: Policy
    profile_of: Profiles

    def decide(self, stored: Stored) -> Decision:
        """Decide on one appointment as the database has it, under its lock."""
        return decide(stored.snapshot, stored.links, replace(self.policy, mailbox_off=stored.mailbox_off))

    async def handle(self, messages: Sequence[Message]) -> None:
        """Plan a batch; when this returns, every message of it is in the database."""
        changed = [message for message in messages if isinstance(message, AppointmentChanged)]
        if changed:
            await self._tell(await self.store.plan(changed, self.decide))
        for message in messages:
            if isinstance(message, AppointmentUnreadable):
                await self.store.note_unreadable(message)

    async def recompute(self, generation: int, limit: int = 200) -> int:
        """Recompute some appointments of an older generation; returns how many, 0 when all are done."""
        planned = await self.store.recompute(generation, limit, self.decide)
        if planned.appointments:
            await self._tell(planned)
        return planned.appointments

    async def _tell(self, planned: Planned) -> None:
        PLANNED.labels("planned").inc(planned.appointments)
        PLANNED.labels("stale").inc(planned.stale)
        log.info(
            "appointments.planned",
            appointments=planned.appointments,
            stale=planned.stale,
            links=planned.links,
        )
        await self.publish([MailboxDirty(mailbox=mailbox) for mailbox in planned.mailboxes])
