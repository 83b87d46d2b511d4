"""What a client's event body becomes: checked names, types, times and zones, or the refusal Graph gives.

Subjects over 255 characters are refused (`ErrorPropertyValidationFailure`). Public sources leave open whether the
service refuses or cuts; refusing is the unkind choice, since a client that does not cut by itself then fails loudly.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from . import bodies, errors, timezones
from .events import NEVER, Event, Moment

SUBJECT_LIMIT = 255
Changes = dict[str, Any]

_DATE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?")
_PROPERTY_ID = re.compile(
    r"(String|Integer|Boolean|Double|SystemTime|Binary|CLSID|Short|Long|Float|Currency|ApplicationTime)"
    r" (?:(\{[0-9a-fA-F-]{36}\}) (Name (.+)|Id (0x[0-9a-fA-F]+))|(0x[0-9a-fA-F]{3,8}))"
)
SHOW_AS = ("free", "tentative", "busy", "oof", "workingElsewhere", "unknown")
SENSITIVITY = ("normal", "personal", "private", "confidential")
IMPORTANCE = ("low", "normal", "high")
_IGNORED = frozenset(
    [
        "id",
        "iCalUId",
        "changeKey",
        "createdDateTime",
        "lastModifiedDateTime",
        "webLink",
        "type",
        "organizer",
        "isOrganizer",
        "responseStatus",
        "bodyPreview",
        "hasAttachments",
        "isCancelled",
        "isDraft",
        "seriesMasterId",
        "occurrenceId",
        "originalStart",
        "originalStartTimeZone",
        "originalEndTimeZone",
        "onlineMeeting",
        "onlineMeetingUrl",
        "onlineMeetingProvider",
        "isOnlineMeeting",
        "multiValueExtendedProperties",
        "extensions",
        "attachments",
        "calendar",
        "instances",
    ]
)


def read_changes(body: dict[str, Any]) -> Changes:
    """Attribute names of `Event` and their new values; GraphError 400 for what Graph would refuse."""
    changes: Changes = {}
    for name, value in body.items():
        if "@" in name or name in _IGNORED:
            continue
        reader = _READERS.get(name)
        if reader is None:
            raise errors.unreadable_body(
                f"The property '{name}' does not exist on type 'microsoft.graph.event'. Make sure to only use "
                "property names that are defined by the type or mark the type as open type."
            )
        reader(changes, name, value)
    return changes


def check_times(event: Event) -> None:
    """The rules of start and end, after all changes are in place."""
    if not event.is_all_day:
        if event.end.utc < event.start.utc:
            raise errors.invalid_property()
        return
    midnights = event.start.local.time() == time() == event.end.local.time()
    if not midnights or event.start.zone != event.end.zone:
        raise errors.invalid_request(
            "The start and end of an all-day event must be midnight in the same time zone."
        )
    if event.end.local - event.start.local < timedelta(days=1):
        raise errors.invalid_request("The duration of an event marked as All day must be at least 24 hours.")


def parse_time(text: str) -> tuple[datetime, bool]:
    """(naive time, whether it carried an offset and is UTC therefore); ValueError for anything else."""
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    date, clock, fraction, offset = match.groups()
    moment = datetime.fromisoformat(f"{date}T{clock or '00:00:00'}{offset or ''}")
    moment = moment.replace(microsecond=int((fraction or "0").ljust(6, "0")[:6]))
    if offset is None:
        return moment, False
    return moment.astimezone(UTC).replace(tzinfo=None), True


def property_id(written: str) -> str:
    """The id of an extended property as the service writes it: lower-case GUID, name as it was given."""
    match = _PROPERTY_ID.fullmatch(written)
    if match is None:
        raise errors.invalid_property()
    kind, guid, named, _, _, tag = match.groups()
    return f"{kind} {tag.lower()}" if tag else f"{kind} {guid.lower()} {named}"


def _wrong_type(name: str, value: Any) -> errors.GraphError:
    return errors.unreadable_body(
        f"Cannot convert the value '{value}' of property '{name}' to the expected type."
    )


def _text(attribute: str, limit: int | None = None) -> Callable[[Changes, str, Any], None]:
    def read(changes: Changes, name: str, value: Any) -> None:
        if not isinstance(value, str | None):
            raise _wrong_type(name, value)
        if limit and len(value or "") > limit:
            raise errors.invalid_property()
        changes[attribute] = value or ""

    return read


def _one_of(attribute: str, values: tuple[str, ...]) -> Callable[[Changes, str, Any], None]:
    def read(changes: Changes, name: str, value: Any) -> None:
        if value not in values:
            raise errors.unreadable_body(f"Requested value '{value}' was not found.")
        changes[attribute] = value

    return read


def _typed(attribute: str, kind: type) -> Callable[[Changes, str, Any], None]:
    def read(changes: Changes, name: str, value: Any) -> None:
        if type(value) is not kind:
            raise _wrong_type(name, value)
        changes[attribute] = value

    return read


def _read_moment(changes: Changes, name: str, value: Any) -> None:
    if not isinstance(value, dict) or not isinstance(value.get("dateTime"), str):
        raise errors.invalid_property()
    zone = value.get("timeZone", "UTC")
    zone = "UTC" if zone is None else zone
    if not isinstance(zone, str):
        raise _wrong_type(f"{name}/timeZone", zone)
    timezones.zone(zone)
    try:
        changes[name] = _moment(value["dateTime"], zone)
    except (ValueError, OverflowError):
        raise errors.unreadable_body(
            f"Cannot convert the literal '{value['dateTime']}' to Edm.DateTime."
        ) from None


def _moment(written: str, zone: str) -> Moment:
    moment, is_utc = parse_time(written)
    if is_utc:
        return Moment(moment, timezones.to_local(moment, zone), zone)
    return Moment(timezones.to_utc(moment, zone), moment, zone)


def _read_body(changes: Changes, name: str, value: Any) -> None:
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise _wrong_type(name, value)
    kind, content = str(value.get("contentType") or "text").lower(), value.get("content") or ""
    if kind not in ("text", "html") or not isinstance(content, str):
        raise _wrong_type(name, value)
    changes["body"] = bodies.from_text(content) if kind == "text" else bodies.from_html(content)


def _read_categories(changes: Changes, name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _wrong_type(name, value)
    changes["categories"] = list(dict.fromkeys(value))


def _read_location(changes: Changes, name: str, value: Any) -> None:
    changes["locations"] = _locations(name, [] if value is None else [value])


def _read_locations(changes: Changes, name: str, value: Any) -> None:
    changes["locations"] = _locations(name, [] if value is None else value)


def _locations(name: str, values: Any) -> list[dict[str, Any]]:
    if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
        raise _wrong_type(name, values)
    derived = ("locationType", "uniqueId", "uniqueIdType")
    return [
        {
            key: kept
            for key, kept in each.items()
            if key not in derived and "@" not in key and kept is not None
        }
        for each in values
        if each.get("displayName")
    ]


def _read_attendees(changes: Changes, name: str, value: Any) -> None:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _wrong_type(name, value)
    changes["attendees"] = [
        {
            "type": each.get("type", "required"),
            "status": {"response": "none", "time": NEVER},
            "emailAddress": {
                "name": (each.get("emailAddress") or {}).get("name")
                or (each.get("emailAddress") or {}).get("address", ""),
                "address": (each.get("emailAddress") or {}).get("address", ""),
            },
        }
        for each in value
    ]


def _read_recurrence(changes: Changes, name: str, value: Any) -> None:
    if value is not None and not (isinstance(value, dict) and value.get("pattern") and value.get("range")):
        raise errors.invalid_property()
    changes["recurrence"] = value


def _read_properties(changes: Changes, name: str, value: Any) -> None:
    if not isinstance(value, list):
        raise _wrong_type(name, value)
    read: dict[str, tuple[str, str]] = {}
    for each in value:
        if not isinstance(each, dict) or not all(isinstance(each.get(key), str) for key in ("id", "value")):
            raise errors.invalid_property()
        read[property_id(each["id"])] = (each["id"], each["value"])
    changes["properties"] = read


_READERS: dict[str, Callable[[Changes, str, Any], None]] = {
    "subject": _text("subject", SUBJECT_LIMIT),
    "body": _read_body,
    "start": _read_moment,
    "end": _read_moment,
    "isAllDay": _typed("is_all_day", bool),
    "showAs": _one_of("show_as", SHOW_AS),
    "sensitivity": _one_of("sensitivity", SENSITIVITY),
    "importance": _one_of("importance", IMPORTANCE),
    "categories": _read_categories,
    "location": _read_location,
    "locations": _read_locations,
    "attendees": _read_attendees,
    "recurrence": _read_recurrence,
    "isReminderOn": _typed("is_reminder_on", bool),
    "reminderMinutesBeforeStart": _typed("reminder_minutes", int),
    "transactionId": _text("transaction_id"),
    "responseRequested": _typed("response_requested", bool),
    "allowNewTimeProposals": _typed("allow_proposals", bool),
    "hideAttendees": _typed("hide_attendees", bool),
    "singleValueExtendedProperties": _read_properties,
}
