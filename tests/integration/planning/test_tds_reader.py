"""The reader's statements for SQL Server, through both drivers and TLS.

They reach a stand-in that runs their counterparts in PostgreSQL: drivers, parameters and types are shown, not T-SQL.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from common.errors import Configuration, Transient
from common.messages import Snapshot
from common.planning import database as planning_database
from common.planning.reading import Planning
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from simulators.tds.server import Fault, normal

PUMP = UUID("11111111-1111-4111-8111-111111111111")
TOKEN, STATE = uuid4(), uuid4()


@pytest.fixture
async def reader(planning_stand_in, planning):
    """The planning database as SQL Server, by one connection."""
    async with planning_database.connect(planning_stand_in.odbc(), "mssql", size=1) as database:
        yield database


async def test_change_is_claimed_read_and_done(reader, planning):
    outbox = Outbox(reader)
    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Ventil €'")

    (row,) = await outbox.claim(TOKEN, 10, 60)
    rivals = await outbox.rivals()
    version = await Planning(reader, UTC).next_version()
    snapshot = (await Planning(reader, UTC).read([1])).of(1, PUMP)
    done = await outbox.done(TOKEN, version)

    assert (row.appointment_id, row.guid, row.action, row.attempts, rivals) == (1, PUMP, "U", 1, set())
    assert abs(datetime.now(UTC) - row.created_at) < timedelta(minutes=1)
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.subject, snapshot.assignments[0].email) == ("Ventil €", "alice@contoso.example")
    assert done == 1
    assert tuple(await planning.fetchrow("SELECT State, Version FROM exconn.Outbox")) == (2, version)


async def test_many_appointments_are_read_at_once(reader, planning):
    await planning.execute(
        "INSERT INTO dbo.Appointments (Id, Body, StartDate, EndDate) "
        "SELECT 1000 + n, repeat('x', 5000), now(), now() FROM generate_series(1, 900) n"
    )

    reading = await Planning(reader, UTC).read(range(1001, 1901))
    ids = await Planning(reader, UTC).ids(1000, 500)

    assert len(reading.found) == 900
    assert ids == list(range(1001, 1501))


async def test_rows_are_given_back_or_parked(reader, planning):
    outbox = Outbox(reader)
    await planning.execute("INSERT INTO dbo.Appointments (Id, StartDate, EndDate) VALUES (2, now(), now())")
    await planning.execute("UPDATE dbo.Appointments SET Locked = true WHERE Id = 1")
    first, second = await outbox.claim(TOKEN, 10, 60)

    await outbox.release(TOKEN, [first.id], 30.5)
    await outbox.park(TOKEN, {second.id: "end before start: Fällt aus"}, 7)

    rows = await planning.fetch(
        "SELECT State, Reason, DueAt > CreatedAt + interval '20 s' FROM exconn.Outbox ORDER BY Id"
    )
    assert [tuple(row) for row in rows] == [(0, None, True), (3, "end before start: Fällt aus", False)]


async def test_shared_row_becomes_rows_of_its_appointments(reader, planning):
    outbox = Outbox(reader)
    await planning.execute("UPDATE dbo.Categories SET Name = 'Repair'")

    (shared,) = await outbox.claim_shared(TOKEN, 60)
    expanded = [await outbox.expand(TOKEN, shared.id, 1, 1, 60) for _ in range(2)]

    assert (shared.table, shared.key, shared.after, expanded) == ("Categories", "1", None, [1, 0])
    assert await planning.fetchval("SELECT AppointmentGuid FROM exconn.Outbox WHERE State = 0") == PUMP


async def test_leases_run_out_and_depths_are_known(reader, planning):
    outbox, keeping = Outbox(reader), Keeping(reader)
    await planning.execute("UPDATE dbo.Appointments SET Locked = true")
    await outbox.claim(TOKEN, 10, 0)

    freed = await keeping.free_expired()

    assert freed == 1
    assert [(depth.state, depth.priority, depth.rows) for depth in await keeping.depths()] == [(0, 0, 1)]


async def test_rows_are_replayed_and_pruned(reader, planning):
    outbox, keeping = Outbox(reader), Keeping(reader)
    started = datetime.now(UTC) - timedelta(seconds=1)
    await planning.execute("UPDATE dbo.Appointments SET Locked = true")
    await outbox.claim(TOKEN, 10, 60)
    await outbox.done(TOKEN, 7)
    newest = await keeping.newest_id()

    replayed = await keeping.replay(0, newest, started, 0)
    kept = await keeping.prune(1)
    await planning.execute("UPDATE exconn.Outbox SET DoneAt = DoneAt - interval '2 days'")
    pruned = await keeping.prune(1)

    assert (replayed, kept, pruned) == ((1, newest), 0, 1)
    assert await planning.fetchval("SELECT Cause FROM exconn.Outbox") == "replay"


async def test_parked_row_that_was_replaced_is_done(reader, planning):
    outbox, keeping = Outbox(reader), Keeping(reader)
    for version in (1, 2):
        await planning.execute("UPDATE dbo.Appointments SET Locked = NOT Locked")
        (row,) = await outbox.claim(TOKEN, 10, 60)
        await outbox.park(TOKEN, {row.id: "unreadable"}, version)

    replaced = await keeping.replaced()

    assert replaced == 1
    assert [
        tuple(row) for row in await planning.fetch("SELECT State, Version FROM exconn.Outbox ORDER BY Id")
    ] == [(2, 1), (3, 2)]


async def test_rows_are_enqueued_once(reader, planning):
    outbox = Outbox(reader)
    await outbox.enqueue([(1, PUMP), (5, None)], cause="backfill", priority=1)

    again = await outbox.enqueue([(1, PUMP), (6, None)], cause="backfill", priority=1)

    assert again == 1
    assert [
        row[0] for row in await planning.fetch("SELECT AppointmentId FROM exconn.Outbox ORDER BY Id")
    ] == [1, 5, 6]


async def test_identity_is_read_and_progress_is_noted(reader, planning):
    keeping = Keeping(reader)
    identity = await keeping.identity()

    await keeping.confirm(STATE, 3)
    await keeping.planned(9, STATE)
    noted = await keeping.identity()

    assert identity.outbox == await planning.fetchval("SELECT OutboxIdentity FROM exconn.State")
    assert identity.restore_mark != ""
    assert (noted.state_database, noted.planned_version) == (STATE, 9)


async def test_what_no_trigger_could_note_is_counted_and_made_good(reader, planning):
    keeping = Keeping(reader)
    await planning.execute("SELECT nextval('exconn.Missed')")

    before = await keeping.missed()
    await keeping.made_good(1)

    assert (before, await keeping.missed()) == ((1, 0), (1, 1))


async def test_lost_connection_is_replaced_and_a_reading_repeated(reader, planning_stand_in):
    versions = Planning(reader, UTC)
    first = await versions.next_version()
    planning_stand_in.server.drop_all()

    second = await versions.next_version()

    assert second > first
    assert reader.connects == 2


async def test_claim_whose_answer_was_lost_is_not_repeated(reader, planning, planning_stand_in):
    await planning.execute("UPDATE dbo.Appointments SET Locked = true")
    planning_stand_in.server.faults.append(Fault("SET State = 1", "drop after"))

    with pytest.raises(Transient):
        await Outbox(reader).claim(TOKEN, 10, 60)

    assert await planning.fetchval("SELECT State FROM exconn.Outbox") == 1
    assert await Outbox(reader).claim(TOKEN, 10, 60) == []


@pytest.mark.parametrize(
    ("number", "kind"), [(1205, Transient), (1222, Transient), (229, Configuration), (208, Configuration)]
)
async def test_errors_of_the_server_say_what_to_do(reader, planning_stand_in, number, kind):
    planning_stand_in.server.faults += [Fault("NEXT VALUE", "error", number, "as SQL Server would say")] * 2

    with pytest.raises(kind):
        await Planning(reader, UTC).next_version()


async def test_wrong_password_is_told_as_trouble_of_the_connection(planning_stand_in, planning):
    wrong = planning_stand_in.odbc(password="wrong")

    async with planning_database.connect(wrong, "mssql", size=1) as database:
        with pytest.raises((Transient, Configuration)) as raised:
            await Planning(database, UTC).next_version()

    assert "wrong" not in str(raised.value)


async def test_every_statement_is_known_to_these_tests(reader, planning, planning_stand_in):
    """Those that the tests above run, by the texts that arrived; a new one needs a test of its own."""
    outbox, keeping, appointments = Outbox(reader), Keeping(reader), Planning(reader, UTC)
    await outbox.claim(TOKEN, 1, 1)
    await outbox.rivals()
    await outbox.done(TOKEN, 1)
    await outbox.release(TOKEN, [1], 1)
    await outbox.park(TOKEN, {1: "x"}, None)
    await outbox.claim_shared(TOKEN, 1)
    await outbox.expand(TOKEN, 1, 1, 1, 1)
    await outbox.enqueue([(1, PUMP)], cause="replay", priority=1)
    await keeping.free_expired()
    await keeping.may_number()
    await keeping.newest_id()
    await keeping.replay(0, 1, datetime.now(UTC), 0)
    await keeping.prune(1)
    await keeping.replaced()
    await keeping.depths()
    await keeping.identity()
    await keeping.confirm(STATE, 1)
    await keeping.planned(1, STATE)
    await keeping.missed()
    await keeping.made_good(0)
    await appointments.next_version()
    await appointments.read([1])
    await appointments.ids(0, 1)

    unseen = {normal(text) for text in planning_stand_in.statements()} - set(
        planning_stand_in.server.statements
    )
    assert unseen == set()
