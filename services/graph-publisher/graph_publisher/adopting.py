"""Listing a calendar, and giving links the events that are theirs already."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from common.errors import Permanent, SyncError
from common.graph.protocol import Event, Gone, key, key_parts
from graph_publisher.adoption import Adoptable, Found, Verdict, index, judge, windows
from graph_publisher.mapping import Values
from graph_publisher.steps import pairs, untouchable
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.lanes import Due
from graph_publisher.store.strays import Stray, note
from graph_publisher.turn import LeaseLost, Turn

log = structlog.get_logger()

PAGE = 500
"""Events that one request of a listing brings."""
AT_ONCE = 5000
"""Links that one listing serves; more are served by the next."""


def needed(link: Due, turn: Turn) -> bool:
    """Tell whether this link's create must wait for a listing."""
    asks = link.adopt or not turn.lease.adopted
    return asks and link.wanted is not None and link.event_id is None and link.attempt is None


@dataclass(frozen=True, slots=True)
class Adopter:
    """Adoption within a lane's turn."""

    store: AdoptionStore

    async def adopt(self, turn: Turn, due: Sequence[Due]) -> None:
        """List the calendar for links whose event may exist; raises what the calls raise.

        Every link without an event is settled at once. Those with one are adopted, fresh ones first, as far as the
        turn goes: an adoption costs calls as a write does, and the rest waits for the next listing.
        """
        mailbox = turn.lease.mailbox
        links = await self.store.adoptable(mailbox, all_links=not turn.lease.adopted, limit=AT_ONCE)
        verdict = await self.judge(links, turn)
        for link_id, candidates in verdict.ambiguous.items():
            await self.store.ambiguous(link_id, candidates)
        for link in links:
            if link.id in verdict.troubled:
                await turn.wait_or_give_up(link, verdict.troubled[link.id])
        # What was called for before is never among the adoptable: its attempts tell what exists.
        known = {link.id for link in links}
        called = [link.id for link in due if link.id not in known] if len(links) < AT_ONCE else []
        await self.store.new([*verdict.new, *called])
        await self.store.still_to_adopt(list(verdict.adopted))
        await note(self.store.pool, mailbox, strays(verdict.strays, turn.installation))
        await self.store.adopted(mailbox)
        turn.lease.adopted = True
        log.info("mailbox.listed", mailbox=mailbox, adopted=len(verdict.adopted), new=len(verdict.new),
                 ambiguous=len(verdict.ambiguous), strays=len(verdict.strays))  # fmt: skip
        await self._adopt_some(
            [(link, verdict.adopted[link.id]) for link in links if link.id in verdict.adopted], turn
        )

    async def judge(self, links: Sequence[Adoptable], turn: Turn) -> Verdict:
        """List the calendar and decide, without changing anything (so also for a preview)."""
        found, troubled = await self._find(links, turn)
        mailbox = turn.lease.mailbox
        taken = await self.store.taken(mailbox)
        clear = [link for link in links if link.id not in troubled]
        verdict = judge(clear, found, turn.installation, mailbox, turn.zone, taken)
        verdict.troubled = troubled
        return verdict

    async def _adopt_some(self, found: Sequence[tuple[Adoptable, Event]], turn: Turn) -> None:
        turn.worked += 1
        for link, event in found:
            if turn.stopped or turn.worked > turn.tuning.yield_after or not await turn.keep_lease():
                return
            turn.worked += 1
            try:
                await self._adopt(link, event, turn)
            except SyncError as error:
                if error.scope != "item":
                    raise
                await _trouble(link, turn, error)

    async def _find(self, links: Sequence[Adoptable], turn: Turn) -> tuple[Found, dict[int, SyncError]]:
        """List what any of the links could be; with the trouble of links whose stored id could not be read."""
        events: list[Event] = []
        if links:
            events.extend([event async for event in _listed(turn.calendar.ours(turn.installation), turn)])
        for start, end in windows(links):
            events.extend(
                [event async for event in _listed(turn.calendar.view(start, end, bodies=False), turn)]
            )
        found = index(events, {})
        mine = [link for link in links if mark_of(link, turn) not in found.by_key]
        stored, unreadable = await self._by_exchange_id(mine, turn)
        found.by_exchange_id.update(stored)
        return found, {
            link.id: unreadable[link.exchange_id] for link in mine if link.exchange_id in unreadable
        }

    async def _by_exchange_id(
        self, links: Iterable[Adoptable], turn: Turn
    ) -> tuple[dict[str, Event], dict[str, SyncError]]:
        """Read the events whose ids Dime.Scheduler stored; an id of another kind or mailbox finds nothing."""
        found: dict[str, Event] = {}
        unreadable: dict[str, SyncError] = {}
        for exchange_id in {link.exchange_id for link in links if link.exchange_id}:
            await _beat(turn)
            try:
                found[exchange_id] = await turn.call(lambda wanted=exchange_id: turn.calendar.read(wanted))  # type: ignore[misc]
            except Permanent:
                continue
            except SyncError as error:
                # Graph answers some ids with an error of its own: that must not keep a mailbox from its work.
                if error.scope != "item":
                    raise
                unreadable[exchange_id] = error
        return found, unreadable

    async def _adopt(self, link: Adoptable, event: Event, turn: Turn) -> None:
        """Take the event's values as sent, so only what the planning wants otherwise is written; mark it as ours.

        An event that others take part in is not even marked; the first write says why.
        """
        event = await turn.call(lambda: turn.calendar.read(event.id))
        if event.key is None and not untouchable(event):
            await turn.call(lambda: turn.calendar.mark(event.id, mark_of(link, turn)))
        await self.store.adopt(turn.lease, link.id, event, adopted_pairs(event.values))


async def _trouble(link: Adoptable, turn: Turn, error: SyncError) -> None:
    """One event that cannot be adopted waits, or fails, alone."""
    if isinstance(error, Permanent) and not isinstance(error, Gone):
        await turn.attempts.failed(link, error.code, str(error))
        return
    await turn.wait_or_give_up(link, error)


async def _listed(events: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Go through a listing for as long as the mailbox is ours, with a token of the budget for each page."""
    number = 0
    async for event in events:
        await _beat(turn)
        if number % PAGE == 0:
            await turn.budget.take()
        number += 1
        yield event


async def _beat(turn: Turn) -> None:
    if not await turn.keep_lease():
        raise LeaseLost


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
