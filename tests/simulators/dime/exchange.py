"""The two procedures that were made for Exchange."""

from typing import Any

from .appointments import (
    Call,
    Touched,
    assign,
    change,
    find,
    guid_of,
    id_of,
    in_range,
    insert,
    known,
    remove,
    resource_id,
    touched,
    unlocked,
)
from .sqlserver import SqlError


async def upsert_exchange_appointment(call: Call) -> Touched:
    """Update the appointment named; without an id insert one, without a task, for the resource of the mailbox.

    An update leaves the assignments alone. An insert is not recognised when it is repeated.
    """
    row = await find(call)
    fields = await _fields(call)
    if row is not None:
        return await change(call, unlocked(row), fields)
    if call.given["AppointmentId"]:
        raise SqlError(f"Appointment {call.given['AppointmentId']} does not exist.")
    return await _create(call, fields)


async def _create(call: Call, fields: dict[str, Any]) -> Touched:
    resource = await resource_id(call, "Email", call.given["ResourceEmail"])
    guid = guid_of(call.given["AppointmentGuid"])
    row = await insert(call, fields | known({"AppointmentGuid": guid}))
    await assign(call, row["id"], resource)
    return touched(row)


async def delete_exchange_appointment(call: Call) -> Touched:
    """Delete the appointment with all its assignments; one that is gone already is no error."""
    row = await find(call)
    if row is None and not call.given["AppointmentId"] and not call.given["AppointmentGuid"]:
        row = await _by_exchange_id(call)
    return [] if row is None else await remove(call, unlocked(row))


async def _by_exchange_id(call: Call) -> Any | None:
    return await call.connection.fetchrow(
        "SELECT Id, AppointmentGuid, Locked FROM dbo.Appointments WHERE ExchangeId = $1 ORDER BY Id LIMIT 1 FOR UPDATE",
        call.given["ExchangeId"],
    )


async def _fields(call: Call) -> dict[str, Any]:
    given = call.given
    fields = call.fields(
        StartDate="Start",
        EndDate="End",
        Subject="Subject",
        Body="Body",
        ExchangeId="ExchangeId",
        ICalUId="ICalUId",
    )
    fields["Importance"] = in_range("Importance", given["Importance"], 0, 2)
    # The .NET client sends 0 for an enum that was never set.
    fields["ShowAs"] = in_range("ShowAs", given["ShowAs"] or None, 1, 6)
    fields["Sensitivity"] = in_range("Sensitivity", given["Sensitivity"] or None, 1, 4)
    return known(fields) | await _category(call)


async def _category(call: Call) -> dict[str, Any]:
    """The first category that the planning knows; a person's own Outlook categories change nothing."""
    if call.given["Categories"] is None:
        return {}
    names = [name.strip() for name in call.given["Categories"].split(";") if name.strip()]
    if not names:
        return {"CategoryId": None}
    for name in names:
        if (found := await id_of(call, "Categories", name)) is not None:
            return {"CategoryId": found}
    return {}
