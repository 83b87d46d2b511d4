"""outbox-reader beside what it does most: publishing 500 messages at once, and fetching 500 rows."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC

import aio_pika
import aioodbc
import asyncpg

import stack
from benchmarks import places, profiling
from benchmarks.report import Report, middle, ratio
from common import amqp, db
from common.errors import Transient
from common.messages import AppointmentChanged, Message
from common.planning import database as planning_database
from common.planning.reading import Planning
from common.topology import EXCHANGE, declare_exchanges, declare_queue
from outbox_reader.epochs import Epochs
from outbox_reader.relay import Relay
from outbox_reader.settings import Tuning
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from outbox_reader.store.state import State

ABOUT = "rows per second from the outbox to confirmed messages"
GOAL = "0.7 of the slower of aio-pika publishing and aioodbc fetching"
SHARE = 0.7
BATCH = 500
QUEUE = "benchmark.appointments"


@dataclass(frozen=True)
class Size:
    rows: int
    rounds: int


SIZES = {"full": Size(10_000, 5), "quick": Size(3_000, 3), "smoke": Size(200, 1)}


@dataclass
class Confirmed:
    """Publishes, and counts what the broker confirmed; remembers the bytes where asked to."""

    broker: amqp.Broker
    wanted: int = 0
    confirmed: int = 0
    remember: bool = False
    bodies: list[bytes] = field(default_factory=list)
    at: float = 0.0
    all: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, rows: int) -> None:
        self.wanted, self.confirmed = rows, 0
        self.all.clear()

    async def publish(self, messages: Sequence[Message]) -> list[Transient | None]:
        outcomes = await self.broker.publish_all(messages)
        self.at = time.perf_counter()
        self.confirmed += outcomes.count(None)
        if self.remember:
            self.bodies += [message.encode() for message in messages]
        if self.confirmed >= self.wanted:
            self.all.set()
        return outcomes


@dataclass
class Bench:
    """The reader's parts as its process has them, and the servers beside it."""

    relay: Relay
    outbox: Keeping
    confirmed: Confirmed
    planner: asyncpg.Connection
    url: str
    odbc: str


def run(size: Size, tell) -> Report:
    with places.planning(size.rows, 100) as planning, places.state() as state, places.vhost() as url:
        return asyncio.run(_measure(size, planning, state, url, tell))


async def _measure(size: Size, planning: str, state: str, url: str, tell) -> Report:
    ours, publishing, plain, snapshots = [], [], [], []
    async with _reader(planning, state, url) as bench:
        bench.confirmed.remember = True
        await _relayed(bench, size.rows)
        bench.confirmed.remember = False
        for number in range(size.rounds):
            ours.append(await _relayed(bench, size.rows))
            publishing.append(await _published(bench, bench.confirmed.bodies))
            plain.append(await _fetched(bench, PLAIN, size.rows))
            snapshots.append(await _fetched(bench, SNAPSHOTS, size.rows))
            tell(f"round {number + 1}: {ours[-1]:,.0f} rows/s, publishing alone {publishing[-1]:,.0f}/s")
        slower = ratio(ours, min(publishing, plain, key=middle))
        notes = []
        if slower < SHARE:
            found = await profiling.profiled(_relayed(bench, size.rows))
            notes.append(f"below the goal; where a round goes: {found}")
    row = {
        "rows": size.rows,
        "reader/s": middle(ours, 0),
        "aio-pika/s": middle(publishing, 0),
        "fetchall/s": middle(plain, 0),
        "snapshots/s": middle(snapshots, 0),
        "ratio": slower,
        "to publishing": ratio(ours, publishing),
        "to snapshots": ratio(ours, snapshots),
        "reader": ours,
        "aio-pika": publishing,
        "fetchall": plain,
        "snapshots": snapshots,
    }
    notes.append(
        "aio-pika: 500 gathered publishes of the same bytes to the same quorum queue. fetchall: 500 rows of the outbox "
        "by aioodbc. snapshots: 500 of the view that the reader reads, likewise. ratio: to the slower of the first two."
    )
    return Report("reader", ABOUT, GOAL, [row], notes)


async def _relayed(bench: Bench, rows: int) -> float:
    """Rows per second from the planner's commit to the last confirm."""
    await _empty(bench.url)
    bench.confirmed.expect(rows)
    await bench.planner.execute(
        "UPDATE dbo.Appointments SET Importance = 1 - Importance WHERE Id <= $1", rows
    )
    started = time.perf_counter()
    bench.relay.wake()
    async with asyncio.timeout(120):
        await bench.confirmed.all.wait()
        seconds = bench.confirmed.at - started
        while any(depth.state in (0, 1) for depth in await bench.outbox.depths()):
            await asyncio.sleep(0.02)
    return rows / seconds


async def _published(bench: Bench, bodies: Sequence[bytes]) -> float:
    """As the documentation of aio-pika does it, 500 at a time."""
    await _empty(bench.url)
    connection = await aio_pika.connect(bench.url)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.get_exchange(EXCHANGE)
        started = time.perf_counter()
        for first in range(0, len(bodies), BATCH):
            await asyncio.gather(
                *(
                    exchange.publish(_message(body), AppointmentChanged.type)
                    for body in bodies[first : first + BATCH]
                )
            )
        return len(bodies) / (time.perf_counter() - started)


def _message(body: bytes) -> aio_pika.Message:
    return aio_pika.Message(
        body,
        content_type="application/json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        type=AppointmentChanged.type,
    )


PLAIN = """SELECT Id, AppointmentId, AppointmentGuid, Action, Cause, RequestId, CreatedAt, Attempts FROM exconn.Outbox
           ORDER BY Id LIMIT 500 OFFSET ?"""
SNAPSHOTS = """SELECT AppointmentId, AppointmentGuid, Snapshot FROM exconn.AppointmentSnapshot
               WHERE AppointmentId > CAST(? AS bigint) ORDER BY AppointmentId LIMIT 500"""


async def _fetched(bench: Bench, statement: str, rows: int) -> float:
    connection = await aioodbc.connect(dsn=bench.odbc, autocommit=True)
    try:
        fetched, started = 0, time.perf_counter()
        for first in range(0, rows, BATCH):
            cursor = await connection.execute(statement, first)
            fetched += len(await cursor.fetchall())
            await cursor.close()
        return fetched / (time.perf_counter() - started)
    finally:
        await connection.close()


@asynccontextmanager
async def _reader(planning: str, state: str, url: str) -> AsyncIterator[Bench]:
    """Wired as the process is, with its default tuning."""
    await _declare(url)
    tuning, odbc = Tuning(), stack.planning_odbc(planning)
    async with (
        db.pool(state, application_name="benchmark", max_size=5) as pool,
        planning_database.connect(odbc, "postgresql", size=tuning.connections) as database,
        amqp.connect(url, name="benchmark") as broker,
    ):
        keeping, confirmed = Keeping(database), Confirmed(broker)
        epochs = Epochs(keeping, State(pool), lambda: database.connects, tuning.check_every_s)
        relay = Relay(
            Outbox(database),
            Planning(database, UTC),
            epochs,
            confirmed.publish,
            tuning,
            lambda: broker.connected,
        )
        planner = await asyncpg.connect(planning)
        task = asyncio.create_task(relay.run())
        try:
            yield Bench(relay, keeping, confirmed, planner, url, odbc)
        finally:
            task.cancel()
            await asyncio.wait([task])
            await planner.close()


async def _declare(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await declare_exchanges(channel)
        await declare_queue(channel, QUEUE, [AppointmentChanged.type])


async def _empty(url: str) -> None:
    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue(QUEUE)
        await queue.purge()
