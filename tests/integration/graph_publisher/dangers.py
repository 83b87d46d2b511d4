"""What every attack may use: faults, an event's look, and a state database that is lost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from replica import Publisher

from common.errors import Transient

LOOK = {
    "subject": "Visit 1",
    "start": "2027-03-01T08:00:00Z",
    "end": "2027-03-01T09:00:00Z",
    "isAllDay": False,
}
INVALID = {"end": datetime(2027, 3, 1, 7, tzinfo=UTC)}


def server_error() -> Transient:
    return Transient("Graph answered 500", code="EXC-GRAPH-UNAVAILABLE", maybe_applied=True, status=500)


def unknown() -> Transient:
    return Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


async def link(publisher: Publisher, appointment: int = 1) -> Any:
    return await publisher.pool.fetchrow(
        "SELECT * FROM link WHERE appointment_id = $1 AND surplus_event = '' ORDER BY id", appointment
    )


async def forget(publisher: Publisher) -> None:
    """The state database is lost."""
    await publisher.pool.execute(
        "TRUNCATE appointment, link, mailbox, transaction, attempt, once_ours, stray CASCADE"
    )
