"""The SQL of one link's calls: the intent before a call, and what is recorded after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

from common import db
from common.graph.protocol import Event
from graph_publisher.store.lanes import Attempt, Due, Lease

if TYPE_CHECKING:
    from common.db import Pool

Pairs = Mapping[str, Mapping[str, Any]]
"""field -> {"sent": as we sent or adopted it, "seen": as the calendar answered it}."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: `code` None means as wanted."""

    status: int | None = None
    request_id: str | None = None
    code: str | None = None
    reason: str | None = None


class Open(Protocol):
    """What is asked of a link that waits or is closed without a call: the sequence that was decided on."""

    @property
    def id(self) -> int:
        """The link's id."""

    @property
    def want_seq(self) -> int:
        """What was wanted when the link was read."""

    @property
    def tries(self) -> int:
        """How often the item failed."""

    @property
    def event_id(self) -> str | None:
        """The link's event when it was read."""


@dataclass(frozen=True, slots=True)
class Closed:
    """An attempt that is closed; `lag`: seconds since the planner's commit, where a fresh change is done with it."""

    lag: float | None


@dataclass(frozen=True, slots=True)
class AttemptStore:
    """What working on one link needs of the state database."""

    pool: Pool

    async def intend(
        self,
        lease: Lease,
        due: Due,
        operation: str,
        sent: Mapping[str, Any],
        key: UUID | None,
        *,
        timeout_s: float,
        settle_s: float,
    ) -> int | None:
        """Commit the intent of a call; None where something newer is wanted by now, or the lease does not outlast it.

        `timeout_s`: of the call; `settle_s`: what it may take after that until its effect is seen.
        """
        with db.guard():
            return await self.pool.fetchval(  # type: ignore[no-any-return]
                """WITH wanted AS (
                       SELECT l.id, l.event_id, l.want_seq FROM link l
                       WHERE l.id = $1 AND l.want_seq = $2 AND l.want_seq > l.done_seq
                         AND EXISTS (SELECT FROM mailbox WHERE address = $3 AND write_token = $4 AND outbound
                                     AND write_until > now() + make_interval(secs => $9))
                       FOR UPDATE OF l),
                   told AS (UPDATE transaction SET action = $6
                            WHERE id = $5 AND status = 'pending' AND EXISTS (SELECT FROM wanted))
                   INSERT INTO attempt (link_id, transaction_id, operation, event_id, sent, transaction_key, want_seq,
                                        lease_token, settled_after)
                   SELECT id, $5, $6, event_id, $7, $8, want_seq, $4, now() + make_interval(secs => $9 + $10) FROM wanted
                   RETURNING id""",
                due.id, due.want_seq, lease.mailbox, lease.token, due.transaction_id, operation, dict(sent), key, timeout_s,
                settle_s,
            )  # fmt: skip

    async def succeeded(
        self, attempt_id: int, event: Event, pairs: Pairs, outcome: Outcome, *, done: bool = True
    ) -> Closed | None:
        """Close a create or update that took effect: link, attempt and transaction tell the same from now on.

        None where the attempt was closed by somebody else meanwhile. A `code` in the outcome fails the transaction.
        Where it is not `done`, the link stays wanted and its transaction pending.
        """
        with db.guard():
            row = await self.pool.fetchrow(_SUCCEEDED, attempt_id, event.id, event.change_key, event.ical_uid,
                                            {name: dict(pair) for name, pair in pairs.items()}, outcome.status,
                                            outcome.request_id, outcome.code, outcome.reason, done)  # fmt: skip
        return None if row is None else Closed(row["lag"])

    async def deleted(self, attempt_id: int, outcome: Outcome) -> Closed | None:
        """Close a delete that took effect, as `succeeded` does; the id stays known as once ours."""
        with db.guard():
            row = await self.pool.fetchrow(_DELETED, attempt_id, outcome.status, outcome.request_id)
        return None if row is None else Closed(row["lag"])

    async def unapplied(self, attempt_id: int, outcome: Outcome) -> None:
        """Close an attempt that had no effect; the link stays wanted."""
        with db.guard():
            await self.pool.execute(
                """UPDATE attempt SET outcome = 'failed', status = $2, request_id = $3, code = $4, reason = $5,
                          closed_at = now()
                   WHERE id = $1 AND (outcome IS NULL OR outcome = 'unknown')""",
                attempt_id, outcome.status, outcome.request_id, outcome.code, outcome.reason,
            )  # fmt: skip

    async def unknown(
        self, attempt_id: int, settle_s: float, outcome: Outcome, *, tried: bool = False
    ) -> None:
        """Nobody knows whether the call took effect: it is looked at again after `settle_s`.

        `tried`: the trouble is the item's own, and counted as such.
        """
        with db.guard():
            await self.pool.execute(
                """WITH marked AS (
                       UPDATE attempt SET outcome = 'unknown', status = $3, request_id = $4, code = $5, reason = $6,
                              settled_after = now() + make_interval(secs => $2)
                       WHERE id = $1 AND (outcome IS NULL OR outcome = 'unknown') RETURNING link_id)
                   UPDATE link l SET due_at = now() + make_interval(secs => $2), tries = tries + $7::boolean::int,
                          first_trouble_at = CASE WHEN $7::boolean THEN coalesce(first_trouble_at, now())
                                                  ELSE first_trouble_at END
                   FROM marked WHERE l.id = marked.link_id""",
                attempt_id, settle_s, outcome.status, outcome.request_id, outcome.code, outcome.reason, tried,
            )  # fmt: skip

    async def still_unknown(self, attempt: Attempt, settle_s: float, *, tried: bool) -> None:
        """Looking again did not tell either: look once more later."""
        with db.guard():
            await self.pool.execute(
                """WITH later AS (UPDATE attempt SET settled_after = now() + make_interval(secs => $2) WHERE id = $1
                                  AND (outcome IS NULL OR outcome = 'unknown') RETURNING link_id)
                   UPDATE link l SET due_at = now() + make_interval(secs => $2), tries = tries + $3::boolean::int,
                          first_trouble_at = CASE WHEN $3::boolean THEN coalesce(first_trouble_at, now())
                                                  ELSE first_trouble_at END
                   FROM later WHERE l.id = later.link_id""",
                attempt.id, settle_s, tried,
            )  # fmt: skip

    async def next_incarnation(self, due: Due) -> None:
        """Make the next create another event for Graph, with another transaction id."""
        with db.guard():
            await self.pool.execute(
                "UPDATE link SET incarnation = incarnation + 1, due_at = now() WHERE id = $1 AND incarnation = $2",
                due.id, due.incarnation,
            )  # fmt: skip

    async def take_over(self, attempt: Attempt) -> None:
        """The call's holder lost its lease. Should its answer still come before the call is settled, it settles it."""
        with db.guard():
            await self.pool.execute(
                "UPDATE attempt SET outcome = 'unknown' WHERE id = $1 AND outcome IS NULL", attempt.id
            )

    async def nothing_to_do(self, due: Due) -> None:
        """The calendar already shows what is wanted: close without a call."""
        await self._close(due, "skipped", "EXC-NO-CHANGE", None)

    async def frozen(self, due: Due) -> None:
        """The link must not be written now, and has no call open any more."""
        await self._close(due, "skipped", due.frozen or "", None)

    async def failed(self, due: Open, code: str, reason: str) -> None:
        """Close for good: only a retry or a newer change makes the link wanted again."""
        await self._close(due, "failed", code, reason)

    async def _close(self, due: Open, status: str, code: str, reason: str | None) -> None:
        with db.guard():
            await self.pool.execute(
                """WITH closed AS (
                       UPDATE link SET done_seq = greatest(done_seq, $2), missing_since = NULL, updated_at = now()
                       WHERE id = $1 AND event_id IS NOT DISTINCT FROM $6 RETURNING id)
                   UPDATE transaction t SET status = $3, code = $4, reason = $5, closed_at = now()
                   FROM closed WHERE t.link_id = closed.id AND t.status = 'pending' AND t.want_seq <= $2""",
                due.id, due.want_seq, status, code, reason, due.event_id,
            )  # fmt: skip

    async def postpone(self, due: Open, seconds: float, code: str | None = None, reason: str | None = None,
                       *, tried: bool = False) -> None:  # fmt: skip
        """Look at a link again later; `tried`: the trouble is the item's own, and counted as such."""
        with db.guard():
            await self.pool.execute(
                """WITH later AS (
                       UPDATE link l SET due_at = now() + make_interval(secs => $2), tries = tries + $5::boolean::int,
                              first_trouble_at = CASE WHEN $5::boolean THEN coalesce(first_trouble_at, now())
                                                      ELSE first_trouble_at END
                       WHERE id = $1 RETURNING id)
                   UPDATE transaction t SET code = $3, reason = $4 FROM later
                   WHERE t.link_id = later.id AND t.status = 'pending' AND $3::text IS NOT NULL""",
                due.id, seconds, code, reason, tried,
            )  # fmt: skip

    async def others_succeed(self, due: Open) -> bool:
        """Tell whether others of the mailbox were written since this link's trouble began."""
        with db.guard():
            return bool(
                await self.pool.fetchval(
                    """SELECT m.last_success_at > l.first_trouble_at FROM link l JOIN mailbox m ON m.address = l.mailbox
                       WHERE l.id = $1""",
                    due.id,
                )
            )

    async def missing(self, due: Due, look_again_s: float) -> None:
        """The event was not found for the first time: that proves nothing yet."""
        with db.guard():
            await self.pool.execute(
                """UPDATE link SET missing_since = coalesce(missing_since, now()),
                          due_at = now() + make_interval(secs => $2) WHERE id = $1 AND event_id = $3""",
                due.id, look_again_s, due.event_id,
            )  # fmt: skip

    async def gone(self, due: Due, lease: Lease, *, reappears_s: float | None = None) -> None:
        """The event is gone: what is made in its place is another incarnation with another transaction id.

        Nothing changes where the link has another event by now: then a lane of before speaks. `reappears_s`: the
        event may only be out of sight, and is wanted absent as a link of its own after so many seconds.
        """
        with db.guard():
            await self.pool.execute(
                """WITH before AS (SELECT * FROM link WHERE id = $1 AND event_id = $3 FOR UPDATE),
                   later AS (INSERT INTO link (appointment_id, appointment_guid, resource_no, mailbox, surplus_event,
                                               event_id, wanted, want_seq, due_at, bulk, adopt)
                            SELECT appointment_id, appointment_guid, resource_no, mailbox, event_id, event_id, NULL, 1,
                                   now() + make_interval(secs => $4), true, false
                            FROM before WHERE $4::float8 IS NOT NULL ON CONFLICT DO NOTHING),
                   once AS (INSERT INTO once_ours (mailbox, event_id, link_id) SELECT $2, event_id, id FROM before
                            ON CONFLICT DO NOTHING)
                   UPDATE link l SET event_id = NULL, change_key = NULL, fields = '{}', missing_since = NULL,
                          incarnation = l.incarnation + 1, due_at = now()
                   FROM before WHERE l.id = before.id""",
                due.id, lease.mailbox, due.event_id, reappears_s,
            )  # fmt: skip

    async def once_ours(self, due: Due, lease: Lease, event_id: str) -> None:
        """A call's answer came when its lane was no longer ours: the event is ours, and surplus if it is a second one."""
        with db.guard():
            await self.pool.execute(
                """INSERT INTO once_ours (mailbox, event_id, link_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING""",
                lease.mailbox, event_id, due.id,
            )  # fmt: skip
        await self.surplus(due.id)

    async def surplus(self, link_id: int) -> None:
        """Make every event that was once this link's, and is not now, wanted absent as a link of its own."""
        async with db.transaction(self.pool) as connection:
            rows = await connection.fetch(
                """INSERT INTO link (appointment_id, appointment_guid, resource_no, mailbox, surplus_event, event_id,
                                     wanted, want_seq, due_at, adopt)
                   SELECT l.appointment_id, l.appointment_guid, l.resource_no, l.mailbox, o.event_id, o.event_id, NULL,
                          1, now(), false
                   FROM link l JOIN once_ours o ON o.link_id = l.id AND o.mailbox = l.mailbox
                   WHERE l.id = $1 AND l.event_id IS NOT NULL AND l.event_id <> o.event_id
                     AND NOT EXISTS (SELECT FROM link n WHERE n.mailbox = o.mailbox AND n.event_id = o.event_id)
                   ON CONFLICT DO NOTHING RETURNING id, appointment_id, appointment_guid, resource_no, mailbox""",
                link_id,
            )
            await connection.executemany(
                """INSERT INTO transaction (direction, link_id, appointment_id, appointment_guid, resource_no, mailbox,
                                            action, status, cause, want_seq, notes)
                   VALUES ('out', $1, $2, $3, $4, $5, 'delete', 'pending', 'surplus', 1, '{surplus event of ours}')""",
                [tuple(row) for row in rows],
            )
            await connection.execute(
                "UPDATE mailbox SET work_at = least(work_at, now()), wakes = wakes + 1 WHERE address = ANY($1)",
                [row["mailbox"] for row in rows],
            )


