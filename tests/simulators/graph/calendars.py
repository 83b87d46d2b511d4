"""What the calendar endpoints do with a mailbox. All of it happens without waiting, so each request is atomic."""

from datetime import datetime, timedelta
from typing import Any

from . import errors, fields, timezones, views
from .calls import Answer, Call
from .events import Event
from .filters import matches
from .mailboxes import Mailbox
from .odata import Options, options
from .reading import parse_time, read_changes

LONGEST_VIEW = timedelta(days=1825)
MOST_IDS = 1000


def create_event(call: Call, mailbox: Mailbox, calendar: str | None, lag_s: float) -> Answer:
    """201 and the event; the one of before, if its transactionId says so and nothing differs."""
    body = call.json()
    changes = read_changes(body)
    transaction_id = changes["transaction_id"] = changes.get("transaction_id") or None
    if transaction_id:
        known = mailbox.spent(transaction_id, body, call.preferences.immutable)
        if known is not None:
            return _entity(call, mailbox, known, 201)
    event = mailbox.add(changes, calendar or mailbox.default_calendar, "app")
    if transaction_id:
        mailbox.spend(transaction_id, body, event)
    if lag_s:
        mailbox.hide(event, lag_s)
    return _entity(call, mailbox, event, 201)


def read_event(call: Call, mailbox: Mailbox, calendar: str | None, event_id: str) -> Answer:
    """200 and the event."""
    event = mailbox.find(event_id, calendar)
    return _entity(call, mailbox, event, 200, options(call.query, views.SELECTABLE))


def update_event(call: Call, mailbox: Mailbox, calendar: str | None, event_id: str, lag_s: float) -> Answer:
    """200 and the whole event."""
    event = mailbox.find(event_id, calendar)
    _check_if_match(call, event)
    changes = read_changes(call.json())
    if changes.pop("transaction_id", event.transaction_id) != event.transaction_id:
        raise errors.invalid_request("The transactionId of an event cannot be changed.")
    return _entity(call, mailbox, mailbox.change(event, changes, lag_s), 200)


def delete_event(call: Call, mailbox: Mailbox, calendar: str | None, event_id: str, lag_s: float) -> Answer:
    """204."""
    event = mailbox.find(event_id, calendar)
    _check_if_match(call, event)
    mailbox.remove(event, lag_s)
    return Answer(204)


def list_events(call: Call, mailbox: Mailbox, calendar: str | None) -> Answer:
    """A page of single instances and series masters, of one calendar or of the whole mailbox."""
    found = (event for event in mailbox.listed() if calendar is None or event.calendar == calendar)
    asked = options(call.query, views.SELECTABLE, call.preferences.page)
    return _page(call, mailbox, "events", list(found), asked)


def view_calendar(call: Call, mailbox: Mailbox, calendar: str | None) -> Answer:
    """A page of what overlaps the window, by start. Series are not expanded, so masters never appear."""
    start, end = _window(call)
    calendar = calendar or mailbox.default_calendar
    found = [
        event
        for event in mailbox.listed()
        if event.calendar == calendar and event.recurrence is None and _overlaps(event, start, end)
    ]
    found.sort(key=lambda event: (event.starts, event.key))
    asked = options(call.query, views.SELECTABLE, call.preferences.page)
    asked.select = views.selected_in_view(asked.select)
    return _page(call, mailbox, "calendarView", found, asked)


def list_calendars(call: Call, mailbox: Mailbox) -> Answer:
    """All calendars."""
    value = [views.calendar_json(mailbox, calendar) for calendar in mailbox.calendars]
    return Answer(200, {"@odata.context": _context(call, mailbox, "calendars"), "value": value})


def create_calendar(call: Call, mailbox: Mailbox) -> Answer:
    """201 and the calendar; 409 if there is one of that name."""
    name = call.json().get("name")
    if not isinstance(name, str) or not name:
        raise errors.invalid_property()
    if name in mailbox.calendars.values():
        raise errors.GraphError(409, "ErrorFolderExists", "A folder with the specified name already exists.")
    return read_calendar(call, mailbox, mailbox.add_calendar(name), 201)


def read_calendar(call: Call, mailbox: Mailbox, calendar: str, status: int = 200) -> Answer:
    """200 and the calendar."""
    context = {"@odata.context": _context(call, mailbox, "calendars/$entity")}
    return Answer(status, context | views.calendar_json(mailbox, calendar))


def read_settings(call: Call, mailbox: Mailbox) -> Answer:
    """200 and all mailbox settings."""
    context = {"@odata.context": _context(call, mailbox, "mailboxSettings")}
    return Answer(200, context | views.settings_json(mailbox))


