import asyncio
import json
import random
from uuid import UUID, uuid4

import pytest

from common.errors import Configuration, Transient
from outbox_reader.expanding import expand_all
from outbox_reader.mapping import tell

from .conftest import HOUR, START, TUNING, Broker, eventually


async def test_an_appointment_is_told_with_its_snapshot(reader, planner):
    number = await planner.add_appointment(
        "Repair",
        START,
        START + HOUR,
        ["ALICE"],
        body="ü" * 9000,
        category="Service",
        location="Main Street 1",
    )

    await reader.drain()

    (told,) = reader.broker.changed
    assert (told.appointment_id, told.action, told.cause) == (number, "I", "change")
    assert (told.snapshot.subject, told.snapshot.body) == ("Repair", "ü" * 9000)
    assert (told.snapshot.start, told.snapshot.end) == (START, START + HOUR)
    assert (told.snapshot.category, told.snapshot.location) == ("Service", "Main Street 1")
    assert [one.email for one in told.snapshot.assignments] == ["alice@contoso.example"]
    assert told.changed_at is not None


async def test_many_changes_of_one_appointment_are_one_message(reader, planner):
    number = await planner.add_appointment("First", START, START + HOUR, ["ALICE"])
    for hour in range(1, 20):
        await planner.move(number, START + hour * HOUR, START + (hour + 1) * HOUR)

    await reader.drain()

    (told,) = reader.broker.changed
    assert told.snapshot.start == START + 19 * HOUR
    assert told.action == "I"


async def test_a_deleted_appointment_is_told_without_snapshot(reader, planner):
    number = await planner.add_appointment("Gone", START, START + HOUR, ["ALICE"])
    await reader.drain()
    await planner.delete(number)

    await reader.drain()

    created, deleted = reader.broker.changed
    assert (deleted.action, deleted.snapshot) == ("D", None)
    assert deleted.appointment_guid == created.appointment_guid
    assert deleted.version > created.version


async def test_the_same_id_with_another_guid_is_another_appointment(reader, planner, sql):
    number = await planner.add_appointment("One", START, START + HOUR, ["ALICE"])
    await reader.drain()
    other = uuid4()
    await sql.execute("UPDATE dbo.Appointments SET AppointmentGuid = $1 WHERE Id = $2", other, number)

    await reader.drain()

    first, *then = reader.broker.changed
    assert {(told.appointment_guid, told.action) for told in then} == {
        (first.appointment_guid, "D"),
        (other, "I"),
    }


async def test_what_is_gone_without_a_deletion_row_waits_for_it(reader, planner, sql):
    number = await planner.add_appointment("Lost", START, START + HOUR)
    await sql.execute("UPDATE exconn.Outbox SET Action = 'U'")
    await sql.execute("ALTER TABLE dbo.Appointments DISABLE TRIGGER ALL")
    await planner.delete(number)

    await reader.drain()

    (told,) = reader.broker.changed
    assert (told.action, told.snapshot) == ("U", None)


async def test_rows_are_marked_done_with_their_version(reader, planner, sql):
    await planner.add_appointment("Done", START, START + HOUR, ["ALICE", "BOB"])

    await reader.drain()

    rows = await sql.fetch(
        "SELECT State, Version, LeaseToken, DoneAt FROM exconn.Outbox WHERE AppointmentId > 0"
    )
    assert {(row["state"], row["version"], row["leasetoken"]) for row in rows} == {
        (2, reader.broker.changed[0].version, None)
    }
    assert all(row["doneat"] for row in rows)


async def test_what_the_broker_does_not_confirm_is_told_later(reader, planner):
    number = await planner.add_appointment("Stubborn", START, START + HOUR)
    other = await planner.add_appointment("Easy", START, START + HOUR)
    refusals = [Transient("no", code="EXC-BROKER-UNAVAILABLE")] * 3
    reader.broker.refuse = lambda message: (
        refusals.pop() if message.appointment_id == number and refusals else None
    )

    await reader.drain()

    told = reader.broker.newest()
    assert not refusals
    assert set(told) == {number, other}
    assert told[number].version > told[other].version


async def test_two_readers_end_with_what_the_planning_shows(build, planner, sql):
    broker = Broker()
    first, second = await build(broker), await build(broker)
    dice = random.Random(7)
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR, ["ALICE"]) for n in range(12)]

    async def plan(own):
        for step in range(40):
            number = dice.choice(own)
            await planner.edit(number, subject=f"{number}-{step}")
            await planner.assign(number, dice.choice([["ALICE"], ["BOB"], ["ALICE", "BOB"]]))

    async with first.running(), second.running():
        await asyncio.gather(plan(numbers[:4]), plan(numbers[4:8]), plan(numbers[8:]))
        await eventually(first.idle)

    told = broker.newest()
    for number in numbers:
        shown = json.loads(
            await sql.fetchval(
                "SELECT Snapshot FROM exconn.AppointmentSnapshot WHERE AppointmentId = $1", number
            )
        )
        assert told[number].snapshot.subject == shown["subject"]
        assert [a.resource_no for a in told[number].snapshot.assignments] == [
            a["resource_no"] for a in shown["assignments"]
        ]