_CLOSED = """
WITH closed AS (
    UPDATE attempt SET outcome = {outcome}, status = coalesce({status}, status), request_id = coalesce({request}, request_id),
           {more} closed_at = now()
    WHERE id = $1 AND (outcome IS NULL OR outcome = 'unknown')
    RETURNING link_id, transaction_id, want_seq, operation, event_id),
"""

_SUCCEEDED = (
    _CLOSED.format(outcome="'ok'", status="$6", request="$7", more="event_id = $2, code = $8, reason = $9,")
    + """
linked AS (
    UPDATE link l SET event_id = $2, change_key = $3, ical_uid = coalesce($4, l.ical_uid), fields = l.fields || $5::jsonb,
           done_seq = CASE WHEN $10 THEN greatest(l.done_seq, closed.want_seq) ELSE l.done_seq END,
           tries = 0, first_trouble_at = NULL, missing_since = NULL, adopt = false, due_at = now(), updated_at = now()
    FROM closed WHERE l.id = closed.link_id),
told AS (
    UPDATE transaction t SET status = CASE WHEN $8::text IS NULL THEN 'succeeded' ELSE 'failed' END, code = $8, reason = $9,
           action = closed.operation, closed_at = now()
    FROM closed WHERE t.id = closed.transaction_id AND t.status = 'pending' AND $10
    RETURNING t.cause, t.changed_at),
-- A pending one that this call overtook was kept open only for its own attempt.
overtaken AS (
    UPDATE transaction t SET status = 'skipped', code = 'EXC-SUPERSEDED', superseded_by = closed.transaction_id,
           closed_at = now()
    FROM closed WHERE t.link_id = closed.link_id AND t.status = 'pending' AND t.id <> closed.transaction_id
      AND t.want_seq < closed.want_seq)
SELECT (SELECT extract(epoch FROM now() - changed_at)::float8 FROM told WHERE cause = 'change') AS lag FROM closed
"""
)

