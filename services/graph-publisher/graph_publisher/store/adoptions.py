"""The SQL of adoption: links that may have an event already, and what was decided for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common import db
from common.graph.protocol import Event
from graph_publisher.adoption import Adoptable
from graph_publisher.store.lanes import Lease

if TYPE_CHECKING:
    from common.db import Pool


@dataclass(frozen=True, slots=True)
class AdoptionStore:
    """Adoption's door to the state database."""

    pool: Pool

    async def adoptable(self, mailbox: str, *, all_links: bool, limit: int) -> list[Adoptable]:
        """Read wanted links whose event may exist, fresh ones first; `all_links`: also those that were just planned."""
        with db.guard():
            rows = await self.pool.fetch(
                """SELECT id, appointment_id, appointment_guid, resource_no, wanted, exchange_id, ical_uid, want_seq, tries
                   FROM link l
                   WHERE mailbox = $1 AND want_seq > done_seq AND wanted IS NOT NULL AND event_id IS NULL
                     AND frozen IS NULL AND (adopt OR $2) AND NOT EXISTS (SELECT FROM attempt a WHERE a.link_id = l.id)
                   ORDER BY bulk, due_at, id LIMIT $3""",
                mailbox,
                all_links,
                limit,
            )
        return [Adoptable(*row) for row in rows]

    async def taken(self, mailbox: str) -> set[str]:
        """Return the ids of events that belong to links of the mailbox."""
        with db.guard():
            rows = await self.pool.fetch(
                "SELECT event_id FROM link WHERE mailbox = $1 AND event_id IS NOT NULL", mailbox
            )
        return {row["event_id"] for row in rows}

    async def adopt(self, lease: Lease, link_id: int, event: Event, fields: Mapping[str, Any]) -> None:
        """Link an event that was there already; what differs from what is wanted is written as any change.

        Not where the mailbox is another lane's by now, nor where another link has the event.
        """
        with db.guard():
            await self.pool.execute(
                """WITH linked AS (
                       UPDATE link SET event_id = $2, change_key = $3, ical_uid = $4, fields = $5, adopt = false,
                              updated_at = now()
                       WHERE id = $1 AND event_id IS NULL AND wanted IS NOT NULL
                         AND EXISTS (SELECT FROM mailbox WHERE address = $6 AND write_token = $7 AND write_until > now())
                         AND NOT EXISTS (SELECT FROM link WHERE mailbox = $6 AND event_id = $2)
                       RETURNING id)
                   UPDATE transaction t SET notes = array_append(notes, 'adopted'), action = 'update' FROM linked
                   WHERE t.link_id = linked.id AND t.status = 'pending'""",
                link_id, event.id, event.change_key, event.ical_uid, dict(fields), lease.mailbox, lease.token,
            )  # fmt: skip

    async def new(self, link_ids: list[int]) -> None:
        """These links have no event yet: their creates need not ask again."""
        with db.guard():
            await self.pool.execute("UPDATE link SET adopt = false WHERE id = ANY($1)", link_ids)

    async def still_to_adopt(self, link_ids: list[int]) -> None:
        """These links have an event, which they get in this turn or in a later one."""
        with db.guard():
            await self.pool.execute("UPDATE link SET adopt = true WHERE id = ANY($1)", link_ids)

    async def ambiguous(self, link_id: int, candidates: int) -> None:
        """Ask an administrator: the link fails until somebody retries it."""
        with db.guard():
            await self.pool.execute(
                """WITH closed AS (UPDATE link SET done_seq = want_seq WHERE id = $1 RETURNING id)
                   UPDATE transaction t SET status = 'failed', code = 'EXC-AMBIGUOUS', closed_at = now(), reason = $2
                   FROM closed WHERE t.link_id = closed.id AND t.status = 'pending'""",
                link_id,
                f"{candidates} events of the calendar could be this appointment's",
            )

    async def adopted(self, mailbox: str) -> None:
        """The mailbox was listed before its first create."""
        with db.guard():
            await self.pool.execute(
                "UPDATE mailbox SET adopted_at = coalesce(adopted_at, now()) WHERE address = $1", mailbox
            )
