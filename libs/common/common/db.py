"""The state database: pool, guard against its absence, transactions. `python -m common.db` migrates it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import asyncpg
from pydantic import SecretStr

from common.errors import Transient
from common.migrations import main, migrate, missing
from common.settings import reveal

__all__ = ["check", "current", "guard", "main", "migrate", "pool", "transaction"]

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
else:
    Pool, Connection = asyncpg.Pool, asyncpg.pool.PoolConnectionProxy

CONNECT_TIMEOUT = 10.0  # seconds to open a connection, or to wait for a free one of the pool
COMMAND_TIMEOUT = 30.0  # seconds for one statement
WATCH_SECONDS = 5.0
CLOSE_TIMEOUT = 5.0  # seconds that a dead server may hold up our own end

_AWAY: tuple[type[BaseException], ...] = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # shut down, starting up, cancelled
    asyncpg.InsufficientResourcesError,  # too many connections, disk full
    asyncpg.TransactionRollbackError,  # deadlock, serialization
    asyncpg.LockNotAvailableError,
    asyncpg.ReadOnlySQLTransactionError,  # a standby that took over is not writable yet
    asyncpg.InvalidCatalogNameError,  # the database is being created anew
    asyncpg.InvalidAuthorizationSpecificationError,  # a password is being changed
    OSError,
    TimeoutError,
)

_NOT_MIGRATED: tuple[type[BaseException], ...] = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)
"""An empty database in the place of a lost one: what is missing will come, so nothing may fail for good by it."""

_dump = partial(json.dumps, ensure_ascii=False, separators=(",", ":"))


class _Sessionless(asyncpg.Connection):
    """A connection that keeps no session state (PgBouncer), so giving it back costs no round trip."""

    def get_reset_query(self) -> str:
        return ""


async def _codecs(connection: Any) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(name, schema="pg_catalog", encoder=_dump, decoder=json.loads)


@asynccontextmanager
async def pool(dsn: str | SecretStr, *, application_name: str, max_size: int = 10) -> AsyncIterator[Pool]:
    """Give a pool that connects when it is first used: PostgreSQL may be away, now and at any time.

    json and jsonb are Python objects on both sides (in a jsonb[] asyncpg takes no lists). Nothing may rely on session state (PgBouncer).
    """
    connections = asyncpg.create_pool(
        reveal(dsn),
        min_size=0,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT,
        command_timeout=COMMAND_TIMEOUT,
        connection_class=_Sessionless,
        init=_codecs,
        server_settings={"application_name": application_name},
    )
    await connections  # opens nothing yet
    try:
        yield connections
    finally:
        await _close(connections)


async def _close(connections: Pool) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connections.close()
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        connections.terminate()


def _away(error: BaseException) -> bool:
    if isinstance(error, asyncpg.InterfaceError):  # one class for misuse and for a connection that was lost
        return "clos" in str(error)
    if isinstance(
        error, asyncpg.InternalClientError
    ):  # asyncpg's word where the server's last one came in between
        return "cannot switch to state" in str(error)
    return isinstance(error, _AWAY)


@contextmanager
def guard() -> Iterator[None]:
    """Turn what means 'not now' into `Transient` with EXC-STATE-UNAVAILABLE.

    That is: lost and refused connections, shutdown, overload, timeouts, deadlocks, and tables that a migration
    still has to make. Every other error of the database passes as it is.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, _NOT_MIGRATED):
            reason = f"the state database is not migrated: {error}"
        elif _away(error):
            reason = f"the state database is out of reach: {type(error).__name__}"
        else:
            raise
        raise Transient(reason, code="EXC-STATE-UNAVAILABLE", scope="tenant") from error


@asynccontextmanager
async def transaction(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection in a transaction that commits at the end, or rolls back on any error; guarded."""
    with guard():
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as connection, connection.transaction():
            yield connection


async def current(pool: Pool) -> bool:
    """Whether every `pre` migration of this version is applied; guarded."""
    with guard():
        async with pool.acquire(timeout=CONNECT_TIMEOUT) as connection:
            return not await missing(connection)


async def watch(pool: Pool, report: Callable[[str | None], None]) -> NoReturn:
    """Report, now and every few seconds, whether the database can be worked with: None, or why not."""
    report("the state database was not reached yet")
    while True:
        try:
            report(None if await current(pool) else "migrations are missing: run python -m common.db")
        except Transient as error:
            report(str(error))
        await asyncio.sleep(WATCH_SECONDS)


async def check(dsn: str | SecretStr) -> str | None:
    """Say why the database cannot be worked with, or None."""
    try:
        connection = await asyncpg.connect(reveal(dsn), timeout=CONNECT_TIMEOUT)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        return f"cannot connect: {type(error).__name__}: {error}"
    try:
        names = await missing(connection)
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT)
    return f"migrations are missing ({', '.join(names)}): run python -m common.db" if names else None


if __name__ == "__main__":
    sys.exit(main())
