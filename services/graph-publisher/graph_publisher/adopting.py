"""Listing a calendar, and giving links the events that are theirs already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from common.errors import Permanent
from common.graph.protocol import Event, key, key_parts
from graph_publisher.adoption import Adoptable, Found, Verdict, index, judge, window
from graph_publisher.mapping import Values
from graph_publisher.steps import pairs
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.lanes import Due
from graph_publisher.store.strays import Stray, note
from graph_publisher.turn import Turn

log = structlog.get_logger()

AT_ONCE = 5000
"""Links that one listing serves; more are served by the next."""


def needed(due: Sequence[Due], turn: Turn) -> bool:
    """Tell whether a create among these links must wait for a listing."""
    return any(
        link.wanted is not None and link.event_id is None and link.attempt is None
        and (link.adopt or not turn.lease.adopted)
        for link in due
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Adopter:
    """Adoption within a lane's turn."""

    store: AdoptionStore

    async def adopt(self, turn: Turn) -> None:
        """Decide for every link of the mailbox whose event may exist; raises what the calls raise."""
        mailbox = turn.lease.mailbox
        links = await self.store.adoptable(mailbox, all_links=not turn.lease.adopted, limit=AT_ONCE)
        verdict = await self.judge(links, turn)
        for link_id, event in verdict.adopted.items():
            await self._adopt(link_id, event, turn, links)
        for link_id, candidates in verdict.ambiguous.items():
            await self.store.ambiguous(link_id, candidates)
        await self.store.new(verdict.new)
        await note(self.store.pool, mailbox, strays(verdict.strays, turn.installation))
        await self.store.adopted(mailbox)
        turn.lease.adopted = True
        log.info("mailbox.adopted", mailbox=mailbox, adopted=len(verdict.adopted), new=len(verdict.new),
                 ambiguous=len(verdict.ambiguous), strays=len(verdict.strays))  # fmt: skip

    async def judge(self, links: Sequence[Adoptable], turn: Turn) -> Verdict:
        """List the calendar and decide, without changing anything (so also for a preview)."""
        found = await self._find(links, turn)
        return judge(links, found, turn.installation, turn.zone, await self.store.taken(turn.lease.mailbox))

    async def _find(self, links: Sequence[Adoptable], turn: Turn) -> Found:
        events: list[Event] = []
        if links:
            await turn.budget.take()
            events.extend([event async for event in turn.calendar.ours(turn.installation)])
        if times := window(links):
            await turn.budget.take()
            events.extend([event async for event in turn.calendar.view(*times, bodies=False)])
        return index(events, await self._by_exchange_id(links, turn))

    async def _by_exchange_id(self, links: Sequence[Adoptable], turn: Turn) -> dict[str, Event]:
        """Read the events whose ids Dime.Scheduler stored; an id of another kind or mailbox finds nothing."""
        found: dict[str, Event] = {}
        for exchange_id in {link.exchange_id for link in links if link.exchange_id}:
            try:
                found[exchange_id] = await turn.call(lambda wanted=exchange_id: turn.calendar.read(wanted))  # type: ignore[misc]
            except Permanent:
                continue
        return found

    async def _adopt(self, link_id: int, event: Event, turn: Turn, links: Sequence[Adoptable]) -> None:
        """Take the event's values as sent, so only what the planning wants otherwise is written; mark it as ours."""
        link = next(link for link in links if link.id == link_id)
        event = await turn.call(lambda: turn.calendar.read(event.id))
        if event.key is None:
            await turn.call(lambda: turn.calendar.mark(event.id, mark_of(link, turn)))
        await self.store.adopt(
            link_id, event.id, event.change_key, event.ical_uid, adopted_pairs(event.values)
        )


def mark_of(link: Adoptable, turn: Turn) -> str:
    """Return the property that tells whose event it is."""
    return key(turn.installation, str(link.appointment_guid), link.resource_no)


def adopted_pairs(values: Values) -> dict[str, Any]:
    """Both halves are what the calendar shows."""
    return pairs(values, values)


def strays(events: Sequence[Event], installation: str) -> list[Stray]:
    """Read whose events these are; what another installation or nobody made is left alone."""
    parts = ((event.id, key_parts(event.key or "")) for event in events)
    return [
        Stray(event_id, UUID(each[1]), each[2])
        for event_id, each in parts
        if each and each[0] == installation
    ]
