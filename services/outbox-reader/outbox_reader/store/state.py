"""What the reader needs of the state database: its identity, epochs, and what is known of appointments."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from common import db
from common.db import Pool
from common.errors import Configuration, SyncError
from outbox_reader.records import Epoch, Known, Witness

log = structlog.get_logger(__name__)

_EPOCH_LOCK = 0x65706F63  # "epoc"
_RECOVERY_LOCK = 0x72656376  # "recv"


class State:
    """The state database, as outbox-reader sees it.

    Every method raises `Transient` where it is away, and `Configuration` where tables are missing.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def migrated(self) -> None:
        """Raise `Configuration` where tables are missing."""
        if not await db.current(self._pool):
            raise _incomplete()

    async def there(self) -> None:
        """Wait until the database can be worked with; say once of each reason why it cannot."""
        said = ""
        while True:
            try:
                return await self.migrated()
            except SyncError as error:
                if str(error) != said:
                    log.warning("state.waited_for", code=error.code, reason=str(error))
                said = str(error)
            await asyncio.sleep(1)

    async def identity(self) -> UUID:
        """Who this database is: another one after a loss."""
        async with _transaction(self._pool) as connection:
            return UUID(
                str(await connection.fetchval("SELECT state_identity FROM installation WHERE id = 1"))
            )

    async def newest_epoch(self) -> Epoch | None:
        async with _transaction(self._pool) as connection:
            return await _newest(connection)

    async def begin_epoch(self, outbox: UUID, restore_mark: str, seen: Epoch | None, current: int) -> Epoch:
        """Give the epoch of this outbox: a new one where the newest is of another outbox, or the outbox went back.

        It went back where its sequence, asked for `current` after the newest epoch was `seen`, is below the
        highest version published in that epoch. One reader at a time decides, the others find its epoch.
        A number is above every one that a message can carry, also of a state database that was lost: it counts
        seconds since 2020.
        """
        async with _transaction(self._pool) as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _EPOCH_LOCK)
            newest = await _newest(connection)
            if newest and _continues(newest, outbox, restore_mark, seen, current):
                return newest
            number = await connection.fetchval(
                """INSERT INTO epoch (epoch, outbox_identity, restore_mark) OVERRIDING SYSTEM VALUE
                   VALUES (greatest(
                               (SELECT coalesce(max(epoch), 0) + 1 FROM epoch),
                               (SELECT coalesce(max(epoch), 0) + 1 FROM appointment),
                               CAST(extract(epoch FROM now() - timestamptz '2020-01-01 00:00:00Z') AS int)),
                           $1, $2)
                   RETURNING epoch""",
                outbox,
                restore_mark,
            )
            return Epoch(int(number), outbox, restore_mark, 0)

    async def note_published(self, epoch: int, version: int) -> None:
        """Remember the highest version published."""
        async with _transaction(self._pool) as connection:
            await connection.execute(
                "UPDATE epoch SET highest_version = $2 WHERE epoch = $1 AND highest_version < $2",
                epoch,
                version,
            )

    async def newest_planned(self, epoch: int) -> Witness | None:
        """The highest version of this epoch that was planned."""
        async with _transaction(self._pool) as connection:
            row = await connection.fetchrow(
                """SELECT id, guid, epoch, version FROM appointment
                   WHERE epoch = $1 ORDER BY version DESC LIMIT 1""",
                epoch,
            )
            if row is None:
                return None
            return Witness(row["id"], UUID(str(row["guid"])), row["epoch"], row["version"])

    async def has_planned(self, witness: Witness) -> bool:
        """Whether this version of the appointment, or a newer one, was planned."""
        async with _transaction(self._pool) as connection:
            return bool(
                await connection.fetchval(
                    """SELECT EXISTS (SELECT FROM appointment
                                      WHERE id = $1 AND guid = $2 AND (epoch, version) >= ($3, $4))""",
                    witness.id,
                    witness.guid,
                    witness.epoch,
                    witness.version,
                )
            )

    async def known(self, ids: Sequence[int]) -> list[Known]:
        """What is known of these ids, under all their guids."""
        async with _transaction(self._pool) as connection:
            rows = await connection.fetch(
                """SELECT id, guid, hash, deleted_at IS NOT NULL AS deleted
                   FROM appointment WHERE id = ANY ($1::bigint[])""",
                ids,
            )
            return [_known(row) for row in rows]

    async def living(self, after: int, until: int | None, ends_from: datetime, limit: int) -> list[Known]:
        """A page of what is known and not deleted, in (`after`, `until`], and ends at or after `ends_from`."""
        async with _transaction(self._pool) as connection:
            rows = await connection.fetch(
                """SELECT id, guid, hash, false AS deleted
                   FROM appointment
                   WHERE id > $1 AND ($2::bigint IS NULL OR id <= $2) AND deleted_at IS NULL
                         AND snapshot IS NOT NULL AND CAST(snapshot ->> 'end' AS timestamptz) >= $3
                   ORDER BY id, guid LIMIT $4""",
                after,
                until,
                ends_from,
                limit,
            )
            return [_known(row) for row in rows]

    @asynccontextmanager
    async def recovering(self) -> AsyncIterator[bool]:
        """Whether we are the one reader that recovers, while the context lasts."""
        async with _transaction(self._pool) as connection:
            yield bool(await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _RECOVERY_LOCK))


@asynccontextmanager
async def _transaction(pool: Pool) -> AsyncIterator[Any]:
    """As `db.transaction`; raises `Configuration` where tables are missing."""
    try:
        async with db.transaction(pool) as connection:
            yield connection
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError) as error:
        raise _incomplete() from error


def _incomplete() -> Configuration:
    reason = "the state database lacks migrations: run python -m common.db"
    return Configuration(reason, code="EXC-STATE-UNAVAILABLE", scope="tenant")


async def _newest(connection: Any) -> Epoch | None:
    row = await connection.fetchrow(
        """SELECT epoch, outbox_identity, restore_mark, highest_version
           FROM epoch ORDER BY epoch DESC LIMIT 1"""
    )
    return row and Epoch(
        row["epoch"], UUID(str(row["outbox_identity"])), row["restore_mark"], row["highest_version"]
    )


def _continues(newest: Epoch, outbox: UUID, restore_mark: str, seen: Epoch | None, current: int) -> bool:
    if (newest.outbox, newest.restore_mark) != (outbox, restore_mark):
        return False
    return seen is None or seen.number != newest.number or current >= seen.highest


def _known(row: Any) -> Known:
    return Known(row["id"], UUID(str(row["guid"])), row["hash"], row["deleted"])
