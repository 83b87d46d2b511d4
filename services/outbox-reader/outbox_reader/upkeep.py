"""What has to be done now and then: leases that ran out, marks of how far each side is, depth, pruning, recovery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from typing import NoReturn, Protocol

import structlog

from common.errors import SyncError
from outbox_reader import metrics
from outbox_reader.backfill import Backfill
from outbox_reader.epochs import Epochs
from outbox_reader.records import Depth

log = structlog.get_logger(__name__)

STATES = ("new", "claimed", "done", "parked")
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
WATCH_SECONDS = 5.0


class Keeping(Protocol):
    """What stands beside the outbox."""

    async def identity(self) -> object: ...
    async def free_expired(self) -> int: ...
    async def newest_id(self) -> int: ...
    async def replay(self, after: int, until: int, since: datetime, above: int) -> tuple[int, int | None]: ...
    async def prune(self, days: int) -> int: ...
    async def replaced(self) -> int: ...
    async def depths(self) -> list[Depth]: ...


async def every(seconds: float, name: str, work: Callable[[], Awaitable[object]]) -> NoReturn:
    """Do this again and again until cancelled; what goes wrong is told once, and tried again the next time."""
    said: str | None = None
    while True:
        try:
            await work()
            said = None
        except SyncError as error:
            if str(error) != said:
                log.warning("upkeep.failed", work=name, code=error.code, reason=str(error))
            said = str(error)
        except Exception:
            log.exception("upkeep.failed", work=name)
        await asyncio.sleep(seconds)


async def free_expired(keeping: Keeping) -> None:
    """Make rows new again whose reader is gone."""
    while freed := await keeping.free_expired():
        log.warning("leases.expired", rows=freed)
        metrics.ROWS.labels("expired").inc(freed)


async def prune(keeping: Keeping, days: int) -> None:
    """Remove old done rows, a bounded number at a time."""
    while await keeping.prune(days):  # noqa: ASYNC110 - no event: the planner goes first
        await asyncio.sleep(0.05)


async def settle_parked(keeping: Keeping) -> None:
    """Let go of parked rows that a later one of their appointment replaced; the others stay until then."""
    while settled := await keeping.replaced():
        metrics.ROWS.labels("replaced").inc(settled)


async def measure(keeping: Keeping) -> None:
    """Set the gauges; a state and priority without rows is 0."""
    found = {(depth.state, depth.priority): depth for depth in await keeping.depths()}
    for priority in (0, 1):
        for state in (0, 1, 3):
            depth = found.get((state, priority))
            metrics.DEPTH.labels(STATES[state], str(priority)).set(depth.rows if depth else 0)
        waiting = found.get((0, priority))
        metrics.OLDEST.labels(str(priority)).set(waiting.oldest if waiting else 0)


async def replay(keeping: Keeping, since: datetime, above: int = 0) -> int:
    """Add again, at low priority, all rows done after `since` with a version above `above`; counts them."""
    until, after, replayed = await keeping.newest_id(), 0, 0
    while True:
        number, last = await keeping.replay(after, until, since, above)
        replayed += number
        if last is None:
            return replayed
        after = last


async def recover(
    epochs: Epochs,
    keeping: Keeping,
    backfill: Backfill,
    recovering: Callable[[], AbstractAsyncContextManager[bool]],
    days: int,
) -> None:
    """Tell again what was told to a state database that is gone, or in an epoch that was over.

    One reader at a time makes a loss good; it is not over before all is enqueued, whoever is killed meanwhile.
    """
    if epochs.replay_since:
        replayed = await replay(keeping, epochs.replay_since)
        log.info("outbox.replayed", since=epochs.replay_since.isoformat(), rows=replayed)
        epochs.replay_since = None
    if epochs.lost.is_set():
        async with recovering() as alone:
            if alone and await epochs.still_lost():
                await _recover(epochs, keeping, backfill, days)


async def _recover(epochs: Epochs, keeping: Keeping, backfill: Backfill, days: int) -> None:
    metrics.RECOVERING.set(1)
    log.warning("recovery.started")
    try:
        replayed = await replay(keeping, BEGINNING)
        summary = await backfill.run(datetime.now(UTC) - timedelta(days=days))
        metrics.HELD.set(summary.held)
        await epochs.recovered()
        log.warning("recovery.finished", replayed=replayed, backfilled=str(summary), held=summary.held)
    finally:
        metrics.RECOVERING.set(0)


async def watch(keeping: Keeping, report: Callable[[str | None], None]) -> NoReturn:
    """Report, now and every few seconds, whether the planning database can be worked with: None, or why not."""
    report("the planning database was not reached yet")
    while True:
        try:
            await keeping.identity()
        except Exception as error:  # noqa: BLE001 - whatever it is, the reader cannot work
            report(str(error) if isinstance(error, SyncError) else type(error).__name__)
        else:
            report(None)
        await asyncio.sleep(WATCH_SECONDS)
