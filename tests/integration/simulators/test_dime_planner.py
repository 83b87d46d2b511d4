"""The planner changes the tables as the planning board would."""

from datetime import UTC, datetime, timedelta, timezone

import asyncpg
import pytest

import stack
from simulators.dime import reading
from simulators.dime.planner import Planner
from simulators.dime.tables import create_tables

EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def dsn():
    try:
        dsn = stack.fresh_database(stack.postgres(install=False))
    except stack.Missing as missing:
        pytest.skip(str(missing))
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
async def planner(dsn):
    connection = await asyncpg.connect(dsn)
    await create_tables(connection)
    await connection.execute("TRUNCATE dbo.Appointments, dbo.Resources CASCADE")
    await connection.close()
    async with Planner.connect(dsn, size=1) as planner:
        await planner.add_resource("A1", "alice@contoso.example")
        await planner.add_resource("B1", None, enabled=False, name="Bob")
        yield planner


async def the_appointment(planner):
    (appointment,) = await reading.appointments(planner._pool)
    return appointment


def assigned(appointment):
    return [assignment["resource_no"] for assignment in appointment["assignments"]]


async def test_tables_are_created_once(dsn, planner):
    await planner.add_appointment("Visit", EIGHT, EIGHT + HOUR)
    connection = await asyncpg.connect(dsn)
    await create_tables(connection)
    await connection.close()

    assert (await the_appointment(planner))["subject"] == "Visit"


async def test_an_appointment_is_planned_with_its_fields(planner):
    tokyo = timezone(9 * HOUR)
    fields = {
        "body": "Text",
        "category": "Service",
        "time_marker": "Fixed",
        "location": "Main St 1",
        "all_day": True,
    }
    number = await planner.add_appointment(
        "Visit", EIGHT.astimezone(tokyo), EIGHT + HOUR, ["A1", "B1"], **fields
    )
    appointment = await the_appointment(planner)

    assert appointment["id"] == number
    assert (appointment["start"], appointment["end"]) == ("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z")
    assert {name: appointment[name] for name in fields} == fields
    assert assigned(appointment) == ["A1", "B1"]


async def test_an_appointment_is_moved_edited_and_deleted(planner):
    number = await planner.add_appointment("Visit", EIGHT, EIGHT + HOUR, ["A1"])
    await planner.move(number, EIGHT + HOUR, EIGHT + 2 * HOUR)
    await planner.edit(number, subject="Repair", locked=True)
    changed = await the_appointment(planner)
    await planner.delete(number)

    assert (changed["subject"], changed["start"], changed["locked"]) == (
        "Repair",
        "2026-11-23T09:00:00Z",
        True,
    )
    assert await reading.appointments(planner._pool) == []


async def test_assign_replaces_the_set_and_unassign_takes_one(planner):
    number = await planner.add_appointment("Visit", EIGHT, EIGHT + HOUR, ["A1"])
    await planner.assign(number, ["B1"])
    replaced = assigned(await the_appointment(planner))
    await planner.unassign(number, "B1")

    assert replaced == ["B1"]
    assert assigned(await the_appointment(planner)) == []


async def test_a_resource_is_switched_and_gets_another_address(planner):
    await planner.add_appointment("Visit", EIGHT, EIGHT + HOUR, ["B1"])
    await planner.switch_resource("B1", enabled=True)
    await planner.set_email("B1", "bob@contoso.example")
    (assignment,) = (await the_appointment(planner))["assignments"]

    assert (assignment["email"], assignment["exchange_integration_enabled"]) == ("bob@contoso.example", True)


async def test_what_is_not_there_is_an_error_and_nothing_is_planned(planner):
    with pytest.raises(LookupError):
        await planner.add_appointment("Visit", EIGHT, EIGHT + HOUR, ["C9"])
    with pytest.raises(LookupError):
        await planner.switch_resource("C9", enabled=True)

    assert await reading.appointments(planner._pool) == []
