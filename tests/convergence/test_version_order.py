"""Writers, readers, messages and lanes in any order end with calendars that show the planning, each event once.

The planning and the readers are a model of a few lines; plan, lanes and the state database are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
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
from fakes import FakeCalendars

APPOINTMENTS = (1, 2)
READERS = (0, 1)


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
            reading.message = self._message(reading.appointment, reading.version)
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

    def _message(self, appointment: int, version: int) -> AppointmentChanged:
        now = self.planning[appointment]
        return deleted(snapshot(appointment), version) if now is None else changed(now, version, action="U")

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
        """A publisher works; it may be killed in the middle."""
        try:
            await self.publishers[publisher].step()
        except KilledError:
            return

    async def fault(self, what: tuple[str, str, bool]) -> None:
        """The next call of an operation goes wrong, before or after its effect."""
        operation, kind, applied = what
        self.publishers[0].calendars.fail_next(operation, _ERRORS[kind](applied), applied=applied)  # type: ignore[arg-type]

    async def elapse(self, _: None) -> None:
        """Waits and leases are over."""
        await self.publishers[0].elapse()

    async def settle(self) -> None:
        """Everybody is well again, and everything that is under way ends."""
        self.publishers[0].calendars._failures.clear()
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
    st.tuples(
        st.just("fault"),
        st.tuples(
            st.sampled_from(["create", "update", "delete"]), st.sampled_from(sorted(_ERRORS)), st.booleans()
        ),
    ),
)


@pytest.fixture(scope="module")
def state(postgres_server: stack.Postgres, migrated: str) -> Iterator[str]:
    dsn = stack.fresh_database(postgres_server, template=migrated)
    yield dsn
    stack.drop_database(dsn)


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=st.lists(steps, min_size=5, max_size=60))
def test_no_interleaving_loses_or_doubles_a_change(state: str, plan: list[tuple[Any, ...]]) -> None:
    asyncio.run(_play(state, plan))


async def _play(dsn: str, plan: list[tuple[Any, ...]]) -> None:
    async with db.pool(dsn, application_name="tests") as pool:
        await pool.execute(
            "TRUNCATE appointment, link, mailbox, transaction, attempt, once_ours, tenant CASCADE"
        )
        one = Publisher(pool, FakeCalendars(), name="one")
        world = World([one, replace(one, name="two")])
        for name, *arguments in plan:
            await getattr(world, name)(*arguments)
        await world.settle()

        assert world.shown() == world.wanted()
        assert await pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0
        assert await pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'failed'") == 0
