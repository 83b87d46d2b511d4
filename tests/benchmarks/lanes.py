"""Write lanes beside a bare aiohttp client that sends the same requests within the same limits."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from benchmarks import places, profiling
from benchmarks.bare import CLIENT, TENANT, Bare
from benchmarks.report import Report, middle, ratio
from builders import changed, snapshot
from common import db
from common.graph import client as graph
from common.messages import AppointmentChanged, Message, Snapshot
from common.settings import load
from graph_publisher.lanes import Lanes
from graph_publisher.metrics import observe
from graph_publisher.plan import Planner
from graph_publisher.settings import Settings
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.attempts import AttemptStore
from graph_publisher.store.generations import generation
from graph_publisher.store.lanes import LaneStore
from graph_publisher.store.plans import PlanStore
from simulators.launch import Running, launch

ABOUT = "requests per second of the write lanes, beside a bare client within the same limits"
GOAL = "0.7 at 50 ms and more with 1 and 10 mailboxes; no answer 429"
SHARE = 0.7
SETTLED_S = 2.1
START = datetime(2027, 3, 1, 8, tzinfo=UTC)


@dataclass(frozen=True)
class Size:
    """`mailboxes`: how many, and how many events are created and then moved in each."""

    latencies: tuple[int, ...]
    mailboxes: dict[int, int]
    rounds: int


SIZES = {
    "full": Size((0, 50, 100), {1: 8, 10: 8, 500: 1}, 5),
    "quick": Size((0, 50), {1: 6, 10: 6, 100: 2}, 3),
    "smoke": Size((0,), {2: 2}, 1),
}


@dataclass
class Bench:
    """A publisher's plan and lanes on a state database, and the bare client; both at one simulator."""

    graph: Running
    settings: Settings
    pool: db.Pool
    planner: Planner
    calendars: graph.Graph
    bare: Bare
    ids: count = field(default_factory=lambda: count(1))

    def lanes(self) -> Lanes:
        """Lanes as after a start: without any request saved up."""
        return Lanes(
            self.settings,
            LaneStore(self.pool, f"benchmark:{os.getpid()}", tuple(self.settings.profiles)),
            AttemptStore(self.pool),
            AdoptionStore(self.pool),
            self.calendars,
        )


@dataclass
class Cell:
    """What was measured with so many mailboxes at one latency: requests per second."""

    mailboxes: int
    each: int
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    requests: int = 0
    """Of one round, on average of both sides."""
    found: str = ""

    @property
    def ours_mailboxes(self) -> list[str]:
        return [f"lane{number}@contoso.example" for number in range(self.mailboxes)]

    @property
    def bare_mailboxes(self) -> list[str]:
        return [f"bare{number}@contoso.example" for number in range(self.mailboxes)]


def run(size: Size, tell) -> Report:
    rows, notes = [], []
    for latency in size.latencies:
        with places.state() as state, launch("graph", "--kind", "--latency-ms", latency) as simulator:
            cells, throttled = asyncio.run(_measure(size, state, simulator, latency, tell))
        rows += [_row(cell, latency, throttled) for cell in cells]
        notes += [f"{latency} ms, {cell.mailboxes} mailboxes: {cell.found}" for cell in cells if cell.found]
    notes.append(
        "requests: of one round, a third each of POST, GET and PATCH. Both: 3 in flight and 11/s per mailbox, nothing saved "
        "up at the start."
    )
    return Report("lanes", ABOUT, GOAL, rows, notes)


def _row(cell: Cell, latency: int, throttled: int) -> dict[str, Any]:
    return {
        "latency ms": latency,
        "mailboxes": cell.mailboxes,
        "requests": cell.requests,
        "lanes/s": middle(cell.ours),
        "bare/s": middle(cell.bare),
        "ratio": ratio(cell.ours, cell.bare),
        "429": throttled,
        "lanes": cell.ours,
        "bare": cell.bare,
    }


async def _measure(size: Size, state: str, simulator: Running, latency: int, tell) -> tuple[list[Cell], int]:
    cells = [Cell(mailboxes, each) for mailboxes, each in size.mailboxes.items()]
    async with _bench(state, simulator) as bench:
        largest = max(cells, key=lambda cell: cell.mailboxes)
        await _create(bench, largest.ours_mailboxes, 1)  # signs in, adopts, learns the time zones
        await bench.bare.create(largest.bare_mailboxes, 1, BODY)
        for cell in cells:
            await _rounds(bench, cell, size.rounds)
            tell(
                f"{latency} ms, {cell.mailboxes} mailboxes: {middle(cell.ours)}/s, bare {middle(cell.bare)}/s"
            )
            if ratio(cell.ours, cell.bare) < SHARE:
                cell.found = await _explained(bench, cell)
        throttled = (await _door(bench))["throttled"]
    return cells, throttled


async def _explained(bench: Bench, cell: Cell) -> str:
    """Where the time goes, and how much of it is waiting for one of the places that a process has for mailboxes."""
    creates = cell.mailboxes * cell.each
    usual, _ = await _create(bench, cell.ours_mailboxes, cell.each)
    tuning = bench.settings.publisher
    roomy = tuning.model_copy(update={"lanes": max(tuning.lanes, cell.mailboxes)})
    wide = replace(bench, settings=bench.settings.model_copy(update={"publisher": roomy}))
    seconds, _ = await _create(wide, cell.ours_mailboxes, cell.each)
    found = await profiling.profiled(_create(wide, cell.ours_mailboxes, cell.each))
    return (
        f"creates alone {creates / usual:.0f}/s with {tuning.lanes} places for mailboxes, {creates / seconds:.0f}/s with a "
        f"place for each; then {found}"
    )


