"""Fakes at our own seams. Each has a shared test that also runs against the real adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from common.errors import SyncError
from common.graph import wire
from common.graph.events import key_prefix
from common.graph.protocol import Changed, DuplicateTransaction, Event, Gone, MailboxSettings, Values

T = TypeVar("T")

# What Exchange makes of a field that a create leaves out.
_DEFAULTS: Values = {
    "subject": "",
    "body": "",
    "isAllDay": False,
    "showAs": "busy",
    "sensitivity": "normal",
    "importance": "normal",
    "categories": [],
    "location": "",
    "reminder": 15,
}


@dataclass
class _Failure:
    operation: str
    error: SyncError
    applied: bool
    mailbox: str | None


@dataclass
class _Mailbox:
    events: dict[str, Event] = field(default_factory=dict)
    transactions: dict[str, tuple[object, Event]] = field(default_factory=dict)
    time_zone: str = "UTC"


@dataclass(frozen=True)
class FakeProfile:
    """A connection to an Entra tenant, as common.settings would give it."""

    tenant_id: str = "00000000-0000-4000-8000-000000000001"
    client_id: str = "00000000-0000-4000-8000-000000000002"
    client_secret: str | SecretStr | None = None
    client_secret_file: Path | None = None
    certificate: str | SecretStr | None = None
    certificate_file: Path | None = None
    login_url: str = "https://login.microsoftonline.com"
    graph_url: str = "https://graph.microsoft.com/v1.0"
    ca_file: str | Path | None = None


class FakeCalendars:
    """Calendars in memory, behind `common.graph.protocol.Calendars`; every address has a mailbox.

    `calls` tells (operation, mailbox, event id, key or None) of every call, also of those that failed.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str | None]] = []
        self._mailboxes: dict[str, _Mailbox] = {}
        self._failures: list[_Failure] = []
        self._numbers = count(1)

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> FakeCalendar:
        return FakeCalendar(self, mailbox.lower())

    def fail_next(
        self, operation: str, error: SyncError, applied: bool = False, *, mailbox: str | None = None
    ) -> None:
        """The next call of the operation raises the error; `applied`: after it has taken effect."""
        self._failures.append(_Failure(operation, error, applied, mailbox and mailbox.lower()))

    def events(self, mailbox: str) -> list[Event]:
        """What is in the calendar now, in the order of creation."""
        return list(self._mailbox(mailbox).events.values())

    def put(self, mailbox: str, values: Values, **facts: object) -> Event:
        """A person, or another program, makes an event; `facts` are fields of Event."""
        event_id = str(facts.pop("id", "") or f"AAkALg{next(self._numbers)}")
        complete = _DEFAULTS | values
        complete["categories"] = sorted(complete["categories"])
        event = Event(event_id, self._change_key(), f"uid-{event_id}", complete, **facts)  # type: ignore[arg-type]
        self._mailbox(mailbox).events[event_id] = event
        return event

    def change(self, mailbox: str, event_id: str, **values: object) -> Event:
        """A person changes an event."""
        return self._change(mailbox, event_id, values)

    def remove(self, mailbox: str, event_id: str) -> None:
        """A person deletes an event."""
        del self._mailbox(mailbox).events[event_id]

    def set_time_zone(self, mailbox: str, time_zone: str) -> None:
        self._mailbox(mailbox).time_zone = time_zone

    def _mailbox(self, address: str) -> _Mailbox:
        return self._mailboxes.setdefault(address.lower(), _Mailbox())

    def _change_key(self) -> str:
        return f"ck{next(self._numbers)}"

    def _change(self, mailbox: str, event_id: str, values: Values) -> Event:
        events = self._mailbox(mailbox).events
        merged = events[event_id].values | values
        merged["categories"] = sorted(merged["categories"])
        events[event_id] = replace(events[event_id], values=merged, change_key=self._change_key())
        return events[event_id]

    def _called(self, operation: str, mailbox: str, about: str | None) -> _Failure | None:
        """Note the call; give the failure that waits for it, or raise it where it comes before the effect."""
        self.calls.append((operation, mailbox, about))
        for failure in self._failures:
            if failure.operation == operation and failure.mailbox in (None, mailbox):
                self._failures.remove(failure)
                if not failure.applied:
                    raise failure.error
                return failure
        return None


