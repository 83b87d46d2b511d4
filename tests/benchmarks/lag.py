"""From a commit in the planning to the event in the calendar, through all processes, while changes come one by one."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any

import asyncpg

from benchmarks.report import Report, middle
from benchmarks.whole import Chain, chain
from simulators.dime.planner import Planner

ABOUT = "milliseconds from the commit in the planning to the event in the calendar, over all processes"
LATENCY_MS = 50
GOAL_MS = 500 + LATENCY_MS
GOAL = f"p95 below {GOAL_MS} ms: 500 and the latency of Graph"
WARM_S = 1.0
PATIENCE_S = 60
START = datetime(2027, 6, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Size:
    """`changes` of one round, at `rate` a second; every fourth plans an appointment, the others move one each.

    Those of the first second are not measured, but for the very first: it shows what a change costs after a pause.
    """

    changes: int
    rate: float
    mailboxes: int
    rounds: int


SIZES = {
    "full": Size(300, 20, 40, 5),
    "quick": Size(200, 20, 40, 2),
    "smoke": Size(30, 20, 4, 1),
}


@dataclass
class Round:
    """When each change was committed, by what it makes visible: (subject, start)."""

    number: int
    committed: dict[tuple[str, str], float] = field(default_factory=dict)
    lags: list[float] = field(default_factory=list)
    """In milliseconds, in the order of the commits."""

    @property
    def start(self) -> datetime:
        return START + self.number * 24 * HOUR

    def share(self, percent: int) -> float:
        """That many percent of the lags are not longer."""
        return quantiles(self.lags[1:], n=100, method="inclusive")[percent - 1]


def run(size: Size, tell) -> Report:
    with chain(size.changes, size.mailboxes, LATENCY_MS) as running:
        time.sleep(2.5)  # until the events have settled: Exchange touches a new one by itself
        rounds = [Round(number) for number in range(size.rounds)]
        for changes in rounds:
            _measure(running, size, changes)
            tell(
                f"round {changes.number + 1}: p50 {changes.share(50):.0f} ms, p95 {changes.share(95):.0f} ms"
            )
            if changes is not rounds[-1]:
                time.sleep(2)  # until the reader looks as seldom as it may
        stages = asyncio.run(_stages(running.world.state_dsn))
        throttled = running.throttling()["throttled"]
    return Report("lag", ABOUT, GOAL, [_row(size, rounds, throttled)], [stages])


def _row(size: Size, rounds: list[Round], throttled: int) -> dict[str, Any]:
    p50, p95 = ([changes.share(percent) for changes in rounds] for percent in (50, 95))
    return {
        "latency ms": LATENCY_MS,
        "changes": size.changes,
        "a second": size.rate,
        "mailboxes": size.mailboxes,
        "p50": middle(p50, 0),
        "p95": middle(p95, 0),
        "longest": middle([max(changes.lags[1:]) for changes in rounds], 0),
        "after a pause": middle([changes.lags[0] for changes in rounds], 0),
        "goal": GOAL_MS,
        "reached": "yes" if middle(p95) < GOAL_MS else "no",
        "429": throttled,
        "p50 of rounds": p50,
        "p95 of rounds": p95,
    }


def _measure(running: Chain, size: Size, changes: Round) -> None:
    """Fill in the lags; TimeoutError where a change never becomes visible."""
    asyncio.run(_change(running.world.planning_dsn, size, changes))
    deadline = time.monotonic() + PATIENCE_S
    while not (seen := _visible(running, size)).keys() >= changes.committed.keys():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(changes.committed.keys() - seen.keys())} changes never became visible")
        time.sleep(0.5)
    first, *others = sorted(changes.committed.items(), key=lambda change: change[1])
    measured = [first, *(change for change in others if change[1] > first[1] + WARM_S)]
    changes.lags = [(seen[change] - at) * 1000 for change, at in measured]


async def _change(dsn: str, size: Size, changes: Round) -> None:
    """Changes at random moments, as many a second as asked for: regular ones would keep step with the polling."""
    chance = random.Random(changes.number)
    async with Planner.connect(dsn, size=8) as planner, asyncio.TaskGroup() as tasks:
        due = time.monotonic()
        for number in range(size.changes):
            due += chance.expovariate(size.rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(_one(planner, number, size, changes))


async def _one(planner: Planner, number: int, size: Size, changes: Round) -> None:
    """The clock runs from before the commit: the planner's own few milliseconds count too."""
    start = changes.start + number % 10 * HOUR
    before = time.time()
    if number % 4:
        subject = f"Visit {number}"
        await planner.move(number, start, start + HOUR)
    else:
        subject = f"New {changes.number} {number}"
        await planner.add_appointment(subject, start, start + HOUR, [f"R{number % size.mailboxes}"])
    changes.committed[subject, f"{start:%Y-%m-%dT%H:%M:%S}"] = before


def _visible(running: Chain, size: Size) -> dict[tuple[str, str], float]:
    """When each event became what it is, by the simulator's clock, which is this machine's."""
    seen = {}
    for number in range(size.mailboxes):
        for event in running.events(f"r{number}@contoso.example"):
            moment = "createdDateTime" if event["subject"].startswith("New") else "lastModifiedDateTime"
            start = event["start"]["dateTime"][:19]
            seen[event["subject"], start] = datetime.fromisoformat(event[moment][:26] + "+00:00").timestamp()
    return seen


STAGES = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY t.created_at - t.changed_at) AS planned,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY a.opened_at - t.created_at) AS intended,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY a.closed_at - a.opened_at) AS written
FROM transaction t JOIN attempt a ON a.transaction_id = t.id
WHERE t.status = 'succeeded' AND (t.action = 'create') = $1
  AND t.created_at >= (SELECT min(created_at) FROM transaction WHERE action = 'update')
"""


async def _stages(dsn: str) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        told = []
        for kind, created in (("a new appointment", True), ("a move", False)):
            row = await connection.fetchrow(STAGES, created)
            planned, intended, written = (
                f"{part.total_seconds() * 1000:.0f}" if part else "-" for part in row
            )
            told.append(
                f"{kind}: {planned} ms to the plan, {intended} to the intent, {written} to the answer"
            )
        return f"medians, {'; '.join(told)}"
    finally:
        await connection.close()
