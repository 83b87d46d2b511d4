"""A planning database with an outbox, a state database, a broker, and the reader's parts upon them."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

import stack
from common import amqp, db
from common.messages import AppointmentChanged, AppointmentUnreadable, Message
from common.planning import database as planning_database
from common.planning.database import Database
from common.planning.reading import Planning
from outbox_reader.epochs import Epochs
from outbox_reader.relay import Relay
from outbox_reader.schema import schema_command
from outbox_reader.settings import Tuning
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from outbox_reader.store.state import State
from simulators.dime.planner import Planner
from simulators.dime.tables import create_tables

START = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="session")
def planning_template(postgres_server: stack.Postgres, odbc: dict[str, str]) -> Iterator[str]:
    """A database with planning tables and outbox objects."""
    os.environ.update(odbc)
    dsn = stack.fresh_database(postgres_server)
    asyncio.run(install(dsn))
    yield dsn
    stack.drop_database(dsn)


async def install(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await create_tables(connection)
        await connection.execute(schema_command("postgresql", None, False))
    finally:
        await connection.close()


@pytest.fixture
def planning_dsn(postgres_server: stack.Postgres, planning_template: str) -> Iterator[str]:
    dsn = stack.fresh_database(postgres_server, planning_template)
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
async def sql(planning_dsn: str) -> AsyncIterator[Any]:
    """A plain pool to the planning database, to look into it."""
    async with asyncpg.create_pool(planning_dsn, min_size=1, max_size=3) as pool:
        yield pool


@pytest.fixture
async def state_sql(state_dsn: str) -> AsyncIterator[Any]:
    async with db.pool(state_dsn, application_name="test") as pool:
        yield pool


@pytest.fixture
async def planner(planning_dsn: str) -> AsyncIterator[Planner]:
    async with Planner.connect(planning_dsn) as planner:
        await planner.add_resource("ALICE", "alice@contoso.example", name="Alice")
        await planner.add_resource("BOB", "bob@contoso.example", name="Bob")
        yield planner


@dataclass
class Broker:
    """Takes what is published; `refuse` and `before` let a test step in."""

    told: list[Any] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    refuse: Callable[[Message], Exception | None] = lambda _: None
    before: Callable[[], Awaitable[None]] | None = None

    async def publish(self, messages: Any) -> list[Any]:
        if self.before:
            await self.before()
        outcomes = [self.refuse(message) for message in messages]
        self.told += [m for m, failed in zip(messages, outcomes, strict=True) if not failed]
        self.batches.append(len(messages))
        return outcomes

    @property
    def changed(self) -> list[AppointmentChanged]:
        return [message for message in self.told if isinstance(message, AppointmentChanged)]

    @property
    def unreadable(self) -> list[AppointmentUnreadable]:
        return [message for message in self.told if isinstance(message, AppointmentUnreadable)]

    def newest(self) -> dict[int, AppointmentChanged]:
        return {m.appointment_id: m for m in sorted(self.changed, key=lambda m: (m.epoch, m.version))}


@dataclass
class Reader:
    """The parts of one reader."""

    database: Database
    outbox: Outbox
    keeping: Keeping
    planning: Planning
    state: State
    epochs: Epochs
    relay: Relay
    broker: Broker

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.relay.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def drain(self) -> None:
        """Work until no row is new or claimed."""
        async with self.running():
            await eventually(self.idle)

    async def idle(self) -> bool:
        return not any(depth.state in {0, 1} for depth in await self.keeping.depths())


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


TUNING = Tuning(poll_min_s=0.01, poll_max_s=0.05, retry_max_s=0.2, lease_s=15, batch_size=50)

Build = Callable[..., Awaitable[Reader]]


@pytest.fixture
async def build(planning_dsn: str, state_dsn: str) -> AsyncIterator[Build]:
    """Builds readers on the two databases."""
    open_: list[Any] = []

    async def build(
        broker: Broker | None = None, tuning: Tuning = TUNING, state_at: str = state_dsn
    ) -> Reader:
        connection = planning_database.connect(stack.planning_odbc(planning_dsn), "postgresql", size=4)
        database = await connection.__aenter__()
        pool_ = db.pool(state_at, application_name="test")
        pool = await pool_.__aenter__()
        open_.extend((connection, pool_))
        keeping, outbox, state = Keeping(database), Outbox(database), State(pool)
        planning, broker = Planning(database, UTC), broker or Broker()
        epochs = Epochs(keeping, state, lambda: database.connects, 60)
        relay = Relay(outbox, planning, epochs, broker.publish, tuning)
        return Reader(database, outbox, keeping, planning, state, epochs, relay, broker)

    yield build
    for context in reversed(open_):
        await context.__aexit__(None, None, None)


@pytest.fixture
async def reader(build: Build) -> Reader:
    return await build()


__all__ = ["HOUR", "START", "TUNING", "Broker", "Reader", "amqp", "eventually"]
