"""What a snapshot means for the links of its appointment. No I/O.

Links are computed from the stored snapshot and the settings, never from the message that woke us (level, not
edge); so deciding twice changes nothing, and a changed switch is the same computation again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal

import structlog

from common.errors import Permanent
from common.messages import Assignment, Snapshot
from graph_publisher.mapping import Defaults, Values, Wanted, wanted

log = structlog.get_logger()

Action = Literal["create", "update", "delete", "none"]
Status = Literal["pending", "skipped", "failed"]
Place = tuple[str, str]
"""(resource number, mailbox): what a link connects an appointment with."""


@dataclass(frozen=True, slots=True)
class Link:
    """What plan has to know of a link; `id` is None for one that does not exist yet."""

    id: int | None
    resource_no: str
    mailbox: str
    wanted: Values | None = None
    frozen: str | None = None
    has_event: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that links depend on. `mailbox_off`: mailboxes that are switched off by themselves."""

    defaults: Defaults = field(default_factory=Defaults)
    outbound: bool = True
    cut_off: date | None = None
    mailbox_off: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A link that is to be what it was not, and the transaction that tells of it."""

    link: Link
    wanted: Values | None
    frozen: str | None
    action: Action
    status: Status
    code: str | None = None
    reason: str | None = None
    notes: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unaddressed:
    """A resource that should see the appointment, but has no e-mail address."""

    resource_no: str


@dataclass(frozen=True, slots=True)
class Decision:
    """All that a snapshot changes."""

    changes: tuple[Change, ...]
    unaddressed: tuple[Unaddressed, ...] = ()


def decide(snapshot: Snapshot | None, links: Collection[Link], policy: Policy) -> Decision:
    """Compare what the snapshot asks for (None: the appointment was deleted) with the links as they are."""
    assigned, unaddressed = _assigned(snapshot)
    known = {(link.resource_no, link.mailbox): link for link in links}
    places = sorted(known.keys() | assigned.keys())
    maybe = (_change(known.get(place), place, assigned.get(place), policy) for place in places)
    return Decision(tuple(change for change in maybe if change), unaddressed)


def _assigned(snapshot: Snapshot | None) -> tuple[dict[Place, Snapshot], tuple[Unaddressed, ...]]:
    if snapshot is None:
        return {}, ()
    taking_part = [one for one in snapshot.assignments if one.exchange_integration_enabled]
    places = {(one.resource_no, address(one)): snapshot for one in taking_part if address(one)}
    return places, tuple(Unaddressed(one.resource_no) for one in taking_part if not address(one))


def address(assignment: Assignment) -> str:
    """Return the mailbox of an assignment, '' where it has none that could be one."""
    text = (assignment.email or "").strip().lower()
    return text if text.count("@") == 1 and not text.startswith("@") and not text.endswith("@") else ""


def _change(link: Link | None, place: Place, snapshot: Snapshot | None, policy: Policy) -> Change | None:
    link = link or Link(None, *place)
    if snapshot is None:
        return _absent(link, policy)
    try:
        want = wanted(snapshot, policy.defaults)
    except Permanent as fault:
        return _invalid(link, fault)
    except Exception as defect:
        # One appointment that nobody foresaw must not stop those that came with it.
        log.exception("appointment.broken", appointment=snapshot.id)
        return _invalid(link, Permanent(type(defect).__name__, code="EXC-INTERNAL"))
    return _present(link, want, snapshot, policy)


def _absent(link: Link, policy: Policy) -> Change | None:
    """Without an event, and without a call that may make one, nothing is left to be done."""
    if link.wanted is None and link.frozen is None:
        return None
    if not link.has_event:
        return Change(link, None, None, "none", "skipped", "EXC-NO-CHANGE")
    frozen = _switched_off(link, policy)
    if link.wanted is None and link.frozen == frozen:
        return None
    return _change_to(link, None, frozen, "delete")


def _present(link: Link, want: Wanted, snapshot: Snapshot, policy: Policy) -> Change | None:
    frozen = _switched_off(link, policy) or _too_old(link, snapshot, policy)
    if link.id is not None and link.wanted == want.values and link.frozen == frozen:
        return None
    return _change_to(link, want.values, frozen, "update" if link.has_event else "create", want.notes)


def _invalid(link: Link, fault: Permanent) -> Change | None:
    """Leave the event as it is, and say once what is wrong."""
    if link.frozen == fault.code:
        return None
    action: Action = "update" if link.has_event else "create"
    return Change(link, link.wanted, fault.code, action, "failed", fault.code, str(fault))


def _change_to(
    link: Link, values: Values | None, frozen: str | None, action: Action, notes: tuple[str, ...] = ()
) -> Change:
    status: Status = "skipped" if frozen else "pending"
    return Change(
        link, values, frozen, action, status, frozen, None, notes, _differences(link.wanted, values)
    )


def _differences(before: Values | None, after: Values | None) -> dict[str, Any]:
    old, new = before or {}, after or {}
    return {
        name: {"from": old.get(name), "to": new.get(name)} for name in new if old.get(name) != new.get(name)
    }


def _switched_off(link: Link, policy: Policy) -> str | None:
    return "EXC-DIRECTION-OFF" if not policy.outbound or link.mailbox in policy.mailbox_off else None


def _too_old(link: Link, snapshot: Snapshot, policy: Policy) -> str | None:
    """The cut-off date is for first syncs: an event that is ours follows its appointment anywhere."""
    if policy.cut_off is None or link.has_event:
        return None
    midnight = datetime.combine(policy.cut_off, datetime.min.time(), UTC)
    return "EXC-BEFORE-CUT-OFF" if snapshot.end < midnight else None


Profiles = Callable[[str], str | None]
"""From a mailbox to the name of the profile that serves it."""
