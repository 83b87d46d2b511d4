"""What the next call for one link is. No I/O.

Sides are never compared with each other: what is sent is what differs from the first half of a field's pair,
so the calendar may keep its own form of what it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from common.graph.protocol import Event, same
from graph_publisher.mapping import Values

TIMES = ("start", "end", "isAllDay")
"""Graph takes these only together."""


@dataclass(frozen=True, slots=True)
class Create:
    """The event is to be made."""


@dataclass(frozen=True, slots=True)
class Read:
    """The event must be seen before anything can be decided."""


@dataclass(frozen=True, slots=True)
class Update:
    """These fields are to be written."""

    values: Values


@dataclass(frozen=True, slots=True)
class Delete:
    """The event is to be removed."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """The calendar already shows what is wanted."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """The event must not be written to."""

    code: str
    reason: str


Fields = Mapping[str, Mapping[str, Any]]


def before_reading(wanted: Values | None, fields: Fields, event_id: str | None) -> Create | Read | Nothing:
    """Decide from the link alone; `wanted` is resolved."""
    if event_id is None:
        return Nothing() if wanted is None else Create()
    if wanted is not None and not changed(wanted, fields):
        return Nothing()
    return Read()


def after_reading(wanted: Values | None, fields: Fields, event: Event) -> Update | Delete | Nothing | Refuse:
    """Decide with the event as it is now."""
    refusal = untouchable(event)
    if refusal:
        return refusal
    if wanted is None:
        return Delete()
    values = changed(wanted, fields)
    return Update(values) if values else Nothing()


def untouchable(event: Event) -> Refuse | None:
    """An event that others take part in is never written to: it could mail people."""
    if event.has_attendees:
        return Refuse("EXC-HAS-ATTENDEES", "the event has attendees")
    if event.type != "singleInstance":
        return Refuse("EXC-SERIES", f"the event is of type {event.type}")
    if not event.is_organizer:
        return Refuse("EXC-NOT-ORGANIZER", "the mailbox is not the organizer of the event")
    return None


def changed(wanted: Values, fields: Fields) -> Values:
    """Return the wanted values that are not what was sent last, times together."""
    differing = {
        name for name, value in wanted.items() if name not in fields or fields[name]["sent"] != value
    }
    if differing & set(TIMES):
        differing |= set(TIMES)
    return {name: wanted[name] for name in wanted if name in differing}


def pairs(sent: Values, answered: Values) -> dict[str, dict[str, Any]]:
    """Pair what was sent with what the calendar made of it; fields that were not sent are not told here."""
    return {name: {"sent": value, "seen": answered.get(name, value)} for name, value in sent.items()}


def not_as_sent(sent: Values, answered: Values) -> list[str]:
    """Name the fields that the calendar answered otherwise than they were sent."""
    return [
        name for name, value in sent.items() if name in answered and not same(name, value, answered[name])
    ]


def took_effect(sent: Values, fields: Fields, event: Event) -> bool:
    """Tell whether an update of unknown outcome was applied, from the event as it is now.

    An update is applied whole or not at all: one field that now shows what was sent, and did not before, proves
    it; the others were changed by somebody since. Where nothing could be seen to change, it makes no difference.
    """
    telling = [
        name
        for name, value in sent.items()
        if name in event.values and not same(name, fields.get(name, {}).get("seen"), value)
    ]
    return not telling or any(same(name, sent[name], event.values[name]) for name in telling)
