"""Epochs: which outbox and which state database there are, and whether one of them is another than before.

(epoch, version) orders snapshots only while versions come from one sequence. So whenever a connection to the
planning database is new, and every minute, the outbox's identity, restore mark and sequence are compared with
the newest epoch; and the state database's identity and versions with what the outbox remembers of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol
from uuid import UUID

import structlog

from common.messages import AppointmentChanged
from outbox_reader import metrics
from outbox_reader.records import Epoch, Identity, Witness

log = structlog.get_logger(__name__)

BEHIND = 2**62  # a planned version that no state database has: it must be filled again
PATIENCE = 6  # notes that wait for one message to be planned
MARGIN = timedelta(minutes=1)  # for clocks that differ, and for batches that were under way


class Keeping(Protocol):
    """What stands beside the outbox."""

    async def identity(self) -> Identity: ...
    async def confirm(self, state_database: UUID, planned: int) -> None: ...
    async def planned(self, version: int, state_database: UUID) -> None: ...


class State(Protocol):
    """What the state database says."""

    async def identity(self) -> UUID: ...
    async def newest_epoch(self) -> Epoch | None: ...
    async def begin_epoch(
        self, outbox: UUID, restore_mark: str, seen: Epoch | None, current: int
    ) -> Epoch: ...
    async def note_published(self, epoch: int, version: int) -> None: ...
    async def newest_planned(self, epoch: int) -> Witness | None: ...
    async def has_planned(self, witness: Witness) -> bool: ...


class Epochs:
    """The epoch to publish in, checked again when it may have changed."""

    def __init__(self, keeping: Keeping, state: State, connects: Callable[[], int], every: float) -> None:
        """`connects` counts connections made to the planning database; `every` is in seconds."""
        self.lost = asyncio.Event()
        """Set while the state database lacks what was published before: somebody must recover."""
        self.replay_since: datetime | None = None
        """Set where this process published in an epoch that was over: what was done since must be told again."""
        self._keeping = keeping
        self._state = state
        self._connects = connects
        self._every = every
        self._checking = asyncio.Lock()
        self._epoch: Epoch | None = None
        self._seen_connects = -1
        self._checked = 0.0
        self._checked_at = datetime.now(UTC)
        self._met: tuple[int, UUID] | None = None
        self._witness: Witness | None = None
        self._published: Witness | None = None
        self._candidate: Witness | None = None
        self._patience = PATIENCE

    def changed(self) -> bool:
        """Whether the planning database was connected anew since the last check: it may be another one."""
        return self._connects() != self._seen_connects

    async def current(self) -> Epoch:
        """The epoch to publish in. Raises `Transient` where a check is due and a database is away."""
        async with self._checking:
            if self._epoch is None or self.changed() or monotonic() - self._checked >= self._every:
                self._epoch = await self._check()
            return self._epoch

    def published(self, told: AppointmentChanged) -> None:
        """Note a message that was confirmed."""
        if self._published is None or told.version > self._published.version:
            self._published = Witness(told.appointment_id, told.appointment_guid, told.epoch, told.version)

    async def note(self) -> None:
        """Tell both databases how far the other has come; called now and then.

        What was published before the last call has had time to be planned; where it was not, it gets more.
        """
        published, epoch = self._published, await self.current()
        if published is None or published.epoch != epoch.number:
            return
        await self._state.note_published(published.epoch, published.version)
        if not self.lost.is_set() and not await self._went_back():
            await self._note_planned(published)

    async def _went_back(self) -> bool:
        """Whether something was planned and is not any more.

        Written down at once, as newer versions may hide it; the next check finds it, in whatever process.
        """
        if self._witness is None or await self._state.has_planned(self._witness):
            return False
        await self._keeping.planned(BEHIND, await self._state.identity())
        self._epoch = None
        return True

    async def _note_planned(self, published: Witness) -> None:
        candidate = self._candidate or published
        if await self._state.has_planned(candidate):
            await self._keeping.planned(candidate.version, await self._state.identity())
            self._witness, self._candidate, self._patience = candidate, published, PATIENCE
        elif self._patience > 1:
            self._patience -= 1
        else:
            self._candidate, self._patience = published, PATIENCE

    async def still_lost(self) -> bool:
        """Look again: another reader may have made the loss good."""
        self._epoch = None
        await self.current()
        return self.lost.is_set()

    async def recovered(self) -> None:
        """The state database has, or will get, everything again."""
        epoch = await self.current()
        newest = await self._state.newest_planned(epoch.number)
        await self._keeping.confirm(await self._state.identity(), newest.version if newest else 0)
        self._witness = newest
        self.lost.clear()

    async def _check(self) -> Epoch:
        """The state database is asked first: what it says must be older than what the outbox says."""
        seen, database = await self._state.newest_epoch(), await self._state.identity()
        connects, began = self._connects(), datetime.now(UTC)
        identity = await self._keeping.identity()
        epoch = await self._state.begin_epoch(
            identity.outbox, identity.restore_mark, seen, identity.current_version
        )
        self._meet(epoch, database)
        await self._compare(identity, database, epoch)
        self._seen_connects, self._checked, self._checked_at = connects, monotonic(), began
        return epoch

    def _meet(self, epoch: Epoch, database: UUID) -> None:
        """Take note of an epoch or a state database that is new to this process."""
        met = (epoch.number, database)
        if met == self._met:
            return
        log.info("epoch.entered", epoch=epoch.number, outbox=str(epoch.outbox), state_database=str(database))
        metrics.EPOCH.set(epoch.number)
        if self._met is not None:
            since = self._checked_at - MARGIN
            self.replay_since = min(self.replay_since or since, since)
        self._met, self._witness, self._published, self._candidate = met, None, None, None

    async def _compare(self, identity: Identity, database: UUID, epoch: Epoch) -> None:
        """Find out whether the state database has what was planned before."""
        if identity.state_database is None:
            await self._keeping.confirm(database, 0)
        elif identity.state_database != database:
            self._lose("the state database is another one")
        elif not await self._knows(identity.planned_version, epoch):
            self._lose("the state database, or the planning, went back")
        else:
            self.lost.clear()

    async def _knows(self, planned: int, epoch: Epoch) -> bool:
        witness = self._witness
        if witness is None or witness.version < planned or not await self._state.has_planned(witness):
            witness = await self._state.newest_planned(epoch.number)
        self._witness = witness
        return planned <= (witness.version if witness else 0)

    def _lose(self, reason: str) -> None:
        if not self.lost.is_set():
            log.warning("state.lost", reason=reason)
        self.lost.set()
