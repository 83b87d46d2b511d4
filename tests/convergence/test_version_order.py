"""Writers, readers, messages and lanes in any order end with calendars that show the planning, each event once.

Lanes are killed, answered wrongly, or so late that their mailbox is another's; the state database is lost; events
are out of sight for a while.

The planning and the readers are a model of a few lines; plan, lanes and the state database are the real ones.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replica import Publisher

import stack
from builders import ALICE, BOB, changed, deleted, snapshot
from common import db
from common.errors import SyncError, Throttled, Transient
from common.messages import AppointmentChanged, Snapshot
from fakes import FakeCalendar, FakeCalendars

APPOINTMENTS = (1, 2)
READERS = (0, 1)
TABLES = "appointment, link, mailbox, transaction, attempt, once_ours, stray, tenant"


class KilledError(BaseException):
    """The process ends here."""


class SlowCalendars(FakeCalendars):
    """Calendars whose next answer can be kept back, for as long as a lane's lease and longer."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[str] = []
        self.kept_back = asyncio.Event()
        self.answers = asyncio.Event()

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> SlowCalendar:
        return SlowCalendar(self, mailbox)

    async def answer(self, operation: str) -> None:
        if operation in self.slow:
            self.slow.remove(operation)
            self.kept_back.set()
            await self.answers.wait()


