"""What the triggers note in the planning database, and that they leave the planner alone."""

import json
from uuid import UUID, uuid4

import asyncpg
import pytest

from outbox_reader.schema import Mapping, render

PUMP = UUID("11111111-1111-4111-8111-111111111111")
REQUEST = UUID("22222222-2222-4222-8222-222222222222")


async def noted(planning: asyncpg.Connection) -> list[tuple[object, ...]]:
    """(action, appointment, guid) or (table, key) of every row, in their order."""
    rows = await planning.fetch(
        "SELECT Action, AppointmentId, AppointmentGuid, SharedTable, SharedKey FROM exconn.Outbox ORDER BY Id"
    )
    return [
        (row["sharedtable"], row["sharedkey"])
        if row["sharedtable"]
        else (row["action"], row["appointmentid"], row["appointmentguid"])
        for row in rows
    ]


async def missed(planning: asyncpg.Connection) -> int:
    return await planning.fetchval("SELECT last_value FROM exconn.Missed")


async def test_rows_from_before_the_installation_are_not_noted(planning):
    assert await noted(planning) == []


async def test_new_appointment_is_noted(planning):
    guid = await planning.fetchval(
        "INSERT INTO dbo.Appointments (Id, StartDate, EndDate) VALUES (7, now(), now()) RETURNING AppointmentGuid"
    )

    assert await noted(planning) == [("I", 7, guid)]


async def test_noted_row_is_due_at_once_and_asks_for_nothing_special(planning):
    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Valve'")

    row = await planning.fetchrow(
        """SELECT Cause, State, Priority, Attempts, RequestId, LeaseToken, SharedAfter,
                  DueAt <= clock_timestamp() AT TIME ZONE 'utc' AS due,
                  CreatedAt > clock_timestamp() AT TIME ZONE 'utc' - interval '1 minute' AS fresh
           FROM exconn.Outbox"""
    )
    assert tuple(row) == ("change", 0, 0, 0, None, None, None, True, True)


async def test_changed_appointment_is_noted_once_per_statement(planning):
    await planning.execute(
        "UPDATE dbo.Appointments SET Subject = 'Valve', StartDate = StartDate - interval '1 h'"
    )

    assert await noted(planning) == [("U", 1, PUMP)]


async def test_deleted_appointment_is_noted_with_its_guid_and_with_its_assignments(planning):
    await planning.execute("DELETE FROM dbo.Appointments")

    assert sorted(await noted(planning), key=str) == [("D", 1, PUMP), ("U", 1, None)]


async def test_every_row_of_a_large_statement_is_noted(planning):
    await planning.execute(
        "INSERT INTO dbo.Appointments (Id, StartDate, EndDate) SELECT 1000 + n, now(), now() FROM generate_series(1, 500) n"
    )
    await planning.execute("UPDATE dbo.Appointments SET Locked = true WHERE Id > 1000")

    actions = [row[0] for row in await noted(planning)]
    assert (actions.count("I"), actions.count("U")) == (500, 500)


async def test_statement_that_changes_no_row_notes_nothing(planning):
    await planning.execute(
        "UPDATE dbo.Appointments SET Subject = 'x' WHERE Id = 99; DELETE FROM dbo.Jobs WHERE Id = 99"
    )

    assert await noted(planning) == []


async def test_new_guid_under_the_same_id_is_another_appointment(planning):
    other = UUID(int=5)

    await planning.execute("UPDATE dbo.Appointments SET AppointmentGuid = $1", other)

    assert sorted(await noted(planning), key=str) == [("D", 1, PUMP), ("I", 1, other)]


async def test_new_id_is_another_appointment(planning):
    await planning.execute("DELETE FROM dbo.AppointmentResources")
    await planning.execute("DELETE FROM exconn.Outbox")

    await planning.execute("UPDATE dbo.Appointments SET Id = 2")

    assert sorted(await noted(planning), key=str) == [("D", 1, PUMP), ("I", 2, PUMP)]


async def test_assignment_notes_its_appointment_once_per_statement(planning):
    await planning.execute("INSERT INTO dbo.Resources (Id, ResourceNo) VALUES (3, 'R3')")
    await planning.execute("DELETE FROM exconn.Outbox")

    await planning.execute(
        "INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES (1, 2), (1, 3)"
    )

    assert await noted(planning) == [("U", 1, None)]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE dbo.AppointmentResources SET ResourceId = 2", "DELETE FROM dbo.AppointmentResources"],
)
async def test_changed_or_removed_assignment_notes_its_appointment(planning, statement):
    await planning.execute(statement)

    assert await noted(planning) == [("U", 1, None)]