async def _rounds(bench: Bench, cell: Cell, rounds: int) -> None:
    """All creates, a pause in which Exchange touches new events by itself, then all moves; both sides in turns."""
    mailboxes, each = cell.bare_mailboxes, cell.each
    before = await _requests(bench)
    made = [
        (
            await _create(bench, cell.ours_mailboxes, each),
            await _timed(bench.bare.create(mailboxes, each, BODY)),
        )
        for _ in range(rounds)
    ]
    await asyncio.sleep(SETTLED_S)
    needed = 3 * each * cell.mailboxes
    for number, ((ours, snapshots), bare) in enumerate(made, start=1):
        moved = bench.bare.move(mailboxes, each, MOVED, skip=(rounds - number) * each)
        cell.ours.append(needed / (ours + await _move(bench, snapshots)))
        cell.bare.append(needed / (bare + await _timed(moved)))
    cell.requests = (await _requests(bench) - before) // (2 * rounds)


async def _timed(work: Awaitable[object]) -> float:
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def _create(bench: Bench, mailboxes: Sequence[str], each: int) -> tuple[float, list[Snapshot]]:
    """Seconds to write new appointments; planning them is not measured."""
    made = [snapshot(next(bench.ids), mailbox, start=START) for mailbox in mailboxes for _ in range(each)]
    await _plan(bench, [changed(one) for one in made])
    return await _worked_off(bench), made


async def _move(bench: Bench, made: Sequence[Snapshot]) -> float:
    """Seconds to write that they are three hours later."""
    later = {"start": START + timedelta(hours=3), "end": START + timedelta(hours=4)}
    await _plan(bench, [changed(one.model_copy(update=later), 2) for one in made])
    return await _worked_off(bench)


async def _plan(bench: Bench, news: Sequence[AppointmentChanged]) -> None:
    for first in range(0, len(news), bench.settings.publisher.plan_batch):
        await bench.planner.handle(news[first : first + bench.settings.publisher.plan_batch])


async def _worked_off(bench: Bench) -> float:
    started = time.perf_counter()
    working = asyncio.create_task(bench.lanes().run())
    try:
        async with asyncio.timeout(120):
            while await bench.pool.fetchval("SELECT EXISTS (SELECT FROM link WHERE want_seq > done_seq)"):
                await asyncio.sleep(0.01)
        return time.perf_counter() - started
    finally:
        working.cancel()
        await asyncio.wait([working])


async def _requests(bench: Bench) -> int:
    return int((await _door(bench))["requests"])


async def _door(bench: Bench) -> dict[str, int]:
    found = await asyncio.to_thread(bench.graph.door, "GET", "/_sim/throttling")
    return dict(found["total"])


@asynccontextmanager
async def _bench(state: str, simulator: Running) -> AsyncIterator[Bench]:
    settings = load(Settings, _environment(state, simulator))
    async with (
        db.pool(state, application_name="benchmark", max_size=settings.publisher.connections) as pool,
        graph.client(settings.profiles, observe=observe) as calendars,
    ):
        current = await generation(pool, settings.fingerprint())
        store = PlanStore(pool, settings.profile_of, current)
        planner = Planner(store, _unheard, settings.policy(), settings.profile_of)
        bare = Bare.open(simulator.address, simulator.ca_file, settings.publisher)
        try:
            await bare.sign_in()
            yield Bench(simulator, settings, pool, planner, calendars, bare)
        finally:
            await bare.session.close()


async def _unheard(_messages: Sequence[Message]) -> None:
    """Nobody needs to be woken: the lanes start when all is planned."""


def _environment(state: str, simulator: Running) -> dict[str, str]:
    return {
        "EXCONN_INSTALLATION": "benchmark",
        "EXCONN_AMQP_URL": "amqp://127.0.0.1",  # nothing is published
        "EXCONN_POSTGRES_DSN": state,
        "EXCONN_PROFILES__CONTOSO__TENANT_ID": TENANT,
        "EXCONN_PROFILES__CONTOSO__CLIENT_ID": CLIENT["client_id"],
        "EXCONN_PROFILES__CONTOSO__CLIENT_SECRET": CLIENT["client_secret"],
        "EXCONN_PROFILES__CONTOSO__LOGIN_URL": simulator.address,
        "EXCONN_PROFILES__CONTOSO__GRAPH_URL": f"{simulator.address}/v1.0",
        "EXCONN_PROFILES__CONTOSO__CA_FILE": str(simulator.ca_file),
        "EXCONN_PROFILES__CONTOSO__DOMAINS": "contoso.example",
    }


BODY = {
    "subject": "Visit",
    "body": "Bring the ladder.",
    "start": "2027-03-01T08:00:00Z",
    "end": "2027-03-01T09:00:00Z",
    "isAllDay": False,
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "categories": [],
    "location": "",
    "reminder": 15,
}
MOVED = {"start": "2027-03-01T11:00:00Z", "end": "2027-03-01T12:00:00Z", "isAllDay": False}
