"""The SQL of what a decision changes: mailboxes, links and their transactions, under the appointment's lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

from graph_publisher.deciding import Change, Decision, Profiles
from graph_publisher.store.appointments import Stored

if TYPE_CHECKING:
    from common.db import Connection

Decided = Sequence[tuple[Stored, Decision]]


async def write(
    connection: Connection, decided: Decided, profile_of: Profiles
) -> tuple[int, tuple[str, ...]]:
    """Write what was decided; returns how many links changed, and the mailboxes with something new to write."""
    rows = [_row(one, change) for one, decision in decided for change in decision.changes]
    await _note_unaddressed(connection, decided)
    if not rows:
        return 0, ()
    mailboxes = await _note_mailboxes(connection, rows, profile_of)
    await _write_links(connection, rows)
    await _write_transactions(connection, rows, profile_of)
    return len(rows), mailboxes


async def correct_profiles(connection: Connection, stored: Sequence[Stored], profile_of: Profiles) -> None:
    """Give the mailboxes of these links the profile that the settings say, also where no link changes."""
    addresses = sorted({link.mailbox for one in stored for link in one.links})
    await connection.execute(
        f"""UPDATE mailbox m SET profile = n.profile, {_STATE_OF_PROFILE.format(profile="n.profile")}
            FROM (SELECT address, k.profile FROM mailbox JOIN unnest($1::text[], $2::text[]) AS k (address, profile)
                  USING (address) WHERE mailbox.profile IS DISTINCT FROM k.profile OR k.profile IS NULL
                  ORDER BY address FOR UPDATE OF mailbox) n
            WHERE m.address = n.address""",
        addresses,
        [profile_of(address) for address in addresses],
    )


# A person's hold stays what it is.
_STATE_OF_PROFILE = """
    state = CASE WHEN m.hold_until = 'infinity' THEN m.state
                 WHEN {profile} IS NULL THEN 'no profile' WHEN m.state = 'no profile' THEN 'active' ELSE m.state END,
    state_code = CASE WHEN m.hold_until = 'infinity' THEN m.state_code
                      WHEN {profile} IS NULL THEN 'EXC-NO-PROFILE' WHEN m.state = 'no profile' THEN NULL
                      ELSE m.state_code END,
    state_since = CASE WHEN ({profile} IS NULL) = (m.state = 'no profile') THEN m.state_since ELSE now() END
"""


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
        f"""INSERT INTO mailbox AS m (address, profile, state, state_code, work_at, work_bulk, wakes)
           SELECT address, profile, CASE WHEN profile IS NULL THEN 'no profile' ELSE 'active' END,
                  CASE WHEN profile IS NULL THEN 'EXC-NO-PROFILE' END,
                  CASE WHEN pending THEN now() END, bulk, pending::int
           FROM unnest($1::text[], $2::text[], $3::boolean[], $4::boolean[]) AS n (address, profile, pending, bulk)
           ORDER BY address
           ON CONFLICT (address) DO UPDATE
           SET profile = excluded.profile, {_STATE_OF_PROFILE.format(profile="excluded.profile")}, work_at = least(m.work_at, excluded.work_at),
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
               -- With a call of unknown outcome it stays due, for that call alone.
               done_seq = CASE WHEN excluded.done_seq = 1 AND NOT EXISTS (
                   SELECT FROM attempt t WHERE t.link_id = l.id AND (t.outcome IS NULL OR t.outcome = 'unknown'))
                   THEN l.want_seq + 1 ELSE l.done_seq END,
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
    news, profile = stored.news, profile_of(mailbox)
    return row.facts | {
        "appointment_id": appointment_id,
        "appointment_guid": str(guid),
        "resource_no": resource_no,
        "mailbox": mailbox,
        "profile": profile,
        "action": change.action,
        "status": change.status,
        "code": change.code or (None if profile or change.status != "pending" else "EXC-NO-PROFILE"),
        "reason": change.reason,
        "notes": list(change.notes),
        "cause": news.cause if news else "settings",
        "epoch": stored.epoch,
        "version": stored.version,
        "changes": dict(change.changes),
        "changed_at": news.changed_at.isoformat() if news and news.changed_at else None,
    }


async def _note_unaddressed(connection: Connection, decided: Decided) -> None:
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
