"""Keeping the outbox in the planning database: leases that ran out, replay, pruning, and who it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from common.errors import Configuration
from common.planning.database import Database, Row, Statement
from outbox_reader.records import Depth, Identity

_EXPIRED: Final[Statement] = {
    "mssql": """
        UPDATE TOP (1000) o
        SET State = 0, LeaseToken = NULL, LeaseUntil = NULL
        FROM exconn.Outbox AS o WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE o.State = 1 AND o.LeaseUntil <= SYSUTCDATETIME()""",
    "postgresql": """
        UPDATE exconn.Outbox AS o
        SET State = 0, LeaseToken = NULL, LeaseUntil = NULL
        FROM (
            SELECT Id FROM exconn.Outbox
            WHERE State = 1 AND LeaseUntil <= clock_timestamp() AT TIME ZONE 'utc'
            LIMIT 1000 FOR UPDATE SKIP LOCKED
        ) AS expired
        WHERE o.Id = expired.Id""",
}

_REPLAY: Final[Statement] = {
    "mssql": """
        SET NOCOUNT ON;
        SET XACT_ABORT ON;
        DECLARE @page TABLE (Id bigint NOT NULL, AppointmentId bigint NULL, AppointmentGuid uniqueidentifier NULL,
            Action char(1) NOT NULL);
        INSERT INTO @page (Id, AppointmentId, AppointmentGuid, Action)
        SELECT TOP (1000) o.Id, o.AppointmentId, o.AppointmentGuid, o.Action
        FROM exconn.Outbox AS o
        WHERE o.Id > CAST(? AS bigint) AND o.Id <= CAST(? AS bigint) AND o.State = 2
            AND o.DoneAt >= CAST(? AS datetime2(3)) AND ISNULL(o.Version, 0) > CAST(? AS bigint)
        ORDER BY o.Id;
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority)
        SELECT p.AppointmentId, p.AppointmentGuid, p.Action, 'replay', 1
        FROM @page AS p
        WHERE p.AppointmentId IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM @page AS later
            WHERE later.AppointmentId = p.AppointmentId AND later.Id > p.Id AND (
                later.AppointmentGuid = p.AppointmentGuid
                OR (later.AppointmentGuid IS NULL AND p.AppointmentGuid IS NULL)));
        SET NOCOUNT OFF;
        SELECT COUNT(*) AS Replayed, MAX(p.Id) AS Last FROM @page AS p;""",
    "postgresql": """
        WITH page AS (
            SELECT o.Id, o.AppointmentId, o.AppointmentGuid, o.Action
            FROM exconn.Outbox AS o
            WHERE o.Id > CAST(? AS bigint) AND o.Id <= CAST(? AS bigint) AND o.State = 2
                AND o.DoneAt >= CAST(? AS timestamp) AND coalesce(o.Version, 0) > CAST(? AS bigint)
            ORDER BY o.Id
            LIMIT 1000
        ), again AS (
            INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority)
            SELECT DISTINCT ON (page.AppointmentId, page.AppointmentGuid)
                page.AppointmentId, page.AppointmentGuid, page.Action, 'replay', 1
            FROM page
            WHERE page.AppointmentId IS NOT NULL
            ORDER BY page.AppointmentId, page.AppointmentGuid, page.Id DESC
        )
        SELECT count(*), max(Id) FROM page""",
}

_MAY_NUMBER: Final[Statement] = {
    "mssql": "SELECT HAS_PERMS_BY_NAME(N'exconn.OutboxId', N'OBJECT', N'UPDATE')",
    "postgresql": "SELECT CAST(has_sequence_privilege('exconn.OutboxId', 'USAGE') AS int)",
}

_NEWEST: Final[Statement] = {
    "mssql": "SELECT ISNULL(MAX(Id), 0) FROM exconn.Outbox",
    "postgresql": "SELECT coalesce(max(Id), 0) FROM exconn.Outbox",
}

_PRUNE: Final[Statement] = {
    "mssql": """
        DELETE TOP (1000) FROM o
        FROM exconn.Outbox AS o WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE o.State = 2 AND o.DoneAt < DATEADD(DAY, -CAST(? AS int), SYSUTCDATETIME())""",
    "postgresql": """
        DELETE FROM exconn.Outbox
        WHERE Id IN (
            SELECT Id FROM exconn.Outbox
            WHERE State = 2 AND DoneAt < clock_timestamp() AT TIME ZONE 'utc' - CAST(? AS int) * INTERVAL '1 day'
            LIMIT 1000 FOR UPDATE SKIP LOCKED)""",
}

# A version and a later time: neither what was read before the row was parked counts, nor what its own batch read.
_REPLACED: Final[Statement] = {
    "mssql": """
        UPDATE TOP (1000) p
        SET State = 2
        FROM exconn.Outbox AS p WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE p.State = 3 AND EXISTS (
            SELECT 1 FROM exconn.Outbox AS later WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
            WHERE later.AppointmentId = p.AppointmentId AND later.State IN (2, 3)
                AND later.Version > ISNULL(p.Version, 0) AND later.DoneAt > p.DoneAt
                AND (later.AppointmentGuid = p.AppointmentGuid OR later.AppointmentGuid IS NULL
                    OR p.AppointmentGuid IS NULL))""",
    "postgresql": """
        UPDATE exconn.Outbox
        SET State = 2
        WHERE Id IN (
            SELECT p.Id FROM exconn.Outbox AS p
            WHERE p.State = 3 AND EXISTS (
                SELECT 1 FROM exconn.Outbox AS later
                WHERE later.AppointmentId = p.AppointmentId AND later.State IN (2, 3)
                    AND later.Version > coalesce(p.Version, 0) AND later.DoneAt > p.DoneAt
                    AND (later.AppointmentGuid = p.AppointmentGuid OR later.AppointmentGuid IS NULL
                        OR p.AppointmentGuid IS NULL))
            LIMIT 1000 FOR UPDATE SKIP LOCKED)""",
}

_DEPTH: Final[Statement] = {
    "mssql": """
        SELECT o.State, o.Priority, COUNT(*), DATEDIFF(SECOND, MIN(o.CreatedAt), SYSUTCDATETIME())
        FROM exconn.Outbox AS o WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE o.State IN (0, 1, 3)
        GROUP BY o.State, o.Priority""",
    "postgresql": """
        SELECT State, Priority, count(*),
            CAST(extract(epoch FROM clock_timestamp() AT TIME ZONE 'utc' - min(CreatedAt)) AS int)
        FROM exconn.Outbox
        WHERE State IN (0, 1, 3)
        GROUP BY State, Priority""",
}

_IDENTITY: Final[Statement] = {
    "mssql": """
        SELECT s.OutboxIdentity, s.StateDatabase, s.PlannedVersion, CAST(q.current_value AS bigint)
        FROM exconn.State AS s
        CROSS JOIN sys.sequences AS q
        WHERE s.Id = 1 AND q.object_id = OBJECT_ID(N'exconn.Version')""",
    "postgresql": """
        SELECT s.OutboxIdentity, s.StateDatabase, s.PlannedVersion,
            CASE WHEN q.is_called THEN q.last_value ELSE q.last_value - 1 END
        FROM exconn.State AS s CROSS JOIN exconn.Version AS q
        WHERE s.Id = 1""",
}

_RESTORE_MARK: Final[Statement] = {
    "mssql": """
        SELECT CONVERT(char(36), recovery_fork_guid) FROM sys.database_recovery_status
        WHERE database_id = DB_ID()""",
    "postgresql": """
        SELECT concat(system_identifier, '/', timeline_id) FROM pg_control_system(), pg_control_checkpoint()""",
}

_CONFIRM: Final[Statement] = {
    "mssql": """
        UPDATE exconn.State
        SET StateDatabase = CAST(? AS uniqueidentifier), PlannedVersion = CAST(? AS bigint)
        WHERE Id = 1""",
    "postgresql": """
        UPDATE exconn.State SET StateDatabase = CAST(? AS uuid), PlannedVersion = CAST(? AS bigint) WHERE Id = 1""",
}

_PLANNED: Final[Statement] = {
    "mssql": """
        UPDATE exconn.State SET PlannedVersion = CAST(? AS bigint)
        WHERE Id = 1 AND PlannedVersion < CAST(? AS bigint) AND StateDatabase = CAST(? AS uniqueidentifier)""",
    "postgresql": """
        UPDATE exconn.State SET PlannedVersion = CAST(? AS bigint)
        WHERE Id = 1 AND PlannedVersion < CAST(? AS bigint) AND StateDatabase = CAST(? AS uuid)""",
}

_MISSED: Final[Statement] = {
    "mssql": """
        SELECT CAST(q.current_value AS bigint), s.MissedSeen
        FROM exconn.State AS s
        CROSS JOIN sys.sequences AS q
        WHERE s.Id = 1 AND q.object_id = OBJECT_ID(N'exconn.Missed')""",
    # A server that crashed counts on up to 32 further: that costs a comparison, and nothing else.
    "postgresql": """
        SELECT CASE WHEN q.is_called THEN q.last_value ELSE 0 END, s.MissedSeen
        FROM exconn.State AS s CROSS JOIN exconn.Missed AS q
        WHERE s.Id = 1""",
}

_MADE_GOOD: Final[Statement] = {
    "mssql": "UPDATE exconn.State SET MissedSeen = CAST(? AS bigint) WHERE Id = 1",
    "postgresql": "UPDATE exconn.State SET MissedSeen = CAST(? AS bigint) WHERE Id = 1",
}


class Keeping:
    """What stands beside the rows that are worked off."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def free_expired(self) -> int:
        """Make rows new again whose lease has run out; at most 1000, counted."""
        return await self._database.run(_EXPIRED)

    async def may_number(self) -> None:
        """Raise `Configuration` where new rows would get no id: a row must be added to meet it otherwise."""
        ((allowed,),) = await self._database.rows(_MAY_NUMBER)
        if allowed == 0:  # NULL where SQL Server cannot say
            reason = "the sequence exconn.OutboxId may not be drawn from"
            raise Configuration(reason, code="EXC-PLANNING-SCHEMA", scope="tenant")

    async def newest_id(self) -> int:
        """The highest id of all rows."""
        ((newest,),) = await self._database.rows(_NEWEST)
        return int(newest)

    async def replay(self, after: int, until: int, since: datetime, above: int) -> tuple[int, int | None]:
        """Add rows again for a page of those done after `since` with a version above `above`.

        Pages by id in (`after`, `until`]; gives the number of rows looked at, and where the next page begins.
        """
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{since.microsecond // 1000:03d}"
        ((number, last),) = await self._database.rows(_REPLAY, after, until, moment, above, repeatable=False)
        return int(number), None if last is None else int(last)

    async def prune(self, days: int) -> int:
        """Remove up to 1000 rows that were done more than `days` days ago, and count them."""
        return await self._database.run(_PRUNE, days)

    async def replaced(self) -> int:
        """Mark up to 1000 parked rows as done whose appointment was told later, and count them.

        Also where it was unreadable again: then the later row is the one that stays parked.
        """
        return await self._database.run(_REPLACED)

    async def depths(self) -> list[Depth]:
        """How many rows are new, claimed or parked."""
        rows = await self._database.rows(_DEPTH)
        return [Depth(int(s), int(p), int(n), float(age or 0)) for s, p, n, age in rows]

    async def identity(self) -> Identity:
        """Which outbox this is; the restore mark is '' where it may not be read."""
        outbox, state, planned, current = _only(await self._database.rows(_IDENTITY), "Version")
        return Identity(_guid(outbox), state and _guid(state), int(planned), int(current), await self._mark())

    async def _mark(self) -> str:
        rows = await self._database.permitted(_RESTORE_MARK)
        return str(rows[0][0] or "") if rows else ""

    async def confirm(self, state_database: UUID, planned: int) -> None:
        """Remember the state database, and what it knows."""
        await self._database.run(_CONFIRM, str(state_database), planned)

    async def planned(self, version: int, state_database: UUID) -> None:
        """Remember that the state database has planned this version."""
        await self._database.run(_PLANNED, version, version, str(state_database))

    async def missed(self) -> tuple[int, int]:
        """How many statements the triggers could not note, and how many of them were made good."""
        counted, seen = _only(await self._database.rows(_MISSED), "Missed")
        return int(counted), int(seen)

    async def made_good(self, missed: int) -> None:
        """Remember that what was missed until then has been found."""
        await self._database.run(_MADE_GOOD, missed)


def _only(rows: list[Row], sequence: str) -> Row:
    """The one row of a statement that names the state and a sequence, which SQL Server hides without rights."""
    if len(rows) == 1:
        return rows[0]
    reason = f"exconn.State has no row, or the sequence exconn.{sequence} may not be seen"
    raise Configuration(reason, code="EXC-PLANNING-SCHEMA", scope="tenant")


def _guid(value: str | UUID) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
