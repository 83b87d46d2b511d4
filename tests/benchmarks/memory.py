"""The memory of each process while changes go by: it must not grow with them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks.report import Report
from benchmarks.whole import Chain, chain, fetch

ABOUT = "resident memory of each process, in MB, while changes go by"
GOAL = "flat: no more than 10 % between the second point and the last"
POINTS = 10
FLAT = 1.1
BATCH = 1000
PATIENCE_S = 120


@dataclass(frozen=True)
class Size:
    """`appointments` are moved again and again until there were `changes`, or for `seconds` at most."""

    changes: int
    appointments: int
    mailboxes: int
    seconds: int


SIZES = {
    "full": Size(100_000, 5000, 20, 280),
    "quick": Size(10_000, 1000, 20, 120),
    "smoke": Size(100, 10, 2, 30),
}


def run(size: Size, tell) -> Report:
    points: dict[str, list[float]] = {}
    with chain(size.appointments, size.mailboxes) as running:
        started, changes = time.monotonic(), 0
        while changes < size.changes and time.monotonic() - started < size.seconds:
            asyncio.run(_change(running, size, changes))
            changes += size.changes // POINTS
            for process in running.processes:
                points.setdefault(process.name.rpartition("-")[0], []).append(_resident(process.popen.pid))
            tell(
                f"{changes:,} changes: {', '.join(f'{name} {each[-1]:.0f} MB' for name, each in points.items())}"
            )
        took = time.monotonic() - started
        transactions, calls = asyncio.run(_counted(running.world.state_dsn))
    work = f"{changes:,} changes of {size.appointments:,} appointments in {size.mailboxes} mailboxes"
    notes = [f"{work} in {took:.0f} s: {transactions:,} transactions, {calls:,} calls that write"]
    notes += [f"{name}, MB after each tenth: {', '.join(map(str, each))}" for name, each in points.items()]
    if changes < size.changes:
        notes.append(f"ended after {size.seconds} s: {size.changes:,} changes were meant")
    return Report("memory", ABOUT, GOAL, [_row(name, each, changes) for name, each in points.items()], notes)


def _row(name: str, points: list[float], changes: int) -> dict[str, Any]:
    growth = points[-1] / points[min(1, len(points) - 1)]
    return {
        "process": name,
        "changes": changes,
        "first": points[0],
        "second": points[min(1, len(points) - 1)],
        "last": points[-1],
        "most": max(points),
        "growth": f"{growth - 1:+.1%}",
        "flat": "yes" if growth <= FLAT else "no",
        "points": points,
    }


async def _change(running: Chain, size: Size, done: int) -> None:
    """A tenth of all changes, each told and planned by itself: none is made while another waits in the outbox."""
    planning = await asyncpg.connect(running.world.planning_dsn)
    state = await asyncpg.connect(running.world.state_dsn)
    try:
        batch = min(BATCH, size.appointments, size.changes // POINTS)
        for number in range(done, done + size.changes // POINTS, batch):
            await planning.execute(MOVE, number % size.appointments, batch)
            await _until(lambda: planning.fetchval("SELECT count(*) = 0 FROM exconn.Outbox WHERE State < 2"))
        newest = await planning.fetchval("SELECT max(Version) FROM exconn.Outbox")
        await _until(lambda: state.fetchval("SELECT max(version) >= $1 FROM appointment", newest))
    finally:
        await planning.close()
        await state.close()


MOVE = """
UPDATE dbo.Appointments
SET StartDate = StartDate + interval '15 minutes', EndDate = EndDate + interval '15 minutes'
WHERE Id > $1::bigint AND Id <= $1::bigint + $2::bigint
"""


async def _until(reached: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await reached():
            await asyncio.sleep(0.05)


async def _counted(dsn: str) -> tuple[int, int]:
    return await fetch(dsn, "SELECT count(*) FROM transaction"), await fetch(
        dsn, "SELECT count(*) FROM attempt"
    )


def _resident(pid: int) -> float:
    """Megabytes, as the kernel counts them."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(pid)
