"""The relay: outbox rows in, messages with snapshots out.

Claim; commit; then draw a version, then read: whoever holds the highest version of an appointment has seen
every change that any claimed row of it stands for. Rows are marked done after the broker's confirm only, and
where the lease is still ours; a row that was published and not marked is published again, as a newer version.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from random import uniform
from time import perf_counter
from typing import Protocol
from uuid import UUID, uuid4

import structlog

from common.errors import SyncError, Transient
from common.messages import AppointmentChanged, Message
from common.planning.snapshots import Reading
from outbox_reader import metrics
from outbox_reader.mapping import Told, tell
from outbox_reader.pace import Pace
from outbox_reader.records import Epoch, OutboxRow
from outbox_reader.settings import Tuning

log = structlog.get_logger(__name__)

GRACE = 20.0  # seconds for batches under way to end when the service stops
TRIES = 3  # attempts at an appointment that a defect keeps from being told

Publish = Callable[[Sequence[Message]], Awaitable[list[Transient | None]]]


class Outbox(Protocol):
    """The rows."""

    async def claim(self, token: UUID, limit: int, lease: int) -> list[OutboxRow]: ...
    async def rivals(self) -> set[int]: ...
    async def done(self, token: UUID, version: int) -> int: ...
    async def release(self, token: UUID, ids: Iterable[int], delay: float) -> None: ...
    async def park(self, token: UUID, reasons: Mapping[int, str], version: int | None) -> None: ...


class Planning(Protocol):
    """The snapshots."""

    async def next_version(self) -> int: ...
    async def read(self, ids: Iterable[int]) -> Reading: ...


class Epochs(Protocol):
    """The epoch to publish in."""

    async def current(self) -> Epoch: ...
    def changed(self) -> bool: ...
    def published(self, told: AppointmentChanged) -> None: ...


class Relay:
    """Works off the outbox until cancelled; any number of them, in any number of processes, may run at once."""

    def __init__(
        self,
        outbox: Outbox,
        planning: Planning,
        epochs: Epochs,
        publish: Publish,
        tuning: Tuning,
        connected: Callable[[], bool] = lambda: True,
    ) -> None:
        """Nothing is claimed while the broker is not `connected`."""
        self._outbox = outbox
        self._planning = planning
        self._epochs = epochs
        self._publish = publish
        self._tuning = tuning
        self._connected = connected
        self._careful = 0
        self._pace = Pace(tuning.poll_min_s, tuning.poll_max_s, tuning.retry_max_s)
        self._places = asyncio.Semaphore(tuning.batches)
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Have the outbox looked at now."""
        self._pace.wake()

    async def run(self) -> None:
        """Claim batch after batch; a bounded number of them is under way at once."""
        try:
            while True:
                await self._places.acquire()
                await self._begin()
                await self._pace.wait()
        finally:
            await self._finish()

    async def _begin(self) -> None:
        """Claim a batch and let it run."""
        started, token = perf_counter(), uuid4()
        rows: list[OutboxRow] = []
        try:
            if self._connected():
                await self._epochs.current()
                rows = await self._claimed(token)
            else:
                self._pace.hindered()
        except Exception as error:  # noqa: BLE001 - told, and tried again: a defect must not end the relay
            self._hindered("claim.failed", error)
        finally:
            if not rows:
                self._places.release()
        if rows:
            self._pace.busy()
            task = asyncio.create_task(self._batch(token, rows, started))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _claimed(self, token: UUID) -> list[OutboxRow]:
        """Claim; when stopped meanwhile, give back at once what was claimed. After a defect one by one."""
        limit = 1 if self._careful else self._tuning.batch_size
        self._careful = max(0, self._careful - 1)
        claiming = asyncio.create_task(self._outbox.claim(token, limit, self._tuning.lease_s))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            await asyncio.wait([claiming], timeout=GRACE)
            if claiming.done() and not claiming.exception():
                await self._give_back(token, claiming.result(), 0)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._places.release()

    async def _finish(self) -> None:
        """Let what is under way end; what does not in time is claimed again when its lease is over."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=GRACE)
        for task in self._under_way:
            task.cancel()

    async def _batch(self, token: UUID, rows: list[OutboxRow], started: float) -> None:
        try:
            rows = await self._ours(token, rows)
            if rows:
                await self._tell(token, rows)
        except Exception as error:  # noqa: BLE001 - as above; the rows come back
            self._hindered("batch.failed", error, rows=len(rows))
            metrics.ROWS.labels("failed").inc(len(rows))
            if not isinstance(error, SyncError):
                await self._isolate(token, rows, error)
            await self._give_back(token, rows, self._pace.hold)
        else:
            metrics.BATCH_SECONDS.observe(perf_counter() - started)

    async def _isolate(self, token: UUID, rows: list[OutboxRow], error: Exception) -> None:
        """A defect that one appointment brings out must not stop the others: it is found, and put aside."""
        alone = len({row.appointment_id for row in rows}) == 1
        if not alone:
            self._careful = len(rows)
        elif min(row.attempts for row in rows) >= TRIES:
            await self._outbox.park(token, {row.id: f"defect: {type(error).__name__}" for row in rows}, None)

    async def _ours(self, token: UUID, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Give back what a concurrent reader holds too: never are two at work on one appointment."""
        rivals = await self._outbox.rivals()
        theirs = [row.id for row in rows if row.appointment_id in rivals]
        if not theirs:
            return rows
        await self._outbox.release(token, theirs, uniform(0.05, 0.5))  # noqa: S311 - no secret
        return [row for row in rows if row.appointment_id not in rivals]

    async def _tell(self, token: UUID, rows: list[OutboxRow]) -> None:
        """Version, then snapshots, then messages, then the marks: never in another order."""
        epoch = await self._epochs.current()
        version = await self._planning.next_version()
        reading = await self._planning.read({row.appointment_id for row in rows})
        if self._epochs.changed() and await self._epochs.current() != epoch:
            raise Transient("another epoch began", code="EXC-PLANNING-UNAVAILABLE", scope="tenant")
        told = tell(rows, reading, epoch.number, version)
        outcomes = await self._publish(told.messages)
        unsent = await self._settle(token, version, told, outcomes)
        self._measure(told, outcomes)
        if unsent:
            raise unsent
        self._pace.well()

    async def _settle(
        self, token: UUID, version: int, told: Told, outcomes: Sequence[Transient | None]
    ) -> Transient | None:
        """Release what was not confirmed, park what is unreadable, and mark the rest as done.

        Gives the reason where nothing at all was confirmed: then it is the broker, not a message.
        """
        unsent = [row for rows, failed in zip(told.rows, outcomes, strict=True) if failed for row in rows]
        if unsent:
            delay = 0.0 if all(outcomes) else _patience(unsent)
            await self._outbox.release(token, [row.id for row in unsent], delay)
        if told.later:
            await self._outbox.release(token, [row.id for row in told.later], _patience(told.later))
        if told.unreadable:
            await self._outbox.park(token, told.unreadable, version)
        await self._outbox.done(token, version)
        return next(iter(outcomes), None) if all(outcomes) else None

    def _measure(self, told: Told, outcomes: Sequence[Transient | None]) -> None:
        now = datetime.now(UTC)
        last: AppointmentChanged | None = None
        counted = {"published": 0, "unsent": 0}
        for message, rows, failed in zip(told.messages, told.rows, outcomes, strict=True):
            counted["unsent" if failed else "published"] += len(rows)
            if isinstance(message, AppointmentChanged) and not failed:
                last = message
                if message.cause == "change" and message.changed_at:
                    metrics.LAG.observe(max(0.0, (now - message.changed_at).total_seconds()))
        counted |= {"later": len(told.later), "silent": len(told.silent), "parked": len(told.unreadable)}
        counted["published"] -= counted["parked"]
        for outcome, number in counted.items():
            metrics.ROWS.labels(outcome).inc(max(0, number))
        if last:
            self._epochs.published(last)

    async def _give_back(self, token: UUID, rows: list[OutboxRow], delay: float) -> None:
        """Where this fails too, the lease runs out."""
        try:
            await self._outbox.release(token, [row.id for row in rows], delay)
        except Exception as error:  # noqa: BLE001 - as above
            log.warning("release.failed", reason=str(error))

    def _hindered(self, event: str, error: Exception, **facts: object) -> None:
        self._pace.hindered()
        if isinstance(error, SyncError):
            log.warning(event, code=error.code, reason=str(error), **facts)
        else:
            log.error(event, reason=type(error).__name__, exc_info=error, **facts)


def _patience(rows: Sequence[OutboxRow]) -> float:
    """Seconds until rows are tried again that were hindered by themselves."""
    return min(60.0, 0.5 * 2.0 ** min(10, max(row.attempts for row in rows)))
