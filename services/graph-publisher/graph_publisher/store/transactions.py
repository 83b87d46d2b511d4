"""The SQL of what administrators see of transactions, and of archiving them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from common import db
from graph_publisher.store.audit import note

if TYPE_CHECKING:
    from common.db import Pool

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which transactions; None asks nothing. `current`: only those outbound ones that no newer one of the link replaced."""

    ids: list[int] | None = None
    status: str | None = None
    mailbox: str | None = None
    appointment: int | None = None
    code: str | None = None
    since: datetime | None = None
    archived: bool | None = False
    current: bool = False

    @property
    def asks(self) -> bool:
        """Whether somebody named anything that transactions are chosen by."""
        named = (self.status, self.mailbox, self.appointment, self.code, self.since)
        return any(one is not None for one in named)


@dataclass(frozen=True, slots=True)
class TransactionStore:
    """The commands' door to transactions. `who` stands in the audit log beside each change, in the same commit."""

    pool: Pool
    who: str

    async def read(self, wanted: Filter, limit: int) -> list[Row]:
        """Read at most `limit` transactions, newest first."""
        where, values = _where(wanted)
        with db.guard():
            rows = await self.pool.fetch(
                f"""SELECT t.id, t.created_at, t.closed_at, t.direction, t.link_id, t.appointment_id,
                           t.appointment_guid, t.resource_no, t.mailbox, t.profile, t.action, t.status, t.code,
                           t.reason, t.notes, t.source, t.cause, t.epoch, t.version, t.changes, t.superseded_by,
                           t.archived_at
                    FROM transaction t WHERE {where} ORDER BY t.id DESC LIMIT ${len(values) + 1}""",
                *values,
                limit,
            )
        return [dict(row) for row in rows]

    async def ids(self, wanted: Filter, before: int, limit: int) -> list[int]:
        """Read the ids of at most `limit` transactions older than `before`, newest first."""
        where, values = _where(wanted)
        place = len(values)
        with db.guard():
            rows = await self.pool.fetch(
                f"""SELECT t.id FROM transaction t WHERE {where} AND t.id < ${place + 1}
                    ORDER BY t.id DESC LIMIT ${place + 2}""",
                *values,
                before,
                limit,
            )
        return [row["id"] for row in rows]

    async def attempts(self, transactions: Iterable[int]) -> dict[int, list[Row]]:
        """Read the calls made for transactions, in their order."""
        asked = list(transactions)
        with db.guard():
            rows = await self.pool.fetch(
                """SELECT a.id, a.transaction_id, a.operation, a.outcome, a.code, a.status, a.reason, a.request_id,
                          a.event_id, a.opened_at, a.closed_at
                   FROM transaction t JOIN attempt a ON a.link_id = t.link_id AND a.transaction_id = t.id
                   WHERE t.id = ANY($1) ORDER BY a.id""",
                asked,
            )
        found: dict[int, list[Row]] = {one: [] for one in asked}
        for row in rows:
            found[row["transaction_id"]].append(dict(row))
        return found

    async def archive(self, ids: Sequence[int], *, archive: bool) -> dict[int, str | None]:
        """Put closed transactions into the archive or take them out; returns for each None, or why it stays."""
        async with db.transaction(self.pool) as connection:
            rows = await connection.fetch(
                """SELECT id, status, archived_at IS NOT NULL AS archived FROM transaction
                   WHERE id = ANY($1) ORDER BY id FOR UPDATE""",
                list(ids),
            )
            told = dict.fromkeys(ids, "there is no such transaction") | {
                row["id"]: _stays(row, archive=archive) for row in rows
            }
            moved = [one for one in ids if told[one] is None]
            await connection.execute(
                "UPDATE transaction SET archived_at = CASE WHEN $2 THEN now() END WHERE id = ANY($1)",
                moved,
                archive,
            )
            if moved:
                done = "transactions.archived" if archive else "transactions.restored"
                await note(connection, self.who, done, "transactions", {"ids": moved})
        return told


def _stays(row: Any, *, archive: bool) -> str | None:
    if row["archived"] == archive:
        return "it is in the archive already" if archive else "it is not in the archive"
    return "it is still pending" if row["status"] == "pending" else None


def _where(wanted: Filter) -> tuple[str, list[Any]]:
    """Compose the conditions of a filter, of constant texts; every value is a parameter."""
    asked = [
        ("t.id = ANY({})", wanted.ids),
        ("t.status = {}", wanted.status),
        ("t.mailbox = {}", wanted.mailbox),
        ("t.appointment_id = {}", wanted.appointment),
        ("t.code = {}", wanted.code),
        ("t.created_at >= {}", wanted.since),
        ("(t.archived_at IS NOT NULL) = {}", wanted.archived),
    ]
    named = [(text, value) for text, value in asked if value is not None]
    conditions = [text.format(f"${number}") for number, (text, _) in enumerate(named, 1)]
    return " AND ".join([*conditions, _CURRENT if wanted.current else "true"]), [value for _, value in named]


_CURRENT = """t.direction = 'out' AND t.superseded_by IS NULL
              AND NOT EXISTS (SELECT FROM transaction n WHERE n.link_id = t.link_id AND n.direction = 'out' AND n.id > t.id)"""
