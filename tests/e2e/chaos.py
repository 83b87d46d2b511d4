"""What tests that kill need: the world with doors open, its victims, and the verdict at the end."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

import asyncpg
from e2e.days import Day
from e2e.telling import untold

from common.amqp import depth
from common.topology import DEAD_QUEUE
from demo.compare import Exceptions, compare
from demo.doors import Doors
from demo.environment import INSTALLATION
from demo.play import guarded
from demo.state import State
from demo.world import World

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
                self._be_patient(deadline, f"{left}: {await self.ask(_WAITING)}")
                await asyncio.sleep(LOOK_EVERY_S)

    async def _left(self, state: State, held: Collection[str]) -> str | None:
        """Done links may have appointments decided again, which may make links wanted: so they are asked twice."""
        if left := await state.unfinished(held):
            return left
        undecided = await self.ask(
            "SELECT count(*) FROM appointment WHERE generation < (SELECT max(generation) FROM appointment)"
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


_WAITING = """
SELECT json_agg(json_build_array(l.id, l.mailbox, l.want_seq, l.done_seq, l.due_at - now(), l.tries, l.missing_since,
                                 a.operation, a.outcome, a.settled_after - now(), m.state, m.work_at - now(),
                                 m.hold_until - now(), m.write_until - now()))
FROM link l JOIN mailbox m ON m.address = l.mailbox
LEFT JOIN attempt a ON a.link_id = l.id AND (a.outcome IS NULL OR a.outcome = 'unknown')
WHERE l.want_seq > l.done_seq AND l.frozen IS NULL
"""
"""What a person would look at first where links wait in vain."""


async def _ask(dsn: str, statement: str, *values: Any) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


async def _left_over(state: Any, failed: Collection[str], held: Collection[str]) -> list[str]:
    """Rows that should have been closed."""
    pending = await state.fetch(
        "SELECT t.id, t.mailbox, t.code FROM transaction t LEFT JOIN link l ON l.id = t.link_id"
        " WHERE t.status = 'pending' AND t.mailbox <> ALL($1)"
        " AND coalesce(l.due_at, now()) < now() + interval '30 minutes'",  # a last look at what is gone
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
