"""The SQL of planning: appointments, their links and transactions, under the lock of the appointment."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID

from common import db
from common.messages import AppointmentChanged, AppointmentUnreadable, Snapshot
from graph_publisher.deciding import Change, Decision, Link, Profiles
from graph_publisher.store.strays import claim

if TYPE_CHECKING:
    from common.db import Connection, Pool

Key = tuple[int, UUID]
"""(appointment id, guid): the same id with another guid is another appointment."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An appointment with its links as the database has them, locked. `news` is what just changed it."""

    key: Key
    snapshot: Snapshot | None
    links: tuple[Link, ...]
    mailbox_off: frozenset[str]
    epoch: int
    version: int
    news: AppointmentChanged | None = None


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
        newest = _newest(news)
        async with db.transaction(self.pool) as connection:
            fresh = await _store(connection, newest, self.generation)
            stored = await _stored(connection, list(fresh), fresh)
            links, mailboxes = await self._write(connection, [(one, decide(one)) for one in stored])
            strays = await claim(connection, list(fresh))
        return Planned(len(fresh), len(news) - len(fresh), links, (*mailboxes, *strays))

    async def recompute(self, generation: int, limit: int, decide: Decide) -> Planned:
        """Decide again for at most `limit` appointments of an older generation; each commit is progress."""
        async with db.transaction(self.pool) as connection:
            rows = await connection.fetch(
                """UPDATE appointment SET generation = $1
                   WHERE (id, guid) IN (SELECT id, guid FROM appointment WHERE generation < $1
                                        ORDER BY id, guid LIMIT $2 FOR UPDATE SKIP LOCKED)
                   RETURNING id, guid""",
                generation,
                limit,
            )
            keys = sorted((row["id"], row["guid"]) for row in rows)
            stored = await _stored(connection, keys, {})
            links, mailboxes = await self._write(connection, [(one, decide(one)) for one in stored])
            strays = await claim(connection, keys)
        return Planned(len(rows), 0, links, (*mailboxes, *strays))

    async def _write(
        self, connection: Connection, decided: Sequence[tuple[Stored, Decision]]
    ) -> tuple[int, tuple[str, ...]]:
        rows = [_row(one, change) for one, decision in decided for change in decision.changes]
        await _note_unaddressed(connection, decided)
        if not rows:
            return 0, ()
        mailboxes = await _note_mailboxes(connection, rows, self.profile_of)
        await _write_links(connection, rows)
        await _write_transactions(connection, rows, self.profile_of)
        return len(rows), mailboxes

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
                message.reason,
                message.epoch,
                message.version,
            )


def _newest(news: Iterable[AppointmentChanged]) -> dict[Key, AppointmentChanged]:
    """Keep the newest per appointment, in the order of ids in which rows are locked."""
    ordered = sorted(news, key=lambda one: (one.appointment_id, one.appointment_guid, one.epoch, one.version))
    groups = groupby(ordered, key=lambda one: (one.appointment_id, one.appointment_guid))
    return {key: list(group)[-1] for key, group in groups}


async def _store(
    connection: Connection, newest: dict[Key, AppointmentChanged], generation: int
) -> dict[Key, AppointmentChanged]:
    """Lock the appointments in order, store what is newer, and return it."""
    keys = ([key[0] for key in newest], [key[1] for key in newest])
    await connection.execute(
        """INSERT INTO appointment (id, guid, epoch, version)
           SELECT id, guid, 0, 0 FROM unnest($1::bigint[], $2::uuid[]) AS k (id, guid) ORDER BY id, guid
           ON CONFLICT DO NOTHING""",
        *keys,
    )
    rows = await connection.fetch(
        """SELECT a.id, a.guid, a.epoch, a.version
           FROM appointment a JOIN unnest($1::bigint[], $2::uuid[]) AS k (id, guid) USING (id, guid)
           ORDER BY a.id, a.guid FOR UPDATE OF a""",
        *keys,
    )
    fresh = {
        (row["id"], row["guid"]): newest[row["id"], row["guid"]]
        for row in rows
        if (row["epoch"], row["version"]) < _order(newest[row["id"], row["guid"]])
    }
    await connection.execute(
        """UPDATE appointment a
           SET epoch = n.epoch, version = n.version, generation = $2, updated_at = now(), changed_at = n.changed_at,
               snapshot = CASE WHEN n.missing AND n.action <> 'D' THEN a.snapshot ELSE n.snapshot END,
               hash = CASE WHEN n.missing AND n.action <> 'D' THEN a.hash ELSE n.hash END,
               deleted_at = CASE WHEN n.action = 'D' THEN coalesce(a.deleted_at, now())
                                 WHEN n.missing THEN a.deleted_at END,
               missing_since = CASE WHEN n.missing AND n.action <> 'D' THEN coalesce(a.missing_since, now()) END
           FROM jsonb_to_recordset($1::jsonb) AS n (id bigint, guid uuid, epoch int, version bigint, action text,
                snapshot jsonb, hash text, missing boolean, changed_at timestamptz)
           WHERE a.id = n.id AND a.guid = n.guid""",
        [_appointment(message) for message in fresh.values()],
        generation,
    )
    return fresh


