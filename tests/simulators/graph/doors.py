"""The doors: what a test asks and does behind Graph's back, and what a person does in Outlook. All below /_sim:

GET    mailboxes                            the addresses that were used
GET    mailboxes/ADDRESS/events             all events as they are, also those that listings do not show yet
POST   mailboxes/ADDRESS/events             a person makes one: Graph's names, and copyOf, organizer, iCalUId, calendar
GET, PATCH, DELETE  .../events/ID           (either kind of id; PATCH: also calendar, which moves it)
GET, POST  mailboxes/ADDRESS/settings       mailboxSettings; not checked, so a customised time zone is possible
POST   mailboxes/ADDRESS/state              {"state": "ok" | "unlicensed" | "denied"}
GET    requests?since=N                     {"next": last number, "requests": those with a higher number than N}
GET    throttling                           {"mailboxes": {address: gauge}, "total": gauge}
POST, GET, DELETE  faults                   see above; GET: what is pending and how often each was injected
GET, POST  clock                            {"advance_s": seconds}
POST   apps                                 {"tenant", "client_id"} and any of secret, secret_expired, roles
POST   tokens/revoke                        every token issued so far is refused
POST   reset                                mailboxes, faults, log, gauges; not clock, tokens, apps
"""

import copy
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from . import views
from .clock import stamp
from .credentials import App
from .errors import GraphError
from .gateway import Gateway
from .mailboxes import STATES, Mailbox
from .reading import Changes, read_changes

Result = tuple[int, Any]
_COPIED = (
    "start", "end", "subject", "body", "is_all_day", "show_as", "sensitivity", "importance", "categories",
    "locations", "attendees", "recurrence", "is_reminder_on", "reminder_minutes", "properties",
)  # fmt: skip


def open_door(gateway: Gateway, method: str, target: str, body: Any) -> Result:
    """(status, JSON) of a request below /_sim; anything wrong is an {"error": text}."""
    path, _, query = target.partition("?")
    try:
        return _open(
            gateway, method, [unquote(each) for each in path.split("/") if each], dict(parse_qsl(query)), body
        )
    except GraphError as error:
        return error.status, {"error": f"{error.code}: {error.message}"}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return 400, {"error": str(error)}


def _open(gateway: Gateway, method: str, path: list[str], query: dict[str, str], body: Any) -> Result:
    match (method, path):
        case (_, ["mailboxes", address, *rest]):
            return _mailbox(gateway, method, address, rest, body or {})
        case ("GET", ["mailboxes"]):
            boxes = gateway.directory.mailboxes
            return 200, {address: {"events": len(box.events)} for address, box in boxes.items()}
        case ("GET", ["requests"]):
            since = int(query.get("since", 0))
            return 200, {"next": gateway.log.last, "requests": gateway.log.since(since)}
        case ("GET", ["throttling"]):
            return 200, gateway.throttle.record()
        case ("POST", ["faults"]):
            gateway.faults.force(body)
            return 201, {"pending": gateway.faults.pending()}
        case ("GET", ["faults"]):
            return 200, {"pending": gateway.faults.pending(), "injected": dict(gateway.faults.injected)}
        case ("DELETE", ["faults"]):
            gateway.faults.clear()
            return 200, {}
        case ("POST", ["clock"]):
            return 200, {"now": stamp(gateway.clock.advance(float(body["advance_s"])))}
        case ("GET", ["clock"]):
            return 200, {"now": stamp(gateway.clock.time())}
        case ("POST", ["apps"]):
            return _app(gateway, body)
        case ("POST", ["tokens", "revoke"]):
            gateway.login.issued.clear()
            return 200, {}
        case ("POST", ["reset"]):
            _reset(gateway)
            return 200, {}
    return 404, {"error": f"no such door: {method} /_sim/{'/'.join(path)}"}


