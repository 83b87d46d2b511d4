"""Do the transactions tell the whole story of each appointment, in order?"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any


async def untold(state: Any) -> list[str]:
    """Where the transactions do not tell the whole story of an appointment, in order."""
    rows = await state.fetch(
        "SELECT id, link_id, appointment_id, appointment_guid, action, status, code, epoch, version, want_seq,"
        " superseded_by, closed_at, created_at FROM transaction WHERE direction = 'out' ORDER BY id"
    )
    links = await state.fetch(
        "SELECT id, wanted IS NULL AS absent, surplus_event, frozen, event_id, done_seq FROM link"
    )
    return [
        fault
        for story in _by(rows, "appointment_id", "appointment_guid").values()
        for fault in _disorder(story)
    ] + [
        fault
        for link in links
        for fault in _ending(link, [row for row in rows if row["link_id"] == link["id"]])
    ]


def _by(rows: Iterable[Any], *names: str) -> dict[tuple[Any, ...], list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[tuple(row[name] for name in names)].append(row)
    return found


def _disorder(story: Sequence[Any]) -> list[str]:
    """Of one appointment: versions grow with ids, each transaction is closed, and what replaces it is newer."""
    versioned = [row for row in story if row["version"] is not None]
    faults = [
        f"transaction {later['id']} tells an older version than {earlier['id']}"
        for earlier, later in pairwise(versioned)
        if (later["epoch"], later["version"]) < (earlier["epoch"], earlier["version"])
    ]
    faults += [
        f"transaction {row['id']} is {row['status']}, closed at {row['closed_at']}"
        for row in story
        if (row["status"] == "pending") != (row["closed_at"] is None)
    ]
    faults += [
        f"transaction {row['id']} is superseded by {row['superseded_by']}"
        for row in story
        if row["superseded_by"] is not None and row["superseded_by"] < row["id"]
    ]
    return faults


def _ending(link: Any, story: Sequence[Any]) -> list[str]:
    """Of one link: sequences grow, and the last transaction tells what the calendar shows now."""
    if not story:  # a last look at an event that is gone is no change
        return [] if link["surplus_event"] else [f"link {link['id']} has no transaction"]
    faults = [
        f"transaction {later['id']} goes back from {earlier['want_seq']} to {later['want_seq']}"
        for earlier, later in pairwise(story)
        if later["want_seq"] < earlier["want_seq"]
    ]
    last = story[-1]
    if link["done_seq"] < last["want_seq"] or link["frozen"] or last["status"] == "failed":
        return faults
    told = (last["action"], last["status"], last["code"])
    if link["absent"]:
        well = last["status"] == "succeeded" and last["action"] == "delete" and not link["event_id"]
    else:
        well = last["status"] == "succeeded" and last["action"] in ("create", "update") and link["event_id"]
    if not well and told[1:] != ("skipped", "EXC-NO-CHANGE"):
        faults.append(f"link {link['id']} ({'absent' if link['absent'] else 'wanted'}) ends with {told}")
    return faults
