"""Events as the connector sees them; no I/O.

`values` are the mapped fields of one event, in Graph's terms and as plain JSON:
subject, body (plain text), start, end ("YYYY-MM-DDTHH:MM:SSZ"; all-day "YYYY-MM-DD", end exclusive), isAllDay,
showAs, sensitivity, importance, categories (sorted), location (its name), reminder (minutes before; None: off).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from common.graph import text

Values = dict[str, Any]

# Our single-value extended property. The GUID is the connector's own and never changes: events carry it.
PROPERTY = "String {b8c1a6f5-3d0e-4c57-9a52-6f0d1e7c4b90} Name exconn"


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a calendar; `id` is its immutable id, case-sensitive.

    `values` lacks the body where it comes from a listing without bodies. `key` is our property's value.
    """

    id: str
    change_key: str
    ical_uid: str | None
    values: Values
    has_attendees: bool = False
    is_organizer: bool = True
    type: str = "singleInstance"
    series_master_id: str | None = None
    transaction_id: str | None = None
    key: str | None = None
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class MailboxSettings:
    """Settings of a mailbox; `time_zone` is a Windows or IANA name, perhaps a customised one, or empty."""

    time_zone: str


def key(installation: str, guid: str, resource_no: str) -> str:
    """Give the value of our property: which assignment of which installation an event belongs to."""
    return f"{key_prefix(installation)}{guid.lower()}|{resource_no}"


def key_prefix(installation: str) -> str:
    """Give what all keys of an installation begin with."""
    return quote(installation, safe="") + "|"


def key_parts(key: str) -> tuple[str, str, str] | None:
    """Give installation, guid and resource number of a key; None where it is none of ours."""
    parts = key.split("|", 2)
    return (unquote(parts[0]), parts[1], parts[2]) if len(parts) == 3 else None


def same(field: str, a: Any, b: Any) -> bool:
    """Tell whether two values of a field are equal but for what Exchange normalises."""
    match field:
        case "body":
            return text.lines(a or "") == text.lines(b or "")
        case "subject" | "location":
            return (a or "").split() == (b or "").split()
        case "categories":
            return {name.strip() for name in a or ()} == {name.strip() for name in b or ()}
    return bool(a == b)
