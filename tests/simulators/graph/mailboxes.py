"""The mailboxes of the simulated tenants: their calendars, events, transaction ids, and the lag of their listings."""

import copy
import hashlib
import json
import random
import uuid
from collections import deque
from dataclasses import dataclass
from typing import Any

from . import errors
from .clock import Clock
from .events import Event, make_ical_uid, make_id
from .reading import Changes, check_times

BUMP_AFTER_S = (0.2, 2.0)
STATES = ("ok", "unlicensed", "denied")
DEFAULT_CALENDAR = "Calendar"


@dataclass(frozen=True, slots=True)
class Spent:
    """A transactionId that created an event: digest of the body, and the content version it led to."""

    digest: bytes
    event: Event


@dataclass(slots=True)
class Lag:
    """Until when listings show `before` (None: nothing) in place of an event."""

    until: float
    before: Event | None


class Mailbox:
    """One user's mailbox. Every write gives the event a new change key; nothing here knows about HTTP."""

    def __init__(self, address: str, tenant: str, clock: Clock, rng: random.Random) -> None:
        self.address = address
        self.tenant = tenant
        self.object_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{address}"))
        self.display_name = address.partition("@")[0].replace(".", " ").title()
        self.settings: dict[str, Any] = {"timeZone": "UTC"}
        name = address.partition("@")[0]
        self.state = name if name in STATES else "ok"
        self.events: dict[int, Event] = {}
        self.calendars: dict[str, str] = {}
        self.default_calendar = self.add_calendar(DEFAULT_CALENDAR)
        self._clock = clock
        self._rng = rng
        self._by_id: dict[str, Event] = {}
        self._spent: dict[str, Spent] = {}
        self._bumps: deque[tuple[float, Event]] = deque()
        self._lags: dict[int, Lag] = {}
        # Far apart, so that ids differ from those before a reset.
        self._last_key = rng.getrandbits(40) * 2
        self._moves = 0

    @property
    def owner(self) -> dict[str, str]:
        """The emailAddress of the mailbox."""
        return {"name": self.display_name, "address": self.address}

    def add_calendar(self, name: str) -> str:
        """The id of a new calendar."""
        calendar = make_id("AAMkA", f"{self.address}:calendar:{name}", len(self.calendars))
        self.calendars[calendar] = name
        return calendar

    def find(self, event_id: str, calendar: str | None = None) -> Event:
        """The event with that id of either kind; GraphError 404 (400 for what cannot be an id)."""
        self.settle()
        event = self._by_id.get(event_id)
        if event is None and not (event_id.startswith(("AAMk", "AAkA")) and len(event_id) > 40):
            raise errors.malformed_id()
        if event is None or (calendar is not None and event.calendar != calendar):
            raise errors.item_not_found()
        return event

    def add(self, changes: Changes, calendar: str, created_by: str, ical_uid: str | None = None) -> Event:
        """A new event of these changes; start and end must be among them."""
        if "start" not in changes or "end" not in changes:
            raise errors.invalid_property()
        now = self._clock.time()
        self._last_key += 1
        key = self._last_key
        event = Event(
            key=key,
            calendar=calendar,
            created=now,
            created_by=created_by,
            ical_uid=ical_uid or make_ical_uid(self.address, key, now),
            organizer=self.owner,
            rest_id=make_id("AAMkA", f"{self.address}:{calendar}", key),
            immutable_id=make_id("AAkALg", self.address, key),
            **changes,
        )
        check_times(event)
        self._touch(event)
        self.events[key] = event
        self._by_id[event.rest_id] = self._by_id[event.immutable_id] = event
        self._bumps.append((now + self._rng.uniform(*BUMP_AFTER_S), event))
        return event

    def change(self, event: Event, changes: Changes, lag_s: float = 0.0) -> Event:
        """Applies the changes, all or none of them."""
        changes = dict(changes)
        properties = event.properties | changes.pop("properties", {})
        candidate = copy.copy(event)
        _assign(candidate, changes)
        check_times(candidate)
        if lag_s:
            self._lag(event, copy.copy(event), lag_s)
        _assign(event, changes)
        event.properties = properties
        event.content_version += 1
        self._touch(event)
        return event

    def remove(self, event: Event, lag_s: float = 0.0) -> None:
        """Gone for good, for every reader by id."""
        if lag_s:
            self._lag(event, event, lag_s)
        del self.events[event.key]
        del self._by_id[event.rest_id], self._by_id[event.immutable_id]

    def move(self, event: Event, calendar: str) -> None:
        """To another calendar: the immutable id stays, the default id changes."""
        del self._by_id[event.rest_id]
        self._moves += 1
        event.calendar = calendar
        event.rest_id = make_id("AAMkA", f"{self.address}:{calendar}", event.key, self._moves)
        self._by_id[event.rest_id] = event
        self._touch(event)

    def hide(self, event: Event, lag_s: float) -> None:
        """Keeps a new event out of listings for some seconds."""
        self._lag(event, None, lag_s)

    def listed(self) -> list[Event]:
        """All events as a listing shows them, which may be the state before a recent write."""
        self.settle()
        if not self._lags:
            return list(self.events.values())
        now = self._clock.time()
        self._lags = {key: lag for key, lag in self._lags.items() if lag.until > now}
        shown = {**self.events, **{key: lag.before for key, lag in self._lags.items()}}
        return [event for event in shown.values() if event is not None]

    def settle(self) -> None:
        """Makes the changes that Exchange makes by itself soon after a create."""
        now = self._clock.time()
        while self._bumps and self._bumps[0][0] <= now:
            at, event = self._bumps.popleft()
            if event.key in self.events:
                event.change += 1
                event.modified = max(event.modified, at)

    def spent(self, transaction_id: str, body: dict[str, Any], immutable: bool) -> Event | None:
        """The untouched event that the same create made before; GraphError 400 if the content differs by now."""
        spent = self._spent.get(transaction_id)
        if spent is None:
            return None
        same = spent.digest == _digest(body) and spent.event.content_version == 0
        if same and spent.event.key in self.events:
            return spent.event
        raise errors.duplicate_transaction(transaction_id, spent.event.id(immutable))

    def spend(self, transaction_id: str, body: dict[str, Any], event: Event) -> None:
        """Remembers the transactionId for as long as the simulator runs."""
        self._spent[transaction_id] = Spent(_digest(body), event)

    def _lag(self, event: Event, before: Event | None, lag_s: float) -> None:
        now = self._clock.time()
        lag = self._lags.get(event.key)
        if lag is not None and lag.until > now:
            before = lag.before
        self._lags[event.key] = Lag(now + lag_s, before)

    def _touch(self, event: Event) -> None:
        event.change += 1
        event.modified = self._clock.time()