def _order(message: AppointmentChanged) -> tuple[int, int]:
    return message.epoch, message.version


def _appointment(message: AppointmentChanged) -> dict[str, Any]:
    snapshot = None if message.action == "D" else message.snapshot
    return {
        "id": message.appointment_id,
        "guid": str(message.appointment_guid),
        "epoch": message.epoch,
        "version": message.version,
        "action": message.action,
        "snapshot": snapshot and snapshot.model_dump(mode="json", exclude_none=True),
        "hash": snapshot and snapshot.digest(),
        "missing": snapshot is None,
        "changed_at": message.changed_at and message.changed_at.isoformat(),
    }


async def _stored(
    connection: Connection, keys: Sequence[Key], news: dict[Key, AppointmentChanged]
) -> list[Stored]:
    """Read appointments that are locked already, and lock and read their links."""
    if not keys:
        return []
    columns = ([key[0] for key in keys], [key[1] for key in keys])
    appointments = await connection.fetch(
        """SELECT a.id, a.guid, a.epoch, a.version, a.snapshot
           FROM appointment a JOIN unnest($1::bigint[], $2::uuid[]) AS k (id, guid) USING (id, guid)
           ORDER BY a.id, a.guid""",
        *columns,
    )
    links = await _links(connection, columns)
    off = frozenset(
        row["address"] for row in await connection.fetch("SELECT address FROM mailbox WHERE NOT outbound")
    )
    return [_as_stored(row, links.get((row["id"], row["guid"]), ()), off, news) for row in appointments]


def _as_stored(
    row: Any, links: Sequence[Link], off: frozenset[str], news: dict[Key, AppointmentChanged]
) -> Stored:
    key = (row["id"], row["guid"])
    snapshot = Snapshot.model_validate(row["snapshot"]) if row["snapshot"] else None
    return Stored(key, snapshot, tuple(links), off, row["epoch"], row["version"], news.get(key))


async def _links(connection: Connection, keys: tuple[list[int], list[UUID]]) -> dict[Key, list[Link]]:
    rows = await connection.fetch(
        """SELECT l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.mailbox, l.wanted, l.frozen,
                  l.event_id IS NOT NULL OR EXISTS (SELECT FROM attempt t WHERE t.link_id = l.id
                      AND (t.outcome IS NULL OR t.outcome = 'unknown')) AS has_event
           FROM link l JOIN unnest($1::bigint[], $2::uuid[]) AS k (id, guid)
                ON l.appointment_id = k.id AND l.appointment_guid = k.guid
           WHERE l.surplus_event = '' ORDER BY l.id FOR UPDATE OF l""",
        *keys,
    )
    links: dict[Key, list[Link]] = {}
    for row in rows:
        key = (row["appointment_id"], row["appointment_guid"])
        link = Link(
            row["id"], row["resource_no"], row["mailbox"], row["wanted"], row["frozen"], row["has_event"]
        )
        links.setdefault(key, []).append(link)
    return links


@dataclass(slots=True)
class _Row:
    """A change with what the database adds to it on the way: the link's id and sequence, the transaction's id."""

    stored: Stored
    change: Change
    bulk: bool
    adopt: bool
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def place(self) -> tuple[int, UUID, str, str]:
        return *self.stored.key, self.change.link.resource_no, self.change.link.mailbox


