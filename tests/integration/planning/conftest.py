"""A planning database with Dime.Scheduler's tables and our objects, and a stand-in for SQL Server before it."""

import importlib
import pkgutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest
import trustme

import common.planning
import outbox_reader.store
import stack
from outbox_reader.schema import Mapping, render
from simulators.tds.paired import Paired
from simulators.tds.server import PASSWORD, USER, Server, serving

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


MICROSOFT, FREETDS = "ODBC Driver 18 for SQL Server", "FreeTDS"
WIRE = {
    "SELECT 1": "SELECT 1",
    "SELECT CAST(? AS int), CAST(? AS nvarchar(max)), CAST(? AS uniqueidentifier)": (
        "SELECT CAST(? AS int), CAST(? AS text), CAST(? AS uuid)"
    ),
    "SELECT CAST(? AS datetime2(3))": "SELECT CAST(? AS timestamp(3))",
    "SELECT CAST(1 AS bit), CAST(12345678901 AS bigint), CAST(NULL AS nvarchar(max)), CAST('x' AS varchar(3))": (
        "SELECT true, 12345678901, NULL::text, 'x'::varchar(3)"
    ),
    "UPDATE t SET a = ?": "UPDATE pg_database SET datname = datname WHERE datname = current_database() AND ?::int = 1",
}
"""Statements about drivers rather than about the reader."""


def reader_statements() -> dict[str, str]:
    """What the reader says to SQL Server, with what it says to PostgreSQL."""
    pairs = {}
    for package in (common.planning, outbox_reader.store):
        for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
            for value in vars(importlib.import_module(module.name)).values():
                if isinstance(value, dict) and value.keys() == {"mssql", "postgresql"}:
                    pairs[value["mssql"]] = value["postgresql"]
    return pairs


@dataclass(frozen=True)
class StandIn:
    """A TDS listener in front of the planning database, and how a driver reaches it."""

    server: Server
    driver: str
    authority: Path

    def statements(self) -> set[str]:
        """Every statement of the reader for SQL Server."""
        return set(reader_statements())

    def odbc(self, *, user: str = USER, password: str = PASSWORD, trust: bool = True, **more: str) -> str:
        """An ODBC connection string; with `trust` the certificate is taken as it is."""
        if self.driver == MICROSOFT:
            fields = {
                "Server": f"127.0.0.1,{self.server.port}",
                "Encrypt": "yes",
                "TrustServerCertificate": "yes" if trust else "no",
            }
        else:
            fields = {"Server": "127.0.0.1", "Port": str(self.server.port), "Encryption": "require"}
        fields |= {"Database": "DimeScheduler", "UID": user, "PWD": password} | more
        return f"Driver={{{self.driver}}};" + ";".join(f"{name}={value}" for name, value in fields.items())


@pytest.fixture(scope="session")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ca.pem, and cert.pem and key.pem of 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tds")
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    (folder / "cert.pem").write_bytes(b"".join(part.bytes() for part in server.cert_chain_pems))
    return folder


@pytest.fixture(params=[MICROSOFT, FREETDS])
def driver(request: pytest.FixtureRequest, odbc: dict[str, str]) -> str:
    """The name of a driver that this machine has; Microsoft's may be left out on purpose."""
    if request.param not in stack.tds_drivers():
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="session")
def shared_database(postgres_server: stack.Postgres) -> Iterator[str]:
    """A database for tests that leave nothing in it."""
    dsn = stack.fresh_database(postgres_server)
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
def stand_in(driver: str, identity: Path, shared_database: str) -> Iterator[StandIn]:
    """One that knows the statements about drivers."""
    with serving(identity, lambda: Paired(shared_database, WIRE)) as server:
        yield StandIn(server, driver, identity / "ca.pem")


@pytest.fixture
def planning_stand_in(driver: str, identity: Path, database: str) -> Iterator[StandIn]:
    """One in front of a planning database, which knows the reader's statements."""
    pairs = reader_statements()
    with serving(identity, lambda: Paired(database, pairs)) as server:
        yield StandIn(server, driver, identity / "ca.pem")