async def test_assignment_that_moves_to_another_appointment_notes_both(planning):
    await planning.execute("INSERT INTO dbo.Appointments (Id, StartDate, EndDate) VALUES (2, now(), now())")
    await planning.execute("DELETE FROM exconn.Outbox")

    await planning.execute("UPDATE dbo.AppointmentResources SET AppointmentId = 2")

    assert sorted(await noted(planning)) == [("U", 1, None), ("U", 2, None)]


@pytest.mark.parametrize(
    ("statement", "key"),
    [
        ("UPDATE dbo.Resources SET Email = 'bob@contoso.example' WHERE Id = 2", ("Resources", "2")),
        ("UPDATE dbo.Resources SET ExchangeIntegrationEnabled = true WHERE Id = 2", ("Resources", "2")),
        ("UPDATE dbo.Resources SET DisplayName = 'BOB' WHERE Id = 2", ("Resources", "2")),
        ("DELETE FROM dbo.Resources WHERE Id = 2", ("Resources", "2")),
        ("UPDATE dbo.Categories SET Name = 'service'", ("Categories", "1")),
        ("UPDATE dbo.TimeMarkers SET Name = 'Confirmed '", ("TimeMarkers", "1")),
        ("UPDATE dbo.Jobs SET SiteAddress = NULL", ("Jobs", "1")),
    ],
)
async def test_changed_shared_row_is_noted_once(planning, statement, key):
    await planning.execute(statement)

    assert await noted(planning) == [key]


async def test_task_that_moves_to_another_job_is_noted(planning):
    await planning.execute(
        "INSERT INTO dbo.Jobs (Id, SourceApp, SourceType, JobNo) VALUES (2, 'NAV', 'Job', 'J2'); UPDATE dbo.Tasks SET JobId = 2"
    )

    assert await noted(planning) == [("Tasks", "1")]


async def test_shared_rows_wait_behind_fresh_changes(planning):
    await planning.execute("UPDATE dbo.Categories SET Name = 'Repair'")

    assert await planning.fetchval("SELECT Priority FROM exconn.Outbox") == 1


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dbo.Categories SET Color = 'green'",
        "UPDATE dbo.Categories SET Name = Name",
        "UPDATE dbo.TimeMarkers SET Color = NULL",
        "UPDATE dbo.Jobs SET SourceApp = 'BC'",
        "UPDATE dbo.Tasks SET TaskNo = 'T2'",
        "UPDATE dbo.Resources SET ResourceNo = ResourceNo, Email = Email",
        "INSERT INTO dbo.Categories (Id, Name) VALUES (2, 'New')",
        "INSERT INTO dbo.Notifications (AppointmentId) VALUES (1)",
    ],
)
async def test_what_no_snapshot_shows_is_not_noted(planning, statement):
    await planning.execute(statement)

    assert await noted(planning) == []


async def test_shared_rows_lead_to_their_appointments(planning):
    await planning.execute("INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES (1, 2)")

    rows = await planning.fetch("SELECT * FROM exconn.SharedRow ORDER BY SharedTable, SharedKey")

    assert [tuple(row) for row in rows] == [
        (table, key, 1, PUMP)
        for table, key in [
            ("Categories", "1"),
            ("Jobs", "1"),
            ("Resources", "1"),
            ("Resources", "2"),
            ("Tasks", "1"),
            ("TimeMarkers", "1"),
        ]
    ]


async def test_rolled_back_change_leaves_nothing(planning):
    transaction = planning.transaction()
    await transaction.start()
    await planning.execute(
        "UPDATE dbo.Appointments SET Subject = 'Valve'; UPDATE dbo.Categories SET Name = 'x'"
    )

    await transaction.rollback()

    assert await noted(planning) == []


async def test_own_import_is_stamped_with_its_request_and_nothing_else_is(planning):
    async with planning.transaction():
        await planning.execute("SELECT set_config('exconn.request', $1, true)", str(REQUEST))
        await planning.execute("UPDATE dbo.Appointments SET Subject = 'Valve'")
        await planning.execute("UPDATE dbo.AppointmentResources SET ResourceId = 2")
        await planning.execute("UPDATE dbo.Categories SET Name = 'x'")
    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Pump'")

    requests = [row[0] for row in await planning.fetch("SELECT RequestId FROM exconn.Outbox ORDER BY Id")]
    assert requests == [REQUEST, REQUEST, REQUEST, None]


