"""Events as the connector sees them, and as Graph writes them; no I/O.

`values` are the mapped fields of one event, in Graph's terms and as plain JSON:
subject, body (plain text), start, end ("YYYY-MM-DDTHH:MM:SSZ"; all-day "YYYY-MM-DD", end exclusive), isAllDay,
showAs, sensitivity, importance, categories (sorted), location (its name), reminder (minutes before; None: off).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import quote, unquote

from common import zones
from common.errors import Malformed
from common.graph import text
from common.graph.failures import Changed, DuplicateTransaction, Expired, Gone, failure

__all__ = [
    "PROPERTY", "Calendar", "Calendars", "Changed", "DuplicateTransaction", "Event", "Expired", "Gone",
    "MailboxSettings", "body", "event", "failure", "key", "key_parts", "same", "settings",
]  # fmt: skip

Values = dict[str, Any]

# Our single-value extended property. The GUID is the connector's own and never changes: events carry it.
PROPERTY = "String {b8c1a6f5-3d0e-4c57-9a52-6f0d1e7c4b90} Name exconn"

_TIMES = ("start", "end", "isAllDay")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z?")


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


class Calendar(Protocol):
    """The default calendar of one mailbox. One call of a method is one try: who waits and repeats is the caller.

    All raise the errors of `common.errors`; a Transient with `maybe_applied` leaves a write's outcome unknown.
    """

    async def read(self, event_id: str) -> Event:
        """Give the event; Gone where the mailbox has none of this id."""

    async def create(self, values: Values, transaction_id: str, key: str, time_zone: str) -> Event:
        """Make an event, or give the one that the same call made before; DuplicateTransaction where that differs."""

    async def update(
        self, event_id: str, values: Values, time_zone: str, change_key: str | None = None
    ) -> Event:
        """Write some values, times only together; Changed where the event no longer has the change key."""

    async def delete(self, event_id: str, change_key: str | None = None) -> None:
        """Delete the event; Gone where there is none, Changed where it no longer has the change key."""

    async def find(self, key: str) -> list[Event]:
        """Give all events of the mailbox that carry the key."""

    def view(self, start: datetime, end: datetime, *, bodies: bool = True) -> AsyncIterator[Event]:
        """Give what lies in the window, series as occurrences; ends with an error where the listing is cut short."""

    async def settings(self) -> MailboxSettings:
        """Give the mailbox's settings."""


class Calendars(Protocol):
    """Every calendar that the connector's profiles reach."""

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> Calendar:
        """Give the default calendar of a mailbox; a cheap object. No call is made here."""


def key(installation: str, guid: str, resource_no: str) -> str:
    """Give the value of our property: which assignment of which installation an event belongs to."""
    return "|".join((quote(installation, safe=""), guid.lower(), resource_no))


def key_parts(key: str) -> tuple[str, str, str] | None:
    """Give installation, guid and resource number of a key; None where it is none of ours."""
    parts = key.split("|", 2)
    return (unquote(parts[0]), parts[1], parts[2]) if len(parts) == 3 else None


def body(values: Mapping[str, Any], time_zone: str) -> dict[str, Any]:
    """Give Graph's JSON of some values. `time_zone` is the mailbox's: the days of an all-day event are its.

    Of start, end and isAllDay all or none must be there: Graph reads each in the light of the others.
    """
    if 0 < sum(name in values for name in _TIMES) < len(_TIMES):
        raise ValueError("start, end and isAllDay go together")
    written: dict[str, Any] = {}
    for name, value in values.items():
        written |= _written(name, value, time_zone)
    return written


def _written(name: str, value: Any, time_zone: str) -> dict[str, Any]:
    match name:
        case "body":
            return {"body": {"contentType": "text", "content": value}}
        case "start" | "end":
            return {name: _moment(value, time_zone)}
        case "location":
            return {"location": {"displayName": value}}
        case "categories":
            return {"categories": list(value)}
        case "reminder" if value is None:
            return {"isReminderOn": False}
        case "reminder":
            return {"isReminderOn": True, "reminderMinutesBeforeStart": value}
    return {name: value}


