"""Every procedure that the import knows, by name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from . import catalogue, exchange
from .appointments import (
    APPOINTMENT,
    EXCHANGE,
    Call,
    Touched,
    assign,
    change,
    existing,
    find,
    guid_of,
    id_of,
    in_range,
    insert,
    known,
    named,
    remove,
    resource_id,
    touched,
    unlocked,
)
from .sqlserver import Parameter, SqlError, bind


@dataclass(frozen=True)
class Procedure:
    """A stored procedure: what it takes, and what it does to the tables."""

    name: str
    parameters: dict[str, Parameter]
    run: Callable[[Call], Awaitable[Touched]]


async def execute(
    connection: Any, name: str, given: list[tuple[str, str | None]], user: str, cloud: bool
) -> Touched:
    """Run a procedure; SqlError with SQL Server's words for what it refuses."""
    procedure = PROCEDURES.get(name.lower())
    if procedure is None:
        raise SqlError(f"Could not find stored procedure '{name}'.", 2812)
    arguments = bind(procedure.name, procedure.parameters, given, cloud)
    return await procedure.run(Call(connection, arguments, user))


async def upsert_appointment(call: Call) -> Touched:
    """With an id or known guid update, else insert; add the assignment if a resource is named."""
    fields = await _appointment_fields(call)
    row = await find(call)
    if row is None and call.given["AppointmentId"]:
        raise SqlError(f"Appointment {call.given['AppointmentId']} does not exist.")
    if row is None:
        row = await insert(call, fields | known({"AppointmentGuid": guid_of(call.given["AppointmentGuid"])}))
    else:
        await change(call, unlocked(row), fields)
    await _assign_named(call, row["id"])
    return touched(row)


async def _appointment_fields(call: Call) -> dict[str, Any]:
    fields = call.fields(
        Subject="Subject",
        Body="Body",
        StartDate="Start",
        EndDate="End",
        IsAllDayEvent="IsAllDayEvent",
        Locked="Locked",
    )
    fields["Importance"] = in_range("Importance", call.given["Importance"], 0, 2)
    fields["TaskId"] = await catalogue.task_id(call)
    for column, table, parameter in (
        ("CategoryId", "Categories", "Category"),
        ("TimeMarkerId", "TimeMarkers", "TimeMarker"),
    ):
        fields[column] = await id_of(call, table, call.given[parameter])
    return known(fields)


async def _assign_named(call: Call, appointment_id: int) -> None:
    if not call.given["ResourceNo"]:
        return
    resource = await resource_id(call, "ResourceNo", call.given["ResourceNo"])
    if call.given["ReplaceResource"]:
        await call.connection.execute(
            "DELETE FROM dbo.AppointmentResources WHERE AppointmentId = $1 AND ResourceId <> $2",
            appointment_id,
            resource,
        )
    await assign(call, appointment_id, resource)


async def delete_appointment(call: Call) -> Touched:
    """With a resource only that assignment, and the appointment where none is left; else all of it."""
    row = await find(call)
    if row is None:
        return []
    unlocked(row)
    if call.given["ResourceNo"]:
        await _unassign(call, row)
        if await _assignments(call, row["id"]):
            return touched(row)
    return await remove(call, row)


async def _unassign(call: Call, row: Any) -> None:
    resource = await resource_id(call, "ResourceNo", call.given["ResourceNo"])
    await call.connection.execute(
        "DELETE FROM dbo.AppointmentResources WHERE AppointmentId = $1 AND ResourceId = $2",
        row["id"],
        resource,
    )


async def _assignments(call: Call, appointment_id: int) -> int:
    statement = "SELECT count(*) FROM dbo.AppointmentResources WHERE AppointmentId = $1"
    return int(await call.connection.fetchval(statement, appointment_id))


async def update_content(call: Call) -> Touched:
    row = await existing(call)
    return await change(call, row, known(call.fields(Subject="Subject", Body="Body")))


async def update_category(call: Call) -> Touched:
    # Names are looked up by a function that gives NULL for an unknown one, so an unknown name clears.
    row = await existing(call)
    return await change(call, row, {"CategoryId": await id_of(call, "Categories", call.given["Category"])})


async def update_time_marker(call: Call) -> Touched:
    row = await existing(call)
    return await change(
        call, row, {"TimeMarkerId": await id_of(call, "TimeMarkers", call.given["TimeMarker"])}
    )


async def update_importance(call: Call) -> Touched:
    row = await existing(call)
    return await change(call, row, {"Importance": in_range("Importance", call.given["Importance"], 0, 2)})


async def update_locked(call: Call) -> Touched:
    row = await existing(call, locked_too=True)
    return await change(call, row, {"Locked": call.given["Locked"]})


async def add_resource(call: Call) -> Touched:
    row = await existing(call)
    await assign(call, row["id"], await resource_id(call, "ResourceNo", call.given["ResourceNo"]))
    return touched(row)


async def delete_resource(call: Call) -> Touched:
    row = await existing(call)
    await _unassign(call, row)
    return touched(row)


RESOURCE_NO = "ResourceNo nvarchar(50)"
ALL = (
    Procedure("mboc_upsertExchangeAppointment", EXCHANGE, exchange.upsert_exchange_appointment),
    Procedure("mboc_deleteExchangeAppointment", EXCHANGE, exchange.delete_exchange_appointment),
    Procedure("mboc_upsertAppointment", APPOINTMENT, upsert_appointment),
    Procedure("mboc_deleteAppointment", named(RESOURCE_NO + " = NULL"), delete_appointment),
    Procedure(
        "mboc_updateAppointmentContent",
        named("Subject nvarchar(max) = NULL", "Body nvarchar(max) = NULL"),
        update_content,
    ),
    Procedure("mboc_updateAppointmentCategory", named("Category nvarchar(100) = NULL"), update_category),
    Procedure(
        "mboc_updateAppointmentTimeMarker", named("TimeMarker nvarchar(100) = NULL"), update_time_marker
    ),
    Procedure("mboc_updateAppointmentImportance", named("Importance int = 0"), update_importance),
    Procedure("mboc_updateAppointmentLocked", named("Locked bit = 0"), update_locked),
    Procedure("mboc_addAppointmentResource", named(RESOURCE_NO), add_resource),
    Procedure("mboc_deleteAppointmentResource", named(RESOURCE_NO), delete_resource),
    Procedure("mboc_upsertResource", catalogue.RESOURCE, catalogue.upsert_resource),
    Procedure("mboc_upsertCategory", catalogue.CATEGORY, catalogue.upsert_category),
    Procedure("mboc_upsertTimeMarker", catalogue.TIME_MARKER, catalogue.upsert_time_marker),
    Procedure("mboc_upsertNotification", catalogue.NOTIFICATION, catalogue.upsert_notification),
)
PROCEDURES = {procedure.name.lower(): procedure for procedure in ALL}
