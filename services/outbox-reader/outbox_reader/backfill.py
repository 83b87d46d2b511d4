"""Backfill: what the planning shows and the state database does not know, or knows otherwise, is enqueued.

Nothing is compared with calendars. Any number of backfills may run beside each other and beside readers; one that
was interrupted is simply begun again: what it enqueued waits already, or was planned and does not differ any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from common.messages import Cause, Snapshot
from common.planning.snapshots import Reading
from outbox_reader.records import Key, Known

PAGE = 500
BULK = 1


class Planning(Protocol):
    """What the planning shows."""

    async def ids(self, after: int, size: int) -> list[int]: ...
    async def read(self, ids: Iterable[int]) -> Reading: ...


class Outbox(Protocol):
    """Where rows are added."""

    async def enqueue(
        self, keys: Iterable[Key], *, cause: Cause, priority: int, action: Literal["U", "D"] = "U"
    ) -> int: ...


class State(Protocol):
    """What is known."""

    async def known(self, ids: Sequence[int]) -> list[Known]: ...
    async def living(self, after: int, until: int | None, ends_from: datetime, limit: int) -> list[Known]: ...


@dataclass(slots=True)
class Summary:
    """What a backfill found and did, in appointments."""

    read: int = 0
    differing: int = 0
    unreadable: int = 0
    known: int = 0
    gone: int = 0
    enqueued: int = 0
    deletions: int = 0
    held: int = 0
    """Deletions that the brake held back."""

    def __str__(self) -> str:
        """One line for people."""
        held = f", {self.held} deletions held back" if self.held else ""
        return (
            f"{self.read} read, {self.differing} differ, {self.unreadable} unreadable, {self.gone} gone; "
            f"{self.enqueued} enqueued, {self.deletions} deletions enqueued{held}"
        )


@dataclass(frozen=True, slots=True)
class Backfill:
    """One comparison of planning and state; `apart` is in seconds."""

    planning: Planning
    outbox: Outbox
    state: State
    apart: float
    dry_run: bool = False
    allow_deletions: int = 0
    progress: Callable[[Summary], None] = lambda _: None

    async def run(self, ends_from: datetime) -> Summary:
        """Compare every appointment that ends at or after `ends_from`, or did when it was planned.

        A known appointment is gone if this read and another, `apart` seconds later, do not find it. More than
        10 and more than 5 % of all known ones are not deleted unless `allow_deletions` is at least their number.
        """
        summary, absent, after = Summary(), list[Key](), -(2**63)
        while True:
            ids = await self.planning.ids(after, PAGE)
            until = ids[-1] if len(ids) == PAGE else None
            reading = await self.planning.read(ids)
            await self._differing(ids, reading, ends_from, summary)
            absent += await self._absent(after, until, reading, ends_from, summary)
            self.progress(summary)
            if until is None:
                break
            after = until
        await self._delete(await self._still_absent(absent), summary)
        return summary

    async def _differing(
        self, ids: Sequence[int], reading: Reading, ends_from: datetime, summary: Summary
    ) -> None:
        known = {(one.id, one.guid): one for one in await self.state.known(ids)}
        summary.read += len(reading.found)
        keys: list[Key] = []
        for (number, guid), found in reading.found.items():
            before = known.get((number, guid)) if guid else None
            if isinstance(found, Snapshot):
                if _differs(found, before, ends_from):
                    summary.differing += 1
                    keys.append((number, guid))
            else:
                summary.unreadable += 1
                keys.append((number, guid))
        if not self.dry_run:
            summary.enqueued += await self.outbox.enqueue(keys, cause="backfill", priority=BULK)

    async def _absent(
        self, after: int, until: int | None, reading: Reading, ends_from: datetime, summary: Summary
    ) -> list[Key]:
        """What is known in this range of ids and was not read; pages overlap nowhere, as ids are unique in the planning."""
        absent: list[Key] = []
        while True:
            known = await self.state.living(after, until, ends_from, PAGE)
            whole = len(known) < PAGE
            last = known[-1].id if known else after
            if not whole and known[0].id != last:  # all guids of the last id come with the next page
                known = [one for one in known if one.id != last]
                last = known[-1].id
            summary.known += len(known)
            absent += [(one.id, one.guid) for one in known if reading.of(one.id, one.guid) is None]
            if whole:
                return absent
            after = last

    async def _still_absent(self, keys: Sequence[Key]) -> list[Key]:
        if not keys:
            return []
        await asyncio.sleep(self.apart)
        gone: list[Key] = []
        for start in range(0, len(keys), PAGE):
            part = keys[start : start + PAGE]
            reading = await self.planning.read(number for number, _ in part)
            gone += [(number, guid) for number, guid in part if guid and reading.of(number, guid) is None]
        return gone

    async def _delete(self, gone: Sequence[Key], summary: Summary) -> None:
        summary.gone = len(gone)
        free = max(10, summary.known // 20)
        if len(gone) > max(free, self.allow_deletions):
            summary.held = len(gone)
            return
        for start in range(0, 0 if self.dry_run else len(gone), PAGE):
            part = gone[start : start + PAGE]
            summary.deletions += await self.outbox.enqueue(part, cause="backfill", priority=BULK, action="D")


def _differs(snapshot: Snapshot, known: Known | None, ends_from: datetime) -> bool:
    if known is None or known.deleted:
        return snapshot.end >= ends_from
    return known.hash != snapshot.digest()
