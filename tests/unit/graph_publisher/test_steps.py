"""What the next call for a link is."""

from __future__ import annotations

from typing import Any

import pytest

from common.graph.protocol import Event
from graph_publisher import steps

WANTED: dict[str, Any] = {
    "subject": "Visit",
    "body": "Ladder",
    "start": "2027-03-01T08:00:00Z",
    "end": "2027-03-01T09:00:00Z",
    "isAllDay": False,
    "categories": ["Urgent"],
}
FIELDS = steps.pairs(WANTED, WANTED)


def event(**facts: Any) -> Event:
    values = WANTED | facts.pop("values", {})
    return Event("E1", "ck1", "uid1", values, **facts)


@pytest.mark.parametrize(
    ("wanted", "fields", "event_id", "step"),
    [
        (None, {}, None, steps.Nothing()),
        (WANTED, {}, None, steps.Create()),
        (WANTED, FIELDS, "E1", steps.Nothing()),
        (WANTED | {"subject": "New"}, FIELDS, "E1", steps.Read()),
        (None, FIELDS, "E1", steps.Read()),
        (WANTED, {}, "E1", steps.Read()),
    ],
)
def test_the_link_alone_tells_whether_to_look(
    wanted: Any, fields: Any, event_id: str | None, step: Any
) -> None:
    assert steps.before_reading(wanted, fields, event_id) == step


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"has_attendees": True}, "EXC-HAS-ATTENDEES"),
        ({"type": "seriesMaster"}, "EXC-SERIES"),
        ({"type": "occurrence"}, "EXC-SERIES"),
        ({"is_organizer": False}, "EXC-NOT-ORGANIZER"),
    ],
)
@pytest.mark.parametrize("wanted", [None, WANTED | {"subject": "New"}])
def test_an_event_of_others_is_neither_written_nor_deleted(facts: Any, code: str, wanted: Any) -> None:
    step = steps.after_reading(wanted, FIELDS, event(**facts))

    assert isinstance(step, steps.Refuse)
    assert step.code == code


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"subject": "New"}, ["subject"]),
        ({"end": "2027-03-01T10:00:00Z"}, ["end", "isAllDay", "start"]),
        ({"isAllDay": True}, ["end", "isAllDay", "start"]),
        ({"location": "Dock"}, ["location"]),
        ({"categories": []}, ["categories"]),
    ],
)
def test_only_what_differs_is_sent_and_times_together(changes: Any, sent: list[str]) -> None:
    step = steps.after_reading(WANTED | changes, FIELDS, event())

    assert isinstance(step, steps.Update)
    assert sorted(step.values) == sent


def test_what_the_calendar_made_of_a_text_is_not_sent_again() -> None:
    fields = steps.pairs(WANTED, WANTED | {"body": "<p>Ladder</p>"})

    assert steps.before_reading(WANTED, fields, "E1") == steps.Nothing()


def test_an_unwanted_event_is_deleted() -> None:
    assert steps.after_reading(None, FIELDS, event()) == steps.Delete()


@pytest.mark.parametrize(
    ("answered", "differing"),
    [
        ({}, []),
        ({"body": "Ladder \r\n\r\n"}, []),
        ({"subject": " Visit  "}, []),
        ({"categories": ["Urgent "]}, []),
        ({"categories": ["Urgent", "Mine"]}, ["categories"]),
        ({"subject": "Other"}, ["subject"]),
    ],
)
def test_an_answer_is_compared_but_for_what_exchange_normalises(answered: Any, differing: list[str]) -> None:
    assert steps.not_as_sent(WANTED, WANTED | answered) == differing


def test_the_order_of_categories_means_nothing() -> None:
    assert steps.not_as_sent({"categories": ["a", "b"]}, {"categories": ["b", "a"]}) == []


@pytest.mark.parametrize(
    ("shown", "applied"),
    [
        ({}, False),
        ({"subject": "New"}, True),
        ({"subject": "Somebody's", "body": "Also new"}, True),
        ({"subject": "Somebody's"}, False),
    ],
)
def test_one_field_that_only_the_call_can_have_changed_proves_it(shown: Any, applied: bool) -> None:
    sent = {"subject": "New", "body": "Also new"}

    assert steps.took_effect(sent, FIELDS, event(values=shown)) is applied


def test_a_call_that_could_change_nothing_counts_as_applied() -> None:
    assert steps.took_effect({"subject": "Visit"}, FIELDS, event(values={"subject": "Somebody's"}))