def _assign(event: Event, changes: Changes) -> None:
    for name, value in changes.items():
        setattr(event, name, value)


def _digest(body: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in body.items() if "@" not in name}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).digest()


class Directory:
    """All mailboxes; they come into being when somebody first asks for them."""

    def __init__(self, tenants: dict[str, str], clock: Clock, rng: random.Random) -> None:
        self._tenants = tenants
        self._clock = clock
        self._rng = rng
        self.mailboxes: dict[str, Mailbox] = {}
        self._by_object_id: dict[str, Mailbox] = {}

    def mailbox(self, user: str, tenant: str | None = None) -> Mailbox:
        """By address or object id, if the tenant has it (None: whichever has); GraphError 404 otherwise."""
        address = user.lower()
        found = self.mailboxes.get(address) or self._by_object_id.get(address) or self._create(address)
        if found is None or (tenant is not None and found.tenant != tenant):
            raise errors.invalid_user(user)
        return found

    def _create(self, address: str) -> Mailbox | None:
        name, _, domain = address.partition("@")
        tenant = self._tenants.get(domain)
        if tenant is None or not name:
            return None
        mailbox = Mailbox(address, tenant, self._clock, self._rng)
        self.mailboxes[address] = self._by_object_id[mailbox.object_id] = mailbox
        return mailbox

    def clear(self) -> None:
        """Empty again."""
        self.mailboxes.clear()
        self._by_object_id.clear()