_DELETED = (
    _CLOSED.format(outcome="'ok'", status="$2", request="$3", more="")
    + """
linked AS (
    UPDATE link l SET event_id = NULL, change_key = NULL, fields = '{}', done_seq = greatest(l.done_seq, closed.want_seq),
           incarnation = incarnation + 1, tries = 0, first_trouble_at = NULL, missing_since = NULL, due_at = now(),
           updated_at = now()
    FROM closed WHERE l.id = closed.link_id RETURNING l.id, l.mailbox),
once AS (
    INSERT INTO once_ours (mailbox, event_id, link_id)
    SELECT linked.mailbox, closed.event_id, linked.id FROM linked, closed WHERE closed.event_id IS NOT NULL
    ON CONFLICT DO NOTHING),
told AS (
    UPDATE transaction t SET status = 'succeeded', code = NULL, reason = NULL, action = 'delete', closed_at = now()
    FROM closed WHERE t.id = closed.transaction_id AND t.status = 'pending'
    RETURNING t.cause, t.changed_at),
-- An event that was out of sight came back: nobody had asked for its end.
unasked AS (
    INSERT INTO transaction (direction, link_id, appointment_id, appointment_guid, resource_no, mailbox, action, status,
                             cause, want_seq, notes, closed_at)
    SELECT 'out', l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.mailbox, 'delete', 'succeeded', 'surplus',
           closed.want_seq, '{surplus event of ours}', now()
    FROM closed JOIN link l ON l.id = closed.link_id WHERE closed.transaction_id IS NULL),
overtaken AS (
    UPDATE transaction t SET status = 'skipped', code = 'EXC-SUPERSEDED', superseded_by = closed.transaction_id,
           closed_at = now()
    FROM closed WHERE t.link_id = closed.link_id AND t.status = 'pending' AND t.id <> closed.transaction_id
      AND t.want_seq < closed.want_seq)
SELECT (SELECT extract(epoch FROM now() - changed_at)::float8 FROM told WHERE cause = 'change') AS lag FROM closed
"""
)
