"""Where the story is played: it does each step, watches the calendars, and notes how long it took."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from demo.cast import CAST, Resource
from demo.compare import Calendar, Comparison, Exceptions, compare
from demo.doors import FRESH_S, Doors
from demo.environment import INSTALLATION
from demo.state import State
from demo.steps import Burst, Step
from demo.wording import counted
from demo.world import World
from simulators.dime.planner import Planner

PATIENCE_S = 60.0
PACE_S = 0.15
"""Between two steps of a chapter: a planner with quick hands."""

HELD = frozenset(resource.address for resource in CAST if resource.held)
ZONES = {resource.address: resource.time_zone for resource in CAST}

SHOWN = ("subject", "body", "start", "end", "location", "categories", "extendedProperties")
"""What nobody may change in an event that is not the connector's to write to."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Played:
    """One step and what became of it.

    `lag_s`: from the commit until every calendar showed it; None where there was nothing to show. `mended`: what went
    wrong at Microsoft Graph meanwhile, in the mailboxes concerned, and how often.
    """

    step: Step
    outcome: str
    lag_s: float | None = None
    mended: Mapping[str, int] = field(default_factory=dict)
    came_through: bool = True


@dataclass(frozen=True)
class Concern:
    """What a step is about: appointments, and the mailboxes where they are or were."""

    numbers: frozenset[int]
    guids: frozenset[str]
    addresses: frozenset[str]


@dataclass
class Stage:
    """Everything a step may use (see `steps.Scene`), and what is needed to watch it."""

    world: World
    planner: Planner
    doors: Doors
    state: State
    monday: date
    ids: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, dict[str, Json]] = field(default_factory=dict)
    _planned: dict[int, Json] = field(default_factory=dict)
    _watching: dict[int, asyncio.Task[Played]] = field(default_factory=dict)

    async def command(self, service: str, *arguments: str) -> str:
        return await asyncio.to_thread(self.world.run, service, *arguments)

    async def switch_off(self, resource: Resource) -> None:
        """From now on the calendar stays as it is."""
        await self.command("graph-publisher", "mailboxes", "disable", resource.address)
        self.frozen[resource.address] = {
            each["id"]: each for each in await self.doors.events(resource.address)
        }

    async def touched(self) -> list[str]:
        """The mailboxes that were written to although they were switched off."""
        found = []
        for address, before in self.frozen.items():
            now = {each["id"]: each for each in await self.doors.events(address)}
            if any(
                now.get(number, {}).get(name) != event[name]
                for number, event in before.items()
                for name in SHOWN
            ):
                found.append(f"{address}: an event was touched after the mailbox was switched off")
            if now.keys() - before.keys():
                found.append(f"{address}: an event was made after the mailbox was switched off")
        return found

    async def play(self, step: Step) -> asyncio.Task[Played]:
        """Does the step; the task ends when the calendars show it. Steps of one appointment wait for each other."""
        await self._settled(step)
        marker = await self.doors.last_request()
        before = self._planned
        await step.play(self)
        committed = time.monotonic()
        await self.look_at_planning()
        concern = self._concern(step, before)
        task = asyncio.create_task(self._watch(step, concern, committed, marker))
        self._watching |= dict.fromkeys(concern.numbers, task)
        await asyncio.sleep(PACE_S)
        return task

    async def look_at_planning(self) -> None:
        self._planned = {each["id"]: each for each in await self.doors.appointments()}

    async def whole(self) -> Comparison:
        """Planning and calendars, all of both."""
        return self._compare(await self.doors.calendars())

    def _compare(self, calendars: Mapping[str, Calendar], guids: Collection[str] | None = None) -> Comparison:
        exceptions = Exceptions(held=HELD, frozen=self.frozen.keys())
        return compare(list(self._planned.values()), calendars, INSTALLATION, exceptions, guids)

    async def _settled(self, step: Step) -> None:
        """Waits for what happens to the same appointment; a step about a resource waits for everything."""
        watched = self._watching
        running = [watched.get(self.ids.get(step.name, 0))] if step.name else list(watched.values())
        await asyncio.gather(*filter(None, running))

    def _concern(self, step: Step, before: Mapping[int, Json]) -> Concern:
        people = {resource.address for resource in step.who}
        if step.name:
            numbers = {self.ids[step.name]}
        else:
            numbers = {number for number, each in before.items() if people & _addresses(each)}
        seen = [plan[number] for plan in (before, self._planned) for number in numbers if number in plan]
        addresses = people.union(*map(_addresses, seen)) if step.name else people
        return Concern(frozenset(numbers), frozenset(each["guid"] for each in seen), frozenset(addresses))

    async def _watch(self, step: Step, concern: Concern, committed: float, marker: int) -> Played:
        while not await self._arrived(step, concern):
            if time.monotonic() > committed + PATIENCE_S:
                return Played(step, f"NOT there after {PATIENCE_S:.0f} s", None, {}, came_through=False)
            await asyncio.sleep(FRESH_S)
        lag = time.monotonic() - committed if step.timed and step.expect == "visible" else None
        requests = [
            each for each in await self.doors.requests(marker) if each["mailbox"] in concern.addresses - HELD
        ]
        mended = Counter(each["fault"] for each in requests if each["fault"])
        writes = sum(each["method"] == "PATCH" and each["status"] == 200 for each in requests)
        return Played(step, await self._outcome(step, concern, writes), lag, mended)

    async def _arrived(self, step: Step, concern: Concern) -> bool:
        match step.expect:
            case "held":
                return all([await self.state.is_held(resource.address) for resource in step.who])
            case "planned":
                return all([await self.state.is_planned(number) for number in concern.numbers])
            case "skipped":
                return all([await self.state.is_skipped(number) for number in concern.numbers])
            case "nothing":
                return True
        calendars = {
            address: Calendar(await self.doors.events(address), ZONES[address])
            for address in concern.addresses - HELD
        }
        return self._compare(calendars, concern.guids).equal

    async def _outcome(self, step: Step, concern: Concern, writes: int) -> str:
        if step.outcome:
            return step.outcome
        if step.expect == "held":
            return "held: " + await self.state.words(step.who[0].address)
        if not (step.name and concern.numbers & self._planned.keys()):
            return "gone"
        return f"shown, by {counted(writes, 'write')}" if isinstance(step, Burst) else "shown"


def _addresses(appointment: Json) -> set[str]:
    return {each["email"] for each in appointment["assignments"] if each["email"]}
