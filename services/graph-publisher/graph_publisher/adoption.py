"""Adoption: which events of a calendar already are what links want. No I/O but for the calendar that it is given.

Before the first create in a mailbox, and wherever an event may exist from before: events with our property, else
with the id that Dime.Scheduler stored for an earlier connector, else one single match of times and subject.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from common.errors import SyncError
from common.graph.protocol import Event, key, key_parts
from graph_publisher.mapping import Values, moment, resolve
from graph_publisher.steps import untouchable

LONGEST_WINDOW = timedelta(days=1800)
"""Graph refuses a calendarView of more than 1825 days."""
LONGEST_GAP = timedelta(days=31)
"""Between two appointments of one window; beyond it another listing costs less than what lies between."""
DAY = timedelta(days=1)
INCARNATIONS = 16
"""How many events of one link are recognised as ours after a loss of the state database."""

Fingerprint = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Adoptable:
    """A link without an event, whose event may exist already."""

    id: int
    appointment_id: int
    appointment_guid: UUID
    resource_no: str
    wanted: Values
    exchange_id: str | None
    ical_uid: str | None
    want_seq: int = 0
    tries: int = 0
    event_id: None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The events of a calendar by all that they can be recognised by."""

    by_key: dict[str, list[Event]]
    by_ical_uid: dict[str, list[Event]]
    by_look: dict[Fingerprint, list[Event]]
    by_exchange_id: dict[str, Event]

    def made_by_us(self, mailbox: str) -> list[Event]:
        """Give the events that our creates made in this mailbox; copies by persons are theirs."""
        return [
            event for events in self.by_key.values() for event in events if _incarnation(event, mailbox) >= 0
        ]


@dataclass(slots=True)
class Verdict:
    """What becomes of each link: its event, a question to an administrator, or a new event."""

    adopted: dict[int, Event] = field(default_factory=dict)
    ambiguous: dict[int, int] = field(default_factory=dict)
    """Link id -> how many events it could be."""
    new: list[int] = field(default_factory=list)
    strays: list[Event] = field(default_factory=list)
    """Events that we created and no link claims: what a lost state database left behind."""
    troubled: dict[int, SyncError] = field(default_factory=dict)
    """Links on which nothing could be decided."""


def transaction_key(
    installation: str, guid: UUID | str, resource_no: str, mailbox: str, incarnation: int
) -> UUID:
    """Give the transactionId of a create: the same for the same incarnation, even after a loss of our database.

    https://learn.microsoft.com/graph/api/resources/event (transactionId): Graph drops a repeated create.
    """
    parts = (installation, guid, resource_no, mailbox, incarnation)
    return uuid5(NAMESPACE_URL, "exconn:" + "/".join(map(str, parts)))


def windows(links: Iterable[Adoptable]) -> list[tuple[datetime, datetime]]:
    """Return the times to list: around every start that is wanted, a day wider because all-day events float."""
    found: list[tuple[datetime, datetime]] = []
    for start in sorted(moment(link.wanted["start"]) for link in links):
        if found and start - found[-1][1] <= LONGEST_GAP and start + DAY - found[-1][0] <= LONGEST_WINDOW:
            found[-1] = (found[-1][0], start + DAY)
        else:
            found.append((start - DAY, start + DAY))
    return found


def index(events: Iterable[Event], by_exchange_id: dict[str, Event]) -> Found:
    """Make events findable; those that must never be written to are left out."""
    found = Found(defaultdict(list), defaultdict(list), defaultdict(list), by_exchange_id)
    seen: set[str] = set()
    for event in events:
        if event.id in seen or untouchable(event):
            continue
        seen.add(event.id)
        if event.key:
            found.by_key[event.key].append(event)
            continue
        if event.ical_uid:
            found.by_ical_uid[event.ical_uid].append(event)
        found.by_look[_look(event.values)].append(event)
    return found


def judge(
    links: Sequence[Adoptable], found: Found, installation: str, mailbox: str, zone: ZoneInfo, taken: set[str]
) -> Verdict:
    """Give each link its event. `taken`: events that belong to links already; each event goes to one link only."""
    verdict = Verdict()
    wishes = Counter(_look(resolve(link.wanted, zone)) for link in links)
    taken = set(taken)
    for link in links:
        look = _look(resolve(link.wanted, zone))
        sure = _by_mark(link, found, installation, mailbox)
        candidates = [
            event
            for event in (found.by_look.get(look, []) if sure is None else sure)
            if event.id not in taken
        ]
        if not candidates:
            verdict.new.append(link.id)
        elif len(candidates) > (wishes[look] if sure is None else 1):
            verdict.ambiguous[link.id] = len(candidates)
        else:
            verdict.adopted[link.id] = candidates[0]
            taken.add(candidates[0].id)
    verdict.strays = [event for event in found.made_by_us(mailbox) if event.id not in taken]
    return verdict


def _by_mark(link: Adoptable, found: Found, installation: str, mailbox: str) -> Sequence[Event] | None:
    """The surest mark that anything carries decides: our property, then the stored ids; None: only looks are left."""
    ours = found.by_key.get(key(installation, str(link.appointment_guid), link.resource_no))
    if ours:
        original = max(ours, key=lambda event: _incarnation(event, mailbox))
        return [original] if _incarnation(original, mailbox) >= 0 else ours
    stored = found.by_exchange_id.get(link.exchange_id or "")
    if stored and stored.key is None:
        return [stored]
    return found.by_ical_uid.get(link.ical_uid or "")


def _incarnation(event: Event, mailbox: str) -> int:
    """Tell which create of ours made an event, -1 where none did: a person's copy has our property only."""
    parts = key_parts(event.key or "")
    if parts is None or event.transaction_id is None:
        return -1
    ids = (str(transaction_key(*parts, mailbox, number)) for number in range(INCARNATIONS))
    return next((number for number, one in enumerate(ids) if one == event.transaction_id.lower()), -1)


def _look(values: Values) -> Fingerprint:
    return values["start"], values["end"], " ".join(values.get("subject", "").split()).casefold()
