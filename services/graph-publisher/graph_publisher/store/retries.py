"""The SQL of trying again: a failed (or, to resend, a closed) transaction makes its link wanted once more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import db
from graph_publisher.retrying import Refusal, Told, refusal, sends_all
from graph_publisher.store.audit import note

if TYPE_CHECKING:
    from common.db import Connection, Pool


@dataclass(frozen=True, slots=True)
class Again:
    """What became of one transaction: its successor, with the state of a held mailbox, or why there is none."""

    id: int
    refusal: Refusal | None
    successor: int | None = None
    mailbox: str | None = None
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class RetryStore:
    """The commands' door to trying again."""

    pool: Pool
    who: str

    async def again(self, ids: Sequence[int], *, resend: bool, bulk: bool) -> list[Again]:
        """Make the links of these transactions wanted again, with a new pending transaction each, in one commit.

        Two who ask for the same at once get one successor: the second finds it under the appointment's lock.
        `bulk` waits behind fresh changes.
        """
        cause = "resend" if resend else "retry"
        async with db.transaction(self.pool) as connection:
            await _lock(connection, ids)
            told = await _told(connection, ids)
            refused = {one: refusal(told.get(one), resend=resend) for one in ids}
            rows = [
                {"id": one, "link_id": told[one].link_id, "all": sends_all(told[one], resend=resend),
                 "ask": told[one].code == "EXC-AMBIGUOUS"}
                for one in ids if refused[one] is None
            ]  # fmt: skip
            made = await self._make(connection, rows, cause, bulk=bulk) if rows else {}
        return [
            Again(one, refused[one], *made[one]) if one in made else Again(one, refused[one]) for one in ids
        ]

    async def _make(
        self, connection: Connection, rows: Sequence[dict[str, Any]], cause: str, *, bulk: bool
    ) -> dict[int, tuple[int, str, str | None]]:
        await connection.execute(_WANT, rows, bulk)
        made = await connection.fetch(
            _OPEN, [row["id"] for row in rows], cause, f"{cause} asked by {self.who}"
        )
        await connection.execute(_REPLACE, [one["id"] for one in made], [one["link_id"] for one in made])
        holds = await connection.fetch(_WAKE, sorted({one["mailbox"] for one in made}), bulk)
        held = {row["address"]: row["hold"] for row in holds}
        successors = {one["before"]: one["id"] for one in made}
        details = {str(before): after for before, after in successors.items()}
        done = "transactions.resent" if cause == "resend" else "transactions.retried"
        await note(connection, self.who, done, "transactions", {"successors": details})
        return {one["before"]: (one["id"], one["mailbox"], held.get(one["mailbox"])) for one in made}


async def _lock(connection: Connection, ids: Sequence[int]) -> None:
    """Lock in the order of planning: appointments, links, mailboxes."""
    of = "(SELECT {} FROM transaction t WHERE t.id = ANY($1) AND t.link_id IS NOT NULL)"
    for statement in (
        f"""SELECT 1 FROM appointment WHERE (id, guid) IN {of.format("t.appointment_id, t.appointment_guid")}
            ORDER BY id, guid FOR UPDATE""",
        f"SELECT 1 FROM link WHERE id IN {of.format('t.link_id')} ORDER BY id FOR UPDATE",
        f"SELECT 1 FROM mailbox WHERE address IN {of.format('t.mailbox')} ORDER BY address FOR UPDATE",
    ):
        await connection.execute(statement, list(ids))


async def _told(connection: Connection, ids: Sequence[int]) -> dict[int, Told]:
    """Read transactions whose links are locked: whoever closes a transaction locks its link first."""
    rows = await connection.fetch(
        """SELECT t.id, t.direction, t.status, t.code, t.link_id, l.frozen,
                  coalesce(t.superseded_by, (SELECT max(n.id) FROM transaction n WHERE n.link_id = t.link_id
                                             AND n.direction = 'out' AND n.id > t.id)) AS successor,
                  EXISTS (SELECT FROM attempt a WHERE a.link_id = t.link_id
                          AND (a.outcome IS NULL OR a.outcome = 'unknown')) AS open_call,
                  coalesce(l.wanted IS NULL AND l.event_id IS NULL, false) AS vanished
           FROM transaction t LEFT JOIN link l ON l.id = t.link_id WHERE t.id = ANY($1)""",
        list(ids),
    )
    return {row["id"]: Told(**{name: value for name, value in row.items() if name != "id"}) for row in rows}


# What was sent becomes a value that equals no field's, so that all are sent; what was seen stays known.
# Who was asked about an event that may be the appointment's own looks through the calendar again.
_WANT = """
UPDATE link l
SET want_seq = l.want_seq + 1, due_at = now(), bulk = $2, tries = 0, first_trouble_at = NULL, missing_since = NULL,
    restores = 0, updated_at = now(),
    adopt = l.adopt OR n.ask AND l.event_id IS NULL AND NOT EXISTS (SELECT FROM attempt a WHERE a.link_id = l.id),
    fields = CASE WHEN n."all" THEN (SELECT coalesce(jsonb_object_agg(key, value || '{"sent": {}}'), '{}')
                                     FROM jsonb_each(l.fields)) ELSE l.fields END
FROM jsonb_to_recordset($1::jsonb) AS n (link_id bigint, "all" boolean, ask boolean)
WHERE l.id = n.link_id
"""

# A command speaks for a person, as the website does.
_OPEN = """
INSERT INTO transaction (direction, link_id, appointment_id, appointment_guid, resource_no, mailbox, profile, action,
                         status, source, cause, want_seq, epoch, version, changes, notes)
SELECT 'out', l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.mailbox, m.profile,
       CASE WHEN l.wanted IS NULL THEN 'delete' WHEN l.event_id IS NULL THEN 'create' ELSE 'update' END,
       'pending', 'website', $2, l.want_seq, coalesce(a.epoch, t.epoch), coalesce(a.version, t.version), t.changes,
       l.notes || $3::text
FROM transaction t JOIN link l ON l.id = t.link_id JOIN mailbox m ON m.address = l.mailbox
LEFT JOIN appointment a ON a.id = l.appointment_id AND a.guid = l.appointment_guid
WHERE t.id = ANY($1) ORDER BY l.id
RETURNING id, link_id, mailbox,
          (SELECT max(t.id) FROM transaction t WHERE t.link_id = transaction.link_id AND t.id = ANY($1)) AS before
"""

_REPLACE = """
UPDATE transaction t SET superseded_by = n.id
FROM unnest($1::bigint[], $2::bigint[]) AS n (id, link_id)
WHERE t.link_id = n.link_id AND t.id < n.id AND t.direction = 'out' AND t.status = 'failed' AND t.superseded_by IS NULL
"""

_WAKE = """
UPDATE mailbox m
SET work_at = least(work_at, now()), wakes = wakes + 1, work_bulk = $2 AND (work_bulk OR work_at IS NULL)
WHERE address = ANY($1)
RETURNING address, CASE WHEN NOT outbound THEN 'switched off' WHEN hold_until = 'infinity' THEN 'held'
                        WHEN hold_until > now() THEN state END AS hold
"""
