"""A change that a trigger could not note is found without a person."""

import pytest
from structlog.testing import capture_logs

from outbox_reader.backfill import Backfill
from outbox_reader.missed import Missed

from .conftest import HOUR, START


class Clock:
    """Time that stands still until a test moves it."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def watching(reader, after=0.0, clock=None):
    backfill = Backfill(reader.planning, reader.outbox, reader.state, 0)
    return Missed(reader.keeping, backfill, reader.state.recovering, 10_000, after, clock or Clock())


@pytest.fixture
async def unnoted(planner, sql):
    """An appointment that was added while the outbox refused its row."""
    await sql.execute("ALTER TABLE exconn.Outbox ADD CONSTRAINT broken CHECK (Id < 0) NOT VALID")
    number = await planner.add_appointment("Unnoted", START, START + HOUR)
    await sql.execute("ALTER TABLE exconn.Outbox DROP CONSTRAINT broken")
    return number


async def test_what_no_trigger_could_note_is_found_and_remembered_as_found(reader, unnoted, sql):
    missed = watching(reader)

    with capture_logs() as logs:
        await missed.look()
    await reader.drain()

    assert reader.broker.newest()[unnoted].cause == "backfill"
    assert [line["event"] for line in logs] == ["changes.missed", "changes.backfilled"]
    counted, seen = await reader.keeping.missed()
    assert counted == seen > 0
    with capture_logs() as logs:
        await watching(reader).look()
    assert logs == []
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State = 0") == 0


async def test_the_planner_s_transaction_is_given_time_to_end(reader, unnoted):
    clock = Clock()
    missed = watching(reader, 300, clock)
    with capture_logs() as logs:
        await missed.look()
        clock.now += 299
        await missed.look()
    early = await reader.keeping.missed()

    clock.now += 1
    await missed.look()

    assert early[1] == 0
    assert [line["event"] for line in logs] == ["changes.missed"]
    assert len(set(await reader.keeping.missed())) == 1


async def test_what_is_missed_while_the_first_is_made_good_is_made_good_later(reader, unnoted, sql):
    clock = Clock()
    missed = watching(reader, 300, clock)
    await missed.look()
    first, _ = await reader.keeping.missed()
    await sql.execute("SELECT nextval('exconn.Missed')")
    clock.now += 300

    await missed.look()

    assert await reader.keeping.missed() == (first + 1, first)
    await missed.look()
    clock.now += 300
    await missed.look()
    assert await reader.keeping.missed() == (first + 1, first + 1)


async def test_two_readers_make_it_good_once(build, unnoted):
    first, second = await build(), await build()
    clock = Clock()
    missed = [watching(reader, 300, clock) for reader in (first, second)]
    for one in missed:
        await one.look()
    clock.now += 300
    with capture_logs() as logs:
        for one in missed:
            await one.look()

    assert [line["event"] for line in logs] == ["changes.backfilled"]


async def test_a_comparison_that_was_cut_is_made_again(reader, unnoted, sql):
    clock = Clock()
    missed = watching(reader, 300, clock)
    await missed.look()
    clock.now += 300
    await sql.execute("ALTER TABLE exconn.Outbox ADD CONSTRAINT broken CHECK (Id < 0) NOT VALID")
    with pytest.raises(Exception, match="broken"):
        await missed.look()
    await sql.execute("ALTER TABLE exconn.Outbox DROP CONSTRAINT broken")

    for _ in range(2):
        await missed.look()
        clock.now += 300

    assert len(set(await reader.keeping.missed())) == 1
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State = 0") == 1


async def test_nothing_missed_says_nothing(reader, planner):
    await planner.add_appointment("Noted", START, START + HOUR)

    with capture_logs() as logs:
        await watching(reader).look()

    assert logs == []
