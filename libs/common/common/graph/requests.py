"""Calls of Graph as data; no I/O. Every call is on the mailbox's default calendar or on one of its events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from common.graph.events import PROPERTY, Values
from common.graph.wire import body

# https://learn.microsoft.com/graph/outlook-immutable-id: asked for by every single request, or ids differ.
# outlook.timezone is never asked for: without it every answer is in UTC.
PREFER = 'IdType="ImmutableId", outlook.body-content-type="text"'

_PAGE = 500
_PAGE_WITH_BODIES = 100
_FIELDS = (
    "id,changeKey,iCalUId,subject,start,end,isAllDay,showAs,sensitivity,importance,categories,location,"
    "isReminderOn,reminderMinutesBeforeStart,attendees,isOrganizer,isCancelled,type,seriesMasterId,transactionId"
)
_SELECT = {"$select": _FIELDS + ",body"}
_EXPAND = {"$expand": f"singleValueExtendedProperties($filter=id eq '{PROPERTY}')"}


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `path` is encoded already (or a whole address), `params` are not. `item`: it names an event."""

    operation: str
    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: Mapping[str, Any] | None = None
    item: bool = False

    @property
    def write(self) -> bool:
        """Whether the call changes something in the mailbox."""
        return self.method != "GET"

    def url(self, base: str) -> str:
        """Give the whole address, encoded as Microsoft's own clients do: `$` stays, a space is %20."""
        address = self.path if self.path.startswith("https://") else base + self.path
        return f"{address}?{urlencode(self.params, quote_via=quote, safe='$')}" if self.params else address


def create(mailbox: str, values: Values, transaction_id: str, key: str, time_zone: str) -> Request:
    """POST an event with its transaction id and our property."""
    extended = [{"id": PROPERTY, "value": key}]
    written = body(values, time_zone)
    written |= {"transactionId": transaction_id, "singleValueExtendedProperties": extended}
    return Request("create", "POST", f"{_user(mailbox)}/calendar/events", json=written)


def read(mailbox: str, event_id: str) -> Request:
    """GET one event with our property."""
    return Request("read", "GET", _event(mailbox, event_id), params=_SELECT | _EXPAND, item=True)


def update(
    mailbox: str, event_id: str, values: Values, time_zone: str, change_key: str | None = None
) -> Request:
    """PATCH some values of one event."""
    headers = _if_match(change_key)
    return Request(
        "update", "PATCH", _event(mailbox, event_id), headers=headers, json=body(values, time_zone), item=True
    )


def delete(mailbox: str, event_id: str, change_key: str | None = None) -> Request:
    """DELETE one event."""
    return Request("delete", "DELETE", _event(mailbox, event_id), headers=_if_match(change_key), item=True)


def find(mailbox: str, key: str) -> Request:
    """GET the events whose property has the key. Graph compares without regard to case: compare again."""
    literal = key.replace("'", "''")
    condition = f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq '{literal}')"
    return Request(
        "find", "GET", f"{_user(mailbox)}/events", params={"$filter": condition} | _SELECT | _EXPAND
    )


def ours(mailbox: str, prefix: str) -> Request:
    """GET the events, at any time, whose property begins so; without bodies."""
    literal = prefix.replace("'", "''")
    condition = (
        f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and startswith(ep/value, '{literal}'))"
    )
    params = {"$filter": condition, "$top": str(_PAGE), "$select": _FIELDS} | _EXPAND
    return Request("ours", "GET", f"{_user(mailbox)}/events", params=params)


def mark(mailbox: str, event_id: str, key: str) -> Request:
    """PATCH our property, and nothing else, onto an event."""
    extended = {"singleValueExtendedProperties": [{"id": PROPERTY, "value": key}]}
    return Request("mark", "PATCH", _event(mailbox, event_id), json=extended, item=True)


def view(mailbox: str, start: datetime, end: datetime, *, bodies: bool = True) -> Request:
    """GET the first page of a window; both ends have a time zone. Graph refuses more than 1825 days."""
    fields = _SELECT if bodies else {"$select": _FIELDS}
    window = {"startDateTime": _utc(start), "endDateTime": _utc(end)}
    page = {"$top": str(_PAGE_WITH_BODIES if bodies else _PAGE)}
    return Request("view", "GET", f"{_user(mailbox)}/calendarView", params=window | page | fields | _EXPAND)


def settings(mailbox: str) -> Request:
    """GET the settings of the mailbox."""
    return Request("settings", "GET", f"{_user(mailbox)}/mailboxSettings")


def following(request: Request, link: str, base: str) -> Request | None:
    """GET the next page of a listing, by Graph's link as it stands; None where that leads to another host."""
    there, here = urlsplit(link), urlsplit(base)
    if (there.scheme, there.netloc.lower()) != (here.scheme, here.netloc.lower()):
        return None
    return replace(request, path=link, params={})


def _user(mailbox: str) -> str:
    return f"/users/{quote(mailbox, safe='@')}"


def _event(mailbox: str, event_id: str) -> str:
    return f"{_user(mailbox)}/events/{quote(event_id, safe='')}"


def _if_match(change_key: str | None) -> dict[str, str]:
    """Microsoft does not document If-Match for events; public code relies on it. An entity tag wraps the change key."""
    return {"If-Match": f'W/"{change_key}"'} if change_key else {}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
