"""The numbered migrations of the state database: `NNNN_pre|post_what.sql` under common/sql/migrations.

A `pre` migration is applied before the new version runs and leaves the previous version working; a `post`
migration is applied once no process of the previous version is left.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, cast

import asyncpg
from pydantic import SecretStr

from common.errors import Configuration
from common.settings import SettingsFault, StateSettings, load, reveal

Phase = Literal["pre", "post"]

_NAME = re.compile(r"\d{4}_(pre|post)_\w+\.sql")
_LOCK = 0x6578_636F_6E6E  # "exconn": whoever migrates holds it
_CONNECT_TIMEOUT = 10.0

_CREATE = """
CREATE TABLE IF NOT EXISTS migration (
    name text PRIMARY KEY, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file; its checksum tells whether it was changed after it was applied."""

    name: str
    phase: Phase
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Every migration of this version, in order."""
    folder = files("common") / "sql" / "migrations"
    found = {item.name: item.read_text() for item in folder.iterdir() if item.name.endswith(".sql")}
    return [_migration(name, found[name]) for name in sorted(found)]


def _migration(name: str, sql: str) -> Migration:
    match = _NAME.fullmatch(name)
    if match is None:
        raise Configuration(f"{name} is not named like a migration: NNNN_pre|post_what.sql")
    return Migration(name, cast(Phase, match[1]), sql)


async def migrate(
    dsn: str | SecretStr, *, only: Phase | None = None, steps: Iterable[Migration] | None = None
) -> list[str]:
    """Apply what is missing, in order, each in a transaction of its own, and return the names applied.

    Two that migrate at once wait for each other: a transaction-level advisory lock, so PgBouncer is fine.
    Raises `Configuration`, and changes nothing from there on, where an applied file was changed since.
    """
    connection = await asyncpg.connect(reveal(dsn), timeout=_CONNECT_TIMEOUT)
    try:
        wanted = [step for step in steps or migrations() if only in {None, step.phase}]
        return [step.name for step in wanted if await _apply(connection, step)]
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT)


async def _apply(connection: Any, step: Migration) -> bool:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute("SET LOCAL client_min_messages = warning")
        await connection.execute(_CREATE)
        checksum = await connection.fetchval("SELECT checksum FROM migration WHERE name = $1", step.name)
        if checksum is not None:
            return _unchanged(step, checksum)
        await connection.execute(step.sql)
        insert = "INSERT INTO migration (name, checksum) VALUES ($1, $2)"
        await connection.execute(insert, step.name, step.checksum)
        return True


def _unchanged(step: Migration, checksum: str) -> Literal[False]:
    if checksum != step.checksum:
        raise Configuration(
            f"{step.name} was changed after it was applied; restore the file and add a new one"
        )
    return False


async def missing(connection: Any, *, phases: Sequence[Phase] = ("pre",)) -> list[str]:
    """The names of this version's migrations that are not applied."""
    known = await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL")
    rows = await connection.fetch("SELECT name FROM migration") if known else []
    applied = {row["name"] for row in rows}
    return [step.name for step in migrations() if step.phase in phases and step.name not in applied]


async def _missing(dsn: SecretStr, only: Phase | None) -> list[str]:
    connection = await asyncpg.connect(reveal(dsn), timeout=_CONNECT_TIMEOUT)
    try:
        return await missing(connection, phases=(only,) if only else ("pre", "post"))
    finally:
        await connection.close(timeout=_CONNECT_TIMEOUT)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m common.db", description="Bring the state database (EXCONN_POSTGRES_DSN) up to date."
    )
    parser.add_argument(
        "--check", action="store_true", help="only say what is missing; exit 1 if something is"
    )
    parser.add_argument("--only", choices=("pre", "post"), help="before or after all processes are new")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 0 done (or nothing missing), 1 failed (or missing), 2 wrong settings."""
    arguments = _arguments(argv)
    try:
        dsn = load(StateSettings).postgres_dsn
        work = _missing if arguments.check else _migrate
        names = asyncio.run(work(dsn, arguments.only))
    except SettingsFault as fault:
        sys.stderr.writelines(f"{line}\n" for line in fault.faults)
        return 2
    except (Configuration, asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        sys.stderr.write(f"cannot migrate: {type(error).__name__}: {error}\n")
        return 1
    for name in names:
        sys.stdout.write(f"{'missing' if arguments.check else 'applied'} {name}\n")
    if not names:
        sys.stdout.write("up to date\n")
    return int(bool(arguments.check and names))


async def _migrate(dsn: SecretStr, only: Phase | None) -> list[str]:
    return await migrate(dsn, only=only)