async def test_no_appointment_is_under_two_leases_at_once(build, planner, sql):
    readers = [await build() for _ in range(3)]
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR, ["ALICE"]) for n in range(20)]
    tokens = []

    async def claim(reader, rounds):
        for _ in range(rounds):
            token = uuid4()
            rows = await reader.outbox.claim(token, 5, 60)
            rows = await reader.relay._ours(token, rows)
            if rows:
                tokens.append(token)
                held = await sql.fetch(
                    "SELECT AppointmentId FROM exconn.Outbox WHERE State = 1 AND AppointmentId = ANY($1::bigint[])"
                    " AND LeaseToken <> $2 AND LeaseToken = ANY($3::uuid[])",
                    [row.appointment_id for row in rows],
                    token,
                    tokens,
                )
                assert not held
            await planner.edit(random.choice(numbers), subject="again")
            tokens.remove(token) if rows else None
            await reader.outbox.done(token, 1)

    await asyncio.gather(*(claim(reader, 25) for reader in readers))


async def test_a_row_whose_reader_was_killed_is_told_again_as_a_newer_version(build, planner, sql):
    killed = await build()
    await planner.add_appointment("Twice", START, START + HOUR)
    token = uuid4()
    rows = await killed.outbox.claim(token, 10, 60)
    version = await killed.planning.next_version()  # published, and then killed before the mark

    second = await build()
    assert await second.outbox.claim(uuid4(), 10, 60) == []
    await sql.execute("UPDATE exconn.Outbox SET LeaseUntil = now() AT TIME ZONE 'utc' - interval '1 second'")
    assert await second.keeping.free_expired() == len(rows)
    await second.drain()

    assert await killed.outbox.done(token, version) == 0
    (told,) = second.broker.changed
    assert told.version > version
    assert (
        await sql.fetchval("SELECT Version FROM exconn.Outbox WHERE State = 2 AND Version IS NOT NULL")
        == told.version
    )


async def test_fresh_changes_go_before_bulk(build, planner):
    reader = await build()
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(4)]
    await reader.drain()
    await reader.outbox.enqueue([(n, None) for n in numbers[:3]], cause="backfill", priority=1)
    await planner.edit(numbers[3], subject="fresh")

    rows = await reader.outbox.claim(uuid4(), 1, 60)

    assert {row.appointment_id for row in rows} == {numbers[3]}


async def test_a_changed_resource_reaches_every_appointment_that_shows_it(build, planner):
    reader = await build()
    shown = [await planner.add_appointment(f"A{n}", START, START + HOUR, ["ALICE"]) for n in range(7)]
    await planner.add_appointment("Other", START, START + HOUR, ["BOB"])
    await work(reader)
    reader.broker.told.clear()
    await planner.set_email("ALICE", "alice.new@contoso.example")

    await work(reader)

    assert sorted(told.appointment_id for told in reader.broker.changed) == shown
    assert {a.email for told in reader.broker.changed for a in told.snapshot.assignments} == {
        "alice.new@contoso.example"
    }


async def test_an_expansion_that_was_cut_goes_on_at_its_cursor(build, planner, sql):
    reader = await build()
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR, ["ALICE"]) for n in range(7)]
    await work(reader)
    await planner.set_email("ALICE", "alice.new@contoso.example")
    token = uuid4()
    (row,) = await reader.outbox.claim_shared(token, 60)
    assert await reader.outbox.expand(token, row.id, 3, 0, 60) == 3

    assert await reader.outbox.expand(uuid4(), row.id, 3, 0, 60) == 0  # not the holder
    await sql.execute("UPDATE exconn.Outbox SET LeaseUntil = now() AT TIME ZONE 'utc' WHERE State = 1")
    await reader.keeping.free_expired()
    await work(reader)

    rows = await sql.fetch(
        "SELECT AppointmentId, Priority FROM exconn.Outbox WHERE Id > $1 AND AppointmentId IS NOT NULL ORDER BY Id",
        row.id,
    )
    assert [r["appointmentid"] for r in rows] == numbers
    assert [r["priority"] for r in rows] == [0, 0, 0, 1, 1, 1, 1]


async def work(reader):
    await expand_all(reader.outbox, TUNING)
    await reader.drain()


