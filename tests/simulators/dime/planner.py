"""A planner at work: what the planning board does, as plain SQL in the tables."""

import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self

import asyncpg

NOW = "(now() AT TIME ZONE 'UTC')"
COLUMNS = {
    "subject": "Subject",
    "body": "Body",
    "start": "StartDate",
    "end": "EndDate",
    "all_day": "IsAllDayEvent",
    "importance": "Importance",
    "locked": "Locked",
    "show_as": "ShowAs",
    "sensitivity": "Sensitivity",
    "exchange_id": "ExchangeId",
    "ical_uid": "ICalUId",
    "guid": "AppointmentGuid",
}
NAMED = {"category": ("CategoryId", "Categories"), "time_marker": ("TimeMarkerId", "TimeMarkers")}


class Planner:
    """Changes the planning; each method returns after its commit.

    Fields are those of a snapshot: subject, body, start, end, all_day, importance, locked, show_as, sensitivity,
    category, time_marker (by name, made where absent), location, exchange_id, ical_uid, guid. Times with a zone are
    brought to UTC, times without one are UTC.
    """

    def __init__(self, pool: Any, user: str = "planner") -> None:
        self._pool = pool
        self._user = user

    @classmethod
    @asynccontextmanager
    async def connect(cls, dsn: str, *, size: int = 4) -> AsyncIterator[Self]:
        """A planner with a pool of its own."""
        async with asyncpg.create_pool(dsn, min_size=1, max_size=size) as pool:
            yield cls(pool)

    async def add_resource(
        self, no: str, email: str | None, enabled: bool = True, name: str | None = None
    ) -> int:
        return int(
            await self._pool.fetchval(
                "INSERT INTO dbo.Resources (ResourceNo, DisplayName, Email, ExchangeIntegrationEnabled)"
                " VALUES ($1, $2, $3, $4) RETURNING Id",
                no,
                name or no,
                email,
                enabled,
            )
        )

    async def switch_resource(self, no: str, enabled: bool) -> None:
        await self._resource(no, "ExchangeIntegrationEnabled", enabled)

    async def set_email(self, no: str, email: str | None) -> None:
        await self._resource(no, "Email", email)

    async def add_appointment(
        self, subject: str, start: datetime, end: datetime, resources: Iterable[str] = (), **fields: Any
    ) -> int:
        """Plan an appointment for the resources (numbers), in one transaction; answers its id."""
        async with self._transaction() as connection:
            values = await _values(connection, {"subject": subject, "start": start, "end": end} | fields)
            values |= {"CreatedUser": self._user, "LastModifiedUser": self._user}
            places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
            number = await connection.fetchval(
                f"INSERT INTO dbo.Appointments ({', '.join(values)}) VALUES ({places}) RETURNING Id",
                *values.values(),
            )
            await _assign(connection, number, resources)
            return int(number)

    async def move(self, appointment_id: int, start: datetime, end: datetime) -> None:
        await self.edit(appointment_id, start=start, end=end)

    async def edit(self, appointment_id: int, **fields: Any) -> None:
        """Change the fields given; LookupError where the appointment is gone."""
        async with self._transaction() as connection:
            values = await _values(connection, fields) | {"LastModifiedUser": self._user}
            columns = ", ".join(f"{column} = ${place}" for place, column in enumerate(values, start=2))
            statement = f"UPDATE dbo.Appointments SET LastModifiedDate = {NOW}, {columns} WHERE Id = $1"
            _found(await connection.execute(statement, appointment_id, *values.values()), appointment_id)

    async def assign(self, appointment_id: int, resources: Iterable[str]) -> None:
        """Make these resources, and no others, the assignments; only what differs is written."""
        numbers = list(resources)
        async with self._transaction() as connection:
            await _lock(connection, appointment_id)
            await connection.execute(
                "DELETE FROM dbo.AppointmentResources WHERE AppointmentId = $1 AND ResourceId NOT IN"
                " (SELECT Id FROM dbo.Resources WHERE ResourceNo = ANY($2::varchar[]))",
                appointment_id,
                numbers,
            )
            await _assign(connection, appointment_id, numbers)

    async def unassign(self, appointment_id: int, resource: str) -> None:
        await self._pool.execute(
            "DELETE FROM dbo.AppointmentResources WHERE AppointmentId = $1 AND ResourceId ="
            " (SELECT Id FROM dbo.Resources WHERE ResourceNo = $2)",
            appointment_id,
            resource,
        )

    async def delete(self, appointment_id: int) -> None:
        """Delete the appointment with its assignments, in one transaction."""
        async with self._transaction() as connection:
            await _lock(connection, appointment_id)
            for table, column in (("AppointmentResources", "AppointmentId"), ("Appointments", "Id")):
                await connection.execute(f"DELETE FROM dbo.{table} WHERE {column} = $1", appointment_id)

    async def _resource(self, no: str, column: str, value: Any) -> None:
        statement = f"UPDATE dbo.Resources SET {column} = $2 WHERE ResourceNo = $1"
        _found(await self._pool.execute(statement, no, value), no)

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[Any]:
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection


async def _lock(connection: Any, appointment_id: int) -> None:
    """Lock the appointment before its assignments, as the import does, so that neither deadlocks the other."""
    statement = "SELECT Id FROM dbo.Appointments WHERE Id = $1 FOR UPDATE"
    if await connection.fetchval(statement, appointment_id) is None:
        raise LookupError(appointment_id)


def _found(status: str, name: object) -> None:
    if status.endswith(" 0"):
        raise LookupError(name)


async def _values(connection: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """Column values of snapshot fields; an unknown field is a KeyError."""
    values: dict[str, Any] = {}
    for name, value in fields.items():
        if name in NAMED:
            column, table = NAMED[name]
            values[column] = await _named(connection, table, value)
        elif name == "location":
            values["TaskId"] = await _task_at(connection, value)
        else:
            values[COLUMNS[name]] = _utc(value) if isinstance(value, datetime) else value
    return values


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


async def _named(connection: Any, table: str, name: str | None) -> int | None:
    if name is None:
        return None
    # DO NOTHING: an UPDATE of the shared row would wake whoever watches it for nothing.
    await connection.execute(
        f"INSERT INTO dbo.{table} (Name) VALUES ($1) ON CONFLICT (Name) DO NOTHING", name
    )
    return int(await connection.fetchval(f"SELECT Id FROM dbo.{table} WHERE Name = $1", name))


async def _task_at(connection: Any, address: str | None) -> int | None:
    """A new job at that address with one task: the location of an appointment is its job's."""
    if address is None:
        return None
    job = await connection.fetchval(
        "INSERT INTO dbo.Jobs (SourceApp, SourceType, JobNo, SiteAddress) VALUES ('DEMO', 'JOB', $1, $2) RETURNING Id",
        f"J-{uuid.uuid4().hex[:12]}",
        address,
    )
    return int(
        await connection.fetchval("INSERT INTO dbo.Tasks (JobId, TaskNo) VALUES ($1, 'T1') RETURNING Id", job)
    )


async def _assign(connection: Any, appointment_id: int, resources: Iterable[str]) -> None:
    numbers = set(resources)
    known = await connection.fetch(
        "SELECT Id, ResourceNo FROM dbo.Resources WHERE ResourceNo = ANY($1::varchar[])", list(numbers)
    )
    if missing := numbers - {row["resourceno"] for row in known}:
        raise LookupError(f"no such resource: {sorted(missing)}")
    await connection.executemany(
        "INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        [(appointment_id, row["id"]) for row in known],
    )