def _row(stored: Stored, change: Change) -> _Row:
    """An event can exist before its first create, unless the appointment has just been made."""
    news = stored.news
    just_made = news is not None and news.cause == "change" and news.action == "I"
    return _Row(stored, change, bulk=news is None or news.cause != "change", adopt=not just_made)


async def _note_mailboxes(
    connection: Connection, rows: Sequence[_Row], profile_of: Profiles
) -> tuple[str, ...]:
    """Make the mailboxes known, and those with something to write due; returns the latter."""
    addresses = sorted({row.change.link.mailbox for row in rows})
    pending = {row.change.link.mailbox for row in rows if row.change.status == "pending"}
    fresh = {row.change.link.mailbox for row in rows if row.change.status == "pending" and not row.bulk}
    await connection.execute(
        """INSERT INTO mailbox AS m (address, profile, work_at, work_bulk, wakes)
           SELECT address, profile, CASE WHEN pending THEN now() END, bulk, pending::int
           FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) AS n (address, profile, pending, bulk)
           ORDER BY address
           ON CONFLICT (address) DO UPDATE
           SET profile = excluded.profile, work_at = least(m.work_at, excluded.work_at),
               work_bulk = excluded.work_bulk AND (m.work_bulk OR m.work_at IS NULL),
               wakes = m.wakes + excluded.wakes""",
        addresses,
        [profile_of(address) for address in addresses],
        [address in pending for address in addresses],
        [address not in fresh for address in addresses],
    )
    return tuple(sorted(pending))


async def _write_links(connection: Connection, rows: Sequence[_Row]) -> None:
    """Set links to wanted; what is skipped or refused is wanted and done at once."""
    answers = await connection.fetch(
        """INSERT INTO link AS l (appointment_id, appointment_guid, resource_no, mailbox, wanted, frozen, notes,
                                  exchange_id, ical_uid, want_seq, done_seq, due_at, bulk, adopt)
           SELECT appointment_id, appointment_guid, resource_no, mailbox, wanted, frozen,
                  ARRAY(SELECT jsonb_array_elements_text(notes)), exchange_id, ical_uid,
                  1, CASE WHEN pending THEN 0 ELSE 1 END, now(), bulk, adopt
           FROM jsonb_to_recordset($1::jsonb) AS n (appointment_id bigint, appointment_guid uuid, resource_no text,
                mailbox text, wanted jsonb, frozen text, notes jsonb, exchange_id text, ical_uid text,
                pending boolean, bulk boolean, adopt boolean)
           ON CONFLICT (appointment_id, appointment_guid, resource_no, mailbox, surplus_event) DO UPDATE
           SET wanted = excluded.wanted, frozen = excluded.frozen, notes = excluded.notes,
               exchange_id = coalesce(l.exchange_id, excluded.exchange_id),
               bulk = excluded.bulk AND (l.bulk OR l.want_seq = l.done_seq),
               want_seq = l.want_seq + 1,
               done_seq = CASE WHEN excluded.done_seq = 1 THEN l.want_seq + 1 ELSE l.done_seq END,
               due_at = now(), tries = 0, first_trouble_at = NULL, updated_at = now()
           RETURNING id, want_seq, appointment_id, appointment_guid, resource_no, mailbox""",
        [_link(row) for row in rows],
    )
    by_place = {
        (one["appointment_id"], one["appointment_guid"], one["resource_no"], one["mailbox"]): one
        for one in answers
    }
    for row in rows:
        answer = by_place[row.place]
        row.facts |= {"link_id": answer["id"], "want_seq": answer["want_seq"]}


def _link(row: _Row) -> dict[str, Any]:
    appointment_id, guid, resource_no, mailbox = row.place
    snapshot = row.stored.snapshot
    return {
        "appointment_id": appointment_id,
        "appointment_guid": str(guid),
        "resource_no": resource_no,
        "mailbox": mailbox,
        "wanted": row.change.wanted,
        "frozen": row.change.frozen,
        "notes": list(row.change.notes),
        "exchange_id": snapshot.exchange_id if snapshot else None,
        "ical_uid": snapshot.ical_uid if snapshot else None,
        "pending": row.change.status == "pending",
        "bulk": row.bulk,
        "adopt": row.adopt,
    }


