"""What tests that kill need: the world with doors open, its victims, and the verdict at the end."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import asyncpg
from e2e.days import Day

from common.amqp import depth
from common.topology import DEAD_QUEUE
from demo.compare import Exceptions, compare
from demo.doors import Doors
from demo.environment import INSTALLATION
from demo.play import guarded
from demo.state import State
from demo.world import World
from stack import PrivateBroker, PrivatePostgres

PATIENCE_S = 75.0
LOOK_EVERY_S = 0.1
QUICK = {
    "EXCONN_READER__LEASE_S": "15",
    "EXCONN_READER__RETRY_MAX_S": "1",
    "EXCONN_READER__NOTE_EVERY_S": "1",
    "EXCONN_READER__CHECK_EVERY_S": "2",
    "EXCONN_READER__ABSENT_APART_S": "1",
    "EXCONN_PUBLISHER__CALL_TIMEOUT_S": "3",
    "EXCONN_PUBLISHER__LEASE_S": "7",
    "EXCONN_PUBLISHER__SETTLE_S": "1",
    "EXCONN_PUBLISHER__LOOK_APART_S": "1",
    "EXCONN_PUBLISHER__HOLD_CONFIGURATION_S": "1",
    "EXCONN_PUBLISHER__HOLD_MAX_S": "4",
}
"""Waits that a minute has room for, over those of the demo."""


@dataclass
class Scene:
    """A world that runs, the day in it, and everything to look at it with."""

    world: World
    doors: Doors
    day: Day

    @classmethod
    @asynccontextmanager
    async def open(cls, world: World, seed: int, *, switching: bool = True) -> AsyncIterator[Self]:
        """A scene in a world without services; its outbox is installed before anything is planned."""
        print(f"seed {seed} (EXCONN_TEST_SEED), logs in {world.folder}")
        await asyncio.to_thread(world.install)
        async with AsyncExitStack() as opened:
            doors = await opened.enter_async_context(Doors.open(world.graph, world.ca_file, world.dime))
            yield cls(world, doors, await Day.begin(opened, world.planning_dsn, seed, switching=switching))

    async def guarded(self, work: Awaitable[Any]) -> Any:
        """The result of `work`; Trouble where a process ends that nobody killed."""
        return await guarded(self.world, work)

    async def force(self, fault: str, **more: Any) -> None:
        """Has Graph fail so soon (see simulators.graph.faults)."""
        await self.doors.graph("POST", "faults", {"fault": fault, **more})

    async def until(self, arrived: Callable[[], Awaitable[Any]], what: str) -> None:
        """Returns when it has come true; TimeoutError names what has not."""
        deadline = time.monotonic() + PATIENCE_S
        while not await arrived():
            self._be_patient(deadline, what)
            await asyncio.sleep(LOOK_EVERY_S)

    async def ask(self, statement: str, *values: Any) -> Any:
        """One value from the state database."""
        return await _ask(self.world.state_dsn, statement, *values)

    async def ask_planning(self, statement: str, *values: Any) -> Any:
        return await _ask(self.world.planning_dsn, statement, *values)

    async def settled(self, held: Collection[str] = ()) -> None:
        """Returns when all work is done; TimeoutError says what is left."""
        deadline = time.monotonic() + PATIENCE_S
        async with State.open(self.world.state_dsn, self.world.planning_dsn) as state:
            while left := await self._left(state, held):
                self._be_patient(deadline, left)
                await asyncio.sleep(LOOK_EVERY_S)

    async def _left(self, state: State, held: Collection[str]) -> str | None:
        """Done links may have appointments decided again, which may make links wanted: so they are asked twice."""
        if left := await state.unfinished(held):
            return left
        undecided = await self.ask(
            "SELECT count(*) FROM appointment WHERE generation < (SELECT max(generation) FROM settings_generation)"
        )
        return f"{undecided} appointments to decide again" if undecided else await state.unfinished(held)

    def _be_patient(self, deadline: float, left: str) -> None:
        self.world.check()
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {PATIENCE_S:.0f} s: {left}")

    async def verdict(
        self, *, failed: Collection[str] = (), held: Collection[str] = (), letters: int = 0, parked: int = -1
    ) -> list[str]:
        """All that is not as it should be at the end.

        Meant to be: transactions that `failed` with these codes, `held` mailboxes, so many dead `letters`, and rows
        of one appointment that are `parked`.
        """
        appointments = await self.doors.appointments()
        comparison = compare(appointments, await self.doors.calendars(), INSTALLATION, Exceptions(held=held))
        faults = comparison.differences + comparison.duplicates
        throttled = (await self.doors.graph("GET", "throttling"))["total"]["throttled"]
        if throttled:
            faults.append(f"Graph really throttled {throttled} requests")
        if (found := await depth(self.world.amqp_url, DEAD_QUEUE)) != letters:
            faults.append(f"{found} dead letters")
        rows = "SELECT count(*) FROM exconn.Outbox WHERE State = 3 AND AppointmentId <> $1"
        if found := await self.ask_planning(rows, parked):
            faults.append(f"{found} rows parked")
        state = await asyncpg.connect(self.world.state_dsn)
        try:
            return faults + await _left_over(state, failed, held) + await untold(state)
        finally:
            await state.close()


async def _ask(dsn: str, statement: str, *values: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def _left_over(state: Any, failed: Collection[str], held: Collection[str]) -> list[str]:
    """Rows that should have been closed."""
    pending = await state.fetch(
        "SELECT id, mailbox, code FROM transaction WHERE status = 'pending' AND mailbox <> ALL($1)",
        list(held),
    )
    broken = await state.fetch(
        "SELECT id, mailbox, code, reason FROM transaction"
        " WHERE status = 'failed' AND superseded_by IS NULL AND code <> ALL($1)",
        list(failed),
    )
    attempts = await state.fetch(
        "SELECT a.id, a.operation, a.outcome FROM attempt a JOIN link l ON l.id = a.link_id"
        " WHERE (a.outcome IS NULL OR a.outcome = 'unknown') AND l.mailbox <> ALL($1)",
        list(held),
    )
    return [
        *(f"pending: {dict(row)}" for row in pending),
        *(f"failed: {dict(row)}" for row in broken),
        *(f"attempt left open: {dict(row)}" for row in attempts),
    ]


async def untold(state: Any) -> list[str]:
    """Where the transactions do not tell the whole story of an appointment, in order."""
    rows = await state.fetch(
        "SELECT id, link_id, appointment_id, appointment_guid, action, status, code, epoch, version, want_seq,"
        " superseded_by, closed_at, created_at FROM transaction WHERE direction = 'out' ORDER BY id"
    )
    links = await state.fetch("SELECT id, wanted IS NULL AS absent, frozen, event_id, done_seq FROM link")
    return [
        fault
        for story in _by(rows, "appointment_id", "appointment_guid").values()
        for fault in _disorder(story)
    ] + [
        fault
        for link in links
        for fault in _ending(link, [row for row in rows if row["link_id"] == link["id"]])
    ]


def _by(rows: Iterable[Any], *names: str) -> dict[tuple[Any, ...], list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return found


def _disorder(story: Sequence[Any]) -> list[str]:
    """Of one appointment: versions grow with ids, each transaction is closed, and what replaces it is newer."""
    versioned = [row for row in story if row["version"] is not None]
    faults = [
        f"transaction {later['id']} tells an older version than {earlier['id']}"
        for earlier, later in pairwise(versioned)
        if (later["epoch"], later["version"]) < (earlier["epoch"], earlier["version"])
    ]
    faults += [
        f"transaction {row['id']} is {row['status']}, closed at {row['closed_at']}"
        for row in story
        if (row["status"] == "pending") != (row["closed_at"] is None)
    ]
    faults += [
        f"transaction {row['id']} is superseded by {row['superseded_by']}"
        for row in story
        if row["superseded_by"] is not None and row["superseded_by"] <= row["id"]
    ]
    return faults


def _ending(link: Any, story: Sequence[Any]) -> list[str]:
    """Of one link: sequences grow, and the last transaction tells what the calendar shows now."""
    if not story:
        return [f"link {link['id']} has no transaction"]
    faults = [
        f"transaction {later['id']} goes back from {earlier['want_seq']} to {later['want_seq']}"
        for earlier, later in pairwise(story)
        if later["want_seq"] < earlier["want_seq"]
    ]
    last = story[-1]
    if link["done_seq"] < last["want_seq"] or link["frozen"] or last["status"] == "failed":
        return faults
    told = (last["action"], last["status"], last["code"])
    if link["absent"]:
        well = last["status"] == "succeeded" and last["action"] == "delete" and not link["event_id"]
    else:
        well = last["status"] == "succeeded" and last["action"] in ("create", "update") and link["event_id"]
    if not well and told[1:] != ("skipped", "EXC-NO-CHANGE"):
        faults.append(f"link {link['id']} ({'absent' if link['absent'] else 'wanted'}) ends with {told}")
    return faults


@dataclass(frozen=True)
class Victim:
    """Something that can be killed and brought back; both block."""

    name: str
    kill: Callable[[], object]
    revive: Callable[[], object]


def service(world: World, name: str) -> Victim:
    """All processes of a service."""
    return Victim(name, lambda: world.kill(name), lambda: world.restart(name, wait=False))


def server(name: str, private: PrivateBroker | PrivatePostgres) -> Victim:
    return Victim(name, private.kill, private.start)


def at_once(victims: Sequence[Victim]) -> Victim:
    """The power of the whole machine room; the services are back first, before what they need."""

    def kill() -> None:
        for victim in victims:
            victim.kill()

    def revive() -> None:
        for victim in victims:
            victim.revive()

    return Victim("everything", kill, revive)


async def strike(victims: Sequence[Victim], day: Day, rng: random.Random) -> None:
    """Kills each in the order given, while the day goes on, and brings it back some changes later."""
    for victim in victims:
        await day.after(rng.randint(2, 9))
        print(f"change {day.done}: {victim.name} killed")
        await asyncio.to_thread(victim.kill)
        await day.after(rng.randint(1, 6))
        await asyncio.to_thread(victim.revive)


async def havoc(scene: Scene, changes: int, *disasters: Coroutine[Any, Any, None]) -> None:
    """A day of at least so many changes, which lasts until all these disasters have happened."""
    happening = asyncio.gather(*disasters)
    try:
        await scene.guarded(scene.day.work(changes, happening.done))
        await happening
    finally:
        happening.cancel()
        await asyncio.gather(happening, return_exceptions=True)
