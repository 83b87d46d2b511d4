"""From a snapshot to what an event should be. No I/O.

Two stages, because only a mailbox knows its time zone: `wanted` is kept in the link and has times in UTC;
`resolve` turns it into an event's values just before it is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from common.errors import Permanent
from common.messages import Snapshot

Values = dict[str, Any]
UTC_ZONE = ZoneInfo("UTC")

SUBJECT_LIMIT = 255
"""Exchange keeps no longer subject; it counts in UTF-16, where an emoji is two."""
BODY_LIMIT = 250_000
"""Characters: Graph takes no request of more than 4 MB, and JSON may write one character with twelve bytes."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
"""What no XML may hold: Exchange refuses or drops it."""

FIRST_YEAR, LAST_YEAR = 1601, 4500
"""What Exchange and Outlook can show; 9999 stands for `never` in many a database."""

IMPORTANCE = {0: "normal", 1: "high", 2: "low"}
SHOW_AS = {1: "free", 2: "tentative", 3: "busy", 4: "oof", 5: "workingElsewhere"}
SENSITIVITY = {1: "normal", 2: "personal", 3: "private", 4: "confidential"}


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an event gets where the appointment says nothing."""

    show_as: str = "busy"
    sensitivity: str = "normal"
    reminder: int | str = 15
    planning_zone: ZoneInfo = UTC_ZONE


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one event should be, with notes on what was altered on the way."""

    values: Values
    notes: tuple[str, ...] = ()


def wanted(snapshot: Snapshot, defaults: Defaults) -> Wanted:
    """Map an appointment; raises `Permanent` (EXC-END-BEFORE-START, EXC-REFUSED) where its times make no event.

    Never any attendees: an event of the connector invites nobody.
    """
    if not all(FIRST_YEAR <= at.year <= LAST_YEAR for at in (snapshot.start, snapshot.end)):
        raise Permanent("the appointment's times are beyond what a calendar can show", code="EXC-REFUSED")
    if snapshot.end < snapshot.start:
        raise Permanent(
            f"the appointment ends ({snapshot.end:%Y-%m-%d %H:%M}Z) before it starts ({snapshot.start:%Y-%m-%d %H:%M}Z)",
            code="EXC-END-BEFORE-START",
        )
    subject, subject_notes = _subject(snapshot.subject)
    body, body_notes = _body(snapshot.body)
    values: Values = {
        "subject": subject,
        "body": body,
        "start": instant(snapshot.start),
        "end": instant(snapshot.end),
        "isAllDay": _all_day(snapshot, defaults.planning_zone),
        "showAs": SHOW_AS.get(snapshot.show_as or 0, defaults.show_as),
        "sensitivity": SENSITIVITY.get(snapshot.sensitivity or 0, defaults.sensitivity),
        "importance": IMPORTANCE.get(snapshot.importance, "normal"),
        "categories": [category] if (category := printable(snapshot.category or "").strip()) else [],
    }
    if snapshot.location is not None:
        values["location"] = printable(snapshot.location)
    if defaults.reminder != "calendar":
        values["reminder"] = None if defaults.reminder == "off" else defaults.reminder
    return Wanted(values, subject_notes + body_notes)


def printable(text: str) -> str:
    """Return a text without the control characters that Exchange would refuse or drop."""
    return _CONTROLS.sub("", text)


def _subject(subject: str) -> tuple[str, tuple[str, ...]]:
    line = printable(re.sub(r"[\r\n\t]+", " ", subject)).strip()
    units = len(line.encode("utf-16-le")) // 2
    if units <= SUBJECT_LIMIT:
        return line, ()
    kept = line.encode("utf-16-le")[: 2 * (SUBJECT_LIMIT - 1)].decode("utf-16-le", "ignore")
    return kept + "…", (f"subject cut from {units} to {SUBJECT_LIMIT} characters",)


def _body(body: str) -> tuple[str, tuple[str, ...]]:
    text = printable(body)
    if len(text) <= BODY_LIMIT:
        return text, ()
    return text[: BODY_LIMIT - 1] + "…", (f"body cut from {len(text)} to {BODY_LIMIT} characters",)


def _all_day(snapshot: Snapshot, planning_zone: ZoneInfo) -> bool | list[str] | None:
    """Dates where the planning itself says all-day; None where the mailbox's zone decides."""
    if snapshot.all_day is not True:
        return snapshot.all_day
    return _dates(snapshot.start, snapshot.end, planning_zone)


def _dates(start: datetime, end: datetime, zone: ZoneInfo) -> list[str]:
    first = start.astimezone(zone).date()
    local_end = end.astimezone(zone)
    last = local_end.date() + (timedelta(days=1) if local_end.time() != datetime.min.time() else timedelta())
    return [first.isoformat(), max(last, first + timedelta(days=1)).isoformat()]


def resolve(values: Values, zone: ZoneInfo) -> Values:
    """Settle all-day: dates that the planning named, else midnight to midnight in the mailbox's zone.

    All-day events have dates (`2026-11-22`, end exclusive), others moments in UTC; Graph wants the former
    at midnight of one zone (https://learn.microsoft.com/graph/api/resources/event, isAllDay).
    """
    flag = values["isAllDay"]
    if isinstance(flag, list):
        return values | {"isAllDay": True, "start": flag[0], "end": flag[1]}
    start, end = (moment(values[name]) for name in ("start", "end"))
    if flag is None and end > start and _is_midnight(start, zone) and _is_midnight(end, zone):
        first, last = _dates(start, end, zone)
        return values | {"isAllDay": True, "start": first, "end": last}
    return values | {"isAllDay": False}


def _is_midnight(at: datetime, zone: ZoneInfo) -> bool:
    return at.astimezone(zone).time() == datetime.min.time()


def instant(at: datetime) -> str:
    """Write a moment as values hold it: UTC, whole seconds (Exchange keeps no fractions that anybody sees)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str) -> datetime:
    """Read a moment or a date (midnight UTC) of values."""
    if len(text) == len("2026-11-22"):
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    return datetime.fromisoformat(text)
