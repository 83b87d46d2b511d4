"""What a first sync would do: the decisions of adoption, without any write."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from common.errors import Configuration, SyncError
from common.graph.protocol import Calendars
from common.zones import zone
from graph_publisher.adopting import AT_ONCE, Adopter, strays
from graph_publisher.adoption import Adoptable
from graph_publisher.budget import Budget
from graph_publisher.settings import Settings
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.attempts import AttemptStore
from graph_publisher.store.lanes import LaneStore, Lease
from graph_publisher.store.previews import PreviewStore, Waiting
from graph_publisher.turn import Turn

RATE = 4.0
"""Requests per second and mailbox: what the publisher's lanes leave free."""
AT_A_TIME = 8
"""Mailboxes looked at side by side, each with one request in flight."""


@dataclass(slots=True)
class Outlook:
    """What a first sync would do in one mailbox. `unseen`: open links beyond what one listing serves."""

    waiting: Waiting
    create: list[Adoptable] = field(default_factory=list)
    adopt: list[Adoptable] = field(default_factory=list)
    ask: list[tuple[Adoptable, int]] = field(default_factory=list)
    """With the number of events that it could be."""
    left_behind: int = 0
    """Events of ours that no link claims: removed where their appointment is known not to want them."""
    fault: SyncError | None = None

    @property
    def unseen(self) -> int:
        seen = len(self.create) + len(self.adopt) + len(self.ask)
        return 0 if self.fault else self.waiting.open - seen


@dataclass(frozen=True, slots=True)
class Previewer:
    """Looks into the calendars as a lane would before its first create; holds no lease and changes nothing."""

    store: PreviewStore
    calendars: Calendars
    settings: Settings

    async def preview(self, address: str | None = None) -> list[Outlook]:
        """Look at all mailboxes with links that have no event, or at one; trouble with one stays with it."""
        outlooks = [Outlook(waiting) for waiting in await self.store.waiting(address)]
        queue = list(reversed(outlooks))

        async def slot() -> None:
            while queue:
                await self._look(queue.pop())

        async with asyncio.TaskGroup() as group:
            for _ in range(min(AT_A_TIME, len(outlooks))):
                group.create_task(slot())
        return outlooks

    async def _look(self, outlook: Outlook) -> None:
        links = await self.store.open(outlook.waiting.address, AT_ONCE)
        if not links:
            return
        try:
            await self._judge(outlook, links)
        except SyncError as error:
            outlook.fault = error

    async def _judge(self, outlook: Outlook, open_links: Sequence[tuple[Adoptable, bool]]) -> None:
        turn = self._turn(outlook.waiting)
        turn.lease.time_zone = await _time_zone(turn)
        asking = [link for link, asks in open_links if asks]
        verdict = await Adopter(AdoptionStore(self.store.pool)).judge(asking, turn)
        outlook.left_behind = len(strays(verdict.strays, turn.installation))
        links = [link for link, _ in open_links]
        new = {*verdict.new, *(link.id for link, asks in open_links if not asks)}
        outlook.create = [link for link in links if link.id in new]
        outlook.adopt = [link for link in links if link.id in verdict.adopted]
        outlook.ask = [(link, verdict.ambiguous[link.id]) for link in links if link.id in verdict.ambiguous]

    def _turn(self, waiting: Waiting) -> Turn:
        """A turn as lanes have it, but of a lease that nobody gave: it may read, and has succeeded already."""
        if waiting.held:
            raise Configuration("the mailbox is held", code=waiting.held, scope="mailbox")
        profile = self.settings.profile_of(waiting.address)
        if profile is None:
            raise Configuration("no profile serves it", code="EXC-NO-PROFILE", scope="mailbox")
        pool = self.store.pool
        return Turn(
            lease=Lease(waiting.address, profile, UUID(int=0), math.inf, False, 0, None),
            calendar=self.calendars.calendar(profile, waiting.address),
            lanes=LaneStore(pool, "preview"),
            attempts=AttemptStore(pool),
            budget=Budget(RATE, 1),
            tuning=self.settings.publisher,
            installation=self.settings.installation,
            default_zone=self.settings.profiles[profile].time_zone,
            succeeded=True,
        )


async def _time_zone(turn: Turn) -> str:
    name = (await turn.call(turn.calendar.settings)).time_zone
    return name if zone(name) else turn.default_zone
