"""Connections to the planning database: a fixed number of them, mended by themselves, errors translated once.

aioodbc's own pool is not used: it gives a dead connection to the next user, and its release waits for others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, NoReturn, TypeVar

import aioodbc
import pyodbc
import structlog
from pydantic import SecretStr

from common.errors import Configuration, SyncError, Transient

__all__ = ["Database", "Dialect", "Row", "Statement", "connect", "locked", "translate"]

Dialect = Literal["mssql", "postgresql"]
Statement = dict[Dialect, str]
"""One statement in the words of both databases, with the same parameters in the same order."""
Row = Sequence[Any]
T = TypeVar("T")

log = structlog.get_logger(__name__)

CONNECT_TIMEOUT = 10  # seconds
STATEMENT_TIMEOUT = 30  # seconds
CLOSE_TIMEOUT = 5.0  # seconds that a dead server may hold up our own end
PAUSE = 1.0  # seconds between attempts to connect, over all connections: a server that starts is not stormed

# libpq's own words, through psqlodbc: a host that does not answer must not hold a thread for minutes.
_LIBPQ = f"connect_timeout={CONNECT_TIMEOUT} keepalives_idle=20 keepalives_interval=5 keepalives_count=3 tcp_user_timeout=30000"

_SESSION: Statement = {
    # The planner's statement must win where it and ours are in a deadlock, and never wait long for us.
    "mssql": "SET XACT_ABORT ON; SET DEADLOCK_PRIORITY LOW; SET LOCK_TIMEOUT 1000;",
    "postgresql": f"SET statement_timeout = '{STATEMENT_TIMEOUT}s'; SET lock_timeout = '1s'; "
    "SET TIME ZONE 'UTC'; SET application_name = 'exconn'",
}  # fmt: skip

# What is missing or not ours to use: SQLSTATEs of both, and the numbers of SQL Server in the message.
_SCHEMA_STATES = frozenset({"42S02", "42S22", "42P01", "42703", "42501", "3F000", "42883"})
_SCHEMA_NUMBERS = ("(208)", "(229)", "(230)", "(297)", "(2812)")
# psqlodbc and FreeTDS say HY000 for much; 28xxx is a refused login, 40xxx deadlocks, 53xxx overload, 57xxx shutdowns.
_AWAY_STATES = (
    "01000",
    "08",
    "25006",
    "28",
    "3D000",
    "40",
    "53",
    "55P03",
    "57",
    "HY000",
    "HY010",
    "HYT",
    "IM",
)
_AWAY_NUMBERS = ("(1205)", "(1222)", "(4060)", "(18456)", "(40613)")


class Database:
    """The planning database; any number of tasks may use it at once, `size` statements run at once."""

    def __init__(self, dsn: str, dialect: Dialect, *, size: int = 4) -> None:
        """Nothing is connected before the first statement."""
        self.dialect = dialect
        self.connects = 0
        """Counts connections made: whoever sees it changed may be talking to another, restored database."""
        self._dsn = _hurried(dsn) if dialect == "postgresql" else dsn
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()
        for _ in range(size):
            self._free.put_nowait(None)
        self._size = size
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="planning")
        self._connecting = asyncio.Lock()
        self._refused: tuple[float, SyncError] | None = None

    async def rows(self, statement: Statement, *values: Any, repeatable: bool = True) -> list[Row]:
        """Run one statement, committed when this returns, and give all its rows.

        Where the connection turns out dead, a `repeatable` statement is tried once more on a fresh one.
        Raises `Transient` (out of reach), `Configuration` (objects missing, no rights), or pyodbc's error
        where the statement or a value of the planning is at fault.
        """
        return await self._use(
            lambda connection: _run(connection, statement[self.dialect], values), repeatable
        )

    async def run(self, statement: Statement, *values: Any, repeatable: bool = True) -> int:
        """Run one statement that changes rows, committed when this returns, and count them; else as `rows`."""
        return await self._use(
            lambda connection: _count(connection, statement[self.dialect], values), repeatable
        )

    async def permitted(self, statement: Statement, *values: Any) -> list[Row] | None:
        """The rows of a statement that we may have no right to; then None. Raises `Transient` as `rows` does."""
        try:
            return await self.rows(statement, *values)
        except (Configuration, pyodbc.Error):
            return None

    async def close(self) -> None:
        """Close what is idle; give up on what does not let go."""
        for _ in range(self._size):
            with suppress(pyodbc.Error, TimeoutError, asyncio.QueueEmpty):
                connection = self._free.get_nowait()
                if connection is not None:
                    await asyncio.wait_for(connection.close(), CLOSE_TIMEOUT)
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def _use(self, work: Callable[[Any], Awaitable[T]], repeatable: bool) -> T:
        """Cancelling does not stop a statement that runs in a thread, so its end is waited for."""
        task = asyncio.ensure_future(self._attempts(work, repeatable))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=STATEMENT_TIMEOUT)
            if task.done() and not task.cancelled():
                task.exception()
            raise

    async def _attempts(self, work: Callable[[Any], Awaitable[T]], repeatable: bool) -> T:
        try:
            return await self._attempt(work)
        except pyodbc.Error as error:
            if not repeatable or locked(error) or not isinstance(translate(error), Transient):
                _raise(error)
        try:
            return await self._attempt(work, fresh=True)
        except pyodbc.Error as error:
            _raise(error)

    async def _attempt(self, work: Callable[[Any], Awaitable[T]], fresh: bool = False) -> T:
        """After any error the connection is closed: nobody knows what state it is in."""
        connection = await self._free.get()
        try:
            if fresh:
                broken, connection = connection, None
                await _drop(broken)
            if connection is None:
                connection = await self._connect()
            return await work(connection)
        except BaseException:
            broken, connection = connection, None
            await _drop(broken)
            raise
        finally:
            self._free.put_nowait(connection)

    async def _connect(self) -> Any:
        """One at a time; while the database refuses, everybody is told at once and it is asked once a second."""
        async with self._connecting:
            now = asyncio.get_running_loop().time()
            if self._refused is not None and now < self._refused[0]:
                raise self._refused[1].with_traceback(None)
            try:
                connection = await aioodbc.connect(
                    dsn=self._dsn, autocommit=True, timeout=CONNECT_TIMEOUT, executor=self._executor
                )
                await self._prepare(connection)
            except pyodbc.Error as error:
                refusal = translate(error) or _away(error)
                self._refused = (asyncio.get_running_loop().time() + PAUSE, refusal)
                raise refusal from error
            self._refused = None
            self.connects += 1
            return connection

    async def _prepare(self, connection: Any) -> None:
        try:
            if self.dialect == "mssql":
                connection._conn.timeout = STATEMENT_TIMEOUT  # noqa: SLF001 - aioodbc shows it, but read-only
            await _close_cursor(await connection.execute(_SESSION[self.dialect]))
        except BaseException:
            await _drop(connection)
            raise


@asynccontextmanager
async def connect(dsn: str | SecretStr, dialect: Dialect, *, size: int = 4) -> AsyncIterator[Database]:
    """The planning database named by an ODBC connection string; it may be away, now and at any time."""
    database = Database(dsn.get_secret_value() if isinstance(dsn, SecretStr) else dsn, dialect, size=size)
    try:
        yield database
    finally:
        await database.close()


async def _run(connection: Any, text: str, values: Sequence[Any]) -> list[Row]:
    """`fetchall`, because each `fetchone` would be a hop to the thread."""
    cursor = await connection.execute(text, *values)
    try:
        return list(await cursor.fetchall()) if cursor.description else []
    finally:
        await _close_cursor(cursor)


async def _count(connection: Any, text: str, values: Sequence[Any]) -> int:
    cursor = await connection.execute(text, *values)
    try:
        return int(cursor.rowcount)
    finally:
        await _close_cursor(cursor)


async def _close_cursor(cursor: Any) -> None:
    with suppress(pyodbc.Error):
        await cursor.close()


async def _drop(connection: Any) -> None:
    if connection is not None:
        with suppress(pyodbc.Error, TimeoutError):
            await asyncio.wait_for(connection.close(), CLOSE_TIMEOUT)


def translate(error: pyodbc.Error) -> SyncError | None:
    """The error by what to do about it; None where a statement or a value is at fault.

    SQLSTATEs: https://learn.microsoft.com/sql/odbc/reference/appendixes/appendix-a-odbc-error-codes,
    https://www.postgresql.org/docs/current/errcodes-appendix.html
    """
    state = str(error.args[0]) if error.args else ""
    text = str(error.args[1]) if len(error.args) > 1 else ""
    if state in _SCHEMA_STATES or any(number in text for number in _SCHEMA_NUMBERS):
        reason = f"the outbox objects are missing or not ours to use [{state}]: {_first(text)}"
        return Configuration(reason, code="EXC-PLANNING-SCHEMA", scope="tenant")
    if state.startswith(_AWAY_STATES) or any(number in text for number in _AWAY_NUMBERS):
        return _away(error)
    return None


def locked(error: BaseException | None) -> bool:
    """Whether a row was held too long by somebody's transaction (SQL Server 1222, PostgreSQL 55P03)."""
    return isinstance(error, pyodbc.Error) and any(sign in str(error.args) for sign in ("(1222)", "55P03"))


def _away(error: pyodbc.Error) -> Transient:
    state, text = ([*map(str, error.args), "", ""])[:2]
    reason = f"the planning database is out of reach [{state}]: {_first(text)}"
    return Transient(reason, code="EXC-PLANNING-UNAVAILABLE", scope="tenant")


def _first(text: str) -> str:
    return text.split("\n", 1)[0].split(";", 1)[0][:200]


def _raise(error: pyodbc.Error) -> NoReturn:
    raise translate(error) or error from error


def _hurried(dsn: str) -> str:
    return dsn if "pqopt" in dsn.lower() else f"{dsn.rstrip(';')};pqopt={{{_LIBPQ}}}"
