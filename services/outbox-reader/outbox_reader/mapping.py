"""From outbox rows to messages: rows of one appointment fold into one; no I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from common.messages import Action, AppointmentChanged, AppointmentUnreadable, Snapshot
from common.planning.snapshots import Reading, Unreadable
from outbox_reader.records import OutboxRow

_RANK: Final[dict[str, int]] = {"change": 3, "replay": 2, "backfill": 1, "reconcile": 0}


class Fold(NamedTuple):
    """All claimed rows of one appointment."""

    appointment_id: int
    guid: UUID | None
    rows: Sequence[OutboxRow]


@dataclass(slots=True)
class Told:
    """What a batch says, and which of its rows each message stands for.

    `unreadable` are rows to park, with the reason; `later` are rows that could not be read now; `silent` say nothing, because another row says it.
    """

    messages: list[AppointmentChanged | AppointmentUnreadable] = field(default_factory=list)
    rows: list[Sequence[OutboxRow]] = field(default_factory=list)
    unreadable: dict[int, str] = field(default_factory=dict)
    later: list[OutboxRow] = field(default_factory=list)
    silent: list[OutboxRow] = field(default_factory=list)


def tell(rows: Iterable[OutboxRow], reading: Reading, epoch: int, version: int) -> Told:
    """Say what a batch of rows means, given what was read after it was claimed."""
    told = Told()
    for fold in folds(rows, reading):
        found = reading.of(fold.appointment_id, fold.guid) if fold.guid else _nameless(fold, reading)
        if isinstance(found, Unreadable):
            if found.busy:
                told.later.extend(fold.rows)
                continue
            told.messages.append(_unreadable(fold, found.reason, epoch, version))
            told.rows.append(fold.rows)
            told.unreadable |= {row.id: found.reason for row in fold.rows}
        elif fold.guid is None:
            told.silent.extend(fold.rows)
        else:
            told.messages.append(_changed(fold, fold.guid, found, epoch, version))
            told.rows.append(fold.rows)
    return told


def folds(rows: Iterable[OutboxRow], reading: Reading) -> Iterator[Fold]:
    """Fold rows by (id, guid), in the order in which appointments first appear.

    The same id with another guid is another appointment. Rows without a guid belong to whatever was found
    under the id, else to the guids that other rows name; where there is neither, the fold's guid is None.
    """
    by_id: dict[int, list[OutboxRow]] = defaultdict(list)
    for row in rows:
        by_id[row.appointment_id].append(row)
    for number, own in by_id.items():
        if len(own) == 1 and own[0].guid:  # most of them
            yield Fold(number, own[0].guid, own)
            continue
        named = {row.guid for row in own if row.guid}
        nameless = any(row.guid is None for row in own)
        if len(named) == 1 and not nameless:
            yield Fold(number, named.pop(), own)
        else:
            yield from _folds_of(number, own, named, reading if nameless else Reading({}))


def _folds_of(number: int, rows: list[OutboxRow], named: set[UUID], reading: Reading) -> Iterator[Fold]:
    found = {guid for guid in reading.guids(number) if guid}
    heirs = found or named
    guids: list[UUID | None] = [*sorted(found | named, key=str)]
    for guid in guids or [None]:
        own = [
            row for row in rows if row.guid == guid or (row.guid is None and (guid is None or guid in heirs))
        ]
        yield Fold(number, guid, own)


def _nameless(fold: Fold, reading: Reading) -> Unreadable | None:
    found = reading.found.get((fold.appointment_id, None))
    return found if isinstance(found, Unreadable) else None


def _unreadable(fold: Fold, reason: str, epoch: int, version: int) -> AppointmentUnreadable:
    return AppointmentUnreadable(
        appointment_id=fold.appointment_id,
        appointment_guid=fold.guid,
        epoch=epoch,
        version=version,
        reason=reason,
    )


def _changed(fold: Fold, guid: UUID, found: Snapshot | None, epoch: int, version: int) -> AppointmentChanged:
    rows = fold.rows
    return AppointmentChanged(
        appointment_id=fold.appointment_id,
        appointment_guid=guid,
        epoch=epoch,
        version=version,
        action=_action(rows, found),
        cause=max((row.cause for row in rows), key=_RANK.__getitem__),
        snapshot=found,
        requests=tuple(dict.fromkeys(row.request_id for row in rows if row.request_id)),
        changed_at=min(row.created_at for row in rows),
    )


def _action(rows: Sequence[OutboxRow], found: Snapshot | None) -> Action:
    """A deletion is told only of what is gone; what is gone without a deletion row waits for that row."""
    actions = {row.action for row in rows}
    if found is None and "D" in actions:
        return "D"
    return "I" if "I" in actions else "U"
