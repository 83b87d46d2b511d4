"""A busy day at the planning board: changes at random, the same for the same seed, whatever dies meanwhile."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

import asyncpg

from simulators.dime.planner import Planner

RESOURCES = {
    "R1": "alice@contoso.example",
    "R2": "bob@contoso.example",
    "R3": "carol@contoso.example",
    "R4": "erin@fabrikam.example",
    "R5": "frank@fabrikam.example",
    "R6": "grace@fabrikam.example",
}
MONDAY = datetime(2031, 3, 3, tzinfo=UTC)
CATEGORIES = ("Installation", "Repair", "Maintenance")
SITES = ("Kerkstraat 1, Gent", "Rue Haute 12, Namur", "Hafenstraße 3, Köln")
KINDS = {
    "create": 25,
    "move": 20,
    "edit": 15,
    "reassign": 15,
    "delete": 10,
    "burst": 5,
    "all day": 5,
    "switch": 5,
}
FEW = 6
AWAY_S = 0.2
"""Between two tries of a change while the planning database is away."""
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InterfaceError,
)

T = TypeVar("T")


@dataclass
class Planned:
    """An appointment as the planner remembers it; an anchor is never deleted nor taken from its resource."""

    number: int
    start: datetime
    anchor: bool = False


@dataclass
class Day:
    """Makes changes one after the other; `done` counts them, also those that found the database away.

    `switching`: whether resources are now and then taken out of the synchronisation and put back.
    """

    planner: Planner
    rng: random.Random
    switching: bool = True
    done: int = 0
    planned: list[Planned] = field(default_factory=list)
    _off: str | None = None
    _more: asyncio.Condition = field(default_factory=asyncio.Condition)

    @classmethod
    async def begin(cls, opened: AsyncExitStack, dsn: str, seed: int, *, switching: bool = True) -> Self:
        """A day with six resources of two tenants, and an anchor for each."""
        planner = await opened.enter_async_context(Planner.connect(dsn))
        day = cls(planner, random.Random(f"day {seed}"), switching)
        for no, address in RESOURCES.items():
            await planner.add_resource(no, address)
        for no in RESOURCES:
            await day.create([no], anchor=True)
        return day

    async def work(
        self, changes: int, until: Callable[[], bool] = lambda: True, pace_s: float = 0.15
    ) -> None:
        """Makes so many changes more, and goes on until `until()`, with quick and uneven hands."""
        enough = self.done + changes
        while self.done < enough or not until():
            await self.change()
            await asyncio.sleep(self.rng.uniform(0, 2 * pace_s))

    async def after(self, changes: int) -> None:
        """Returns when so many changes more were made or tried."""
        enough = self.done + changes
        async with self._more:
            await self._more.wait_for(lambda: self.done >= enough)

    async def change(self) -> None:
        """Makes one change, of a kind drawn by lot."""
        free = [each for each in self.planned if not each.anchor]
        (kind,) = self.rng.choices(list(KINDS), list(KINDS.values()))
        if len(free) < FEW:
            kind = "create"
        one = self.rng.choice(free or self.planned)
        match kind:
            case "create":
                await self.create(self._some())
            case "move":
                await self.move(one)
            case "edit":
                await self.edit(self.rng.choice(self.planned))
            case "reassign":
                await self.reassign(one)
            case "delete":
                await self.delete(one)
            case "burst":
                await self.burst(self.rng.choice(self.planned))
            case "all day":
                await self.all_day(one)
            case "switch":
                await self.switch()
        await self._count()

    async def create(self, resources: list[str], *, anchor: bool = False) -> None:
        start, end = self._times()
        subject, fields = f"Visit {self.done}", self._texts()
        number = await self._insist(
            lambda: self.planner.add_appointment(subject, start, end, resources, **fields)
        )
        self.planned.append(Planned(number, start, anchor))

    async def move(self, one: Planned) -> None:
        start, end = self._times()
        one.start = start
        await self._insist(lambda: self.planner.edit(one.number, start=start, end=end, all_day=False))

    async def edit(self, one: Planned) -> None:
        fields = self._texts() | {"subject": f"Changed {self.done} " + "x" * self.rng.choice((0, 0, 300))}
        await self._insist(lambda: self.planner.edit(one.number, **fields))

    async def reassign(self, one: Planned) -> None:
        resources = self._some()
        await self._insist(lambda: self.planner.assign(one.number, resources))

    async def delete(self, one: Planned) -> None:
        self.planned.remove(one)
        await self._insist(lambda: self.planner.delete(one.number))

    async def burst(self, one: Planned) -> None:
        for step in range(self.rng.randint(4, 12)):
            subject = f"Burst {self.done}.{step}"
            await self._insist(lambda subject=subject: self.planner.edit(one.number, subject=subject))

    async def all_day(self, one: Planned) -> None:
        start = one.start.replace(hour=0, minute=0)
        end = start + timedelta(days=self.rng.randint(1, 3))
        await self._insist(lambda: self.planner.edit(one.number, start=start, end=end, all_day=True))

    async def switch(self) -> None:
        """Takes a resource out of the synchronisation, or puts back the one that is out."""
        if not self.switching:
            return
        no = self._off or self.rng.choice(list(RESOURCES))
        enabled, self._off = bool(self._off), None if self._off else no
        await self._insist(lambda: self.planner.switch_resource(no, enabled))

    async def _insist(self, change: Callable[[], Awaitable[T]]) -> T | None:
        """Makes a change as soon as the database lets us.

        One whose answer was lost is made again: it may have been committed, and each of them may be made twice.
        """
        while True:
            try:
                return await change()
            except LookupError:
                return None  # deleted, and the answer was lost
            except AWAY:
                await self._count()
                await asyncio.sleep(AWAY_S)

    async def _count(self) -> None:
        async with self._more:
            self.done += 1
            self._more.notify_all()

    def _some(self) -> list[str]:
        return self.rng.sample(list(RESOURCES), self.rng.choice((1, 1, 1, 2)))

    def _times(self) -> tuple[datetime, datetime]:
        start = MONDAY + timedelta(days=self.rng.randrange(25), minutes=15 * self.rng.randrange(28, 72))
        return start, start + timedelta(minutes=15 * self.rng.randint(1, 12))

    def _texts(self) -> dict[str, Any]:
        fields = {
            "body": f"Line one of {self.done}\r\nZeile zwei: Grüße, 42 €\r\n",
            "location": self.rng.choice(SITES),
            "category": self.rng.choice(CATEGORIES),
            "importance": self.rng.randrange(3),
            "show_as": self.rng.choice((None, 1, 2, 3, 4, 5)),
            "sensitivity": self.rng.choice((None, 1, 3)),
        }
        return {name: fields[name] for name in self.rng.sample(sorted(fields), 3)}
