"""The SQL of planning: appointments, their links and transactions, under the lock of the appointment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common import db
from common.messages import AppointmentChanged, AppointmentUnreadable
from graph_publisher.deciding import Decision, Profiles
from graph_publisher.store.appointments import Stored, newest, storable, store, stored
from graph_publisher.store.links import correct_profiles, write
from graph_publisher.store.strays import beside, claim

if TYPE_CHECKING:
    from common.db import Connection, Pool


@dataclass(frozen=True, slots=True)
class Planned:
    """What a planning changed; `mailboxes` have something new to write."""

    appointments: int
    stale: int = 0
    links: int = 0
    mailboxes: tuple[str, ...] = ()


Decide = Callable[[Stored], Decision]


@dataclass(frozen=True, slots=True)
class PlanStore:
    """Planning's door to the state database. `generation` is that of this process's settings."""

    pool: Pool
    profile_of: Profiles
    generation: int = 0

    async def plan(self, news: Sequence[AppointmentChanged], decide: Decide) -> Planned:
        """Store the newest of `news` where they are newer than what is stored, and what follows, in one commit."""
        async with db.transaction(self.pool) as connection:
            await beside(connection)
            fresh = await store(connection, newest(news), self.generation)
            known = await stored(connection, list(fresh), fresh)
            links, mailboxes = await write(connection, [(one, decide(one)) for one in known], self.profile_of)
            strays = await claim(connection, list(fresh))
            await _readable_again(connection, [message for message in fresh.values() if message.snapshot])
        return Planned(len(fresh), len(news) - len(fresh), links, (*mailboxes, *strays))

    async def recompute(self, generation: int, limit: int, decide: Decide) -> Planned:
        """Decide again for at most `limit` appointments of an older generation; each commit is progress."""
        async with db.transaction(self.pool) as connection:
            await beside(connection)
            rows = await connection.fetch(
                """UPDATE appointment SET generation = $1
                   WHERE (id, guid) IN (SELECT id, guid FROM appointment WHERE generation < $1
                                        ORDER BY id, guid LIMIT $2 FOR UPDATE SKIP LOCKED)
                   RETURNING id, guid""",
                generation,
                limit,
            )
            keys = sorted((row["id"], row["guid"]) for row in rows)
            known = await stored(connection, keys, {})
            links, mailboxes = await write(connection, [(one, decide(one)) for one in known], self.profile_of)
            await correct_profiles(connection, known, self.profile_of)
            strays = await claim(connection, keys)
        return Planned(len(rows), 0, links, (*mailboxes, *strays))

    async def note_unreadable(self, message: AppointmentUnreadable) -> None:
        """Open one failed transaction per unreadable version; the same message again changes nothing."""
        with db.guard():
            await self.pool.execute(
                """INSERT INTO transaction (direction, appointment_id, appointment_guid, action, status, code, reason,
                                            epoch, version, closed_at)
                   SELECT 'out', $1, $2, 'none', 'failed', 'EXC-UNREADABLE', $3, $4, $5, now()
                   WHERE NOT EXISTS (SELECT FROM transaction WHERE appointment_id = $1 AND epoch = $4
                                     AND version = $5 AND code = 'EXC-UNREADABLE')""",
                message.appointment_id,
                message.appointment_guid,
                storable(message.reason),
                message.epoch,
                message.version,
            )


async def _readable_again(connection: Connection, news: Sequence[AppointmentChanged]) -> None:
    """What could be read replaces the transactions that say that it could not, unless those are newer.

    Where it brought no transaction of its own, they are replaced by the newest that there is.
    """
    await connection.execute(
        """UPDATE transaction t
           SET superseded_by = (SELECT max(n.id) FROM transaction n WHERE n.appointment_id = t.appointment_id)
           FROM unnest($1::bigint[], $2::int[], $3::bigint[]) AS n (id, epoch, version)
           WHERE t.appointment_id = n.id AND t.code = 'EXC-UNREADABLE' AND t.superseded_by IS NULL
             AND (t.epoch, t.version) < (n.epoch, n.version)""",
        [message.appointment_id for message in news],
        [message.epoch for message in news],
        [message.version for message in news],
    )