async def test_ids_of_own_requests_are_named(reader, planner, sql):
    request = uuid4()
    async with sql.acquire() as connection, connection.transaction():
        await connection.execute("SELECT set_config('exconn.request', $1, true)", str(request))
        number = await connection.fetchval(
            "INSERT INTO dbo.Appointments (Subject, StartDate, EndDate) VALUES ('Own', now(), now()) RETURNING Id"
        )
    await planner.edit(number, subject="and theirs")

    await reader.drain()

    (told,) = reader.broker.changed
    assert told.requests == (request,)
    assert isinstance(told.requests[0], UUID)


async def test_a_lost_connection_is_mended(reader, planner, sql):
    await planner.add_appointment("Before", START, START + HOUR)
    await reader.drain()
    await sql.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'exconn'"
    )
    number = await planner.add_appointment("After", START, START + HOUR)

    await reader.drain()

    assert number in reader.broker.newest()


async def test_missing_objects_are_a_matter_of_configuration(reader, sql):
    await sql.execute("DROP TABLE exconn.State")

    with pytest.raises(Configuration) as refused:
        await reader.keeping.identity()

    assert refused.value.code == "EXC-PLANNING-SCHEMA"


async def test_a_locked_row_is_tried_later_and_hinders_no_other(build, planner, sql):
    reader = await build()
    held = await planner.add_appointment("Held", START, START + HOUR)
    free = await planner.add_appointment("Free", START, START + HOUR)
    await sql.execute("CREATE TABLE gate (Id bigint PRIMARY KEY)")
    await sql.execute("INSERT INTO gate VALUES ($1)", held)
    await lock_in_view(sql)

    async with reader.running():
        async with sql.acquire() as connection, connection.transaction():
            await connection.execute("SELECT 1 FROM gate WHERE Id = $1 FOR UPDATE", held)
            await eventually(lambda: told(reader, free))
            assert not await told(reader, held)
        await eventually(lambda: told(reader, held))


async def lock_in_view(sql):
    """A view that waits for a lock, as SQL Server's READ COMMITTED does."""
    await sql.execute(
        "CREATE FUNCTION exconn.Gate(bigint) RETURNS text LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM 1 FROM gate WHERE Id = $1 FOR UPDATE; RETURN ''; END $$"
    )
    view = await sql.fetchval("SELECT pg_get_viewdef('exconn.appointmentsnapshot')")
    await sql.execute(
        "CREATE OR REPLACE VIEW exconn.AppointmentSnapshot AS SELECT AppointmentId, AppointmentGuid,"
        f" exconn.Gate(AppointmentId) || Snapshot AS Snapshot FROM ({view.rstrip(';')}) AS v"
    )


async def told(reader, number):
    return number in reader.broker.newest()


async def test_a_defect_that_one_appointment_brings_out_stops_no_other(build, planner, sql, monkeypatch):
    reader = await build()
    numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(5)]

    def defect(rows, *args):
        if any(row.appointment_id == numbers[2] for row in rows):
            raise ZeroDivisionError
        return tell(rows, *args)

    monkeypatch.setattr("outbox_reader.relay.tell", defect)
    await reader.drain()

    assert set(reader.broker.newest()) == set(numbers) - {numbers[2]}
    assert await sql.fetch("SELECT AppointmentId, Reason FROM exconn.Outbox WHERE State = 3") == [
        (numbers[2], "defect: ZeroDivisionError")
    ]


async def test_what_was_claimed_while_it_was_stopped_is_given_back(build, planner, sql):
    reader = await build()
    await planner.add_appointment("A", START, START + HOUR)
    task = asyncio.create_task(reader.relay._claimed(uuid4()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State = 1") == 0


async def test_what_is_under_way_is_finished_when_the_relay_stops(build, planner, sql):
    entered, go = asyncio.Event(), asyncio.Event()

    async def hold():
        entered.set()
        await go.wait()

    reader = await build(Broker(before=hold))
    await planner.add_appointment("A", START, START + HOUR)
    task = asyncio.create_task(reader.relay.run())
    await entered.wait()
    task.cancel()
    go.set()
    await asyncio.wait([task])

    assert (
        await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State = 2 AND Version IS NOT NULL") == 1
    )


async def test_nothing_is_claimed_while_the_broker_is_away(build, planner):
    reader = await build()
    await planner.add_appointment("A", START, START + HOUR)
    there = False
    reader.relay._connected = lambda: there

    async with reader.running():
        await asyncio.sleep(0.3)
        assert [(d.state, d.rows) for d in await reader.keeping.depths() if d.priority == 0] == [(0, 1)]
        there = True
        await eventually(lambda: idle_but_shared(reader))

    assert len(reader.broker.changed) == 1


async def idle_but_shared(reader):
    return not any(depth.priority == 0 for depth in await reader.keeping.depths())
