"""What the view shows of an appointment."""

import json
from datetime import UTC
from uuid import UUID

import asyncpg

from common.messages import Snapshot
from common.planning.snapshots import parse
from outbox_reader.schema import Mapping, render

PUMP = UUID("11111111-1111-4111-8111-111111111111")


async def snapshot(planning: asyncpg.Connection, appointment: int = 1) -> dict[str, object]:
    text = await planning.fetchval(
        "SELECT Snapshot FROM exconn.AppointmentSnapshot WHERE AppointmentId = $1", appointment
    )
    return json.loads(text)


async def test_snapshot_has_the_shape_that_crosses_the_broker(planning):
    assert await snapshot(planning) == {
        "id": 1,
        "guid": str(PUMP),
        "subject": "Pump",
        "body": "Line 1\nLine 2",
        "start": "2026-11-22T08:00:00.000",
        "end": "2026-11-22T09:30:15.250",
        "all_day": False,
        "importance": 0,
        "show_as": None,
        "sensitivity": None,
        "category": "Service",
        "time_marker": "Confirmed",
        "location": "Main Street 1",
        "locked": False,
        "exchange_id": None,
        "ical_uid": None,
        "assignments": [
            {
                "resource_no": "R1",
                "display_name": "Alice",
                "email": "alice@contoso.example",
                "exchange_integration_enabled": True,
            }
        ],
    }


async def test_snapshot_is_read_by_the_connector(planning):
    text = await planning.fetchval("SELECT Snapshot FROM exconn.AppointmentSnapshot")

    read = parse(text, UTC)

    assert isinstance(read, Snapshot)
    assert (read.id, read.guid, read.subject, read.location) == (1, PUMP, "Pump", "Main Street 1")


async def test_snapshot_of_a_bare_appointment_is_complete_too(planning):
    await planning.execute("INSERT INTO dbo.Appointments (Id, StartDate, EndDate) VALUES (2, now(), now())")

    bare = await snapshot(planning, 2)

    assert set(bare) == set(await snapshot(planning))
    assert (bare["subject"], bare["body"], bare["category"], bare["location"], bare["assignments"]) == (
        "",
        "",
        None,
        None,
        [],
    )


async def test_assignments_are_in_the_order_of_resource_numbers(planning):
    await planning.execute(
        """INSERT INTO dbo.Resources (Id, ResourceNo) VALUES (3, 'R10'), (4, 'r1'), (5, 'A');
           INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES (1, 4), (1, 3), (1, 2), (1, 5)"""
    )

    assignments = (await snapshot(planning))["assignments"]

    assert [assignment["resource_no"] for assignment in assignments] == ["A", "R1", "R10", "R2", "r1"]


async def test_columns_that_an_installation_lacks_are_null(bare):
    absent = dict.fromkeys(
        ("all_day", "show_as", "sensitivity", "exchange_id", "ical_uid", "importance", "locked")
    )
    mapping = Mapping.model_validate(
        {"appointments": absent, "categories": None, "time_markers": None, "tasks": None, "jobs": None}
    )
    await bare.execute(render("postgresql", mapping))
    await bare.execute("INSERT INTO dbo.Appointments (Id, StartDate, EndDate) VALUES (1, now(), now())")

    found = await snapshot(bare)

    assert [found[key] for key in (*absent, "category", "time_marker", "location")] == [
        None, None, None, None, None, 0, False, None, None, None,
    ]  # fmt: skip
