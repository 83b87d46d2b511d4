"""What cannot be read is put aside, told, and let go when its appointment was read later."""

from outbox_reader import upkeep

from .conftest import HOUR, START


async def test_an_unreadable_row_is_parked_and_told_while_others_flow(reader, planner, sql):
    bad = await planner.add_appointment("Bad", START, START + HOUR, importance=7)
    good = await planner.add_appointment("Good", START, START + HOUR)
    worse = await planner.add_appointment("Worse", START, START + HOUR)
    await break_view(sql, worse)

    await reader.drain()

    assert {told.appointment_id for told in reader.broker.changed} == {bad, good}
    (told,) = reader.broker.unreadable
    assert told.appointment_id == worse
    parked = await sql.fetch("SELECT AppointmentId, Reason FROM exconn.Outbox WHERE State = 3")
    assert [(row["appointmentid"], row["reason"]) for row in parked] == [(worse, told.reason)]


async def break_view(sql, number):
    """One row of the view cannot be computed."""
    view = await sql.fetchval("SELECT pg_get_viewdef('exconn.appointmentsnapshot')")
    await sql.execute(
        f"CREATE OR REPLACE VIEW exconn.AppointmentSnapshot AS SELECT AppointmentId, AppointmentGuid,"
        f" CASE WHEN AppointmentId = {number} THEN (1 / (AppointmentId - {number}))::text ELSE Snapshot END AS Snapshot"
        f" FROM ({view.rstrip(';')}) AS v"
    )


async def test_a_snapshot_that_is_no_snapshot_is_parked(reader, planner, sql):
    number = await planner.add_appointment("Odd", START, START + HOUR)
    await sql.execute("DROP VIEW exconn.AppointmentSnapshot")
    await sql.execute(
        "CREATE VIEW exconn.AppointmentSnapshot AS SELECT Id AS AppointmentId, AppointmentGuid,"
        " json_build_object('id', Id, 'guid', AppointmentGuid, 'start', 'noon', 'end', '')::text AS Snapshot"
        " FROM dbo.Appointments"
    )

    await reader.drain()

    (told,) = reader.broker.unreadable
    assert (told.appointment_id, told.reason) == (number, "start: no local time")


async def states(sql, number):
    rows = await sql.fetch("SELECT State FROM exconn.Outbox WHERE AppointmentId = $1 ORDER BY Id", number)
    return [row["state"] for row in rows]


async def test_a_parked_row_is_let_go_when_its_appointment_was_read_later(reader, planner, sql):
    whole = await sql.fetchval("SELECT pg_get_viewdef('exconn.appointmentsnapshot')")
    mended = await planner.add_appointment("Mended", START, START + HOUR)
    await break_view(sql, mended)
    await reader.drain()
    assert await states(sql, mended) == [3]
    await upkeep.settle_parked(reader.keeping)
    assert await states(sql, mended) == [3]
    await sql.execute(f"CREATE OR REPLACE VIEW exconn.AppointmentSnapshot AS {whole}")
    await planner.edit(mended, subject="can be read")
    await reader.drain()

    await upkeep.settle_parked(reader.keeping)

    assert await states(sql, mended) == [2, 2]
    assert not [depth for depth in await reader.keeping.depths() if depth.state == 3]


async def test_of_many_rows_that_could_not_be_read_the_last_stays_parked_however_old(reader, planner, sql):
    bad = await planner.add_appointment("Bad", START, START + HOUR)
    good = await planner.add_appointment("Good", START, START + HOUR)
    await reader.drain()
    await break_view(sql, bad)
    for subject in ("Worse", "Worst"):
        await planner.edit(bad, subject=subject)
        await planner.edit(good, subject=subject)
        await reader.drain()

    await upkeep.settle_parked(reader.keeping)

    assert await states(sql, bad) == [2, 2, 3]
    await sql.execute("UPDATE exconn.Outbox SET DoneAt = DoneAt - interval '400 days'")
    await upkeep.prune(reader.keeping, 7)
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox") == 1
    assert await states(sql, bad) == [3]


async def test_a_deleted_appointment_leaves_nothing_parked(reader, planner, sql):
    number = await planner.add_appointment("Bad", START, START + HOUR)
    await break_view(sql, number)
    await reader.drain()
    await planner.delete(number)
    await reader.drain()

    await upkeep.settle_parked(reader.keeping)

    assert set(await states(sql, number)) == {2}


async def test_another_appointment_under_the_same_id_replaces_nothing(reader, sql):
    await sql.execute(
        """INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, State, Version, DoneAt) VALUES
           (1, '11111111-1111-4111-8111-111111111111', 'U', 3, 5, '2026-11-22T08:00:00'),
           (1, '22222222-2222-4222-8222-222222222222', 'U', 2, 6, '2026-11-22T08:00:01')"""
    )

    await upkeep.settle_parked(reader.keeping)

    assert await states(sql, 1) == [3, 2]
