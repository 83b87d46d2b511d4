"""The whole run: prepare, install, start, play, compare, and say what happened."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from demo import prelude
from demo.cast import CAST
from demo.compare import Comparison
from demo.doors import Doors
from demo.processes import Trouble, errors
from demo.stage import HELD, PATIENCE_S, Played, Stage
from demo.state import State
from demo.steps import Chapter
from demo.story import CHAPTERS
from demo.summary import summarise
from demo.table import RED, Table
from demo.wording import counted, lag, times
from demo.world import SERVICES, World
from simulators.dime.planner import Planner

CHECK_EVERY_S = 0.25
FAULTS = (
    "The simulated Microsoft 365 fails on purpose at every fourth request or so (503, 429, a cut connection, ...; "
    "sometimes after it did what was asked). The connector makes it good."
)


@dataclass(frozen=True)
class Result:
    """How it ended: the comparison, the content of summary.json, and what was asked of Graph."""

    comparison: Comparison
    summary: dict[str, Any]
    requests: list[dict[str, Any]]


async def play(world: World, table: Table) -> Result:
    """Plays the story in a new world; raises Trouble where a process ends that should not."""
    async with AsyncExitStack() as opened:
        stage = Stage(
            world,
            await opened.enter_async_context(Planner.connect(world.planning_dsn)),
            await opened.enter_async_context(Doors.open(world.graph, world.ca_file, world.dime)),
            await opened.enter_async_context(State.open(world.state_dsn, world.planning_dsn)),
            next_monday(datetime.now(UTC).date()),
        )
        return await guarded(world, _play(stage, table))


async def guarded(world: World, work: Any) -> Any:
    """The result of `work`, unless a process of the world ends first: then Trouble."""
    working = asyncio.ensure_future(work)
    guarding = asyncio.ensure_future(_guard(world))
    try:
        await asyncio.wait((working, guarding), return_when=asyncio.FIRST_COMPLETED)
        if working.done() and not working.cancelled() and working.exception():
            world.check()  # who ended is more to the point than who noticed
        return await (working if working.done() else guarding)
    finally:
        working.cancel()
        guarding.cancel()
        await asyncio.gather(working, guarding, return_exceptions=True)


async def _guard(world: World) -> None:
    while True:
        world.check()
        await asyncio.sleep(CHECK_EVERY_S)


def next_monday(today: date) -> date:
    """A week that lies ahead, whatever day it is."""
    return today + timedelta(days=7 - today.weekday())


async def _play(stage: Stage, table: Table) -> Result:
    inheritance = await prelude.prepare(stage)
    await _begin(stage, table)
    played = await _chapters(stage, table)
    comparison = await _quiet(stage, table)
    comparison.differences += [*await inheritance.faults(stage.doors), *await stage.touched()]
    requests = await stage.doors.requests()
    lags = [each.lag_s for each in played if each.lag_s is not None]
    return Result(comparison, summarise(comparison, lags, requests), requests)


async def _begin(stage: Stage, table: Table) -> None:
    """Installs the connector, starts it, and has it look for what was planned before."""
    world = stage.world
    await asyncio.to_thread(world.install)
    began = time.monotonic()
    table.line(f"starting {', '.join(SERVICES)} ...", indent="    ")
    for service in SERVICES:
        await asyncio.to_thread(world.start, service, wait=False)
    await asyncio.to_thread(world.wait_until_ready)
    table.line(f"the connector runs, after {lag(time.monotonic() - began)}")
    if world.faults:
        table.line(FAULTS)
    await stage.command("outbox-reader", "backfill", "--from", str(stage.monday))


async def _chapters(stage: Stage, table: Table) -> list[Played]:
    """All of them, or up to the first that does not come through."""
    played = []
    for chapter in CHAPTERS:
        played += await _chapter(chapter, stage, table)
        if not all(each.came_through for each in played):
            table.line("The rest of the story is left out.", RED)
            break
    return played


async def _chapter(chapter: Chapter, stage: Stage, table: Table) -> list[Played]:
    table.title(chapter.title)
    table.head()
    running = set()
    for step in chapter.steps:
        task = await stage.play(step)
        task.add_done_callback(_printing(table))
        running.add(task)
    return list(await asyncio.gather(*running))


def _printing(table: Table) -> Callable[[asyncio.Task[Played]], None]:
    def print_row(task: asyncio.Task[Played]) -> None:
        if not task.cancelled() and task.exception() is None:
            table.played(task.result())

    return print_row


async def _quiet(stage: Stage, table: Table) -> Comparison:
    """The comparison once nothing is left to be done; as it is by then, where that takes too long."""
    table.line()
    table.line("comparing the planning with the calendars ...")
    await stage.look_at_planning()
    deadline = time.monotonic() + PATIENCE_S
    while True:
        unfinished = await stage.state.unfinished(HELD)
        comparison = await stage.whole()
        if (not unfinished and comparison.equal) or time.monotonic() > deadline:
            break
        await asyncio.sleep(0.2)
    if unfinished:
        comparison.differences.append(f"not finished after {PATIENCE_S:.0f} s: {unfinished}")
    return comparison


def tell(result: Result, world: World, table: Table) -> None:
    """What the run comes to, for a person."""
    comparison, summary = result.comparison, result.summary
    faults = Counter(each["fault"] for each in result.requests if each["fault"])
    table.title("What it comes to")
    table.facts(
        {
            "planned": counted(comparison.appointments, "appointment"),
            "shown": f"{counted(comparison.events, 'event')} in {counted(comparison.calendars, 'calendar')}, "
            f"{comparison.adopted} of them adopted",
            "not shown": _absences(comparison),
            "lag": f"half within {summary['lag_ms']['p50']} ms, 95 % within {summary['lag_ms']['p95']} ms",
            "Graph": f"{counted(len(result.requests), 'request')}, {summary['throttled']} answered 429",
            "faults": f"{sum(faults.values())} requests spoiled on purpose: {times(faults)}"
            if faults
            else "none",
        }
    )
    for text in [*comparison.differences, *comparison.duplicates]:
        table.line(f"  {text}", RED, indent="    ")
    for process in world.processes:
        number, first = errors(process.log)
        if number:
            table.line(
                f"  {process.log} has {counted(number, 'error')}, the first: {first}", RED, indent="    "
            )


def _absences(comparison: Comparison) -> str:
    names = {resource.address: resource.name for resource in CAST}
    told = Counter(f"{names[key.mailbox]} {reason}" for key, reason in comparison.absences)
    return ", ".join(f"{n}x {text}" for text, n in sorted(told.items())) or "nothing"


__all__ = ["Result", "Trouble", "guarded", "next_monday", "play", "tell"]
