from datetime import timedelta
from functools import partial

import pytest

from common.messages import OutboxRequeue
from outbox_reader import upkeep
from outbox_reader.backfill import Backfill
from outbox_reader.requeue import requeue

from .conftest import HOUR, START
from .test_epochs import plan

DAY = timedelta(days=1)


@pytest.fixture
async def planned(reader, planner, state_sql):
    """Three appointments that were told and planned."""
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR, ["ALICE"]) for n in range(3)]
    await reader.drain()
    await plan(state_sql, reader.broker.told)
    reader.broker.told.clear()
    return numbers


def backfill(reader, **options):
    return Backfill(reader.planning, reader.outbox, reader.state, 0, **options)


async def unnoticed(sql, statement, *values):
    """Change the planning with the triggers off, as a bulk load does."""
    async with sql.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        return await connection.fetchval(statement, *values)


async def waiting(sql):
    return await sql.fetch(
        "SELECT AppointmentId, Action, Cause, Priority FROM exconn.Outbox WHERE State = 0 ORDER BY AppointmentId"
    )


async def test_nothing_is_enqueued_where_nothing_differs(reader, planned, sql):
    summary = await backfill(reader).run(START - DAY)

    assert (summary.read, summary.differing, summary.known, summary.enqueued) == (3, 0, 3, 0)
    assert not await waiting(sql)


async def test_what_differs_or_is_unknown_is_enqueued_at_low_priority(reader, planned, sql):
    await unnoticed(sql, "UPDATE dbo.Appointments SET Subject = 'silently' WHERE Id = $1", planned[1])
    new = await unnoticed(
        sql, "INSERT INTO dbo.Appointments (Subject, StartDate, EndDate) VALUES ('new', $1, $1) RETURNING Id",
        START.replace(tzinfo=None),
    )  # fmt: skip

    summary = await backfill(reader).run(START - DAY)
    await reader.drain()

    assert summary.enqueued == 2
    assert {told.appointment_id: told.cause for told in reader.broker.changed} == {
        planned[1]: "backfill",
        new: "backfill",
    }
    assert reader.broker.newest()[planned[1]].snapshot.subject == "silently"


async def test_what_ended_before_the_date_stays_out_unless_it_was_planned(reader, planned, sql):
    old = START.replace(tzinfo=None) - 9 * DAY
    await unnoticed(
        sql,
        "INSERT INTO dbo.Appointments (Subject, StartDate, EndDate) VALUES ('old', $1, $1) RETURNING Id",
        old,
    )
    await unnoticed(
        sql, "UPDATE dbo.Appointments SET StartDate = $2, EndDate = $2 WHERE Id = $1", planned[0], old
    )

    summary = await backfill(reader).run(START - DAY)

    assert summary.differing == 1
    assert [row["appointmentid"] for row in await waiting(sql)] == [planned[0]]


async def test_a_dry_run_only_counts(reader, planned, sql):
    await unnoticed(sql, "UPDATE dbo.Appointments SET Subject = 'silently'")
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id = $1", planned[0])

    summary = await backfill(reader, dry_run=True).run(START - DAY)

    assert (summary.differing, summary.gone) == (2, 1)
    assert (summary.enqueued, summary.deletions, summary.held) == (0, 0, 0)
    assert not await waiting(sql)


async def test_a_known_appointment_that_two_reads_do_not_find_is_deleted(reader, planned, sql):
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id = $1", planned[2])

    summary = await backfill(reader).run(START - DAY)
    await reader.drain()

    assert (summary.gone, summary.deletions) == (1, 1)
    (told,) = reader.broker.changed
    assert (told.appointment_id, told.action, told.snapshot) == (planned[2], "D", None)


async def test_what_only_one_read_does_not_find_stays(reader, planned, sql):
    run = backfill(reader)
    absent = await run._still_absent([(planned[0], (await reader.state.known(planned))[0].guid)])

    assert absent == []


