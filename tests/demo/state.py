"""A look into the connector's own tables: who is held and why, what became of a change, is all work done."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Self

import asyncpg

HELD_STATES = frozenset({"no mailbox", "no licence", "no access"})


class State:
    """Reads the state database, and the outbox in the planning database.

    The state database may be away or killed at any time: then nothing is held, planned, skipped or finished.
    """

    def __init__(self, state: Any, planning: Any) -> None:
        self._state = state
        self._planning = planning

    @classmethod
    @asynccontextmanager
    async def open(cls, state_dsn: str, planning_dsn: str) -> AsyncIterator[Self]:
        async with (
            asyncpg.create_pool(state_dsn, min_size=0, max_size=3) as state,
            asyncpg.create_pool(planning_dsn, min_size=0, max_size=2) as planning,
        ):
            yield cls(state, planning)

    async def words(self, address: str) -> str:
        """The state of a mailbox in words; "unknown" before it was ever needed."""
        rows = await self._fetch("SELECT state FROM mailbox WHERE address = $1", address)
        return rows[0]["state"] if rows else "unknown"

    async def is_held(self, address: str) -> bool:
        """Whether an administrator must do something before the mailbox can be written to."""
        return await self.words(address) in HELD_STATES

    async def is_planned(self, appointment_id: int) -> bool:
        """Whether every change of it that is noted in the outbox was planned."""
        waiting = await self._planning.fetchval(
            "SELECT count(*) FROM exconn.Outbox WHERE AppointmentId = $1 AND State < 2", appointment_id
        )
        return not waiting and bool(
            await self._fetch("SELECT FROM appointment WHERE id = $1", appointment_id)
        )

    async def is_skipped(self, appointment_id: int) -> bool:
        """Whether the last change of it was not sent, on purpose."""
        found = await self._state.fetchval(
            "SELECT status FROM transaction WHERE appointment_id = $1 ORDER BY id DESC LIMIT 1",
            appointment_id,
        )
        return found == "skipped"

    async def unfinished(self, held: Collection[str] = ()) -> str | None:
        """What is still to be done somewhere, but for links of held mailboxes; None where all is quiet."""
        rows = await self._planning.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State < 2")
        if rows:
            return f"{rows} rows in the outbox"
        if waiting := await self._unplanned():
            return f"{waiting} appointments that are published but not planned"
        links = await self._fetch(
            # What is gone is looked for once more after an hour, and nobody waits for that.
            "SELECT FROM link WHERE want_seq > done_seq AND frozen IS NULL AND mailbox <> ALL($1)"
            " AND due_at < now() + interval '30 minutes'",
            list(held),
        )
        if links is None:
            return "the state database does not answer"
        return f"{len(links)} links that wait for their calendar" if links else None

    async def _unplanned(self) -> int:
        published = await self._planning.fetch(
            "SELECT AppointmentId AS id, max(Version) AS version FROM exconn.Outbox"
            " WHERE State = 2 AND AppointmentId IS NOT NULL GROUP BY AppointmentId"
        )
        rows = await self._fetch("SELECT id, max(version) AS version FROM appointment GROUP BY id")
        planned = {row["id"]: row["version"] for row in rows or ()}
        return sum(planned.get(row["id"], 0) < (row["version"] or 0) for row in published)

    async def _fetch(self, statement: str, *parameters: object) -> list[Any] | None:
        try:
            return await self._state.fetch(statement, *parameters, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return None
