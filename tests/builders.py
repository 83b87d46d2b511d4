"""Builders of what tests speak about: say what matters, the rest is ordinary."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

from common.messages import AppointmentChanged, Assignment, Snapshot

NAMES = UUID("7d1c4f0e-6a53-4b8a-9a3f-2f0c8f6f3a11")

ALICE, BOB, CHARLIE = (f"{name}@contoso.example" for name in ("alice", "bob", "charlie"))


def guid(appointment_id: int, incarnation: int = 0) -> UUID:
    """The guid of a test's appointment."""
    return uuid5(NAMES, f"{appointment_id}/{incarnation}")


def assignment(email: str | None = ALICE, **fields: Any) -> Assignment:
    """One resource on an appointment, taking part unless told otherwise."""
    name = (email or "nobody").partition("@")[0]
    facts: dict[str, Any] = {"resource_no": name.upper(), "display_name": name.title(), "email": email}
    return Assignment(**{"exchange_integration_enabled": True} | facts | fields)


def snapshot(appointment_id: int = 1, *emails: str, **fields: Any) -> Snapshot:
    """An appointment of an hour for the named resources (nobody named: Alice)."""
    ordinary: dict[str, Any] = {
        "id": appointment_id,
        "guid": guid(appointment_id),
        "subject": f"Visit {appointment_id}",
        "body": "Bring the ladder.",
        "start": datetime(2027, 3, 1, 8, tzinfo=UTC),
        "end": datetime(2027, 3, 1, 9, tzinfo=UTC),
        "assignments": tuple(assignment(email) for email in emails or (ALICE,)),
    }
    return Snapshot(**ordinary | fields)


def changed(snap: Snapshot, version: int = 1, **fields: Any) -> AppointmentChanged:
    """The message that carries a snapshot."""
    ordinary: dict[str, Any] = {
        "appointment_id": snap.id,
        "appointment_guid": snap.guid,
        "epoch": 1,
        "version": version,
        "action": "U" if version > 1 else "I",
        "snapshot": snap,
    }
    return AppointmentChanged(**ordinary | fields)


def deleted(snap: Snapshot, version: int, **fields: Any) -> AppointmentChanged:
    """The message that tells of a deletion."""
    return changed(snap, version, **{"action": "D", "snapshot": None} | fields)
