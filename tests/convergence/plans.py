"""What can happen, in any order; and the orders that are known to be dangerous."""

from __future__ import annotations

from typing import Any

from convergence.world import APPOINTMENTS, ERRORS, READERS
from hypothesis import strategies as st

from builders import ALICE, BOB

Plan = list[tuple[Any, ...]]
"""What happens, one after the other: the name of a method of World, and its arguments."""

writes = st.tuples(st.just("write"), st.sampled_from(APPOINTMENTS), st.sampled_from(["a", "b", "ab", "-"]))
steps = st.one_of(
    writes,
    st.tuples(st.just("read_on"), st.sampled_from(READERS)),
    st.tuples(st.just("read_on"), st.sampled_from(READERS)),
    st.tuples(st.just("expire"), st.sampled_from(READERS)),
    st.tuples(st.just("deliver"), st.integers(0, 30)),
    st.tuples(st.just("deliver"), st.integers(0, 30)),
    st.tuples(st.just("write_calendars"), st.sampled_from([0, 1])),
    st.tuples(st.just("elapse"), st.none()),
    st.tuples(st.just("slow"), st.sampled_from(["read", "create", "update", "delete"])),
    st.tuples(st.just("answer"), st.none()),
    st.tuples(st.just("hide"), st.sampled_from([ALICE, BOB])),
    st.tuples(st.just("show"), st.none()),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(
        st.just("fault"),
        st.tuples(
            st.sampled_from(["create", "update", "delete"]), st.sampled_from(sorted(ERRORS)), st.booleans()
        ),
    ),
)


WORK = [("write_calendars", 0)]
LATER = [("elapse", None)]
ANSWER = [("answer", None)]


def reaches(number: int, where: str = "a") -> Plan:
    """The `number`th change of appointment 1 reaches a publisher."""
    return [("write", 1, where), *[("read_on", 0)] * 4, ("deliver", number - 1)]


def fails(operation: str, *, applied: bool, kind: str = "unknown") -> Plan:
    return [("fault", (operation, kind, applied)), *WORK]


def is_late(operation: str) -> Plan:
    return [("slow", operation), *WORK]


KNOWN: dict[str, Plan] = {
    "a change during a create": [*reaches(1), *is_late("create"), *reaches(2), *ANSWER],
    "a change during an update": [*reaches(1), *WORK, *reaches(2), *is_late("update"), *reaches(3), *ANSWER],
    "a deletion during a create": [*reaches(1), *is_late("create"), *reaches(2, "-"), *ANSWER],
    "a deletion during a read": [*reaches(1), *WORK, *reaches(2), *is_late("read"), *reaches(3, "-"), *ANSWER],
    "a change between read and write": [*reaches(1), *WORK, *reaches(2), *is_late("read"), *reaches(3), *ANSWER],
    "a create that took effect": [*reaches(1), *fails("create", applied=True), *LATER, *WORK],
    "a create that did not": [*reaches(1), *fails("create", applied=False), *LATER, *WORK],
    "a deletion after a create that took effect": [*reaches(1), *fails("create", applied=True), *reaches(2, "-")],
    "an update that did not": [*reaches(1), *WORK, *reaches(2), *fails("update", applied=False), *LATER],
    "an update that took effect": [*reaches(1), *WORK, *reaches(2), *fails("update", applied=True), *reaches(3)],
    "a delete that did not": [*reaches(1), *WORK, *reaches(2, "-"), *fails("delete", applied=False), *LATER],
    "a delete that took effect": [*reaches(1), *WORK, *reaches(2, "-"), *fails("delete", applied=True), *reaches(3)],
    "killed in a create": [*reaches(1), *fails("create", applied=True, kind="killed"), *reaches(2, "-"), *reaches(3)],
    "a late create, settled by another": [
        *reaches(1), *is_late("create"), *LATER, ("write_calendars", 1), *reaches(2), ("write_calendars", 1), *ANSWER,
    ],
    "a late update, settled by another": [
        *reaches(1), *WORK, *reaches(2), *is_late("update"), *LATER, ("write_calendars", 1), *reaches(3, "-"),
        ("write_calendars", 1), *reaches(4), ("write_calendars", 1), *ANSWER,
    ],
    "a late delete, settled by another": [
        *reaches(1), *WORK, *reaches(2, "-"), *is_late("delete"), *LATER, ("write_calendars", 1), *reaches(3),
        ("write_calendars", 1), *ANSWER,
    ],
    "a late look of an event that was replaced": [
        *reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, *LATER, *is_late("read"), *LATER,
        ("write_calendars", 1), ("write_calendars", 1), *ANSWER,
    ],
    "out of sight while it is replaced": [
        *reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, *LATER, *WORK, *WORK, ("show", None),
    ],
    "out of sight while it is deleted": [*reaches(1), *WORK, ("hide", ALICE), *reaches(2, "-"), *WORK],
    "out of sight once": [*reaches(1), *WORK, *reaches(2), ("hide", ALICE), *WORK, ("show", None), *LATER, *WORK],
    "the state is lost": [*reaches(1, "ab"), *WORK, ("lose", None), ("write", 1, "ab")],
    "the state is lost while a call is open": [*reaches(1), *fails("create", applied=True), ("lose", None)],
    "an old message after newer ones": [
        ("write", 1, "a"), *[("read_on", 0)] * 3, ("expire", 0), ("write", 1, "b"), *[("read_on", 1)] * 8,
        ("deliver", 0), ("deliver", 1), *WORK, ("read_on", 0), ("deliver", 2),
    ],
    "moved away and back": [*reaches(1), *WORK, *reaches(2, "b"), *WORK, *reaches(3), *WORK, *reaches(4, "ab")],
}  # fmt: skip
