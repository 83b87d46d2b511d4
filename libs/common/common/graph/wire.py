"""Events and settings as Graph writes them; no I/O.

https://learn.microsoft.com/graph/api/resources/event
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from common import zones
from common.errors import Malformed
from common.graph import text
from common.graph.events import PROPERTY, Event, MailboxSettings, Values

_TIMES = ("start", "end", "isAllDay")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z?")


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
    written: dict[str, Any]
    match name:
        case "body":
            written = {"body": {"contentType": "text", "content": value}}
        case "start" | "end":
            written = {name: _moment(value, time_zone)}
        case "location":
            written = {"location": {"displayName": value}}
        case "reminder" if value is None:
            written = {"isReminderOn": False}
        case "reminder":
            written = {"isReminderOn": True, "reminderMinutesBeforeStart": value}
        case _:
            written = {name: value}
    return written


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
