from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

import stack
from outbox_reader import upkeep
from outbox_reader.backfill import Backfill
from outbox_reader.records import Witness

from .conftest import HOUR, START, Broker


async def plan(state_sql, messages):
    """What graph-publisher keeps of messages."""
    for told in sorted(messages, key=lambda m: (m.epoch, m.version)):
        await state_sql.execute(
            """INSERT INTO appointment (id, guid, epoch, version, snapshot, hash, deleted_at)
               VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN $7 THEN now() END)
               ON CONFLICT (id, guid) DO UPDATE SET epoch = $3, version = $4, snapshot = $5, hash = $6,
                   deleted_at = excluded.deleted_at""",
            told.appointment_id,
            told.appointment_guid,
            told.epoch,
            told.version,
            told.snapshot and told.snapshot.model_dump(mode="json", exclude_none=True),
            told.snapshot and told.snapshot.digest(),
            told.action == "D",
        )


async def recover(reader):
    backfill = Backfill(reader.planning, reader.outbox, reader.state, 0)
    await upkeep.recover(reader.epochs, reader.keeping, backfill, reader.state.recovering, 10_000)


async def test_a_first_installation_begins_an_epoch_and_tells_nothing_old(build, planner, sql, state_sql):
    await planner.add_appointment("Old", START, START + HOUR)
    await sql.execute("DELETE FROM exconn.Outbox")
    reader = await build()

    epoch = await reader.epochs.current()
    await recover(reader)
    await reader.drain()

    assert epoch.number > 0
    assert not reader.epochs.lost.is_set()
    assert not reader.broker.told
    identity = await state_sql.fetchval("SELECT state_identity FROM installation")
    assert str(await sql.fetchval("SELECT StateDatabase FROM exconn.State")) == str(identity)


async def test_readers_share_an_epoch_and_keep_it_over_restarts(build):
    numbers = [(await (await build()).epochs.current()).number for _ in range(3)]

    assert len(set(numbers)) == 1


async def test_a_sequence_that_went_back_begins_a_new_epoch(build, planner, sql, state_sql):
    first = await build()
    await planner.add_appointment("One", START, START + HOUR)
    await first.drain()
    await plan(state_sql, first.broker.told)
    await first.epochs.note()
    await sql.execute("SELECT setval('exconn.version', 1, false)")

    second = await build()
    epoch = await second.epochs.current()

    assert epoch.number > first.broker.changed[0].epoch
    assert second.epochs.lost.is_set()  # whatever the planning forgot must be found


async def test_another_outbox_begins_a_new_epoch(build, sql):
    first = await (await build()).epochs.current()
    await sql.execute("UPDATE exconn.State SET OutboxIdentity = gen_random_uuid()")

    second = await (await build()).epochs.current()

    assert second.number > first.number


async def test_a_running_reader_meets_a_restored_planning_when_it_connects_again(build, planner, sql):
    reader = await build()
    await planner.add_appointment("Before", START, START + HOUR)
    await reader.drain()
    await sql.execute("UPDATE exconn.State SET OutboxIdentity = gen_random_uuid()")
    await sql.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'exconn'"
    )
    await planner.add_appointment("After", START, START + HOUR)

    await reader.drain()

    before, after = reader.broker.changed
    assert after.epoch > before.epoch


@pytest.fixture
def other_state_dsn(postgres_server, migrated):
    dsn = stack.fresh_database(postgres_server, migrated)
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
async def other_state_sql(other_state_dsn):
    connection = await asyncpg.connect(other_state_dsn)
    await connection.execute("UPDATE installation SET state_identity = gen_random_uuid()")
    yield connection
    await connection.close()


async def test_a_new_state_database_is_filled_without_a_person(
    build, planner, sql, state_sql, other_state_dsn, other_state_sql
):
    first = await build()
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(3)]
    gone = await planner.add_appointment("Gone", START, START + HOUR)
    await first.drain()
    await plan(state_sql, first.broker.told)
    await first.epochs.note()
    await planner.delete(gone)
    await first.drain()
    await sql.execute(
        "UPDATE exconn.Outbox SET DoneAt = DoneAt - interval '9 days' WHERE AppointmentId = $1", numbers[0]
    )
    await first.keeping.prune(7)

    second = await build(state_at=other_state_dsn)
    await second.epochs.current()
    assert second.epochs.lost.is_set()
    await recover(second)
    await second.drain()

    told = second.broker.newest()
    assert sorted(told) == [*numbers, gone]
    assert {number for number in told if told[number].action == "D"} == {gone}
    assert all(told[number].snapshot for number in numbers)
    assert told[numbers[0]].cause == "backfill"
    assert told[numbers[1]].cause == "replay"
    assert {m.epoch >= first.broker.changed[0].epoch for m in second.broker.told} == {True}
    assert not second.epochs.lost.is_set()
    await second.epochs.still_lost()
    assert not second.epochs.lost.is_set()


