"""What the stores read: rows, identities, epochs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from common.messages import Action, Cause

Key = tuple[int, UUID | None]
"""An appointment's id and guid; without a guid, whatever is found under the id."""


class OutboxRow(NamedTuple):
    """A claimed row: something happened to this appointment.

    `guid` is None where only the id was known to the trigger (an assignment changed).
    """

    id: int
    appointment_id: int
    guid: UUID | None
    action: Action
    cause: Cause
    request_id: UUID | None
    created_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class SharedRow:
    """A claimed row that names a row which many appointments show."""

    id: int
    table: str
    key: str
    after: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Which outbox this is, and what it remembers of the state database."""

    outbox: UUID
    state_database: UUID | None
    planned_version: int
    current_version: int
    restore_mark: str


@dataclass(frozen=True, slots=True)
class Depth:
    """Rows in one state and priority, and the age of the oldest in seconds."""

    state: int
    priority: int
    rows: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Epoch:
    """The newest epoch; `highest` is the highest version published in it, as far as was noted."""

    number: int
    outbox: UUID
    restore_mark: str
    highest: int


@dataclass(frozen=True, slots=True)
class Known:
    """What the state database knows of one appointment; `hash` of the snapshot that was planned last."""

    id: int
    guid: UUID
    hash: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Witness:
    """A version of an appointment that was published, or planned."""

    id: int
    guid: UUID
    epoch: int
    version: int