class SlowCalendar(FakeCalendar):
    """One mailbox of SlowCalendars: each call takes effect at once, and is answered when it pleases."""

    _calendars: SlowCalendars

    async def read(self, *arguments: Any) -> Any:
        return await self._late("read", super().read(*arguments))

    async def create(self, *arguments: Any) -> Any:
        return await self._late("create", super().create(*arguments))

    async def update(self, *arguments: Any) -> Any:
        return await self._late("update", super().update(*arguments))

    async def delete(self, *arguments: Any) -> Any:
        return await self._late("delete", super().delete(*arguments))

    async def _late(self, operation: str, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        finally:
            await self._calendars.answer(operation)


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
        self.publishers[0].calendars.fail_next(operation, _ERRORS[kind](applied), applied=applied)  # type: ignore[arg-type]

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


_ERRORS: dict[str, Any] = {
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

writes = st.tuples(st.just("write"), st.sampled_from(APPOINTMENTS), st.sampled_from(["a", "b", "ab", "-"]))
steps = st.one_of(
    writes,
    st.tuples(st.just("read_on"), st.sampled_from(READERS)),
    st.tuples(st.just("read_on"), st.sampled_from(READERS)),
    st.tuples(st.just("expire"), st.sampled_from(READERS)),
    st.tuples(st.just("deliver"), st.integers(0, 30)),
    st.tuples(st.just("deliver"), st.integers(0, 30)),
    st.tuples(st.just("write_calendars"), st.sampled_from([0, 1])),
    st.tuples(st.just("elapse"), st.none()),
    st.tuples(st.just("slow"), st.sampled_from(["read", "create", "update", "delete"])),
    st.tuples(st.just("answer"), st.none()),
    st.tuples(st.just("hide"), st.sampled_from([ALICE, BOB])),
    st.tuples(st.just("show"), st.none()),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(
        st.just("fault"),
        st.tuples(
            st.sampled_from(["create", "update", "delete"]), st.sampled_from(sorted(_ERRORS)), st.booleans()
        ),
    ),
)


WORK = [("write_calendars", 0)]
LATER = [("elapse", None)]
ANSWER = [("answer", None)]


def reaches(number: int, where: str = "a") -> list[tuple[Any, ...]]:
    """The `number`th change of appointment 1 reaches a publisher."""
    return [("write", 1, where), *[("read_on", 0)] * 4, ("deliver", number - 1)]


def fails(operation: str, *, applied: bool, kind: str = "unknown") -> list[tuple[Any, ...]]:
    return [("fault", (operation, kind, applied)), *WORK]


def is_late(operation: str) -> list[tuple[Any, ...]]:
    return [("slow", operation), *WORK]


KNOWN: dict[str, list[tuple[Any, ...]]] = {
    "a change during a create": [*reaches(1), *is_late("create"), *reaches(2), *ANSWER],
    "a change during an update": [*reaches(1), *WORK, *reaches(2), *is_late("update"), *reaches(3), *ANSWER],
    "a deletion during a create": [*reaches(1), *is_late("create"), *reaches(2, "-"), *ANSWER],
    "a deletion during a read": [*reaches(1), *WORK, *reaches(2), *is_late("read"), *reaches(3, "-"), *ANSWER],
    "a change between read and write": [*reaches(1), *WORK, *reaches(2), *is_late("read"), *reaches(3), *ANSWER],
    "a create that took effect": [*reaches(1), *fails("create", applied=True), *LATER, *WORK],
    "a create that did not": [*reaches(1), *fails("create", applied=False), *LATER, *WORK],
    "a deletion after a create that took effect": [*reaches(1), *fails("create", applied=True), *reaches(2, "-")],
    "an update that did not": [*reaches(1), *WORK, *reaches(2), *fails("update", applied=False), *LATER],
    "an update that took effect": [*reaches(1), *WORK, *reaches(2), *fails("update", applied=True), *reaches(3)],
    "a delete that did not": [*reaches(1), *WORK, *reaches(2, "-"), *fails("delete", applied=False), *LATER],
    "a delete that took effect": [*reaches(1), *WORK, *reaches(2, "-"), *fails("delete", applied=True), *reaches(3)],
    "killed in a create": [*reaches(1), *fails("create", applied=True, kind="killed"), *reaches(2, "-"), *reaches(3)],
    "a late create, settled by another": [
        *reaches(1), *is_late("create"), *LATER, ("write_calendars", 1), *reaches(2), ("write_calendars", 1), *ANSWER,
    ],
    "a late update, settled by another": [
        *reaches(1), *WORK, *reaches(2), *is_late("update"), *LATER, ("write_calendars", 1), *reaches(3, "-"),
        ("write_calendars", 1), *reaches(4), ("write_calendars", 1), *ANSWER,
    ],
    "a late delete, settled by another": [
        *reaches(1), *WORK, *reaches(2, "-"), *is_late("delete"), *LATER, ("write_calendars", 1), *reaches(3),
        ("write_calendars", 1), *ANSWER,
    ],
    "a late look of an event that was replaced": [
        *reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, *LATER, *is_late("read"), *LATER,
        ("write_calendars", 1), ("write_calendars", 1), *ANSWER,
    ],
    "out of sight while it is replaced": [
        *reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, *LATER, *WORK, *WORK, ("show", None),
    ],
    "out of sight while it is deleted": [*reaches(1), *WORK, ("hide", ALICE), *reaches(2, "-"), *WORK],
    "out of sight once": [*reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, ("show", None), *LATER, *WORK],
    "the state is lost": [*reaches(1, "ab"), *WORK, ("lose", None), ("write", 1, "ab")],
    "the state is lost while a call is open": [*reaches(1), *fails("create", applied=True), ("lose", None)],
    "an old message after newer ones": [
        ("write", 1, "a"), *[("read_on", 0)] * 3, ("expire", 0), ("write", 1, "b"), *[("read_on", 1)] * 8,
        ("deliver", 0), ("deliver", 1), *WORK, ("read_on", 0), ("deliver", 2),
    ],
    "moved away and back": [*reaches(1), *WORK, *reaches(2, "b"), *WORK, *reaches(3), *WORK, *reaches(4, "ab")],
}  # fmt: skip


@pytest.mark.parametrize("name", KNOWN)
async def test_a_known_danger_loses_and_doubles_nothing(pool: db.Pool, name: str) -> None:
    await _end_well(pool, KNOWN[name])


@pytest.fixture(scope="module")
def state(postgres_server: stack.Postgres, migrated: str) -> Iterator[str]:
    dsn = stack.fresh_database(postgres_server, template=migrated)
    yield dsn
    stack.drop_database(dsn)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=st.lists(steps, min_size=5, max_size=60))
def test_no_interleaving_loses_or_doubles_a_change(state: str, plan: list[tuple[Any, ...]]) -> None:
    asyncio.run(_play(state, plan))


async def _play(dsn: str, plan: list[tuple[Any, ...]]) -> None:
    async with db.pool(dsn, application_name="tests") as pool:
        await pool.execute(f"TRUNCATE {TABLES} CASCADE")
        await _end_well(pool, plan)


async def _end_well(pool: db.Pool, plan: list[tuple[Any, ...]]) -> None:
    one = Publisher(pool, SlowCalendars(), name="one")
    world = World([one, replace(one, name="two")])
    for name, *arguments in plan:
        await getattr(world, name)(*arguments)
    await world.settle()

    assert world.twice() == []
    assert world.missing() == []
    # A calendar in which nothing is to be made is not listed: what a lost database knew of it stays.
    assert world.lost or world.shown() == world.wanted()
    assert (
        await pool.fetchval("SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'") == 0
    )
    assert await pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0
    assert await pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'failed'") == 0
