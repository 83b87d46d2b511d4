"""The seam to calendars, and all that is known of Graph without I/O, under one name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from common.graph.events import PROPERTY, Event, MailboxSettings, Values, key, key_parts, same
from common.graph.failures import Changed, DuplicateTransaction, Expired, Gone, failure
from common.graph.wire import body, event, settings

__all__ = [
    "PROPERTY",
    "Calendar",
    "Calendars",
    "Changed",
    "DuplicateTransaction",
    "Event",
    "Expired",
    "Gone",
    "MailboxSettings",
    "Values",
    "body",
    "event",
    "failure",
    "key",
    "key_parts",
    "same",
    "settings",
]


class Calendar(Protocol):
    """The default calendar of one mailbox. One call of a method is one try: who waits and repeats is the caller.

    All raise the errors of `common.errors`; a Transient with `maybe_applied` leaves a write's outcome unknown.
    """

    async def read(self, event_id: str) -> Event:
        """Give the event; Gone where the mailbox has none of this id."""

    async def create(self, values: Values, transaction_id: str, key: str, time_zone: str) -> Event:
        """Make an event, or give the one that the same call made before; DuplicateTransaction where that differs."""

    async def update(
        self, event_id: str, values: Values, time_zone: str, change_key: str | None = None
    ) -> Event:
        """Write some values, times only together; Changed where the event no longer has the change key."""

    async def delete(self, event_id: str, change_key: str | None = None) -> None:
        """Delete the event; Gone where there is none, Changed where it no longer has the change key."""

    async def find(self, key: str) -> list[Event]:
        """Give all events of the mailbox that carry the key."""

    def ours(self, installation: str) -> AsyncIterator[Event]:
        """Give all events that carry a key of the installation, whenever they are, without bodies."""

    async def mark(self, event_id: str, key: str) -> Event:
        """Make an event carry the key; Gone where there is none."""

    def view(self, start: datetime, end: datetime, *, bodies: bool = True) -> AsyncIterator[Event]:
        """Give what lies in the window, series as occurrences; ends with an error where the listing is cut short."""

    async def settings(self) -> MailboxSettings:
        """Give the mailbox's settings."""


class Calendars(Protocol):
    """Every calendar that the connector's profiles reach."""

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> Calendar:
        """Give the default calendar of a mailbox; a cheap object. No call is made here."""
