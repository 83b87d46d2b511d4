"""Working off the outbox in the planning database. The words of SQL Server are those of 2016.

Nothing here waits for a planner: rows that somebody has locked are passed over, and found the next time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Final, Literal
from uuid import UUID

from common.messages import Cause
from common.planning.database import Database, Row, Statement
from outbox_reader.records import Key, OutboxRow, SharedRow

_CLAIM: Final[Statement] = {
    # READCOMMITTEDLOCK: READPAST is refused under READ_COMMITTED_SNAPSHOT without it.
    # https://learn.microsoft.com/sql/t-sql/queries/hints-transact-sql-table
    "mssql": """
        WITH due AS (
            SELECT TOP (CAST(? AS int)) o.AppointmentId
            FROM exconn.Outbox AS o WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
            WHERE o.State = 0 AND o.AppointmentId IS NOT NULL AND o.DueAt <= SYSUTCDATETIME()
                AND NOT EXISTS (
                    SELECT 1 FROM exconn.Outbox AS held WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
                    WHERE held.AppointmentId = o.AppointmentId AND held.State = 1)
            ORDER BY o.Priority, o.Id
        )
        UPDATE TOP (CAST(? AS int)) o
        SET State = 1, LeaseToken = CAST(? AS uniqueidentifier),
            LeaseUntil = DATEADD(SECOND, CAST(? AS int), SYSUTCDATETIME()), Attempts = o.Attempts + 1
        OUTPUT inserted.Id, inserted.AppointmentId, inserted.AppointmentGuid, inserted.Action, inserted.Cause,
            inserted.RequestId, inserted.CreatedAt, inserted.Attempts
        FROM exconn.Outbox AS o WITH (UPDLOCK, READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE o.State = 0 AND o.AppointmentId IN (SELECT due.AppointmentId FROM due)""",
    # Arrays, NOT IN and ctid where joins would be natural: the planner believes that hardly a row is new or claimed,
    # as statistics are of yesterday, and would compare every row with every other.
    "postgresql": """
        WITH due AS (
            SELECT o.AppointmentId
            FROM exconn.Outbox AS o
            WHERE o.State = 0 AND o.AppointmentId IS NOT NULL AND o.DueAt <= clock_timestamp() AT TIME ZONE 'utc'
                AND o.AppointmentId NOT IN (
                    SELECT held.AppointmentId FROM exconn.Outbox AS held
                    WHERE held.State = 1 AND held.AppointmentId IS NOT NULL)
            ORDER BY o.Priority, o.Id
            LIMIT CAST(? AS int)
        ), mine AS (
            SELECT o.ctid AS place
            FROM exconn.Outbox AS o
            WHERE o.State = 0 AND o.AppointmentId = ANY (ARRAY(SELECT DISTINCT due.AppointmentId FROM due))
            LIMIT CAST(? AS int)
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE exconn.Outbox AS o
            SET State = 1, LeaseToken = CAST(? AS uuid), Attempts = o.Attempts + 1,
                LeaseUntil = clock_timestamp() AT TIME ZONE 'utc' + CAST(? AS int) * INTERVAL '1 second'
            WHERE o.State = 0 AND o.ctid = ANY (ARRAY(SELECT mine.place FROM mine))
            RETURNING o.Id, o.AppointmentId, o.AppointmentGuid, o.Action, o.Cause, o.RequestId, o.CreatedAt, o.Attempts
        )
        SELECT Id, AppointmentId, AppointmentGuid, Action, Cause, RequestId, CreatedAt, Attempts FROM claimed""",
}

_RIVALS: Final[Statement] = {
    "mssql": """
        SELECT o.AppointmentId
        FROM exconn.Outbox AS o
        WHERE o.State = 1 AND o.AppointmentId IS NOT NULL
        GROUP BY o.AppointmentId
        HAVING COUNT(DISTINCT o.LeaseToken) > 1""",
    "postgresql": """
        SELECT AppointmentId
        FROM exconn.Outbox
        WHERE State = 1 AND AppointmentId IS NOT NULL
        GROUP BY AppointmentId
        HAVING count(DISTINCT LeaseToken) > 1""",
}

_DONE: Final[Statement] = {
    "mssql": """
        UPDATE exconn.Outbox WITH (ROWLOCK)
        SET State = 2, DoneAt = SYSUTCDATETIME(), Version = CAST(? AS bigint), LeaseToken = NULL, LeaseUntil = NULL
        WHERE State = 1 AND LeaseToken = CAST(? AS uniqueidentifier)""",
    "postgresql": """
        UPDATE exconn.Outbox
        SET State = 2, DoneAt = clock_timestamp() AT TIME ZONE 'utc', Version = CAST(? AS bigint),
            LeaseToken = NULL, LeaseUntil = NULL
        WHERE State = 1 AND LeaseToken = CAST(? AS uuid)""",
}

_RELEASE: Final[Statement] = {
    "mssql": """
        UPDATE o
        SET State = 0, LeaseToken = NULL, LeaseUntil = NULL,
            DueAt = DATEADD(MILLISECOND, CAST(? AS int), SYSUTCDATETIME())
        FROM exconn.Outbox AS o WITH (ROWLOCK)
        INNER JOIN OPENJSON(CAST(? AS nvarchar(max))) WITH (Id bigint '$') AS given ON given.Id = o.Id
        WHERE o.State = 1 AND o.LeaseToken = CAST(? AS uniqueidentifier)""",
    "postgresql": """
        UPDATE exconn.Outbox AS o
        SET State = 0, LeaseToken = NULL, LeaseUntil = NULL,
            DueAt = clock_timestamp() AT TIME ZONE 'utc' + CAST(? AS int) * INTERVAL '1 millisecond'
        FROM json_array_elements_text(CAST(? AS json)) AS given
        WHERE o.Id = CAST(given AS bigint) AND o.State = 1 AND o.LeaseToken = CAST(? AS uuid)""",
}

_PARK: Final[Statement] = {
    "mssql": """
        UPDATE o
        SET State = 3, DoneAt = SYSUTCDATETIME(), Version = CAST(? AS bigint), Reason = given.Reason,
            LeaseToken = NULL, LeaseUntil = NULL
        FROM exconn.Outbox AS o WITH (ROWLOCK)
        INNER JOIN OPENJSON(CAST(? AS nvarchar(max)))
            WITH (Id bigint '$.id', Reason nvarchar(400) '$.reason') AS given ON given.Id = o.Id
        WHERE o.State = 1 AND o.LeaseToken = CAST(? AS uniqueidentifier)""",
    "postgresql": """
        UPDATE exconn.Outbox AS o
        SET State = 3, DoneAt = clock_timestamp() AT TIME ZONE 'utc', Version = CAST(? AS bigint),
            Reason = given.reason, LeaseToken = NULL, LeaseUntil = NULL
        FROM json_to_recordset(CAST(? AS json)) AS given (id bigint, reason varchar(400))
        WHERE o.Id = given.id AND o.State = 1 AND o.LeaseToken = CAST(? AS uuid)""",
}

_CLAIM_SHARED: Final[Statement] = {
    "mssql": """
        UPDATE TOP (20) o
        SET State = 1, LeaseToken = CAST(? AS uniqueidentifier),
            LeaseUntil = DATEADD(SECOND, CAST(? AS int), SYSUTCDATETIME()), Attempts = o.Attempts + 1
        OUTPUT inserted.Id, inserted.SharedTable, inserted.SharedKey, inserted.SharedAfter
        FROM exconn.Outbox AS o WITH (UPDLOCK, READPAST, READCOMMITTEDLOCK, ROWLOCK)
        WHERE o.State = 0 AND o.AppointmentId IS NULL AND o.DueAt <= SYSUTCDATETIME()""",
    "postgresql": """
        WITH mine AS (
            SELECT Id FROM exconn.Outbox
            WHERE State = 0 AND AppointmentId IS NULL AND DueAt <= clock_timestamp() AT TIME ZONE 'utc'
            LIMIT 20 FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE exconn.Outbox AS o
            SET State = 1, LeaseToken = CAST(? AS uuid), Attempts = o.Attempts + 1,
                LeaseUntil = clock_timestamp() AT TIME ZONE 'utc' + CAST(? AS int) * INTERVAL '1 second'
            FROM mine WHERE o.Id = mine.Id
            RETURNING o.Id, o.SharedTable, o.SharedKey, o.SharedAfter
        )
        SELECT Id, SharedTable, SharedKey, SharedAfter FROM claimed ORDER BY Id""",
}

_EXPAND: Final[Statement] = {
    "mssql": """
        SET NOCOUNT ON;
        SET XACT_ABORT ON;
        DECLARE @size int = ?, @priority smallint = ?, @lease int = ?, @id bigint = ?, @token varchar(36) = ?;
        DECLARE @page TABLE (AppointmentId bigint NOT NULL, AppointmentGuid uniqueidentifier NULL);
        DECLARE @found int;
        BEGIN TRANSACTION;
        INSERT INTO @page (AppointmentId, AppointmentGuid)
        SELECT DISTINCT TOP (@size) r.AppointmentId, r.AppointmentGuid
        FROM exconn.Outbox AS o WITH (UPDLOCK, ROWLOCK)
        INNER JOIN exconn.SharedRow AS r ON r.SharedTable = o.SharedTable AND r.SharedKey = o.SharedKey
        WHERE o.Id = @id AND o.State = 1 AND o.LeaseToken = CAST(@token AS uniqueidentifier)
            AND r.AppointmentId > ISNULL(o.SharedAfter, -9223372036854775808)
        ORDER BY r.AppointmentId;
        SET @found = @@ROWCOUNT;
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority, RequestId)
        SELECT p.AppointmentId, p.AppointmentGuid, 'U', o.Cause, @priority, o.RequestId
        FROM @page AS p CROSS JOIN exconn.Outbox AS o
        WHERE o.Id = @id;
        UPDATE exconn.Outbox WITH (ROWLOCK)
        SET SharedAfter = ISNULL((SELECT MAX(p.AppointmentId) FROM @page AS p), SharedAfter),
            State = CASE WHEN @found < @size THEN 2 ELSE 1 END,
            DoneAt = CASE WHEN @found < @size THEN SYSUTCDATETIME() END,
            LeaseUntil = DATEADD(SECOND, @lease, SYSUTCDATETIME())
        WHERE Id = @id AND State = 1 AND LeaseToken = CAST(@token AS uniqueidentifier);
        COMMIT TRANSACTION;
        SET NOCOUNT OFF;
        SELECT @found AS Expanded;""",
    "postgresql": """
        WITH given AS (
            SELECT CAST(? AS int) AS size, CAST(? AS smallint) AS priority, CAST(? AS int) AS lease
        ), shared AS (
            SELECT o.Id, o.SharedTable, o.SharedKey, o.SharedAfter, o.Cause, o.RequestId
            FROM exconn.Outbox AS o
            WHERE o.Id = CAST(? AS bigint) AND o.State = 1 AND o.LeaseToken = CAST(? AS uuid)
            FOR UPDATE
        ), page AS (
            SELECT DISTINCT r.AppointmentId, r.AppointmentGuid, shared.Cause, shared.RequestId
            FROM shared
            INNER JOIN exconn.SharedRow AS r
                ON r.SharedTable = shared.SharedTable AND r.SharedKey = shared.SharedKey
            WHERE r.AppointmentId > coalesce(shared.SharedAfter, -9223372036854775808)
            ORDER BY r.AppointmentId
            LIMIT (SELECT size FROM given)
        ), expanded AS (
            INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority, RequestId)
            SELECT page.AppointmentId, page.AppointmentGuid, 'U', page.Cause, given.priority, page.RequestId
            FROM page CROSS JOIN given
        ), counted AS (
            SELECT count(*) AS number, max(AppointmentId) AS last FROM page
        ), moved AS (
            UPDATE exconn.Outbox AS o
            SET SharedAfter = coalesce(counted.last, o.SharedAfter),
                State = CASE WHEN counted.number < given.size THEN 2 ELSE 1 END,
                DoneAt = CASE WHEN counted.number < given.size THEN clock_timestamp() AT TIME ZONE 'utc' END,
                LeaseUntil = clock_timestamp() AT TIME ZONE 'utc' + given.lease * INTERVAL '1 second'
            FROM counted CROSS JOIN given CROSS JOIN shared
            WHERE o.Id = shared.Id
        )
        SELECT number FROM counted""",
}

_ENQUEUE: Final[Statement] = {
    "mssql": """
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority)
        SELECT given.AppointmentId, given.AppointmentGuid, given.Action, CAST(? AS varchar(12)), CAST(? AS smallint)
        FROM OPENJSON(CAST(? AS nvarchar(max)))
            WITH (AppointmentId bigint '$.id', AppointmentGuid uniqueidentifier '$.guid', Action char(1) '$.action') AS given
        WHERE NOT EXISTS (
            SELECT 1 FROM exconn.Outbox AS o WITH (READPAST, READCOMMITTEDLOCK, ROWLOCK)
            WHERE o.AppointmentId = given.AppointmentId AND o.State = 0 AND o.Priority <= CAST(? AS smallint)
                AND o.Action = given.Action
                AND (o.AppointmentGuid = given.AppointmentGuid OR given.AppointmentGuid IS NULL))""",
    "postgresql": """
        INSERT INTO exconn.Outbox (AppointmentId, AppointmentGuid, Action, Cause, Priority)
        SELECT given.id, given.guid, given.action, CAST(fixed.cause AS varchar(12)), fixed.priority
        FROM (SELECT CAST(? AS text) AS cause, CAST(? AS smallint) AS priority) AS fixed
        CROSS JOIN json_to_recordset(CAST(? AS json)) AS given (id bigint, guid uuid, action char(1))
        WHERE NOT EXISTS (
            SELECT 1 FROM exconn.Outbox AS o
            WHERE o.AppointmentId = given.id AND o.State = 0 AND o.Priority <= CAST(? AS smallint)
                AND o.Action = given.action AND (o.AppointmentGuid = given.guid OR given.guid IS NULL))""",
}


class Outbox:
    """The rows of exconn.Outbox: claimed, settled, added."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, token: UUID, limit: int, lease: int) -> list[OutboxRow]:
        """Lease rows of up to `limit` appointments that are due, fresh before bulk, oldest first.

        With a row, every other new row of its appointment is taken, up to 2 * `limit` in all. The lease ends
        after `lease` seconds. Committed when this returns; what a concurrent reader took of the same
        appointments is found by `rivals`. Never repeated by itself: a claim whose answer was lost runs out.
        """
        rows = await self._database.rows(_CLAIM, limit, 2 * limit, str(token), lease, repeatable=False)
        return sorted(map(_row, rows), key=lambda row: row.id)

    async def rivals(self) -> set[int]:
        """Appointments of which two leases hold rows.

        Asked after the claim's commit: of two that claimed at once, at least the later one sees the other.
        """
        return {int(number) for (number,) in await self._database.rows(_RIVALS)}

    async def done(self, token: UUID, version: int) -> int:
        """Mark what is still under this lease as done, and count it."""
        return await self._database.run(_DONE, version, str(token))

    async def release(self, token: UUID, ids: Iterable[int], delay: float) -> None:
        """Give rows back, due after `delay` seconds, where they are still under this lease."""
        await self._database.run(_RELEASE, int(delay * 1000), json.dumps(list(ids)), str(token))

    async def park(self, token: UUID, reasons: Mapping[int, str], version: int | None) -> None:
        """Put rows aside with a reason, where they are still under this lease; `version` where one was drawn."""
        given = [{"id": number, "reason": reason[:400]} for number, reason in reasons.items()]
        await self._database.run(_PARK, version, json.dumps(given), str(token))

    async def claim_shared(self, token: UUID, lease: int) -> list[SharedRow]:
        """Lease some rows that name a shared row."""
        rows = await self._database.rows(_CLAIM_SHARED, str(token), lease, repeatable=False)
        return [
            SharedRow(int(number), table, key, None if after is None else int(after))
            for number, table, key, after in rows
        ]

    async def expand(self, token: UUID, row_id: int, size: int, priority: int, lease: int) -> int:
        """Enqueue the next `size` appointments that show the shared row, and move its cursor in the same commit.

        Counts them; fewer than `size` means that the row is done, or no longer under this lease.
        """
        ((number,),) = await self._database.rows(
            _EXPAND, size, priority, lease, row_id, str(token), repeatable=False
        )
        return int(number)

    async def enqueue(
        self, keys: Iterable[Key], *, cause: Cause, priority: int, action: Literal["U", "D"] = "U"
    ) -> int:
        """Add rows for appointments that have none of the same kind waiting, and count them."""
        given = [{"id": number, "guid": guid and str(guid), "action": action} for number, guid in keys]
        if not given:
            return 0
        return await self._database.run(_ENQUEUE, cause, priority, json.dumps(given), priority)


def _row(row: Row) -> OutboxRow:
    number, appointment, guid, action, cause, request, created, attempts = row
    return OutboxRow(
        int(number),
        int(appointment),
        guid and _guid(guid),
        action,
        cause,
        request and _guid(request),
        created.replace(tzinfo=UTC),
        attempts,
    )


def _guid(value: str | UUID) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
