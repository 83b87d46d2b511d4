"""What a benchmark measures upon: a planning with an outbox, a state database, a virtual host; gone when it ends."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

import stack
from common import db
from outbox_reader.schema import schema_command
from simulators.dime.tables import create_tables


@contextmanager
def planning(appointments: int, resources: int) -> Iterator[str]:
    """The DSN of a planning database with an empty outbox, in which each appointment is for one resource."""
    dsn = stack.fresh_database(stack.postgres())
    try:
        asyncio.run(_plan(dsn, appointments, resources))
        yield dsn
    finally:
        stack.drop_database(dsn)


@contextmanager
def state() -> Iterator[str]:
    """The DSN of an empty state database."""
    dsn = stack.fresh_database(stack.postgres())
    try:
        asyncio.run(db.migrate(dsn))
        yield dsn
    finally:
        stack.drop_database(dsn)


@contextmanager
def vhost() -> Iterator[str]:
    url = stack.fresh_vhost(stack.broker())
    try:
        yield url
    finally:
        stack.delete_vhost(url)


async def _plan(dsn: str, appointments: int, resources: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await create_tables(connection)
        await fill(connection, appointments, resources)
        await connection.execute(schema_command("postgresql", None, False))
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def fill(connection: asyncpg.Connection, appointments: int, resources: int) -> None:
    """Resources R0, R1, ... with mailboxes r0@, r1@, ...; appointments `Visit ID` of an hour, dealt out in turn."""
    await connection.execute(
        """INSERT INTO dbo.Resources (ResourceNo, DisplayName, Email, ExchangeIntegrationEnabled)
           SELECT 'R' || n, 'Resource ' || n, 'r' || n || '@contoso.example', true
           FROM generate_series(0, $1::int - 1) AS n""",
        resources,
    )
    await connection.execute(
        """WITH made AS (
               INSERT INTO dbo.Appointments (Subject, Body, StartDate, EndDate)
               SELECT 'Visit ' || n, repeat('Bring the ladder. ', 10),
                      timestamp '2027-03-01 08:00' + n % 100 * interval '1 hour',
                      timestamp '2027-03-01 09:00' + n % 100 * interval '1 hour'
               FROM generate_series(1, $1::int) AS n
               RETURNING Id)
           INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId)
           SELECT made.Id, resource.Id
           FROM made
           JOIN dbo.Resources AS resource ON resource.ResourceNo = 'R' || made.Id % $2::int""",
        appointments,
        resources,
    )