async def _write_transactions(connection: Connection, rows: Sequence[_Row], profile_of: Profiles) -> None:
    """Tell each change, close what it supersedes; what is on its way in an open attempt is closed by its lane."""
    opened = await connection.fetch(
        """INSERT INTO transaction (direction, link_id, appointment_id, appointment_guid, resource_no, mailbox, profile,
                                    action, status, code, reason, notes, cause, want_seq, epoch, version, changes,
                                    changed_at, closed_at)
           SELECT 'out', link_id, appointment_id, appointment_guid, resource_no, mailbox, profile, action, status,
                  code, reason, ARRAY(SELECT jsonb_array_elements_text(notes)), cause, want_seq, epoch, version,
                  changes, changed_at, CASE WHEN status <> 'pending' THEN now() END
           FROM jsonb_to_recordset($1::jsonb) AS n (link_id bigint, appointment_id bigint, appointment_guid uuid,
                resource_no text, mailbox text, profile text, action text, status text, code text, reason text,
                notes jsonb, cause text, want_seq bigint, epoch int, version bigint, changes jsonb,
                changed_at timestamptz)
           RETURNING id, link_id""",
        [_transaction(row, profile_of) for row in rows],
    )
    await connection.execute(
        """UPDATE transaction t
           SET superseded_by = n.id,
               code = CASE WHEN t.status = 'pending' THEN 'EXC-SUPERSEDED' ELSE t.code END,
               closed_at = coalesce(t.closed_at, now()),
               status = CASE WHEN t.status = 'pending' THEN 'skipped' ELSE t.status END
           FROM unnest($1::bigint[], $2::bigint[]) AS n (id, link_id)
           WHERE t.link_id = n.link_id AND t.id < n.id AND t.direction = 'out' AND t.superseded_by IS NULL
             AND (t.status = 'failed' OR t.status = 'pending' AND NOT EXISTS (
                  SELECT FROM attempt a WHERE a.link_id = t.link_id AND a.transaction_id = t.id
                  AND (a.outcome IS NULL OR a.outcome = 'unknown')))""",
        [row["id"] for row in opened],
        [row["link_id"] for row in opened],
    )


def _transaction(row: _Row, profile_of: Profiles) -> dict[str, Any]:
    stored, change = row.stored, row.change
    appointment_id, guid, resource_no, mailbox = row.place
    news = stored.news
    return row.facts | {
        "appointment_id": appointment_id,
        "appointment_guid": str(guid),
        "resource_no": resource_no,
        "mailbox": mailbox,
        "profile": profile_of(mailbox),
        "action": change.action,
        "status": change.status,
        "code": change.code,
        "reason": change.reason,
        "notes": list(change.notes),
        "cause": news.cause if news else "settings",
        "epoch": stored.epoch,
        "version": stored.version,
        "changes": dict(change.changes),
        "changed_at": news.changed_at.isoformat() if news and news.changed_at else None,
    }


async def _note_unaddressed(connection: Connection, decided: Sequence[tuple[Stored, Decision]]) -> None:
    """Tell once per appointment and resource that there is no address to send to."""
    rows = [
        {
            "appointment_id": stored.key[0],
            "appointment_guid": str(stored.key[1]),
            "resource_no": one.resource_no,
            "epoch": stored.epoch,
            "version": stored.version,
        }
        for stored, decision in decided
        for one in decision.unaddressed
    ]
    if rows:
        await connection.execute(
            """INSERT INTO transaction (direction, appointment_id, appointment_guid, resource_no, action, status, code,
                                        epoch, version, closed_at)
               SELECT 'out', appointment_id, appointment_guid, resource_no, 'none', 'skipped', 'EXC-NO-ADDRESS', epoch,
                      version, now()
               FROM jsonb_to_recordset($1::jsonb) AS n (appointment_id bigint, appointment_guid uuid, resource_no text,
                    epoch int, version bigint)
               WHERE NOT EXISTS (SELECT FROM transaction t WHERE t.appointment_id = n.appointment_id
                   AND t.appointment_guid = n.appointment_guid AND t.resource_no = n.resource_no
                   AND t.code = 'EXC-NO-ADDRESS')""",
            rows,
        )
