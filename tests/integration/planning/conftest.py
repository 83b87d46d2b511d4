"""A planning database with Dime.Scheduler's tables and our objects."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from outbox_reader.schema import Mapping, render

TABLES = Path(__file__).parents[2] / "simulators" / "dime" / "tables.sql"


@pytest.fixture
async def bare(database: str) -> AsyncIterator[asyncpg.Connection]:
    """Dime.Scheduler's tables, without ours."""
    connection = await asyncpg.connect(database)
    await connection.execute(TABLES.read_text(encoding="utf-8"))
    yield connection
    await connection.close()


@pytest.fixture
async def planning(bare: asyncpg.Connection) -> asyncpg.Connection:
    """Alice and Bob, a category, a job, one appointment of Alice's; the outbox is installed and empty."""
    await bare.execute(
        """
        INSERT INTO dbo.Resources (Id, ResourceNo, DisplayName, Email, ExchangeIntegrationEnabled) VALUES
            (1, 'R1', 'Alice', 'alice@contoso.example', true), (2, 'R2', 'Bob', NULL, false);
        INSERT INTO dbo.Categories (Id, Name, Color) VALUES (1, 'Service', 'red');
        INSERT INTO dbo.TimeMarkers (Id, Name, Color) VALUES (1, 'Confirmed', 'blue');
        INSERT INTO dbo.Jobs (Id, SourceApp, SourceType, JobNo, SiteAddress) VALUES (1, 'NAV', 'Job', 'J1', 'Main Street 1');
        INSERT INTO dbo.Tasks (Id, JobId, TaskNo) VALUES (1, 1, 'T1');
        INSERT INTO dbo.Appointments (Id, AppointmentGuid, Subject, Body, StartDate, EndDate, TaskId, CategoryId, TimeMarkerId)
            VALUES (1, '11111111-1111-4111-8111-111111111111', 'Pump', E'Line 1\\nLine 2',
                    '2026-11-22 08:00', '2026-11-22 09:30:15.250', 1, 1, 1);
        INSERT INTO dbo.AppointmentResources (AppointmentId, ResourceId) VALUES (1, 1);
        """
    )
    await bare.execute(render("postgresql", Mapping()))
    return bare
