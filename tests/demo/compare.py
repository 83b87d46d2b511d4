"""Are the calendars what the planning says? Told without any code of the connector, so that its bugs are not shared.

Planning and calendars are the JSON of the simulators' doors; the mapping is written down here once more.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

PROPERTY = " Name exconn"
SUBJECT_LIMIT = 255
PERSON = "person"
IMPORTANCE = {0: "normal", 1: "high", 2: "low"}
SHOW_AS = {1: "free", 2: "tentative", 3: "busy", 4: "oof", 5: "workingElsewhere"}
SENSITIVITY = {1: "normal", 2: "personal", 3: "private", 4: "confidential"}
REMINDER_MINUTES = 15
# What the simulated mailboxes of a story may have for a time zone.
ZONES = {"UTC": "UTC", "W. Europe Standard Time": "Europe/Berlin", "Romance Standard Time": "Europe/Paris"}

Json = Mapping[str, Any]


class Key(NamedTuple):
    """What one event stands for."""

    guid: str
    resource_no: str
    mailbox: str


@dataclass(frozen=True)
class Calendar:
    """One mailbox: all its events as the door shows them, and its time zone as it was set."""

    events: Sequence[Json]
    time_zone: str = "UTC"


@dataclass(frozen=True)
class Exceptions:
    """What is known not to be in step, and for a reason.

    `held`: mailboxes that cannot be written to. `frozen`: switched off, so their events stay as they are.
    `copies`: ids of events that a person copied from ours; they are the person's.
    """

    held: Collection[str] = ()
    frozen: Collection[str] = ()
    copies: Collection[str] = ()


@dataclass
class Comparison:
    """What a comparison found. `absences`: assignments that have no event, as it should be, with the reason.

    `events` are those that the connector made or adopted, in `calendars` mailboxes.
    """

    appointments: int = 0
    events: int = 0
    calendars: int = 0
    adopted: int = 0
    differences: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    absences: list[tuple[Key, str]] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return not self.differences and not self.duplicates


def compare(
    appointments: Sequence[Json],
    calendars: Mapping[str, Calendar],
    installation: str,
    exceptions: Exceptions = Exceptions(),
    guids: Collection[str] | None = None,
) -> Comparison:
    """Compare everything; or only appointments with these guids (some may be deleted by now), in these calendars."""
    found = Comparison(appointments=len(appointments))
    wanted = _wanted(appointments, exceptions, found)
    shown = _shown(calendars, installation, exceptions, found)
    for key in sorted(wanted.keys() | shown.keys()):
        beside = guids is not None and (key.guid not in guids or key.mailbox not in calendars)
        if key.mailbox not in exceptions.frozen and not beside:
            zone = calendars[key.mailbox].time_zone if key.mailbox in calendars else "UTC"
            _judge(key, wanted.get(key), shown.get(key, []), zone, found)
    return found


def _wanted(appointments: Sequence[Json], exceptions: Exceptions, found: Comparison) -> dict[Key, Json]:
    wanted = {}
    for appointment in appointments:
        for assignment in appointment["assignments"]:
            address = (assignment["email"] or "").strip().lower()
            key = Key(appointment["guid"], assignment["resource_no"], address)
            if reason := _absence(assignment, address, exceptions):
                found.absences.append((key, reason))
            else:
                wanted[key] = appointment
    return wanted


def _absence(assignment: Json, address: str, exceptions: Exceptions) -> str | None:
    if not assignment["exchange_integration_enabled"]:
        return "not taking part"
    if not address:
        return "no address"
    if address in exceptions.held:
        return "mailbox held"
    return "mailbox switched off" if address in exceptions.frozen else None


def _shown(
    calendars: Mapping[str, Calendar], installation: str, exceptions: Exceptions, found: Comparison
) -> dict[Key, list[Json]]:
    """The events that the connector made or adopted, by what they stand for."""
    shown: dict[Key, list[Json]] = defaultdict(list)
    for address, calendar in calendars.items():
        for event in calendar.events:
            mark = mark_of(event)
            if mark is None or mark[0] != installation or event["id"] in exceptions.copies:
                if event["createdBy"] != PERSON:
                    found.differences.append(
                        f"{address}: an event that no assignment is known for: {event['id']}"
                    )
                continue
            found.events += 1
            found.adopted += event["createdBy"] == PERSON
            shown[Key(mark[1], mark[2], address)].append(event)
    found.calendars = len({key.mailbox for key in shown})
    return shown


def mark_of(event: Json) -> tuple[str, str, str] | None:
    """(installation, guid, resource number) of the connector's mark on an event, if there is one."""
    for name, value in event["extendedProperties"].items():
        if name.endswith(PROPERTY) and value.count("|") >= 2:
            installation, guid, resource_no = value.split("|", 2)
            return installation, guid, resource_no
    return None


