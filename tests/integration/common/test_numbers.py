"""Numbers of one state database never mean a row of another one."""

from __future__ import annotations

import stack
from common import db


async def _numbers(dsn: str) -> tuple[int, int, int]:
    async with db.pool(dsn, application_name="tests") as pool:
        row = await pool.fetchrow(
            """SELECT nextval(pg_get_serial_sequence('link', 'id')), nextval(pg_get_serial_sequence('attempt', 'id')),
                      nextval(pg_get_serial_sequence('settings_generation', 'generation'))"""
        )
    return tuple(row)


async def test_links_and_attempts_are_numbered_by_when_their_database_was_made(
    postgres_server: stack.Postgres, database: str
) -> None:
    later = stack.fresh_database(postgres_server)
    try:
        await db.migrate(database)
        await db.migrate(later)

        first, second = await _numbers(database), await _numbers(later)
    finally:
        stack.drop_database(later)

    assert first[0] < second[0]
    assert first[1] < second[1]
    assert first[2] <= second[2]
