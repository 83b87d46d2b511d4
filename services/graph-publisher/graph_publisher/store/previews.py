"""The SQL of a preview: links without an event, mailbox by mailbox. It writes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from common import db
from graph_publisher.adoption import Adoptable

if TYPE_CHECKING:
    from common.db import Pool


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many links of a mailbox have no event, by what holds them back.

    `open`: nothing but a call or a switch. `under_way`: a call was made already. `before_cut_off`: the
    appointment is too old. `failed`: somebody must retry. `held`: the code or word of a hold that lasts.
    """

    address: str
    held: str | None
    open: int
    under_way: int
    before_cut_off: int
    failed: int


@dataclass(frozen=True, slots=True)
class PreviewStore:
    """The preview's door to the state database."""

    pool: Pool
    cut_off: date | None = None

    async def waiting(self, address: str | None) -> list[Waiting]:
        """Count the links without an event, per mailbox that has any."""
        with db.guard():
            rows = await self.pool.fetch(
                f"""SELECT l.mailbox AS address,
                           CASE WHEN t.hold_until > now() THEN coalesce(t.state_code, t.state)
                                WHEN m.hold_until > now() THEN coalesce(m.state_code, m.state) END AS held,
                           count(*) FILTER (WHERE l.kind = 'open') AS open,
                           count(*) FILTER (WHERE l.kind = 'under way') AS under_way,
                           count(*) FILTER (WHERE l.kind = 'before cut-off') AS before_cut_off,
                           count(*) FILTER (WHERE l.kind = 'failed') AS failed
                    FROM ({_LINKS}) l JOIN mailbox m ON m.address = l.mailbox
                    LEFT JOIN tenant t ON t.profile = m.profile
                    WHERE $2::text IS NULL OR l.mailbox = $2
                    GROUP BY l.mailbox, held ORDER BY l.mailbox""",
                self._midnight,
                address,
            )
        return [Waiting(**row) for row in rows]

    async def open(self, address: str, limit: int) -> list[tuple[Adoptable, bool]]:
        """Read links of a mailbox that only a call or a switch keeps from their event, in the lanes' order.

        Each with whether its event may exist: not that of an appointment made after the mailbox was listed.
        """
        with db.guard():
            rows = await self.pool.fetch(
                f"""SELECT l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.wanted, l.exchange_id, l.ical_uid,
                           l.adopt OR m.adopted_at IS NULL AS asks
                    FROM ({_LINKS}) l JOIN mailbox m ON m.address = l.mailbox
                    WHERE l.mailbox = $2 AND l.kind = 'open' ORDER BY l.bulk, l.due_at, l.id LIMIT $3""",
                self._midnight,
                address,
                limit,
            )
        return [(Adoptable(*list(row)[:-1]), row["asks"]) for row in rows]

    @property
    def _midnight(self) -> str | None:
        return (
            f"{datetime.combine(self.cut_off, datetime.min.time()):%Y-%m-%dT%H:%M:%SZ}"
            if self.cut_off
            else None
        )


# A switch that is off hides the cut-off date, so it is applied here too. Moments of `wanted` sort as text.
_LINKS = """
SELECT l.*, CASE
    WHEN l.frozen = 'EXC-BEFORE-CUT-OFF' OR l.frozen = 'EXC-DIRECTION-OFF' AND l.wanted->>'end' < $1::text
        THEN 'before cut-off'
    WHEN l.want_seq = l.done_seq AND l.frozen IS DISTINCT FROM 'EXC-DIRECTION-OFF' THEN 'failed'
    WHEN EXISTS (SELECT FROM attempt a WHERE a.link_id = l.id) THEN 'under way'
    ELSE 'open' END AS kind
FROM link l WHERE l.event_id IS NULL AND l.wanted IS NOT NULL AND l.surplus_event = ''
"""
