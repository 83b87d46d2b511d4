"""The ``mboc_`` procedures that touch appointments, written to the planning tables.

Parameter lists are Dime.Scheduler's own; the bodies are not public. Where they leave a choice, the harsher one is
taken, so that a client that works here does not depend on kindness: an id that is not there is an error, a
create is not recognised when it is repeated, ``mboc_deleteExchangeAppointment`` takes the whole appointment.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from .sqlserver import SqlError, signature

NOW = "(now() AT TIME ZONE 'UTC')"
EMPTY_GUID = UUID(int=0)


@dataclass(frozen=True)
class Call:
    """One procedure call inside the transaction of its request."""

    connection: Any
    given: dict[str, Any]
    user: str

    def fields(self, **columns: str) -> dict[str, Any]:
        """Column values from parameters (``column="Parameter"``)."""
        return {column: self.given[parameter] for column, parameter in columns.items()}


Touched = list[tuple[int, UUID]]  # the appointments that a call names in its answer

EXCHANGE = signature(
    """
    AppointmentId bigint = 0
    AppointmentGuid uniqueidentifier = NULL
    ExchangeId nvarchar(max) = NULL
    ICalUId nvarchar(max) = NULL
    Start datetime = NULL
    End datetime = NULL
    Subject nvarchar(max) = NULL
    Body nvarchar(max) = NULL
    Importance int = NULL
    ResourceEmail nvarchar(100) = NULL
    ShowAs int = NULL
    Sensitivity int = NULL
    Categories nvarchar(max) = NULL
    cloud CreatedByExchange bit = 0
    """
)
APPOINTMENT = signature(
    """
    SourceApp nvarchar(30)
    SourceType nvarchar(10)
    JobNo nvarchar(50)
    TaskNo nvarchar(50)
    AppointmentId bigint = 0
    AppointmentGuid nvarchar(50) = NULL
    cloud AppointmentNo nvarchar(max) = 0
    Subject nvarchar(max) = NULL
    Body nvarchar(max) = NULL
    Start datetime = NULL
    End datetime = NULL
    IsAllDayEvent bit = 0
    Category nvarchar(100) = NULL
    TimeMarker nvarchar(100) = NULL
    Importance int = 0
    Locked bit = 0
    ResourceNo nvarchar(50) = NULL
    ReplaceResource bit = 0
    SentFromBackOffice bit = 1
    BackofficeID nvarchar(100) = NULL
    BackofficeParentID nvarchar(100) = NULL
    PlanningUOM nvarchar(20) = NULL
    PlanningUOMConversion decimal(18,6) = NULL
    PlanningQty decimal(18,6) = NULL
    UseFixPlanningQty bit = NULL
    RoundToUOM bit = NULL
    cloud IsManualAppointment bit = 0
    """
)
NAMED = """
    SourceApp nvarchar(30) = NULL
    SourceType nvarchar(10) = NULL
    AppointmentId bigint = 0
    AppointmentGuid nvarchar(50) = NULL
    SentFromBackOffice bit = 1
    """


def named(*own: str) -> dict[str, Any]:
    """The parameters that name an appointment, and a procedure's own."""
    return signature("\n".join((NAMED.rstrip(), *own)))


async def find(call: Call) -> Any | None:
    """The appointment that the call names by id and guid, locked; None where it names none or none is there."""
    number, guid = call.given["AppointmentId"] or 0, guid_of(call.given["AppointmentGuid"])
    if not number and guid is None:
        return None
    wanted = {column: value for column, value in (("Id", number), ("AppointmentGuid", guid)) if value}
    condition = " AND ".join(f"{column} = ${place}" for place, column in enumerate(wanted, start=1))
    return await call.connection.fetchrow(
        f"SELECT Id, AppointmentGuid, Locked FROM dbo.Appointments WHERE {condition} FOR UPDATE",
        *wanted.values(),
    )


async def existing(call: Call, *, locked_too: bool = False) -> Any:
    """The appointment of the call; SqlError where it is absent, or locked."""
    row = await find(call)
    if row is None:
        raise SqlError(
            f"Appointment {call.given['AppointmentId'] or call.given['AppointmentGuid']} does not exist."
        )
    return row if locked_too else unlocked(row)


def unlocked(row: Any) -> Any:
    if row["locked"]:
        raise SqlError(f"Appointment {row['id']} is locked and cannot be changed.")
    return row


def guid_of(value: Any) -> UUID | None:
    """Read a guid that a procedure takes as text; .NET's empty one means none."""
    try:
        guid = value if isinstance(value, UUID) or not value else UUID(value)
    except ValueError:
        text = "Conversion failed when converting from a character string to uniqueidentifier."
        raise SqlError(text, 8169) from None
    return guid if guid and guid != EMPTY_GUID else None


def touched(row: Any) -> Touched:
    return [(row["id"], row["appointmentguid"])]


async def change(call: Call, row: Any, fields: dict[str, Any]) -> Touched:
    """Write the fields; the row counts as modified whatever they were, as after any UPDATE."""
    columns = "".join(f", {column} = ${place}" for place, column in enumerate(fields, start=3))
    await call.connection.execute(
        f"UPDATE dbo.Appointments SET LastModifiedDate = {NOW}, LastModifiedUser = $2{columns} WHERE Id = $1",
        row["id"],
        call.user,
        *fields.values(),
    )
    return touched(row)


async def insert(call: Call, fields: dict[str, Any]) -> Any:
    """Insert an appointment; start and end must be there."""
    for column in ("StartDate", "EndDate"):
        if fields.get(column) is None:
            raise SqlError(
                f"Cannot insert the value NULL into column '{column}', table 'DimeScheduler.dbo.Appointments';"
                " column does not allow nulls. INSERT fails.",
                515,
            )
    columns = ["LastModifiedUser", "CreatedUser", *fields]
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    return await call.connection.fetchrow(
        f"INSERT INTO dbo.Appointments ({', '.join(columns)}) VALUES ({places}) RETURNING Id, AppointmentGuid",
        call.user,
        call.user,
        *fields.values(),
    )


def known(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields that were given: a parameter left out keeps what is there."""
    return {column: value for column, value in fields.items() if value is not None}


def in_range(name: str, value: int | None, lowest: int, highest: int) -> int | None:
    if value is not None and not lowest <= value <= highest:
        raise SqlError(f"{value} is not a valid value for {name}.")
    return value


async def id_of(call: Call, table: str, name: str | None) -> int | None:
    """The id of a category or time marker by name; None where there is none of that name."""
    statement = f"SELECT Id FROM dbo.{table} WHERE lower(Name) = lower($1)"
    found: int | None = await call.connection.fetchval(statement, name)
    return found


async def resource_id(call: Call, column: str, value: str | None) -> int:
    found = await call.connection.fetchval(
        f"SELECT Id FROM dbo.Resources WHERE lower({column}) = lower($1) ORDER BY Id LIMIT 1", value
    )
    if found is None:
        raise SqlError(f"Resource {value} does not exist.")
    return int(found)


async def assign(call: Call, appointment_id: int, resource: int) -> None:
    await call.connection.execute(
        "INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        appointment_id,
        resource,
    )


async def remove(call: Call, row: Any) -> Touched:
    await call.connection.execute("DELETE FROM dbo.AppointmentResources WHERE AppointmentId = $1", row["id"])
    await call.connection.execute("DELETE FROM dbo.Appointments WHERE Id = $1", row["id"])
    return touched(row)
