"""A row of the view exconn.AppointmentSnapshot as a snapshot; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from pydantic_core import from_json

from common.messages import Snapshot


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row that is no snapshot, and why; the reason names fields, never their values.

    `busy` where the row may be readable later: somebody held it locked.
    """

    reason: str
    busy: bool = False


Found = Snapshot | Unreadable

LONGEST = 4_000_000  # characters; the broker closes the connection of whoever sends much more


@dataclass(frozen=True, slots=True)
class Reading:
    """What was found of some appointments at one moment; an appointment that is absent was not there."""

    found: Mapping[tuple[int, UUID | None], Found]

    def of(self, appointment_id: int, guid: UUID) -> Found | None:
        """The appointment, or why it cannot be read, or None where there is no such appointment."""
        return self.found.get((appointment_id, guid)) or self.found.get((appointment_id, None))

    def guids(self, appointment_id: int) -> list[UUID | None]:
        """The guids under which the id was found; None where not even the guid could be read."""
        return [guid for number, guid in self.found if number == appointment_id]


def parse(text: str, zone: tzinfo) -> Found:
    """Read the view's JSON; `start` and `end` are local times of `zone`, without an offset.

    A local time that happens twice is taken as its first; one that the clock skips moves forward.
    """
    if text and len(text) > LONGEST:
        return Unreadable(f"the snapshot is longer than {LONGEST} characters")
    try:
        raw: Any = from_json(text)
    except (TypeError, ValueError):
        return Unreadable("the snapshot is no JSON")
    if not isinstance(raw, dict):
        return Unreadable("the snapshot is no JSON object")
    for name in ("start", "end"):
        try:
            raw[name] = utc(raw[name], zone)
        except (KeyError, TypeError, ValueError, OverflowError):
            return Unreadable(f"{name}: no local time")
    try:
        return Snapshot.model_validate(raw)
    except ValidationError as error:
        return Unreadable(
            "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['type']}" for one in error.errors())[:400]
        )


def utc(local: str, zone: tzinfo) -> datetime:
    """A local time without offset, in UTC; raises ValueError where it is none, OverflowError outside of years."""
    moment = datetime.fromisoformat(local)
    if moment.tzinfo is not None:
        raise ValueError("a local time has no offset")
    return moment.replace(tzinfo=UTC) if zone is UTC else moment.replace(tzinfo=zone).astimezone(UTC)