async def test_many_deletions_wait_for_a_number(reader, planner, state_sql, sql):
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(15)]
    await reader.drain()
    await plan(state_sql, reader.broker.told)
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id <> $1", numbers[0])

    held = await backfill(reader).run(START - DAY)
    assert (held.gone, held.held, held.deletions) == (14, 14, 0)
    assert not await waiting(sql)
    too_few = await backfill(reader, allow_deletions=13).run(START - DAY)
    assert too_few.held == 14
    enough = await backfill(reader, allow_deletions=14).run(START - DAY)

    assert (enough.held, enough.deletions) == (0, 14)
    assert {row["action"] for row in await waiting(sql)} == {"D"}


async def test_a_second_backfill_adds_nothing_to_what_waits(reader, planned, sql):
    await unnoticed(sql, "UPDATE dbo.Appointments SET Subject = 'silently'")
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id = $1", planned[0])
    first = await backfill(reader).run(START - DAY)

    second = await backfill(reader).run(START - DAY)

    assert (first.enqueued, first.deletions) == (2, 1)
    assert (second.enqueued, second.deletions) == (0, 0)


async def test_pages_cover_every_id(reader, planner, state_sql, sql, monkeypatch):
    monkeypatch.setattr("outbox_reader.backfill.PAGE", 3)
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(13)]
    await reader.drain()
    await plan(state_sql, reader.broker.told)
    gone = [numbers[0], numbers[2], numbers[3], numbers[12]]
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id = ANY($1::bigint[])", gone)

    summary = await backfill(reader).run(START - DAY)

    assert (summary.read, summary.known, summary.gone) == (9, 13, 4)
    assert [row["appointmentid"] for row in await waiting(sql)] == gone


async def test_replay_tells_done_rows_again(reader, planned, sql):
    rows = await upkeep.replay(reader.keeping, START - 1000 * DAY)
    assert rows == await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State = 2")
    assert {row["priority"] for row in await waiting(sql)} == {1}

    await reader.drain()

    assert {told.appointment_id: told.cause for told in reader.broker.changed} == dict.fromkeys(
        planned, "replay"
    )


async def test_replay_leaves_out_what_was_done_before(reader, planned, sql):
    await sql.execute(
        "UPDATE exconn.Outbox SET DoneAt = DoneAt - interval '1 day' WHERE AppointmentId = $1", planned[0]
    )

    await upkeep.replay(reader.keeping, (await now(sql)) - HOUR)

    assert {row["appointmentid"] for row in await waiting(sql)} == set(planned[1:])


async def now(sql):
    return await sql.fetchval("SELECT now()")


async def test_pruning_removes_old_done_rows_only(reader, planned, planner, sql):
    await sql.execute(
        "UPDATE exconn.Outbox SET DoneAt = DoneAt - interval '8 days' WHERE AppointmentId = $1", planned[0]
    )
    await planner.edit(planned[1], subject="waits")

    await upkeep.prune(reader.keeping, 7)

    left = await sql.fetch("SELECT AppointmentId, State FROM exconn.Outbox WHERE AppointmentId IS NOT NULL")
    assert {(row["appointmentid"], row["state"]) for row in left} == {
        (planned[1], 2),
        (planned[2], 2),
        (planned[1], 0),
    }


async def test_a_fresh_snapshot_is_told_when_somebody_asks(reader, planned, planner, sql):
    woken = []
    ask = partial(requeue, outbox=reader.outbox, state=reader.state, wake=lambda: woken.append(1))
    await unnoticed(sql, "DELETE FROM dbo.Appointments WHERE Id = $1", planned[2])

    await ask([OutboxRequeue(appointment_ids=(planned[0], planned[2], 999), cause="reconcile", priority=0)])
    await reader.drain()

    assert woken
    assert {
        told.appointment_id: (told.cause, told.action, bool(told.snapshot)) for told in reader.broker.changed
    } == {planned[0]: ("reconcile", "U", True), planned[2]: ("reconcile", "U", False)}