def _moment(value: str, time_zone: str) -> dict[str, str]:
    """Write a moment in UTC, or a day as midnight in the mailbox's zone."""
    if "T" in value:
        return {"dateTime": value.removesuffix("Z"), "timeZone": "UTC"}
    return {"dateTime": f"{value}T00:00:00", "timeZone": zones.windows(time_zone) or time_zone}


def event(document: Any) -> Event:
    """Read an event as Graph writes it, whatever else is in it; Malformed where it is none."""
    try:
        return _event(document)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        # The cause's text could hold a subject, so only its kind goes on.
        raise Malformed(f"no event: {type(error).__name__}", code="EXC-GRAPH-ANSWER") from None


def _event(document: dict[str, Any]) -> Event:
    if not isinstance(document["id"], str) or not document["id"]:
        raise ValueError("id")
    return Event(
        id=document["id"],
        change_key=document.get("changeKey") or _tag(document.get("@odata.etag") or ""),
        ical_uid=document.get("iCalUId"),
        values=_values(document),
        has_attendees=bool(document.get("attendees")),
        is_organizer=document.get("isOrganizer") is not False,
        type=document.get("type") or "singleInstance",
        series_master_id=document.get("seriesMasterId"),
        transaction_id=document.get("transactionId"),
        key=_key(document),
        is_cancelled=bool(document.get("isCancelled")),
    )


def _tag(etag: str) -> str:
    """An entity tag wraps the change key: W/"..."."""
    return etag.removeprefix("W/").strip('"')


def _key(document: dict[str, Any]) -> str | None:
    """Give our property's value; Exchange may answer the GUID in other letters than were sent."""
    for extended in document.get("singleValueExtendedProperties") or ():
        if str(extended.get("id")).lower() == PROPERTY.lower():
            return str(extended.get("value"))
    return None


def _values(document: dict[str, Any]) -> Values:
    all_day = bool(document.get("isAllDay"))
    values = {
        "subject": document.get("subject") or "",
        "start": _read_moment(document["start"], all_day),
        "end": _read_moment(document["end"], all_day),
        "isAllDay": all_day,
        "showAs": document.get("showAs") or "unknown",
        "sensitivity": document.get("sensitivity") or "normal",
        "importance": document.get("importance") or "normal",
        "categories": sorted(document.get("categories") or ()),
        "location": (document.get("location") or {}).get("displayName") or "",
        "reminder": int(document.get("reminderMinutesBeforeStart") or 0)
        if document.get("isReminderOn")
        else None,
    }
    if "body" in document:
        content = document["body"] or {}
        values["body"] = text.plain(content.get("content") or "", content.get("contentType") or "text")
    return values


def _read_moment(moment: dict[str, str], all_day: bool) -> str:
    """Give the day of an all-day event, which floats: Graph answers the same midnight in every zone."""
    match = _MOMENT.fullmatch(moment["dateTime"])
    if match is None:
        raise ValueError("dateTime")
    day, time = match.groups()
    name = moment.get("timeZone") or "UTC"
    if all_day:
        return day
    return f"{day}T{time}Z" if name == "UTC" else _in_utc(f"{day}T{time}", name)


def _in_utc(local: str, name: str) -> str:
    zone = zones.zone(name)
    if zone is None:
        raise ValueError("timeZone")
    return datetime.fromisoformat(local).replace(tzinfo=zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def settings(document: Any) -> MailboxSettings:
    """Read a mailbox's settings; Malformed where they are none."""
    if not isinstance(document, dict):
        raise Malformed("no mailbox settings", code="EXC-GRAPH-ANSWER")
    return MailboxSettings(time_zone=str(document.get("timeZone") or ""))


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