class FakeCalendar:
    """One mailbox of FakeCalendars, behind `common.graph.protocol.Calendar`."""

    def __init__(self, calendars: FakeCalendars, mailbox: str) -> None:
        self._calendars = calendars
        self._name = mailbox

    @property
    def _mailbox(self) -> _Mailbox:
        return self._calendars._mailbox(self._name)

    async def read(self, event_id: str) -> Event:
        failure = self._calendars._called("read", self._name, event_id)
        return _answer(failure, self._present(event_id))

    async def create(self, values: Values, transaction_id: str, key: str, time_zone: str) -> Event:
        content = (wire.body(values, time_zone), key)
        failure = self._calendars._called("create", self._name, key)
        known = self._mailbox.transactions.get(transaction_id)
        if known is not None:
            return _answer(failure, self._repeated(*known, content))
        event = self._calendars.put(self._name, values, key=key, transaction_id=transaction_id)
        self._mailbox.transactions[transaction_id] = (content, event)
        return _answer(failure, event)

    def _repeated(self, before: object, made: Event, content: object) -> Event:
        """The same event again, if it was asked for in the same words and nobody has touched it since."""
        present = self._mailbox.events.get(made.id)
        if before == content and present is not None and present.values == made.values:
            return present
        message = "Graph answered 400 ErrorDuplicateTransactionId"
        raise DuplicateTransaction(message, event_id=made.id, code="EXC-REFUSED", status=400)

    async def update(
        self, event_id: str, values: Values, time_zone: str, change_key: str | None = None
    ) -> Event:
        wire.body(values, time_zone)
        failure = self._calendars._called("update", self._name, event_id)
        self._present(event_id, change_key)
        return _answer(failure, self._calendars._change(self._name, event_id, values))

    async def delete(self, event_id: str, change_key: str | None = None) -> None:
        failure = self._calendars._called("delete", self._name, event_id)
        self._present(event_id, change_key)
        del self._mailbox.events[event_id]
        if failure:
            raise failure.error

    async def find(self, key: str) -> list[Event]:
        failure = self._calendars._called("find", self._name, key)
        return _answer(failure, [event for event in self._mailbox.events.values() if event.key == key])

    async def ours(self, installation: str) -> AsyncIterator[Event]:
        failure = self._calendars._called("ours", self._name, None)
        for event in list(self._mailbox.events.values()):
            if event.key and event.key.startswith(key_prefix(installation)):
                yield replace(event, values=_without_body(event.values))
        if failure:
            raise failure.error

    async def mark(self, event_id: str, key: str) -> Event:
        failure = self._calendars._called("mark", self._name, event_id)
        marked = replace(self._present(event_id), key=key, change_key=self._calendars._change_key())
        self._mailbox.events[event_id] = marked
        return _answer(failure, marked)

    async def view(self, start: datetime, end: datetime, *, bodies: bool = True) -> AsyncIterator[Event]:
        failure = self._calendars._called("view", self._name, None)
        for event in list(self._mailbox.events.values()):
            if _moment(event.values["start"]) < end and _moment(event.values["end"]) > start:
                yield event if bodies else replace(event, values=_without_body(event.values))
        if failure:
            raise failure.error

    async def settings(self) -> MailboxSettings:
        failure = self._calendars._called("settings", self._name, None)
        return _answer(failure, MailboxSettings(self._mailbox.time_zone))

    def _present(self, event_id: str, change_key: str | None = None) -> Event:
        event = self._mailbox.events.get(event_id)
        if event is None:
            raise Gone("Graph answered 404 ErrorItemNotFound", code="EXC-EVENT-GONE", status=404)
        if change_key not in (None, event.change_key):
            raise Changed("Graph answered 412 ErrorIrresolvableConflict", code="EXC-CONFLICT", status=412)
        return event


def _answer(failure: _Failure | None, answer: T) -> T:
    if failure:
        raise failure.error
    return answer


def _moment(value: str) -> datetime:
    return datetime.fromisoformat(value if "T" in value else f"{value}T00:00:00").replace(tzinfo=UTC)


def _without_body(values: Values) -> Values:
    return {name: value for name, value in values.items() if name != "body"}