def _mailbox(gateway: Gateway, method: str, address: str, rest: list[str], body: dict[str, Any]) -> Result:
    mailbox = gateway.directory.mailbox(address)
    match (method, rest):
        case ("GET", ["events"]):
            mailbox.settle()
            return 200, [_shown(mailbox, event) for event in mailbox.events.values()]
        case ("POST", ["events"]):
            return 201, _shown(mailbox, _create(mailbox, body))
        case ("GET", ["events", event_id]):
            return 200, _shown(mailbox, mailbox.find(event_id))
        case ("PATCH", ["events", event_id]):
            return 200, _shown(mailbox, _update(mailbox, event_id, body))
        case ("DELETE", ["events", event_id]):
            mailbox.remove(mailbox.find(event_id))
            return 200, {}
        case ("POST" | "PATCH", ["settings"]):
            # Not checked: a person may have a customised zone, which Graph reports but does not accept.
            mailbox.settings.update(body)
            return 200, mailbox.settings
        case ("POST", ["state"]):
            if body.get("state") not in STATES:
                raise ValueError(f"the state must be one of {', '.join(STATES)}")
            mailbox.state = body["state"]
            return 200, {"state": mailbox.state}
        case ("GET", ["settings"]):
            return 200, mailbox.settings
    return 404, {"error": f"no such door: {method} .../{'/'.join(rest)}"}


def _shown(mailbox: Mailbox, event: Any) -> dict[str, Any]:
    return views.plain_json(event, mailbox.calendars[event.calendar])


def _create(mailbox: Mailbox, body: dict[str, Any]) -> Any:
    body = dict(body)
    original = mailbox.find(body.pop("copyOf")) if body.get("copyOf") else None
    special = _special(body)
    changes = _copied(original) if original else {}
    changes |= read_changes(body)
    changes["transaction_id"] = None
    calendar = _calendar(mailbox, special.get("calendar"))
    event = mailbox.add(changes, calendar, "person", ical_uid=special.get("iCalUId"))
    if organizer := special.get("organizer"):
        event.organizer = {"name": organizer, "address": organizer}
        event.is_organizer = organizer.lower() == mailbox.address
    return event


def _update(mailbox: Mailbox, event_id: str, body: dict[str, Any]) -> Any:
    body = dict(body)
    event = mailbox.find(event_id)
    special = _special(body)
    changes = read_changes(body)
    changes.pop("transaction_id", None)
    if changes:
        mailbox.change(event, changes)
    if special.get("calendar"):
        mailbox.move(event, _calendar(mailbox, special["calendar"]))
    return event


def _special(body: dict[str, Any]) -> dict[str, Any]:
    """Members beyond Graph's: calendar (a name), organizer (an address), iCalUId."""
    special: dict[str, Any] = {
        name: body.pop(name) for name in ("calendar", "organizer", "iCalUId") if name in body
    }
    if isinstance(special.get("organizer"), dict):
        special["organizer"] = special["organizer"]["emailAddress"]["address"]
    return special


def _calendar(mailbox: Mailbox, name: str | None) -> str:
    if name is None:
        return mailbox.default_calendar
    for calendar, known in mailbox.calendars.items():
        if name in (known, calendar):
            return calendar
    return mailbox.add_calendar(name)


def _copied(original: Any) -> Changes:
    return {name: copy.deepcopy(getattr(original, name)) for name in _COPIED}


def _app(gateway: Gateway, body: dict[str, Any]) -> Result:
    """Registers or changes an application: tenant, client_id, and any of secret, secret_expired, roles."""
    tenant = gateway.login.tenant(body["tenant"])
    app = gateway.login.apps.setdefault((tenant, body["client_id"]), App())
    setters: dict[str, Callable[[Any], Any]] = {"secret": str, "secret_expired": bool, "roles": tuple}
    for name, convert in setters.items():
        if name in body:
            setattr(app, name, convert(body[name]))
    return 200, {"tenant": tenant, "client_id": body["client_id"], "roles": list(app.roles)}


def _reset(gateway: Gateway) -> None:
    """Mailboxes, faults, log and gauges; tokens and applications stay as they are."""
    gateway.directory.clear()
    gateway.faults.clear()
    gateway.log.clear()
    gateway.throttle.clear()
