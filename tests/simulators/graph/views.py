"""How events, calendars and settings are shown: Graph's JSON, and the plain JSON of the doors."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from . import timezones
from .clock import local_stamp, stamp
from .events import NEVER, Event
from .mailboxes import DEFAULT_CALENDAR, Mailbox
from .odata import Options, Preferences

Show = Callable[[Event, Preferences], Any]


def _when(utc: datetime, event: Event, preferences: Preferences) -> dict[str, str]:
    zone = preferences.zone
    shown = utc if zone == "UTC" or event.is_all_day else timezones.to_local(utc, zone)
    return {"dateTime": local_stamp(shown), "timeZone": zone}


def _body(event: Event, preferences: Preferences) -> dict[str, str]:
    if preferences.text:
        return {"contentType": "text", "content": event.body.text}
    return {"contentType": "html", "content": event.body.html}


def _location(event: Event, preferences: Preferences) -> dict[str, Any]:
    if not event.locations:
        return {
            "displayName": "",
            "locationType": "default",
            "uniqueIdType": "unknown",
            "address": {},
            "coordinates": {},
        }
    first = _full_location(event.locations[0])
    names = "; ".join(each["displayName"] for each in event.locations)
    return {**first, "displayName": names, "uniqueId": names}


def _full_location(location: dict[str, Any]) -> dict[str, Any]:
    name = location["displayName"]
    return {**location, "locationType": "default", "uniqueId": name, "uniqueIdType": "private"}


def _response(event: Event, preferences: Preferences) -> dict[str, str]:
    return {"response": "organizer" if event.is_organizer else "notResponded", "time": NEVER}


SHOWN: dict[str, Show] = {
    "id": lambda event, preferences: event.id(preferences.immutable),
    "createdDateTime": lambda event, _: stamp(event.created),
    "lastModifiedDateTime": lambda event, _: stamp(event.modified),
    "changeKey": lambda event, _: event.change_key,
    "categories": lambda event, _: event.categories,
    "transactionId": lambda event, _: event.transaction_id,
    "originalStartTimeZone": lambda event, _: event.start.zone,
    "originalEndTimeZone": lambda event, _: event.end.zone,
    "iCalUId": lambda event, _: event.ical_uid,
    "uid": lambda event, _: event.ical_uid,
    "reminderMinutesBeforeStart": lambda event, _: event.reminder_minutes,
    "isReminderOn": lambda event, _: event.is_reminder_on,
    "hasAttachments": lambda event, _: False,
    "subject": lambda event, _: event.subject,
    "bodyPreview": lambda event, _: event.body.preview,
    "importance": lambda event, _: event.importance,
    "sensitivity": lambda event, _: event.sensitivity,
    "isAllDay": lambda event, _: event.is_all_day,
    "isCancelled": lambda event, _: False,
    "isOrganizer": lambda event, _: event.is_organizer,
    "responseRequested": lambda event, _: event.response_requested,
    "seriesMasterId": lambda event, _: None,
    "showAs": lambda event, _: event.show_as,
    "type": lambda event, _: event.type,
    "webLink": lambda event, _: event.web_link,
    "onlineMeetingUrl": lambda event, _: None,
    "isOnlineMeeting": lambda event, _: False,
    "onlineMeetingProvider": lambda event, _: "unknown",
    "allowNewTimeProposals": lambda event, _: event.allow_proposals,
    "occurrenceId": lambda event, _: None,
    "isDraft": lambda event, _: False,
    "hideAttendees": lambda event, _: event.hide_attendees,
    "responseStatus": _response,
    "body": _body,
    "start": lambda event, preferences: _when(event.starts, event, preferences),
    "end": lambda event, preferences: _when(event.ends, event, preferences),
    "location": _location,
    "locations": lambda event, _: [_full_location(each) for each in event.locations],
    "recurrence": lambda event, _: event.recurrence,
    "attendees": lambda event, _: event.attendees,
    "organizer": lambda event, _: {"emailAddress": event.organizer},
    "onlineMeeting": lambda event, _: None,
}
_SHOWN = tuple(SHOWN.items())
SELECTABLE = frozenset(SHOWN) | {"originalStart"}
_NOT_IN_A_VIEW = frozenset(("createdDateTime", "lastModifiedDateTime"))


def event_json(event: Event, preferences: Preferences, options: Options | None = None) -> dict[str, Any]:
    """An event as Graph answers it, without `@odata.context`; extended properties only where expanded."""
    names = None if options is None else options.select
    wanted = _SHOWN if names is None else [each for each in _SHOWN if each[0] in names or each[0] == "id"]
    shown: dict[str, Any] = {"@odata.etag": event.etag}
    shown.update([(name, show(event, preferences)) for name, show in wanted])
    if shown.get("transactionId", "") is None:
        del shown["transactionId"]
    if options is not None and options.expand:
        found = [(each, event.properties[each][1]) for each in options.expand if each in event.properties]
        if found:
            shown["singleValueExtendedProperties"] = [{"id": name, "value": value} for name, value in found]
    return shown


def selected_in_view(select: frozenset[str] | None) -> frozenset[str] | None:
    """calendarView does not support selecting the two time stamps: they stay away from the answer."""
    return None if select is None else select - _NOT_IN_A_VIEW


def calendar_json(mailbox: Mailbox, calendar: str) -> dict[str, Any]:
    """A calendar as Graph answers it; calendars have no immutable id."""
    default = calendar == mailbox.default_calendar
    return {
        "id": calendar,
        "name": mailbox.calendars[calendar],
        "color": "auto",
        "hexColor": "",
        "isDefaultCalendar": default,
        "changeKey": "DwAAABYAAAA=",
        "canShare": True,
        "canViewPrivateItems": True,
        "canEdit": True,
        "allowedOnlineMeetingProviders": ["teamsForBusiness"],
        "defaultOnlineMeetingProvider": "teamsForBusiness",
        "isTallyingResponses": default,
        "isRemovable": not default and mailbox.calendars[calendar] != DEFAULT_CALENDAR,
        "owner": mailbox.owner,
    }


def settings_json(mailbox: Mailbox) -> dict[str, Any]:
    """mailboxSettings; only what was patched differs between mailboxes."""
    zone = mailbox.settings["timeZone"]
    return {
        "archiveFolder": _archive(mailbox),
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
        "dateFormat": "yyyy-MM-dd",
        "timeFormat": "HH:mm",
        "userPurpose": "user",
        "automaticRepliesSetting": {"status": "disabled", "externalAudience": "all"},
        "language": {"locale": "en-US", "displayName": "English (United States)"},
        "workingHours": {
            "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "startTime": "08:00:00.0000000",
            "endTime": "17:00:00.0000000",
            "timeZone": {"name": zone},
        },
        **mailbox.settings,
    }


def _archive(mailbox: Mailbox) -> str:
    """The id of a folder nobody looks into."""
    return f"{mailbox.default_calendar[:-4]}AAE="


def plain_json(event: Event, calendar: str) -> dict[str, Any]:
    """What the doors show: times in UTC, body as text, the immutable id, the location's name."""
    preferences = Preferences(text=True, immutable=True)
    names = (
        "id", "subject", "start", "end", "isAllDay", "showAs", "sensitivity", "importance", "categories",
        "attendees", "type", "isReminderOn", "reminderMinutesBeforeStart", "transactionId", "iCalUId",
        "changeKey", "createdDateTime", "lastModifiedDateTime", "isOrganizer",
    )  # fmt: skip
    shown = {name: SHOWN[name](event, preferences) for name in names}
    return shown | {
        "restId": event.rest_id,
        "body": event.body.text,
        "location": _location(event, preferences)["displayName"],
        "calendar": calendar,
        "extendedProperties": dict(event.properties.values()),
        "createdBy": event.created_by,
    }
