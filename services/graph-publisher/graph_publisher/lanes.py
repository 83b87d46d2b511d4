"""Write lanes: which mailboxes this process works on, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from common.errors import SyncError
from common.graph.protocol import Calendars
from common.messages import Message
from graph_publisher import lane
from graph_publisher.adopting import Adopter
from graph_publisher.budget import Budgets
from graph_publisher.metrics import LANES_AT_WORK, SWEPT
from graph_publisher.settings import Settings
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.attempts import AttemptStore
from graph_publisher.store.lanes import LaneStore, Lease
from graph_publisher.turn import Turn

log = structlog.get_logger()


@dataclass(slots=True)
class Lanes:
    """All lanes of one process. A busy, slow or held mailbox never takes the place of another for long."""

    settings: Settings
    store: LaneStore
    attempts: AttemptStore
    adoptions: AdoptionStore
    calendars: Calendars
    _woken: asyncio.Event = field(default_factory=asyncio.Event)
    _turns: dict[asyncio.Task[None], Turn] = field(default_factory=dict)
    _budgets: Budgets = field(init=False)

    def __post_init__(self) -> None:
        """Prepare the budgets that the lanes of this process share."""
        self._budgets = Budgets(self.settings.publisher.rate, self.settings.publisher.burst)

    async def wake(self, _messages: Sequence[Message] = ()) -> None:
        """Look for mailboxes with work now; the rows say which."""
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled; then no new call begins, and calls under way are waited for."""
        sweeping = asyncio.create_task(self._sweep())
        try:
            while True:
                await self._fill()
                await self._wait()
        finally:
            sweeping.cancel()
            for turn in self._turns.values():
                turn.stopped = True
            await asyncio.gather(sweeping, *self._turns, return_exceptions=True)

    async def _fill(self) -> None:
        """Give every free lane a mailbox; what hinders it (no database) is tried again soon."""
        self._woken.clear()
        tuning = self.settings.publisher
        free = tuning.lanes - len(self._turns)
        if free <= 0 or not self.settings.outbound:
            return
        try:
            leases = await self.store.take(free, tuning.lease_s, time.monotonic())
        except SyncError as error:
            log.warning("lanes.waiting", code=error.code, reason=str(error))
            return
        for lease in leases:
            self._start(lease)

    def _start(self, lease: Lease) -> None:
        turn = self._turn(lease)
        task = asyncio.create_task(self._run(turn), name=f"lane {lease.mailbox}")
        self._turns[task] = turn
        task.add_done_callback(self._ended)
        LANES_AT_WORK.set(len(self._turns))

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._turns[task]
        LANES_AT_WORK.set(len(self._turns))
        self._woken.set()

    def _turn(self, lease: Lease) -> Turn:
        return Turn(
            lease=lease,
            calendar=self.calendars.calendar(lease.profile, lease.mailbox),
            lanes=self.store,
            attempts=self.attempts,
            budget=self._budgets.of(lease.mailbox),
            tuning=self.settings.publisher,
            installation=self.settings.installation,
            default_zone=self.settings.profiles[lease.profile].time_zone,
        )

    async def _run(self, turn: Turn) -> None:
        mailbox = turn.lease.mailbox
        try:
            await lane.run(turn, Adopter(self.adoptions))
        except SyncError as error:
            log.warning("lane.interrupted", mailbox=mailbox, code=error.code, reason=str(error))
        except Exception:
            log.exception("lane.broken", mailbox=mailbox)

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self.settings.publisher.sweep_s / 4):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _sweep(self) -> None:
        """Find what no message told of: a lost wake-up costs seconds, never a change."""
        while True:
            await asyncio.sleep(self.settings.publisher.sweep_s)
            try:
                SWEPT.inc(await self.store.sweep())
            except SyncError as error:
                log.warning("sweep.failed", code=error.code, reason=str(error))
