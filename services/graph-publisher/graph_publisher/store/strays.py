"""The SQL of strays: events of ours that no link knows, because the state database that knew them was lost.

A stray is removed only where the newest snapshot of its appointment says that it is not wanted; one whose
appointment is unknown stays, and is looked at again when the appointment becomes known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from common import db

if TYPE_CHECKING:
    from common.db import Connection, Pool


@dataclass(frozen=True, slots=True)
class Stray:
    """An event that we created, and the assignment that its property names."""

    event_id: str
    appointment_guid: UUID
    resource_no: str


_LOCK = 0x73747261  # "stra"


async def beside(connection: Connection) -> None:
    """First in every transaction that plans: strays are noted before it or after it, never beside it.

    Else neither would see the other's rows: the stray would find no appointment, and the appointment no stray.
    """
    await connection.execute("SELECT pg_advisory_xact_lock_shared($1)", _LOCK)


async def note(pool: Pool, mailbox: str, strays: Sequence[Stray]) -> None:
    """Remember strays, and have their appointments decided again."""
    if not strays:
        return
    async with db.transaction(pool) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(
            """INSERT INTO stray (mailbox, event_id, appointment_guid, resource_no)
               SELECT $1, * FROM unnest($2::text[], $3::uuid[], $4::text[]) ON CONFLICT DO NOTHING""",
            mailbox,
            [stray.event_id for stray in strays],
            [stray.appointment_guid for stray in strays],
            [stray.resource_no for stray in strays],
        )
        await connection.execute(
            """UPDATE appointment SET generation = 0
               WHERE (id, guid) IN (SELECT id, guid FROM appointment WHERE guid = ANY($1)
                                    ORDER BY id, guid FOR UPDATE)""",
            [stray.appointment_guid for stray in strays],
        )


async def claim(connection: Connection, keys: Sequence[tuple[int, UUID]]) -> list[str]:
    """Make the strays of decided appointments wanted absent, unless a link has their place; returns the mailboxes.

    The appointments are locked, and links for all that is wanted exist already.
    """
    links = await connection.fetch(
        """INSERT INTO link AS l (appointment_id, appointment_guid, resource_no, mailbox, event_id, wanted, want_seq, due_at,
                             bulk, adopt)
           SELECT DISTINCT ON (a.id, a.guid, s.resource_no, s.mailbox)
                  a.id, a.guid, s.resource_no, s.mailbox, s.event_id, NULL::jsonb, 1, now(), true, false
           FROM unnest($1::bigint[], $2::uuid[]) AS k (id, guid)
           JOIN appointment a USING (id, guid) JOIN stray s ON s.appointment_guid = a.guid
           WHERE (a.snapshot IS NOT NULL OR a.deleted_at IS NOT NULL) AND a.missing_since IS NULL
           ORDER BY a.id, a.guid, s.resource_no, s.mailbox, s.event_id
           ON CONFLICT (appointment_id, appointment_guid, resource_no, mailbox, surplus_event) DO UPDATE
           SET event_id = excluded.event_id, want_seq = l.want_seq + 1, due_at = now(), bulk = true, updated_at = now()
           WHERE l.wanted IS NULL AND l.event_id IS NULL
             AND NOT EXISTS (SELECT FROM attempt t WHERE t.link_id = l.id
                             AND (t.outcome IS NULL OR t.outcome = 'unknown'))
           RETURNING id, appointment_id, appointment_guid, resource_no, mailbox, want_seq, event_id""",
        [key[0] for key in keys],
        [key[1] for key in keys],
    )
    if not links:
        return []
    await connection.executemany(
        """INSERT INTO transaction (direction, link_id, appointment_id, appointment_guid, resource_no, mailbox, action,
                                    status, cause, want_seq, notes)
           VALUES ('out', $1, $2, $3, $4, $5, 'delete', 'pending', 'surplus', $6, '{left by a lost state database}')""",
        [tuple(row)[:6] for row in links],
    )
    mailboxes = sorted({row["mailbox"] for row in links})
    await connection.execute(
        "DELETE FROM stray WHERE (mailbox, event_id) IN (SELECT * FROM unnest($1::text[], $2::text[]))",
        [row["mailbox"] for row in links],
        [row["event_id"] for row in links],
    )
    await connection.execute(
        "UPDATE mailbox SET work_at = least(work_at, now()), wakes = wakes + 1 WHERE address = ANY($1)",
        mailboxes,
    )
    return mailboxes
