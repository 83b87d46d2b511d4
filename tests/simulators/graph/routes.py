"""From a path to what it means. Paths that only a later version of the simulator will know are unknown segments.

Places left for what is to come: `subscriptions` beside `users` (in `Gateway`), and `delta`, `delta()`,
`microsoft.graph.delta` below `calendarView` and `events` (in `_below_calendar`).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from . import calendars, errors
from .calls import Answer, Call
from .mailboxes import Mailbox

Handler = Callable[[Call, Mailbox, float], Answer]
READ_CALENDARS = frozenset(("Calendars.Read", "Calendars.ReadWrite"))
WRITE_CALENDARS = frozenset(("Calendars.ReadWrite",))
READ_SETTINGS = frozenset(("MailboxSettings.Read", "MailboxSettings.ReadWrite"))
WRITE_SETTINGS = frozenset(("MailboxSettings.ReadWrite",))
_DELTA = frozenset(("delta", "delta()", "microsoft.graph.delta", "microsoft.graph.delta()"))
_KEYED = re.compile(r"(\w+)\('(.+)'\)")


@dataclass(frozen=True, slots=True)
class Route:
    """Whose mailbox, which roles (any of them) and what to do there."""

    user: str
    roles: frozenset[str]
    handle: Handler


def route(call: Call) -> Route:
    """GraphError 400 for unknown segments and for what an application cannot ask, 405 for other methods."""
    segments = _plain(call.segments)
    if not segments or segments[0] not in ("users", "me"):
        raise errors.unknown_segment(segments[0] if segments else "")
    if segments[0] == "me":
        raise errors.bad_request("/me request is only valid with delegated authentication flow.")
    if len(segments) < 3:
        raise errors.insufficient_privileges()
    user, rest = segments[1], segments[2:]
    roles, handle = _below_user(call.method, rest)
    return Route(user, roles, handle)


def _plain(segments: list[str]) -> list[str]:
    """users('a')/events('b') is users/a/events/b."""
    plain: list[str] = []
    for segment in segments:
        match = _KEYED.fullmatch(segment) if segment.endswith("')") else None
        plain.extend(match.groups() if match else (segment,))
    return plain


def _below_user(method: str, rest: list[str]) -> tuple[frozenset[str], Handler]:
    match [rest[0].lower(), *rest[1:]]:
        case ["events", *_] | ["calendarview", *_]:
            return _below_calendar(method, None, rest)
        case ["calendar", *tail]:
            return _below_calendar(method, "", tail)
        case ["calendars"]:
            return _calendars(method)
        case ["calendars", calendar, *tail]:
            return _below_calendar(method, calendar, tail)
        case ["calendargroups", _, "calendars", calendar, *tail]:
            return _below_calendar(method, calendar, tail)
        case ["mailboxsettings", *tail]:
            return _settings(method, tail)
        case ["translateexchangeids"] if method == "POST":
            return READ_CALENDARS, lambda call, mailbox, _: calendars.translate_ids(call, mailbox)
        case ["outlook", *_]:
            # supportedTimeZones needs User.Read.All, which no application here has.
            raise errors.access_denied()
    raise errors.unknown_segment(rest[0])


def _below_calendar(method: str, calendar: str | None, tail: list[str]) -> tuple[frozenset[str], Handler]:
    """`calendar` None is the whole mailbox (for a view: the default calendar), "" the default calendar."""
    match [each.lower() if at == 0 else each for at, each in enumerate(tail)]:
        case [] if method == "GET":
            return READ_CALENDARS, lambda call, box, _: calendars.read_calendar(
                call, box, str(_of(box, calendar))
            )
        case ["events"] if method == "GET":
            return READ_CALENDARS, lambda call, box, _: calendars.list_events(call, box, _of(box, calendar))
        case ["events"] if method == "POST":
            return WRITE_CALENDARS, lambda call, box, lag: calendars.create_event(
                call, box, _of(box, calendar), lag
            )
        case ["calendarview"] if method == "GET":
            return READ_CALENDARS, lambda call, box, _: calendars.view_calendar(call, box, _of(box, calendar))
        case ["events", event] if event.lower() not in _DELTA:
            return _event(method, calendar, event)
        case [] | ["events"] | ["calendarview"]:
            raise errors.method_not_allowed()
    raise errors.unknown_segment(tail[-1])


def _event(method: str, calendar: str | None, event: str) -> tuple[frozenset[str], Handler]:
    match method:
        case "GET":
            return READ_CALENDARS, lambda call, box, _: calendars.read_event(
                call, box, _of(box, calendar), event
            )
        case "PATCH":
            return WRITE_CALENDARS, lambda call, box, lag: calendars.update_event(
                call, box, _of(box, calendar), event, lag
            )
        case "DELETE":
            return WRITE_CALENDARS, lambda call, box, lag: calendars.delete_event(
                call, box, _of(box, calendar), event, lag
            )
    raise errors.method_not_allowed()


def _calendars(method: str) -> tuple[frozenset[str], Handler]:
    match method:
        case "GET":
            return READ_CALENDARS, lambda call, box, _: calendars.list_calendars(call, box)
        case "POST":
            return WRITE_CALENDARS, lambda call, box, _: calendars.create_calendar(call, box)
    raise errors.method_not_allowed()


def _settings(method: str, tail: list[str]) -> tuple[frozenset[str], Handler]:
    match (method, [each.lower() for each in tail]):
        case ("GET", []):
            return READ_SETTINGS, lambda call, box, _: calendars.read_settings(call, box)
        case ("GET", ["timezone"]):
            return READ_SETTINGS, lambda call, box, _: calendars.read_time_zone(call, box)
        case ("PATCH", []):
            return WRITE_SETTINGS, lambda call, box, _: calendars.update_settings(call, box)
        case (_, [] | ["timezone"]):
            raise errors.method_not_allowed()
    raise errors.unknown_segment(tail[-1])


def _of(mailbox: Mailbox, calendar: str | None) -> str | None:
    """The calendar's id, if it exists in that mailbox; GraphError 404."""
    if calendar is None:
        return None
    calendar = calendar or mailbox.default_calendar
    if calendar not in mailbox.calendars:
        raise errors.item_not_found()
    return calendar
