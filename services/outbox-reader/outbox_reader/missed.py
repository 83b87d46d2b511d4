"""Changes that a trigger could not note: they are counted, and a backfill finds them without a person."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Protocol

import structlog

from outbox_reader import metrics
from outbox_reader.backfill import Backfill

log = structlog.get_logger(__name__)


class Keeping(Protocol):
    """What stands beside the outbox."""

    async def missed(self) -> tuple[int, int]: ...
    async def made_good(self, missed: int) -> None: ...


@dataclass(slots=True)
class Missed:
    """Watches the count of statements that were missed.

    The count grows before the planner's transaction commits, so a comparison at once might not see the change:
    it is made `after` seconds later, from `days` back. What was counted is remembered beside the outbox as made
    good only when a whole comparison, by one reader at a time, has enqueued what differs.
    """

    keeping: Keeping
    backfill: Backfill
    recovering: Callable[[], AbstractAsyncContextManager[bool]]
    days: int
    after: float
    clock: Callable[[], float] = monotonic
    _told: int = field(default=0, init=False)
    _noticed: tuple[int, float] | None = field(default=None, init=False)

    async def look(self) -> None:
        """Tell where the count grew, and make good what is due."""
        counted, seen = await self.keeping.missed()
        metrics.MISSED.set(counted)
        if counted == seen:
            self._told, self._noticed = counted, None
            return
        if counted != self._told:
            log.warning("changes.missed", statements=counted - seen, backfill_after_s=self.after)
            self._told = counted
        noticed, at = self._noticed = self._noticed or (counted, self.clock())
        if self.clock() - at >= self.after:
            self._noticed = None  # where it fails, it is tried again as late
            await self._make_good(noticed)

    async def _make_good(self, noticed: int) -> None:
        async with self.recovering() as alone:
            counted, seen = await self.keeping.missed()
            if not alone or noticed <= seen <= counted:  # another reader does, or did
                return
            summary = await self.backfill.run(datetime.now(UTC) - timedelta(days=self.days))
            metrics.HELD.set(summary.held)
            await self.keeping.made_good(noticed)
            log.warning("changes.backfilled", statements=noticed - seen, backfilled=str(summary))
