"""The memory of each process while changes go by: it must not grow with them."""

import asyncio
import time
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
BATCH = 500
PATIENCE_S = 900


@dataclass(frozen=True)
class Size:
    """`appointments` are moved again and again until there were `changes`."""

    changes: int
    appointments: int
    mailboxes: int


SIZES = {
    "full": Size(100_000, 5000, 500),
    "quick": Size(10_000, 1000, 100),
    "smoke": Size(100, 10, 2),
}


def run(size: Size, tell) -> Report:
    points: dict[str, list[float]] = {}
    with chain(size.appointments, size.mailboxes) as running:
        started = time.monotonic()
        for point in range(POINTS):
            asyncio.run(_change(running, size, point))
            for process in running.processes:
                points.setdefault(process.name.rpartition("-")[0], []).append(_resident(process.popen.pid))
            seen = ", ".join(f"{name} {each[-1]:.0f} MB" for name, each in points.items())
            tell(f"{(point + 1) * size.changes // POINTS:,} changes: {seen}")
        seconds = time.monotonic() - started
        planned = asyncio.run(fetch(running.world.state_dsn, "SELECT count(*) FROM transaction"))
        written = asyncio.run(fetch(running.world.state_dsn, "SELECT count(*) FROM attempt"))
    work = f"{size.changes:,} changes of {size.appointments:,} appointments in {size.mailboxes} mailboxes"
    done = f"{planned:,} transactions, {written:,} calls that write"
    curves = "; ".join(f"{name} {each}" for name, each in points.items())
    notes = [
        f"{work} in {seconds:.0f} s: {done} (what changes again before its lane comes is written once)",
        f"the points, in MB: {curves}",
    ]
    return Report("memory", ABOUT, GOAL, [_row(name, each, size) for name, each in points.items()], notes)


def _row(name: str, points: list[float], size: Size) -> dict[str, Any]:
    growth = points[-1] / points[1]
    return {
        "process": name,
        "changes": size.changes,
        "first": points[0],
        "second": points[1],
        "last": points[-1],
        "most": max(points),
        "growth": f"{growth - 1:+.1%}",
        "flat": "yes" if growth <= FLAT else "no",
        "points": points,
    }


async def _change(running: Chain, size: Size, point: int) -> None:
    """A tenth of all changes, each planned by itself: a batch waits until the one before has left the broker."""
    connection = await asyncpg.connect(running.world.planning_dsn)
    try:
        batch = min(BATCH, size.appointments)
        share = size.changes // POINTS
        for number in range(point * share, (point + 1) * share, batch):
            first = number % size.appointments
            await connection.execute(
                """UPDATE dbo.Appointments SET StartDate = StartDate + interval '15 minutes',
                          EndDate = EndDate + interval '15 minutes'
                   WHERE Id > $1 AND Id <= $2""",
                first,
                first + batch,
            )
            await _planned(running)
    finally:
        await connection.close()


async def _planned(running: Chain) -> None:
    """Until the newest version is planned."""
    deadline = time.monotonic() + PATIENCE_S
    while await fetch(running.world.planning_dsn, "SELECT count(*) FROM exconn.Outbox WHERE State < 2"):
        _not_after(deadline)
        await asyncio.sleep(0.01)
    newest = await fetch(running.world.planning_dsn, "SELECT max(Version) FROM exconn.Outbox")
    while await fetch(running.world.state_dsn, "SELECT max(version) FROM appointment") < newest:
        _not_after(deadline)
        await asyncio.sleep(0.01)


def _not_after(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError("a change was never planned")


def _resident(pid: int) -> float:
    """Megabytes, as the kernel counts them."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise LookupError(pid)
