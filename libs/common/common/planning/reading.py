"""Versions and snapshots from the planning database: used by outbox-reader and webhook-ingest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from typing import Final
from uuid import UUID

import pyodbc

from common.errors import Transient
from common.messages import Snapshot
from common.planning.database import Database, Row, Statement, locked
from common.planning.snapshots import Found, Reading, Unreadable, parse

__all__ = ["Planning", "Reading", "Snapshot", "Unreadable"]

_Rows = list[tuple[int, UUID | None, Found]]

_NEXT_VERSION: Final[Statement] = {
    "mssql": "SELECT NEXT VALUE FOR exconn.Version AS Version",
    "postgresql": "SELECT nextval('exconn.Version')",
}

_READ: Final[Statement] = {
    "mssql": """
        SELECT s.AppointmentId, s.AppointmentGuid, s.Snapshot
        FROM OPENJSON(CAST(? AS nvarchar(max))) WITH (Id bigint '$') AS wanted
        INNER JOIN exconn.AppointmentSnapshot AS s ON s.AppointmentId = wanted.Id""",
    "postgresql": """
        SELECT s.AppointmentId, s.AppointmentGuid, s.Snapshot
        FROM exconn.AppointmentSnapshot AS s
        WHERE s.AppointmentId = ANY (
            ARRAY(SELECT CAST(wanted AS bigint) FROM json_array_elements_text(CAST(? AS json)) AS wanted))""",
}

_IDS: Final[Statement] = {
    "mssql": """
        SELECT TOP (CAST(? AS int)) s.AppointmentId
        FROM exconn.AppointmentSnapshot AS s
        WHERE s.AppointmentId > CAST(? AS bigint)
        ORDER BY s.AppointmentId""",
    "postgresql": """
        WITH page AS (SELECT CAST(? AS int) AS size)
        SELECT s.AppointmentId
        FROM exconn.AppointmentSnapshot AS s
        WHERE s.AppointmentId > CAST(? AS bigint)
        ORDER BY s.AppointmentId
        LIMIT (SELECT size FROM page)""",
}


class Planning:
    """Appointments as the planning database shows them, with times in UTC."""

    def __init__(self, database: Database, zone: tzinfo) -> None:
        """`zone` is that of the planning's datetime columns."""
        self._zone = UTC if str(zone) in {"UTC", "Etc/UTC"} else zone
        self._database = database

    async def next_version(self) -> int:
        """Draw a version: higher than every one drawn before from this database.

        A snapshot read after this returns shows all that was committed before.
        """
        ((version,),) = await self._database.rows(_NEXT_VERSION)
        return int(version)

    async def read(self, ids: Iterable[int]) -> Reading:
        """Read many appointments in one statement.

        A row that cannot be read is `Unreadable` and never hinders another; where not even its guid could be
        read it is found under guid None. Raises `Transient` or `Configuration` as `Database.rows` does.
        """
        found: dict[tuple[int, UUID | None], Found] = {}
        for number, guid, snapshot in await self._read(sorted(set(ids))):
            found[number, guid] = snapshot
        return Reading(found)

    async def ids(self, after: int, size: int) -> list[int]:
        """The ids of the next appointments above `after`, in their order; fewer than `size` of them at the end."""
        return [int(number) for (number,) in await self._database.rows(_IDS, size, after)]

    async def _read(self, ids: Sequence[int]) -> _Rows:
        if not ids:
            return []
        try:
            return [self._found(row) for row in await self._database.rows(_READ, json.dumps(ids))]
        except (pyodbc.Error, UnicodeError, Transient) as error:
            if isinstance(error, Transient) and not locked(error.__cause__):
                raise
            if len(ids) == 1:
                return [(ids[0], None, _unreadable(error))]
        half = len(ids) // 2
        return await self._read(ids[:half]) + await self._read(ids[half:])

    def _found(self, row: Row) -> tuple[int, UUID | None, Found]:
        number, guid, text = row
        try:
            identity = UUID(str(guid))
        except ValueError:
            return int(number), None, Unreadable("guid: missing or no guid")
        snapshot = parse(text, self._zone)
        if isinstance(snapshot, Snapshot) and (snapshot.id, snapshot.guid) != (number, identity):
            snapshot = Unreadable("id, guid: not those of the row")
        return int(number), identity, snapshot


def _unreadable(error: Exception) -> Unreadable:
    if isinstance(error, Transient):
        return Unreadable("the row is locked", busy=True)
    if isinstance(error, pyodbc.Error):
        return Unreadable(f"the database cannot compute the snapshot [{error.args[0] if error.args else ''}]")
    return Unreadable("the row holds text that is no Unicode")
