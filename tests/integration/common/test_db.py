"""The state database as services see it: transactions, what its absence looks like, migrations."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import asyncpg
import pytest

import stack
from common import db
from common.errors import Configuration, Transient
from common.migrations import Migration

CREATE = Migration("0001_pre_first.sql", "pre", "CREATE TABLE first (id int PRIMARY KEY)")
FILL = Migration("0002_pre_fill.sql", "pre", "INSERT INTO first VALUES (1); INSERT INTO first VALUES (2)")
LATE = Migration("0003_post_drop.sql", "post", "DROP TABLE first")


@pytest.fixture
async def pool(database: str) -> AsyncIterator[db.Pool]:
    async with db.pool(database, application_name="test", max_size=3) as pool:
        yield pool


async def kill_connections(database: str) -> None:
    connection = await asyncpg.connect(database)
    await connection.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()


async def test_a_transaction_commits_at_its_end(pool) -> None:
    async with db.transaction(pool) as connection:
        await connection.execute("CREATE TABLE t (id int)")

    assert await pool.fetchval("SELECT count(*) FROM t") == 0


async def test_an_error_rolls_the_transaction_back(pool) -> None:
    async def fails() -> None:
        async with db.transaction(pool) as connection:
            await connection.execute("CREATE TABLE t (id int)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()

    assert await pool.fetchval("SELECT to_regclass('t')") is None


@pytest.mark.parametrize("type_", ["json", "jsonb"])
@pytest.mark.parametrize("value", [{"a": [1, None, "Zürich"]}, [], "text", 3, True])
async def test_json_is_python_objects_on_both_sides(pool, type_, value) -> None:
    assert await pool.fetchval(f"SELECT $1::{type_}", value) == value


async def test_an_array_of_json_is_a_list_of_objects(pool) -> None:
    snapshots = [{"id": 1, "assignments": []}, {"id": 2}]

    assert await pool.fetchval("SELECT array_agg(x) FROM unnest($1::jsonb[]) AS x", snapshots) == snapshots


async def test_the_pool_shows_who_it_belongs_to(pool) -> None:
    assert await pool.fetchval("SHOW application_name") == "test"


async def test_a_connection_that_was_killed_is_transient_and_the_next_one_works(pool, database) -> None:
    async def meets_a_kill() -> None:
        async with db.transaction(pool) as connection:
            await kill_connections(database)
            await connection.fetch("SELECT 1")

    with pytest.raises(Transient) as raised:
        await meets_a_kill()

    async with db.transaction(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    assert raised.value.code == "EXC-STATE-UNAVAILABLE"


async def test_connections_killed_while_idle_are_replaced(pool, database) -> None:
    who = "SELECT pg_backend_pid() FROM pg_sleep(0.05)"
    killed = await asyncio.gather(*(pool.fetchval(who) for _ in range(3)))
    await kill_connections(database)

    async def attempt() -> int | None:
        try:
            async with db.transaction(pool) as connection:
                return await connection.fetchval(who)
        except Transient:
            return None

    async with asyncio.timeout(30):
        while (replaced_by := await attempt()) is None:
            pass

    assert replaced_by not in killed


async def test_a_server_that_is_away_is_transient() -> None:
    nobody = f"postgresql://postgres:hush@127.0.0.1:{stack.free_port()}/x"

    async with db.pool(nobody, application_name="test") as pool:
        with pytest.raises(Transient) as raised:
            async with db.transaction(pool):
                pass

    assert "hush" not in str(raised.value)


async def test_a_database_that_does_not_exist_yet_is_transient(database) -> None:
    async with db.pool(f"{database}_not_yet", application_name="test") as pool:
        with pytest.raises(Transient):
            async with db.transaction(pool):
                pass


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "SELECT newer FROM pg_class"])
async def test_a_database_that_is_not_migrated_yet_is_transient(pool, statement) -> None:
    with pytest.raises(Transient, match="not migrated"):
        async with db.transaction(pool) as connection:
            await connection.execute(statement)


async def test_a_deadlock_is_transient(pool) -> None:
    await pool.execute("CREATE TABLE t (id int PRIMARY KEY, n int); INSERT INTO t VALUES (1, 0), (2, 0)")
    both = asyncio.Barrier(2)

    async def take(first: int, second: int) -> None:
        async with db.transaction(pool) as connection:
            await connection.execute("UPDATE t SET n = n + 1 WHERE id = $1", first)
            await both.wait()
            await connection.execute("UPDATE t SET n = n + 1 WHERE id = $1", second)

    results = await asyncio.gather(take(1, 2), take(2, 1), return_exceptions=True)

    assert sorted(type(result).__name__ for result in results) == ["NoneType", "Transient"]


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("SELECT 1/0", asyncpg.DivisionByZeroError),
        ("SELECT nothing()", asyncpg.UndefinedFunctionError),
        ("SELEC", asyncpg.PostgresSyntaxError),
    ],
)
async def test_a_defect_is_not_taken_for_an_absence(pool, statement, error) -> None:
    with pytest.raises(error):
        async with db.transaction(pool) as connection:
            await connection.execute(statement)


async def test_waiting_for_a_free_connection_ends(database, monkeypatch) -> None:
    monkeypatch.setattr(db, "CONNECT_TIMEOUT", 0.2)
    async with db.pool(database, application_name="test", max_size=1) as pool, db.transaction(pool):
        with pytest.raises(Transient):
            async with db.transaction(pool):
                pass


async def test_migrations_are_applied_once_and_in_order(database) -> None:
    first = await db.migrate(database, steps=[CREATE, FILL, LATE])
    second = await db.migrate(database, steps=[CREATE, FILL, LATE])

    assert first == [CREATE.name, FILL.name, LATE.name]
    assert second == []


async def test_pre_migrations_can_go_first(database) -> None:
    assert await db.migrate(database, only="pre", steps=[CREATE, LATE]) == [CREATE.name]
    assert await db.migrate(database, only="post", steps=[CREATE, LATE]) == [LATE.name]


async def test_two_that_migrate_at_once_share_the_work(database) -> None:
    applied = await asyncio.gather(*(db.migrate(database, steps=[CREATE, FILL]) for _ in range(4)))

    assert sorted(name for names in applied for name in names) == [CREATE.name, FILL.name]
    connection = await asyncpg.connect(database)
    assert await connection.fetchval("SELECT count(*) FROM first") == 2
    await connection.close()


async def test_a_migration_that_was_changed_is_refused(database) -> None:
    await db.migrate(database, steps=[CREATE])
    changed = Migration(CREATE.name, "pre", CREATE.sql + " -- oh")

    with pytest.raises(Configuration, match="changed after it was applied"):
        await db.migrate(database, steps=[changed, FILL])


async def test_a_migration_that_fails_leaves_nothing_behind(database) -> None:
    broken = Migration("0002_pre_broken.sql", "pre", "INSERT INTO first VALUES (7); SELECT 1/0")

    with pytest.raises(asyncpg.DivisionByZeroError):
        await db.migrate(database, steps=[CREATE, broken])

    assert await db.migrate(database, steps=[CREATE, FILL]) == [FILL.name]


async def test_the_real_migrations_make_the_database_current(pool, database) -> None:
    before = await db.current(pool)
    told_before = await db.check(database)

    await db.migrate(database)

    assert before is False
    assert "0001_pre" in told_before
    assert await db.current(pool) is True
    assert await db.check(database) is None


async def test_watch_reports_what_is_missing_and_when_it_came(pool, database, monkeypatch) -> None:
    monkeypatch.setattr(db, "WATCH_SECONDS", 0.01)
    told: asyncio.Queue[str | None] = asyncio.Queue()

    watching = asyncio.create_task(db.watch(pool, told.put_nowait))
    told_first = await told.get()
    told_next = await told.get()
    await db.migrate(database)
    async with asyncio.timeout(30):
        while await told.get() is not None:
            pass
    watching.cancel()

    assert "not reached yet" in told_first
    assert "migrations are missing" in told_next


def python_m_common_db(dsn: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "common.db", *arguments]
    environment = {**os.environ, "EXCONN_POSTGRES_DSN": dsn}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_command_says_what_is_missing_then_applies_it(database) -> None:
    missing = python_m_common_db(database, "--check")
    applied = python_m_common_db(database)
    again = python_m_common_db(database)
    current = python_m_common_db(database, "--check")

    assert (missing.returncode, missing.stdout.split()[:2]) == (1, ["missing", "0001_pre_state.sql"])
    assert (applied.returncode, applied.stdout.split()[:2]) == (0, ["applied", "0001_pre_state.sql"])
    assert (again.returncode, again.stdout) == (0, "up to date\n")
    assert (current.returncode, current.stdout) == (0, "up to date\n")


def test_the_command_tells_settings_from_failures_without_a_traceback(database) -> None:
    wrong = python_m_common_db("mysql://x")
    away = python_m_common_db(f"postgresql://postgres:hush@127.0.0.1:{stack.free_port()}/x")

    assert wrong.returncode == 2
    assert wrong.stderr.startswith("EXCONN_POSTGRES_DSN: must begin with postgresql://")
    assert away.returncode == 1
    assert away.stderr.startswith("cannot migrate")
    assert "Traceback" not in wrong.stderr + away.stderr
    assert "hush" not in away.stderr