@pytest.mark.parametrize("stamp", ["", "no uuid", "22222222-2222-4222-8222-22222222222"])
async def test_stamp_that_is_no_request_is_ignored(planning, stamp):
    await planning.execute("SELECT set_config('exconn.request', $1, false)", stamp)

    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Valve'")

    assert await planning.fetchval("SELECT RequestId FROM exconn.Outbox") is None
    assert await missed(planning) == 0


async def test_planner_without_rights_in_our_schema_is_not_refused(planning):
    planner = f"planner_{uuid4().hex}"  # roles belong to the server, not to the database
    await planning.execute(
        f"""CREATE ROLE {planner}; GRANT USAGE ON SCHEMA dbo TO {planner};
            GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA dbo TO {planner}; SET ROLE {planner}"""
    )
    try:
        await planning.execute(
            "UPDATE dbo.Appointments SET Subject = 'Valve'; UPDATE dbo.Jobs SET SiteAddress = 'x'"
        )

        await planning.execute("RESET ROLE")
        assert await noted(planning) == [("U", 1, PUMP), ("Jobs", "1")]
    finally:
        await planning.execute(f"RESET ROLE; DROP OWNED BY {planner}; DROP ROLE {planner}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE dbo.Appointments SET Subject = 'Valve'",
        "DELETE FROM dbo.AppointmentResources",
        "UPDATE dbo.Categories SET Name = 'Repair'",
    ],
)
async def test_broken_outbox_does_not_fail_the_planner_and_is_counted(planning, statement):
    await planning.execute("ALTER TABLE exconn.Outbox ADD CONSTRAINT broken CHECK (Id < 0)")

    await planning.execute(statement)

    assert await missed(planning) == 1


async def test_installing_again_keeps_rows_identity_and_versions(planning):
    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Valve'; SELECT nextval('exconn.Version')")
    rows = await planning.fetch("SELECT * FROM exconn.Outbox")
    state = await planning.fetchrow("SELECT * FROM exconn.State")

    await planning.execute(render("postgresql", Mapping()))

    assert await planning.fetch("SELECT * FROM exconn.Outbox") == rows
    assert await planning.fetchrow("SELECT * FROM exconn.State") == state
    assert await planning.fetchval("SELECT nextval('exconn.Version')") == 2
    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Pump'")
    assert len(await noted(planning)) == 2


async def test_installing_with_another_mapping_takes_away_what_it_no_longer_names(planning):
    await planning.execute(render("postgresql", Mapping.model_validate({"categories": None})))

    await planning.execute("UPDATE dbo.Categories SET Name = 'Repair'")

    assert await noted(planning) == []
    text = await planning.fetchval("SELECT Snapshot FROM exconn.AppointmentSnapshot")
    assert json.loads(text)["category"] is None


async def test_uninstalling_leaves_the_planning_as_it_was(bare):
    def described():
        return bare.fetch(
            """SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE n.nspname IN ('dbo', 'exconn')
               UNION ALL SELECT 'trigger', tgname, 't' FROM pg_trigger WHERE NOT tgisinternal
               UNION ALL SELECT 'function', proname, 'f' FROM pg_proc WHERE proname LIKE 'note%'
               UNION ALL SELECT 'schema', nspname, 's' FROM pg_namespace
               ORDER BY 1, 2, 3"""
        )

    before = await described()
    await bare.execute(render("postgresql", Mapping()))
    assert await described() != before

    await bare.execute(render("postgresql", Mapping(), uninstall=True))

    assert await described() == before


async def test_uninstalling_twice_is_no_fault(planning):
    for _ in range(2):
        await planning.execute(render("postgresql", Mapping(), uninstall=True))

    await planning.execute("UPDATE dbo.Appointments SET Subject = 'Valve'")
    assert await planning.fetchval("SELECT Subject FROM dbo.Appointments") == "Valve"


async def test_every_installation_has_an_identity_of_its_own(planning):
    first = await planning.fetchval("SELECT OutboxIdentity FROM exconn.State")

    await planning.execute(render("postgresql", Mapping(), uninstall=True))
    await planning.execute(render("postgresql", Mapping()))

    assert await planning.fetchval("SELECT OutboxIdentity FROM exconn.State") != first