def _judge(key: Key, appointment: Json | None, events: list[Json], zone: str, found: Comparison) -> None:
    where = f"{key.mailbox}, appointment {key.guid}, resource {key.resource_no}"
    if len(events) > 1:
        found.duplicates.append(f"{where}: {len(events)} events")
    if appointment is None:
        found.differences += [f"{where}: surplus event {event['subject']!r}" for event in events]
    elif not events:
        found.differences.append(f"{where}: no event {appointment['subject']!r}")
    for event in events if appointment else ():
        found.differences += [f"{where}: {text}" for text in differing(appointment, event, zone)]


def differing(appointment: Json, event: Json, zone: str = "UTC") -> list[str]:
    """The mapped fields of an event that are not as its appointment has them."""
    return [
        f"{name} is {_field(event, name)!r}, wanted {value!r}"
        for name, value in expected(appointment, zone).items()
        if _field(event, name) != value
    ]


def expected(appointment: Json, zone: str = "UTC") -> dict[str, Any]:
    """The fields of an event of this appointment, in a mailbox of this time zone."""
    fields = {
        "subject": _subject(appointment["subject"] or ""),
        "body": _lines(appointment["body"] or ""),
        "showAs": SHOW_AS.get(appointment["show_as"], "busy"),
        "sensitivity": SENSITIVITY.get(appointment["sensitivity"], "normal"),
        "importance": IMPORTANCE.get(appointment["importance"], "normal"),
        "categories": sorted(filter(None, [appointment["category"]])),
        "reminder": REMINDER_MINUTES,
        **_times(appointment, ZoneInfo(ZONES[zone])),
    }
    if appointment["location"] is not None:
        fields["location"] = " ".join(appointment["location"].split())
    return fields


def _subject(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SUBJECT_LIMIT else line[: SUBJECT_LIMIT - 1] + "…"


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _times(appointment: Json, zone: ZoneInfo) -> dict[str, Any]:
    start, end = (datetime.fromisoformat(appointment[name]).astimezone(UTC) for name in ("start", "end"))
    if appointment["all_day"]:
        return _days(start, end)
    local_start, local_end = start.astimezone(zone), end.astimezone(zone)
    if appointment["all_day"] is None and end > start and _midnight(local_start) and _midnight(local_end):
        return _days(local_start, local_end)
    return {"isAllDay": False, "start": _second(start), "end": _second(end)}


def _days(start: datetime, end: datetime) -> dict[str, Any]:
    """Whole days; the end is the first day that is free again."""
    last = end.date() if _midnight(end) else end.date() + timedelta(days=1)
    last = max(last, start.date() + timedelta(days=1))
    return {"isAllDay": True, "start": start.date(), "end": last}


def _midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)


def _second(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _field(event: Json, name: str) -> Any:
    match name:
        case "subject" | "location":
            return " ".join((event[name] or "").split())
        case "body":
            return _lines(event["body"] or "")
        case "categories":
            return sorted(event["categories"])
        case "reminder":
            return event["reminderMinutesBeforeStart"] if event["isReminderOn"] else None
        case "start" | "end":
            return _moment(event[name]["dateTime"], event["isAllDay"])
    return event[name]


def _moment(text: str, all_day: bool) -> datetime | date:
    at = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    return at.date() if all_day else at
