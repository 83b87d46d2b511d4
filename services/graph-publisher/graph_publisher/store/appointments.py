"""The SQL of appointments: what planning stores of a snapshot and reads back, under the appointment's lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from pydantic import ValidationError

from common.messages import AppointmentChanged, Snapshot
from graph_publisher.deciding import Link

if TYPE_CHECKING:
    from common.db import Connection

log = structlog.get_logger()

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


def newest(news: Iterable[AppointmentChanged]) -> dict[Key, AppointmentChanged]:
    """Keep the newest per appointment, in the order of ids in which rows are locked."""
    ordered = sorted(news, key=lambda one: (one.appointment_id, one.appointment_guid, one.epoch, one.version))
    groups = groupby(ordered, key=lambda one: (one.appointment_id, one.appointment_guid))
    return {key: list(group)[-1] for key, group in groups}


async def store(
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
        "snapshot": snapshot and storable(snapshot.model_dump(mode="json", exclude_none=True)),
        "hash": snapshot and snapshot.digest(),
        "missing": snapshot is None,
        "changed_at": message.changed_at and message.changed_at.isoformat(),
    }


async def stored(
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
    read = (_as_stored(row, links.get((row["id"], row["guid"]), ()), off, news) for row in appointments)
    return [one for one in read if one]


def _as_stored(
    row: Any, links: Sequence[Link], off: frozenset[str], news: dict[Key, AppointmentChanged]
) -> Stored | None:
    """None where this version cannot read what another stored: its links stay as they are."""
    key = (row["id"], row["guid"])
    try:
        snapshot = Snapshot.model_validate(row["snapshot"]) if row["snapshot"] else None
    except ValidationError as error:
        # The trace would show the snapshot's texts.
        log.warning("snapshot.unreadable", appointment=row["id"], faults=error.error_count())
        return None
    return Stored(key, snapshot, tuple(links), off, row["epoch"], row["version"], news.get(key))


async def _links(connection: Connection, keys: tuple[list[int], list[UUID]]) -> dict[Key, list[Link]]:
    """Lock the links, then read them: a lane commits its intent under this lock, and must be seen."""
    for_keys = """FROM link l JOIN unnest($1::bigint[], $2::uuid[]) AS k (id, guid)
                       ON l.appointment_id = k.id AND l.appointment_guid = k.guid
                  WHERE l.surplus_event = '' ORDER BY l.id"""
    await connection.execute(f"SELECT 1 {for_keys} FOR UPDATE OF l", *keys)
    rows = await connection.fetch(
        f"""SELECT l.id, l.appointment_id, l.appointment_guid, l.resource_no, l.mailbox, l.wanted, l.frozen,
                   l.event_id IS NOT NULL OR EXISTS (SELECT FROM attempt t WHERE t.link_id = l.id
                       AND (t.outcome IS NULL OR t.outcome = 'unknown')) AS has_event
            {for_keys}""",
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


def storable(document: Any) -> Any:
    """Return JSON without NUL characters, which PostgreSQL stores in no text; nothing else is altered."""
    match document:
        case str():
            return document.replace("\x00", "")
        case list():
            return [storable(one) for one in document]
        case dict():
            return {name: storable(value) for name, value in document.items()}
    return document
