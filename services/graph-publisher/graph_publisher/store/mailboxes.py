"""The SQL of a mailbox's switches: what administrators see of mailboxes, and what they do to them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from common import db
from graph_publisher.store.audit import note

if TYPE_CHECKING:
    from common.db import Pool

Key = tuple[int, UUID]
FIRST: Key = (-(2**63), UUID(int=0))
"""Before every appointment."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox as administrators see it; a hold of its tenant shows as its own.

    `held`: by a person, until a person releases it. `pending`: links that are still to be written.
    """

    address: str
    profile: str | None
    state: str
    since: datetime
    code: str | None
    held: bool
    hold_until: datetime | None
    outbound: bool
    pending: int
    last_success: datetime | None


@dataclass(frozen=True, slots=True)
class MailboxStore:
    """The commands' door to mailboxes. `who` stands in the audit log beside each change, in the same commit."""

    pool: Pool
    who: str

    async def read(self, address: str | None, limit: int) -> list[Mailbox]:
        """Read one mailbox, or at most `limit` in the order of addresses."""
        with db.guard():
            rows = await self.pool.fetch(_MAILBOXES, address, limit)
        return [Mailbox(**row) for row in rows]

    async def switch(self, address: str, profile: str | None, *, on: bool) -> None:
        """Switch a mailbox, known or not yet: plans that begin after this see the new position.

        Plans under way are waited for, so that every link decided on the old position is there when
        `reconsider` looks for it.
        """
        async with db.transaction(self.pool) as connection:
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            await connection.execute("LOCK TABLE appointment IN SHARE MODE")
            await connection.execute(
                """INSERT INTO mailbox AS m (address, profile, outbound) VALUES ($1, $2, $3)
                   ON CONFLICT (address) DO UPDATE SET outbound = excluded.outbound""",
                address,
                profile,
                on,
            )
            await note(connection, self.who, "mailbox.enabled" if on else "mailbox.disabled", address)

    async def reconsider(self, address: str, after: Key, limit: int) -> tuple[int, Key]:
        """Make the publisher decide again on at most `limit` appointments after `after` with a link in the mailbox.

        Returns how many, and the last of them: fewer than `limit` is the end.
        """
        async with db.transaction(self.pool) as connection:
            rows = await connection.fetch(
                """SELECT a.id, a.guid FROM appointment a
                   WHERE (a.id, a.guid) > ($2, $3)
                     AND EXISTS (SELECT FROM link l WHERE l.appointment_id = a.id AND l.appointment_guid = a.guid
                                 AND l.mailbox = $1)
                   ORDER BY a.id, a.guid LIMIT $4 FOR UPDATE""",
                address,
                *after,
                limit,
            )
            keys = [(row["id"], row["guid"]) for row in rows]
            await connection.execute(
                """UPDATE appointment a SET generation = 0
                   FROM unnest($1::bigint[], $2::uuid[]) AS k (id, guid) WHERE a.id = k.id AND a.guid = k.guid""",
                [key[0] for key in keys],
                [key[1] for key in keys],
            )
        return len(keys), keys[-1] if keys else after

    async def hold(self, address: str, profile: str | None) -> None:
        """Hold a mailbox, known or not yet, until it is released; a lane's turn under way still ends."""
        async with db.transaction(self.pool) as connection:
            await connection.execute(
                """INSERT INTO mailbox AS m (address, profile, state, hold_until) VALUES ($1, $2, 'held', 'infinity')
                   ON CONFLICT (address) DO UPDATE
                   SET state = 'held', state_code = NULL, hold_until = 'infinity',
                       state_since = CASE WHEN m.hold_until = 'infinity' THEN m.state_since ELSE now() END""",
                address,
                profile,
            )
            await note(connection, self.who, "mailbox.held", address)

    async def release(self, address: str) -> bool:
        """End a mailbox's hold and its tenant's, whatever they are for; False where there is no such mailbox."""
        async with db.transaction(self.pool) as connection:
            released = await connection.fetchrow(
                """UPDATE mailbox SET state = 'active', state_code = NULL, state_since = now(), hold_until = NULL,
                          hold_count = 0, work_at = now(), wakes = wakes + 1
                   WHERE address = $1 RETURNING profile""",
                address,
            )
            if released is None:
                return False
            # What ended is the waiting; the sign-in is known to work only when it did.
            await connection.execute(
                "UPDATE tenant SET hold_until = NULL WHERE profile = $1 AND hold_until > now()",
                released["profile"],
            )
            await note(connection, self.who, "mailbox.released", address)
        return True


_MAILBOXES = """
SELECT m.address, m.profile, CASE WHEN waits THEN t.state WHEN lost THEN 'no profile' ELSE m.state END AS state,
       CASE WHEN waits THEN t.state_since ELSE m.state_since END AS since,
       CASE WHEN waits THEN t.state_code WHEN lost THEN 'EXC-NO-PROFILE' ELSE m.state_code END AS code, held,
       CASE WHEN waits THEN t.hold_until WHEN NOT held AND m.hold_until > now() THEN m.hold_until END AS hold_until,
       m.outbound, m.last_success_at AS last_success,
       (SELECT count(*) FROM link l WHERE l.mailbox = m.address AND l.want_seq > l.done_seq) AS pending
FROM mailbox m
LEFT JOIN tenant t ON t.profile = m.profile AND t.hold_until > now()
CROSS JOIN LATERAL (SELECT coalesce(m.hold_until = 'infinity', false) AS held) AS h
CROSS JOIN LATERAL (SELECT t.profile IS NOT NULL AND NOT held AS waits, m.profile IS NULL AND NOT held AS lost) AS s
WHERE $1::text IS NULL OR m.address = $1
ORDER BY m.address LIMIT $2
"""
