"""The planning, its readers and the broker: a model of a few lines around two real publishers."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from convergence.slow_calendars import SlowCalendars
from replica import Publisher

from builders import ALICE, BOB, changed, deleted, snapshot
from common.errors import SyncError, Throttled, Transient
from common.messages import AppointmentChanged, Snapshot

APPOINTMENTS = (1, 2)
READERS = (0, 1)
TABLES = "appointment, link, mailbox, transaction, attempt, once_ours, stray, tenant"


class KilledError(BaseException):
    """The process ends here."""


@dataclass
class Reading:
    """What one reader has in its hands."""

    row: int
    appointment: int
    version: int | None = None
    message: AppointmentChanged | None = None


@dataclass
class Row:
    """A row of the outbox; `lease` is the reader that holds it."""

    appointment: int
    done: bool = False
    lease: int | None = None
    cause: str = "change"


@dataclass
class World:
    """A planning with its outbox, two readers, a bag of messages, two publishers."""

    publishers: list[Publisher]
    planning: dict[int, Snapshot | None] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    readers: dict[int, Reading] = field(default_factory=dict)
    bag: list[AppointmentChanged] = field(default_factory=list)
    delivered: set[int] = field(default_factory=set)
    version: int = 0
    texts: int = 0
    lost: bool = False
    hidden: list[tuple[str, Any]] = field(default_factory=list)
    turns: set[asyncio.Task[int]] = field(default_factory=set)

    @property
    def calendars(self) -> SlowCalendars:
        calendars = self.publishers[0].calendars
        assert isinstance(calendars, SlowCalendars)
        return calendars

    async def write(self, appointment: int, where: str) -> None:
        """A planner commits a change, and the trigger its row."""
        self.texts += 1
        mailboxes = {"a": (ALICE,), "b": (BOB,), "ab": (ALICE, BOB)}
        self.planning[appointment] = (
            snapshot(appointment, *mailboxes[where], subject=f"text {self.texts}") if where != "-" else None
        )
        self.rows.append(Row(appointment))

    async def read_on(self, reader: int) -> None:
        """The reader's next step: claim, draw a version, read, publish, mark done."""
        reading = self.readers.get(reader)
        if reading is None:
            self._claim(reader)
        elif reading.version is None:
            self.version += 1
            reading.version = self.version
        elif reading.message is None:
            reading.message = self._message(
                reading.appointment, reading.version, self.rows[reading.row].cause
            )
        else:
            self.bag.append(reading.message)
            if self.rows[reading.row].lease == reader:
                self.rows[reading.row].done = True
            del self.readers[reader]

    def _claim(self, reader: int) -> None:
        for number, row in enumerate(self.rows):
            busy = any(
                one.lease is not None and not one.done
                for one in self.rows
                if one.appointment == row.appointment
            )
            if not row.done and row.lease is None and not busy:
                row.lease = reader
                self.readers[reader] = Reading(number, row.appointment)
                return

    def _message(self, appointment: int, version: int, cause: str) -> AppointmentChanged:
        now = self.planning[appointment]
        if now is None:
            return deleted(snapshot(appointment), version, cause=cause)
        return changed(now, version, action="U", cause=cause)

    async def expire(self, reader: int) -> None:
        """A lease runs out while its reader, slow but alive, goes on."""
        reading = self.readers.get(reader)
        if reading and self.rows[reading.row].lease == reader:
            self.rows[reading.row].lease = None

    async def deliver(self, which: int) -> None:
        """Any message, perhaps once more, reaches any publisher."""
        if self.bag:
            self.delivered.add(which % len(self.bag))
            await self.publishers[which % 2].plan(self.bag[which % len(self.bag)])

    async def write_calendars(self, publisher: int) -> None:
        """A publisher works; it may be killed in the middle, or wait for an answer while the world goes on."""
        turn = asyncio.create_task(self.publishers[publisher].step())
        self.turns.add(turn)
        kept_back = asyncio.create_task(self.calendars.kept_back.wait())
        await asyncio.wait({turn, kept_back}, return_when=asyncio.FIRST_COMPLETED)
        kept_back.cancel()
        self.calendars.kept_back.clear()
        if turn.done():
            await self._end(turn)

    async def _end(self, turn: asyncio.Task[int]) -> None:
        self.turns.discard(turn)
        with suppress(KilledError):
            await turn

    async def slow(self, operation: str) -> None:
        """The next call of an operation takes effect, and is answered late."""
        self.calendars.slow.append(operation)

    async def answer(self, _: None) -> None:
        """What was kept back is answered; nobody knows whose mailboxes these are by now."""
        self.calendars.slow.clear()
        self.calendars.answers.set()
        for turn in list(self.turns):
            await self._end(turn)
        self.calendars.answers.clear()

    async def hide(self, mailbox: str) -> None:
        """An event is out of sight: Exchange answers that there is none."""
        events = self.calendars.events(mailbox)
        if events:
            self.calendars.remove(mailbox, events[0].id)
            self.hidden.append((mailbox, events[0]))

    async def show(self, _: None) -> None:
        """All events can be seen again."""
        for mailbox, event in self.hidden:
            self.calendars._mailbox(mailbox).events[event.id] = event
        self.hidden.clear()

    async def lose(self, _: None) -> None:
        """The state database is new: the reader sends everything once more, deletions too."""
        await self.answer(None)
        self.lost = True
        await self.publishers[0].pool.execute(f"TRUNCATE {TABLES} CASCADE")
        self.rows.extend(Row(appointment, cause="replay") for appointment in self.planning)

    async def fault(self, what: tuple[str, str, bool]) -> None:
        """The next call of an operation goes wrong, before or after its effect."""
        operation, kind, applied = what
        self.publishers[0].calendars.fail_next(operation, ERRORS[kind](applied), applied=applied)  # type: ignore[arg-type]

    async def elapse(self, _: None) -> None:
        """Waits and leases are over."""
        await self.publishers[0].elapse()

    async def settle(self) -> None:
        """Everybody is well again, and everything that is under way ends."""
        await self.answer(None)
        self.calendars._failures.clear()
        await self.show(None)
        for reader in READERS:
            await self.expire(reader)
            while reader in self.readers:
                await self.read_on(reader)
        while any(not row.done for row in self.rows):
            await self.read_on(0)
        for number in reversed(
            range(len(self.bag))
        ):  # the broker promises no order: the worst is the last first
            if number not in self.delivered:
                await self.deliver(number)
        await self.publishers[0].elapse()
        await self.publishers[0].drain()
        while await self.publishers[0].planner.recompute(self.publishers[0].generation):
            await self.publishers[0].drain()

    def twice(self) -> list[str]:
        keys = [(mailbox, one.key) for mailbox in (ALICE, BOB) for one in self.calendars.events(mailbox)]
        return [mailbox for (mailbox, _), times in Counter(keys).items() if times > 1]

    def missing(self) -> list[str]:
        shown = self.shown()
        return [
            text for mailbox, texts in self.wanted().items() for text in texts if text not in shown[mailbox]
        ]

    def shown(self) -> dict[str, list[str]]:
        return {mailbox: self.publishers[0].subjects(mailbox) for mailbox in (ALICE, BOB)}

    def wanted(self) -> dict[str, list[str]]:
        present = [one for one in self.planning.values() if one]
        return {
            mailbox: sorted(
                one.subject for one in present if mailbox in {who.email for who in one.assignments}
            )
            for mailbox in (ALICE, BOB)
        }


def _unknown(applied: bool) -> SyncError:
    return Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


ERRORS: dict[str, Any] = {
    "unknown": _unknown,
    "killed": lambda applied: KilledError(),
    "throttled": lambda applied: (
        _unknown(applied) if applied else Throttled("429", retry_after=1, code="EXC-THROTTLED")
    ),
    "server error": lambda applied: Transient("500", code="EXC-GRAPH-UNAVAILABLE", maybe_applied=True),
    "refused read": lambda applied: (
        _unknown(applied) if applied else Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox")
    ),
}