async def test_a_state_database_that_went_back_is_filled_again(build, planner, state_sql):
    first = await build()
    number = await planner.add_appointment("A", START, START + HOUR)
    await first.drain()
    await plan(state_sql, first.broker.told)
    await planner.edit(number, subject="B")
    await first.drain()
    backup = await state_sql.fetch("SELECT version FROM appointment")
    await plan(state_sql, first.broker.told)
    await first.epochs.note()
    await state_sql.execute("UPDATE appointment SET version = $1, hash = 'old'", backup[0]["version"])

    second = await build(Broker())
    await second.epochs.current()
    await recover(second)
    await second.drain()

    assert second.broker.newest()[number].snapshot.subject == "B"
    assert second.broker.newest()[number].version > first.broker.newest()[number].version


async def test_a_loss_while_the_reader_runs_is_found_before_it_is_hidden(build, planner, state_sql):
    reader = await build()
    number = await planner.add_appointment("A", START, START + HOUR)
    await reader.drain()
    await plan(state_sql, reader.broker.told)
    await reader.epochs.note()
    await state_sql.execute("DELETE FROM appointment")
    other = await planner.add_appointment("B", START, START + HOUR)
    await reader.drain()
    await plan(state_sql, [m for m in reader.broker.told if m.appointment_id == other])

    await reader.epochs.note()
    await reader.epochs.note()
    await reader.epochs.current()
    assert reader.epochs.lost.is_set()
    await recover(reader)
    await reader.drain()

    assert reader.broker.newest()[number].cause in {"replay", "backfill"}


async def test_a_recovery_that_was_cut_is_begun_again(
    build, planner, state_sql, other_state_dsn, other_state_sql
):
    first = await build()
    await planner.add_appointment("A", START, START + HOUR)
    await first.drain()
    await plan(state_sql, first.broker.told)
    await first.epochs.note()
    cut = await build(state_at=other_state_dsn)
    await cut.epochs.current()
    await upkeep.replay(cut.keeping, datetime.now(UTC) - timedelta(hours=1))  # and then killed
    await cut.drain()

    third = await build(state_at=other_state_dsn)
    await third.epochs.current()

    assert third.epochs.lost.is_set()


async def test_one_reader_recovers_at_a_time(build):
    first, second = await build(), await build()

    async with first.state.recovering() as mine, second.state.recovering() as theirs:
        assert (mine, theirs) == (True, False)


async def test_the_highest_planned_version_is_noted_on_both_sides(build, planner, sql, state_sql):
    reader = await build()
    await planner.add_appointment("A", START, START + HOUR)
    await reader.drain()
    (told,) = reader.broker.changed

    await reader.epochs.note()
    assert await sql.fetchval("SELECT PlannedVersion FROM exconn.State") == 0  # published, not planned
    assert await state_sql.fetchval("SELECT highest_version FROM epoch") == told.version
    await plan(state_sql, [told])
    await reader.epochs.note()

    assert await sql.fetchval("SELECT PlannedVersion FROM exconn.State") == told.version
    assert await reader.state.has_planned(
        Witness(told.appointment_id, told.appointment_guid, told.epoch, told.version)
    )


async def test_what_was_told_in_an_epoch_that_was_over_is_told_again(build, planner, sql):
    """Another reader began the epoch; this one had not met it yet when it published."""
    late, early = await build(), await build()
    await late.epochs.current()
    await sql.execute("UPDATE exconn.State SET OutboxIdentity = gen_random_uuid()")
    await early.epochs.still_lost()
    number = await planner.add_appointment("A", START, START + HOUR)
    late.epochs.changed = lambda: False
    await late.drain()

    await late.epochs.still_lost()
    await recover(late)
    await late.drain()

    first, again = late.broker.changed
    assert (first.appointment_id, again.appointment_id) == (number, number)
    assert again.epoch > first.epoch
