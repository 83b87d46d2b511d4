"""The SQL of write lanes: leases on mailboxes, links that are due, and how a lane leaves a mailbox."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from common import db
from graph_publisher.mapping import Values

if TYPE_CHECKING:
    from common.db import Pool


@dataclass(slots=True)
class Lease:
    """The right to write to one mailbox, until `until` (seconds of the process's monotonic clock).

    `wakes` is the mailbox's count of wakings when links were last looked for: releasing compares it.
    """

    mailbox: str
    profile: str
    token: UUID
    until: float
    adopted: bool
    hold_count: int
    time_zone: str | None
    wakes: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A call whose outcome nobody knows yet. `sent` holds `values` and `time_zone` as they were sent."""

    id: int
    operation: str
    event_id: str | None
    sent: dict[str, Any]
    transaction_key: UUID | None
    want_seq: int
    lease_token: UUID
    settles_in: float
    """Seconds until it may be looked at again; not positive when it may."""


@dataclass(frozen=True, slots=True)
class Due:
    """A link that is to be worked on. `wanted` None means absent; `fields` has a pair per field (sent, seen)."""

    id: int
    appointment_id: int
    appointment_guid: UUID
    resource_no: str
    wanted: Values | None
    fields: dict[str, Any]
    event_id: str | None
    incarnation: int
    adopt: bool
    want_seq: int
    bulk: bool
    tries: int
    missing_for: float | None
    """Seconds since its event was first not found; None while it was not looked for in vain."""
    transaction_id: int | None
    frozen: str | None = None
    """Why it must not be written now; it is due only for its open attempt."""
    attempt: Attempt | None = None


@dataclass(slots=True)
class LaneStore:
    """The lanes' door to the state database."""

    pool: Pool
    holder: str
    profiles: Sequence[str] = field(default_factory=tuple)

    async def take(self, limit: int, lease_s: float, now: float) -> list[Lease]:
        """Lease at most `limit` mailboxes that have work due: fresh before bulk, by turns of profiles, oldest first.

        So a tenant whose calls only time out never takes all lanes from another.
        A lease that was not released is waited out. `now`: the process's monotonic clock before the call.
        """
        with db.guard():
            rows = await self.pool.fetch(
                """WITH ready AS (
                       SELECT address, row_number() OVER (PARTITION BY profile, work_bulk ORDER BY work_at) AS place
                       FROM mailbox m
                       WHERE work_at <= now() AND outbound AND profile = ANY($1)
                         AND (hold_until IS NULL OR hold_until <= now())
                         AND (write_until IS NULL OR write_until < now())
                         AND NOT EXISTS (SELECT FROM tenant t WHERE t.profile = m.profile AND t.hold_until > now())),
                   picked AS (
                       SELECT m.address FROM mailbox m JOIN ready r USING (address)
                       WHERE m.work_at <= now() AND m.outbound AND (m.hold_until IS NULL OR m.hold_until <= now())
                         AND (m.write_until IS NULL OR m.write_until < now())
                       ORDER BY m.work_bulk, r.place, m.work_at LIMIT $2 FOR UPDATE OF m SKIP LOCKED)
                   UPDATE mailbox m
                   SET write_token = gen_random_uuid(), write_holder = $3, write_until = now() + make_interval(secs => $4)
                   FROM picked WHERE m.address = picked.address
                   RETURNING m.address, m.profile, m.write_token, m.adopted_at IS NOT NULL AS adopted, m.hold_count,
                             CASE WHEN m.time_zone_at > now() - interval '1 day' THEN m.time_zone END AS time_zone""",
                list(self.profiles),
                limit,
                self.holder,
                lease_s,
            )
        return [
            Lease(
                row["address"], row["profile"], row["write_token"], now + lease_s, row["adopted"],
                row["hold_count"], row["time_zone"],
            )
            for row in rows
        ]  # fmt: skip

    async def renew(self, lease: Lease, lease_s: float, now: float) -> bool:
        """Lengthen a lease; False where it is no longer ours."""
        with db.guard():
            status = await self.pool.execute(
                """UPDATE mailbox SET write_until = now() + make_interval(secs => $3)
                   WHERE address = $1 AND write_token = $2 AND write_until > now()""",
                lease.mailbox,
                lease.token,
                lease_s,
            )
        if status != "UPDATE 1":
            return False
        lease.until = now + lease_s
        return True

    async def due(self, lease: Lease, limit: int) -> list[Due]:
        """Read links that are due, fresh ones before bulk, oldest first."""
        with db.guard():
            rows = await self.pool.fetch(_DUE, lease.mailbox, limit)
        if rows:
            lease.wakes = rows[0]["wakes"]
        return [_due(row) for row in rows if row["id"] is not None]

    async def release(self, lease: Lease, *, wrote_ago: float | None = None) -> None:
        """Give the mailbox back, due when its next link is, or at once where something new was wanted meanwhile.

        `wrote_ago`: seconds since this lane's last write succeeded.
        """
        with db.guard():
            await self.pool.execute(
                """UPDATE mailbox m
                   SET write_token = NULL, write_holder = NULL, write_until = NULL,
                       last_success_at = greatest(last_success_at, now() - make_interval(secs => $4)),
                       hold_count = CASE WHEN $4::float8 IS NULL OR hold_until > now() THEN hold_count ELSE 0 END,
                       -- Waked: by something fresh, for all that this statement can see.
                       work_bulk = m.wakes = $3 AND NOT EXISTS (SELECT FROM link l WHERE l.mailbox = m.address
                                               AND l.want_seq > l.done_seq AND NOT l.bulk),
                       work_at = CASE WHEN m.wakes <> $3 THEN now() ELSE
                           (SELECT min(l.due_at) FROM link l
                            WHERE l.mailbox = m.address AND l.want_seq > l.done_seq HAVING count(*) > 0) END
                   WHERE address = $1 AND write_token = $2""",
                lease.mailbox,
                lease.token,
                lease.wakes,
                wrote_ago,
            )

    async def recovered(self, lease: Lease) -> None:
        """A call succeeded: whatever held the mailbox or its tenant is over. Only a write ends the growing of holds."""
        with db.guard():
            await self.pool.execute(
                """WITH tenants AS (UPDATE tenant SET state = 'active', state_code = NULL, hold_until = NULL,
                        hold_count = 0, state_since = now() WHERE profile = $2 AND state <> 'active')
                   UPDATE mailbox SET state = 'active', state_code = NULL, hold_until = NULL, state_since = now()
                   WHERE address = $1 AND state NOT IN ('active', 'held') AND hold_until IS DISTINCT FROM 'infinity'""",
                lease.mailbox,
                lease.profile,
            )

    async def hold(self, lease: Lease, state: str, code: str, seconds: float) -> None:
        """Hold the mailbox for every process; it heals by itself, so its transactions stay pending."""
        with db.guard():
            await self.pool.execute(
                """UPDATE mailbox SET state_since = CASE WHEN state = $2 THEN state_since ELSE now() END,
                          state = $2, state_code = $3, hold_count = $5,
                          hold_until = greatest(hold_until, now() + make_interval(secs => $4))
                   WHERE address = $1 AND hold_until IS DISTINCT FROM 'infinity'""",
                lease.mailbox,
                state,
                code,
                seconds,
                lease.hold_count + 1,
            )

    async def hold_tenant(self, profile: str, code: str, first_s: float, most_s: float) -> None:
        """Hold every mailbox of a profile, twice as long each time, but once for all lanes that met the trouble."""
        with db.guard():
            await self.pool.execute(
                """INSERT INTO tenant AS t (profile, state, state_code, hold_until, hold_count)
                   VALUES ($1, 'sign-in', $2, now() + make_interval(secs => $3), 1)
                   ON CONFLICT (profile) DO UPDATE
                   SET state_since = CASE WHEN t.state = 'sign-in' THEN t.state_since ELSE now() END,
                       state = 'sign-in', state_code = $2, hold_count = t.hold_count + 1,
                       hold_until = now() + make_interval(secs => least($4, $3 * 2 ^ least(t.hold_count, 20)))
                   WHERE t.hold_until IS NULL OR t.hold_until <= now()""",
                profile,
                code,
                first_s,
                most_s,
            )

    async def note_zone(self, lease: Lease, time_zone: str, note: str | None) -> None:
        """Remember a mailbox's time zone for a day."""
        with db.guard():
            await self.pool.execute(
                "UPDATE mailbox SET time_zone = $2, time_zone_note = $3, time_zone_at = now() WHERE address = $1",
                lease.mailbox,
                time_zone,
                note,
            )
        lease.time_zone = time_zone

    async def sweep(self) -> int:
        """Find what no message woke: mailboxes with links that are due, or that lost their place in the queue."""
        with db.guard():
            status = await self.pool.execute(
                """WITH lost AS (
                       SELECT address FROM mailbox
                       WHERE write_token IS NULL AND (work_at IS NULL OR work_at > now())
                         AND EXISTS (SELECT FROM link l WHERE l.mailbox = address AND l.want_seq > l.done_seq
                                     AND l.due_at < coalesce(work_at, 'infinity'))
                       ORDER BY address FOR UPDATE SKIP LOCKED)
                   UPDATE mailbox m
                   SET work_at = (SELECT min(l.due_at) FROM link l WHERE l.mailbox = m.address AND l.want_seq > l.done_seq)
                   FROM lost WHERE m.address = lost.address"""
            )
        return int(status.split()[-1])


_DUE = """
SELECT m.wakes, l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.wanted, l.fields, l.event_id,
       l.incarnation, l.adopt, l.want_seq, l.bulk, l.tries, l.frozen,
       extract(epoch FROM now() - l.missing_since)::float8 AS missing_for,
       (SELECT max(t.id) FROM transaction t WHERE t.link_id = l.id AND t.status = 'pending') AS transaction_id,
       a.id AS attempt_id, a.operation, a.event_id AS attempt_event_id, a.sent, a.transaction_key,
       a.want_seq AS attempt_want_seq, a.lease_token,
       extract(epoch FROM a.settled_after - now())::float8 AS settles_in
FROM mailbox m
LEFT JOIN LATERAL (SELECT * FROM link l WHERE l.mailbox = m.address AND l.want_seq > l.done_seq AND l.due_at <= now()
                   ORDER BY l.bulk, l.due_at, l.id LIMIT $2) l ON true
LEFT JOIN attempt a ON a.link_id = l.id AND (a.outcome IS NULL OR a.outcome = 'unknown')
WHERE m.address = $1
ORDER BY l.bulk, l.due_at, l.id
"""


def _due(row: Any) -> Due:
    attempt = row["attempt_id"] and Attempt(
        row["attempt_id"], row["operation"], row["attempt_event_id"], row["sent"] or {}, row["transaction_key"],
        row["attempt_want_seq"], row["lease_token"], row["settles_in"],
    )  # fmt: skip
    return Due(
        row["id"], row["appointment_id"], row["appointment_guid"], row["resource_no"], row["wanted"], row["fields"],
        row["event_id"], row["incarnation"], row["adopt"], row["want_seq"], row["bulk"], row["tries"],
        row["missing_for"], row["transaction_id"], row["frozen"], attempt or None,
    )  # fmt: skip
