"""Adoption: which events of a calendar already are what links want. No I/O but for the calendar that it is given.

Before the first create in a mailbox, and wherever an event may exist from before: events with our property, else
with the id that Dime.Scheduler stored for an earlier connector, else one single match of times and subject.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from common.graph.protocol import Event, key
from graph_publisher.mapping import Values, moment, resolve
from graph_publisher.steps import untouchable

LONGEST_WINDOW = timedelta(days=1800)
"""Graph refuses a calendarView of more than 1825 days."""
DAY = timedelta(days=1)

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


@dataclass(frozen=True, slots=True)
class Found:
    """The events of a calendar by all that they can be recognised by."""

    by_key: dict[str, list[Event]]
    by_ical_uid: dict[str, list[Event]]
    by_look: dict[Fingerprint, list[Event]]
    by_exchange_id: dict[str, Event]

    def ours(self) -> list[Event]:
        """Give, per key, the one event that we created; copies by persons are theirs."""
        originals = (min(events, key=_originality) for events in self.by_key.values())
        return [event for event in originals if event.transaction_id is not None]


@dataclass(slots=True)
class Verdict:
    """What becomes of each link: its event, a question to an administrator, or a new event."""

    adopted: dict[int, Event] = field(default_factory=dict)
    ambiguous: dict[int, int] = field(default_factory=dict)
    """Link id -> how many events it could be."""
    new: list[int] = field(default_factory=list)
    strays: list[Event] = field(default_factory=list)
    """Events that we created and no link claims: what a lost state database left behind."""


def window(links: Iterable[Adoptable]) -> tuple[datetime, datetime] | None:
    """Return the times to list: all that is wanted, a day wider because all-day events float."""
    times = [moment(link.wanted[name]) for link in links for name in ("start", "end")]
    if not times:
        return None
    start = min(times) - DAY
    return start, min(max(times) + DAY, start + LONGEST_WINDOW)


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
    links: Sequence[Adoptable], found: Found, installation: str, zone: ZoneInfo, taken: set[str]
) -> Verdict:
    """Give each link its event. `taken`: events that belong to links already; each event goes to one link only."""
    verdict = Verdict()
    wishes = Counter(_look(resolve(link.wanted, zone)) for link in links)
    taken = set(taken)
    for link in links:
        look = _look(resolve(link.wanted, zone))
        candidates = _candidates(link, look, found, installation)
        open_ones = [event for event in candidates if event.id not in taken]
        if not open_ones:
            verdict.new.append(link.id)
        elif len(candidates) > wishes[look]:
            verdict.ambiguous[link.id] = len(candidates)
        else:
            verdict.adopted[link.id] = open_ones[0]
            taken.add(open_ones[0].id)
    verdict.strays = [event for event in found.ours() if event.id not in taken]
    return verdict


def _candidates(link: Adoptable, look: Fingerprint, found: Found, installation: str) -> Sequence[Event]:
    """The surest mark that anything carries decides: our property, the stored ids, the look."""
    ours = found.by_key.get(key(installation, str(link.appointment_guid), link.resource_no), [])
    if ours:
        return [min(ours, key=_originality)]
    if link.exchange_id and link.exchange_id in found.by_exchange_id:
        return [found.by_exchange_id[link.exchange_id]]
    if link.ical_uid and link.ical_uid in found.by_ical_uid:
        return found.by_ical_uid[link.ical_uid]
    return found.by_look.get(look, [])


def _originality(event: Event) -> tuple[bool, str]:
    """A copy that a person made has our property but no transaction id of ours."""
    return event.transaction_id is None, event.id


def _look(values: Values) -> Fingerprint:
    return values["start"], values["end"], " ".join(values.get("subject", "").split()).casefold()
