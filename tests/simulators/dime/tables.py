"""The planning tables in PostgreSQL: create them, empty them."""

from pathlib import Path
from typing import Any

TABLES_SQL = Path(__file__).with_name("tables.sql")
LOCK = 0x64696D65  # "dime": two simulators that start on one database must not create at once
CHILDREN_FIRST = (
    "Notifications",
    "AppointmentResources",
    "Appointments",
    "Resources",
    "Tasks",
    "Jobs",
    "Categories",
    "TimeMarkers",
)


async def create_tables(connection: Any) -> None:
    """Create schema ``dbo`` and the planning tables where they are absent (an asyncpg connection)."""
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(TABLES_SQL.read_text(encoding="utf-8"))


async def empty_tables(connection: Any) -> None:
    """Delete every row of the planning.

    DELETE and not TRUNCATE, so that triggers on the tables see each row go as they would in a real planning;
    ids are never used again.
    """
    async with connection.transaction():
        for table in CHILDREN_FIRST:
            await connection.execute(f"DELETE FROM dbo.{table}")