def read_time_zone(call: Call, mailbox: Mailbox) -> Answer:
    """200 and the name of the zone."""
    context = _context(call, mailbox, "mailboxSettings/timeZone")
    return Answer(200, {"@odata.context": context, "value": mailbox.settings["timeZone"]})


def update_settings(call: Call, mailbox: Mailbox) -> Answer:
    """200 and all mailbox settings."""
    changes = {name: value for name, value in call.json().items() if "@" not in name}
    if "timeZone" in changes:
        timezones.zone(str(changes["timeZone"]))
    mailbox.settings.update(changes)
    return read_settings(call, mailbox)


def translate_ids(call: Call, mailbox: Mailbox) -> Answer:
    """200 and the ids in the other form; an id that is unknown gets an error of its own."""
    body = call.json()
    ids, target = body.get("inputIds"), body.get("targetIdType")
    if not isinstance(ids, list) or target not in ("restId", "restImmutableEntryId"):
        raise errors.bad_request("The ids cannot be translated.", "ErrorInvalidRequest")
    if len(ids) > MOST_IDS:
        raise errors.invalid_request(f"At most {MOST_IDS} ids can be translated at once.")
    value = [_translated(mailbox, each, target == "restImmutableEntryId") for each in ids]
    return Answer(
        200,
        {
            "@odata.context": f"{call.base}/v1.0/$metadata#Collection(microsoft.graph.convertIdResult)",
            "value": value,
        },
    )


def _translated(mailbox: Mailbox, source: Any, immutable: bool) -> dict[str, Any]:
    try:
        return {"sourceId": source, "targetId": mailbox.find(str(source)).id(immutable)}
    except errors.GraphError as error:
        return {"sourceId": source, "errorDetails": {"code": error.code, "message": error.message}}


def _check_if_match(call: Call, event: Event) -> None:
    wanted = call.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":
        return
    tags = (each.strip().removeprefix("W/").strip('"') for each in wanted.split(","))
    if event.change_key not in tags:
        raise errors.conflict()


def _window(call: Call) -> tuple[datetime, datetime]:
    try:
        start, _ = parse_time(call.query["startdatetime"])
        end, _ = parse_time(call.query["enddatetime"])
    except KeyError:
        raise errors.bad_request(
            "This request requires a time window specified by the query string parameters StartDateTime and "
            "EndDateTime.",
            "ErrorInvalidParameter",
        ) from None
    except ValueError as error:
        raise errors.bad_request(
            f"The value '{error}' is not a valid date.", "ErrorInvalidParameter"
        ) from None
    if end < start:
        raise errors.bad_request("The end of the window is before its start.", "ErrorInvalidParameter")
    if end - start > LONGEST_VIEW:
        raise errors.invalid_request("The requested date range is too large; the limit is 1825 days.")
    return start, end


def _overlaps(event: Event, start: datetime, end: datetime) -> bool:
    return event.starts < end and (event.ends > start or event.starts == event.ends == start)


def _page(call: Call, mailbox: Mailbox, collection: str, found: list[Event], asked: Options) -> Answer:
    if asked.filter is not None:
        found = [
            each for each in found if matches(asked.filter, fields.values_of(each), fields.members_of(each))
        ]
    for name, descending in reversed(asked.order):
        found.sort(key=lambda event: fields.values_of(event)(name), reverse=descending)
    page = found[asked.skip : asked.skip + asked.top]
    body: dict[str, Any] = {"@odata.context": _context(call, mailbox, collection)}
    if asked.count:
        body["@odata.count"] = len(found)
    body["value"] = [views.event_json(event, call.preferences, asked) for event in page]
    if len(found) > asked.skip + asked.top:
        body["@odata.nextLink"] = _next_link(call, asked)
    return Answer(200, body)


def _next_link(call: Call, asked: Options) -> str:
    kept = [part for part in call.target.partition("?")[2].split("&") if part and not _is_skip(part)]
    kept.append(f"$skip={asked.skip + asked.top}")
    if call.preferences.page and not any("top=" in part for part in kept):
        kept.append(f"$top={asked.top}")
    return f"{call.base}/v1.0{call.path}?{'&'.join(kept)}"


def _is_skip(part: str) -> bool:
    return part.lower().replace("%24", "$").startswith("$skip=")


def _entity(call: Call, mailbox: Mailbox, event: Event, status: int, asked: Options | None = None) -> Answer:
    context = {"@odata.context": _context(call, mailbox, "events/$entity")}
    body = context | views.event_json(event, call.preferences, asked)
    headers = {"ETag": event.etag}
    if status == 201:
        headers["Location"] = f"{call.base}/v1.0{call.path}/{event.id(call.preferences.immutable)}"
    return Answer(status, body, headers)


def _context(call: Call, mailbox: Mailbox, what: str) -> str:
    return f"{call.base}/v1.0/$metadata#users('{mailbox.object_id}')/{what}"
