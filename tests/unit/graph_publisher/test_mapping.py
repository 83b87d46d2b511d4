"""From a snapshot to an event's values: tables of what goes in and what comes out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from builders import assignment, snapshot
from common.errors import Permanent
from graph_publisher.mapping import BODY_LIMIT, SUBJECT_LIMIT, Defaults, resolve, wanted

BRUSSELS = ZoneInfo("Europe/Brussels")
NEW_YORK = ZoneInfo("America/New_York")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def mapped(**fields: Any) -> dict[str, Any]:
    return wanted(snapshot(**fields), Defaults()).values


@pytest.mark.parametrize(
    ("field", "number", "name", "word"),
    [
        ("importance", 0, "importance", "normal"),
        ("importance", 1, "importance", "high"),
        ("importance", 2, "importance", "low"),
        ("importance", 9, "importance", "normal"),
        ("show_as", 1, "showAs", "free"),
        ("show_as", 2, "showAs", "tentative"),
        ("show_as", 3, "showAs", "busy"),
        ("show_as", 4, "showAs", "oof"),
        ("show_as", 5, "showAs", "workingElsewhere"),
        ("show_as", 6, "showAs", "busy"),
        ("show_as", None, "showAs", "busy"),
        ("sensitivity", 1, "sensitivity", "normal"),
        ("sensitivity", 2, "sensitivity", "personal"),
        ("sensitivity", 3, "sensitivity", "private"),
        ("sensitivity", 4, "sensitivity", "confidential"),
        ("sensitivity", None, "sensitivity", "normal"),
        ("category", None, "categories", []),
        ("category", "Urgent", "categories", ["Urgent"]),
        ("location", "Dock 4", "location", "Dock 4"),
    ],
)
def test_a_number_of_the_planning_has_a_word_in_graph(field: str, number: Any, name: str, word: Any) -> None:
    assert mapped(**{field: number})[name] == word


def test_what_the_appointment_leaves_open_is_the_default() -> None:
    values = wanted(snapshot(), Defaults(show_as="free", sensitivity="private")).values

    assert (values["showAs"], values["sensitivity"]) == ("free", "private")
    assert "location" not in values


@pytest.mark.parametrize(
    ("setting", "expected"),
    [(15, {"reminder": 15}), (0, {"reminder": 0}), ("off", {"reminder": None}), ("calendar", {})],
)
def test_a_reminder_is_set_switched_off_or_left_to_the_calendar(
    setting: Any, expected: dict[str, Any]
) -> None:
    values = wanted(snapshot(), Defaults(reminder=setting)).values

    assert {name: value for name, value in values.items() if name == "reminder"} == expected


def test_no_event_ever_has_attendees() -> None:
    values = mapped(assignments=(assignment("alice@contoso.example"), assignment("bob@contoso.example")))

    assert "attendees" not in values
    assert "contoso" not in str(values)


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("Boiler", "Boiler"),
        ("  Boiler \r\n at\tdock ", "Boiler   at dock"),
        (" \t\r\n ", ""),
        ("x" * 255, "x" * 255),
        ("x" * 256, "x" * 254 + "…"),
        ("🔧" * 127, "🔧" * 127),
        ("🔧" * 128, "🔧" * 127 + "…"),
        ("a\x00b\x07c\x1bd￾", "abcd"),
    ],
)
def test_a_subject_fits_one_line_of_exchange(subject: str, expected: str) -> None:
    assert mapped(subject=subject)["subject"] == expected
    assert len(expected.encode("utf-16-le")) // 2 <= SUBJECT_LIMIT


def test_what_is_cut_is_told() -> None:
    cut = wanted(snapshot(subject="x" * 300, body="y" * (BODY_LIMIT + 5)), Defaults())

    assert len(cut.values["body"]) == BODY_LIMIT
    assert cut.notes == (
        "subject cut from 300 to 255 characters",
        f"body cut from {BODY_LIMIT + 5} to {BODY_LIMIT} characters",
    )


def test_a_body_keeps_its_lines_and_loses_control_characters() -> None:
    assert mapped(body="one\r\n\ttwo\x00\x0b\x1f")["body"] == "one\r\n\ttwo"


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2027-03-01T09:00", "2027-03-01T08:59", "EXC-END-BEFORE-START"),
        ("2027-03-01T09:00", "9999-12-31T23:59", "EXC-REFUSED"),
        ("0001-01-01T00:00", "2027-03-01T08:59", "EXC-REFUSED"),
    ],
)
def test_times_that_make_no_event_are_the_items_fault(start: str, end: str, code: str) -> None:
    with pytest.raises(Permanent) as fault:
        mapped(start=at(start), end=at(end), all_day=True)

    assert fault.value.code == code


def test_an_appointment_of_no_length_is_an_event() -> None:
    values = mapped(start=at("2027-03-01T09:00"), end=at("2027-03-01T09:00"))

    assert resolve(values, BRUSSELS)["isAllDay"] is False


# The planning's zone is Brussels, the mailbox's is given; moments are UTC.
@pytest.mark.parametrize(
    ("flag", "start", "end", "zone", "expected"),
    [
        # Nothing said: midnight to midnight in the mailbox's zone is all-day, also over changes of summer time.
        (None, "2027-01-10T23:00", "2027-01-11T23:00", BRUSSELS, (True, "2027-01-11", "2027-01-12")),
        (None, "2027-01-10T23:00", "2027-01-13T23:00", BRUSSELS, (True, "2027-01-11", "2027-01-14")),
        (None, "2027-03-27T23:00", "2027-03-28T22:00", BRUSSELS, (True, "2027-03-28", "2027-03-29")),
        (None, "2027-10-30T22:00", "2027-10-31T23:00", BRUSSELS, (True, "2027-10-31", "2027-11-01")),
        (None, "2027-03-27T23:00", "2027-03-28T23:00", BRUSSELS, (False, "2027-03-27T23:00:00Z", "2027-03-28T23:00:00Z")),
        (None, "2027-01-10T23:00", "2027-01-11T23:00", NEW_YORK, (False, "2027-01-10T23:00:00Z", "2027-01-11T23:00:00Z")),
        (None, "2027-01-10T23:00", "2027-01-10T23:00", BRUSSELS, (False, "2027-01-10T23:00:00Z", "2027-01-10T23:00:00Z")),
        # Flagged: the planning's own dates, whatever the mailbox's zone.
        (True, "2027-01-11T07:00", "2027-01-11T16:00", NEW_YORK, (True, "2027-01-11", "2027-01-12")),
        (True, "2027-01-10T23:00", "2027-01-11T23:00", NEW_YORK, (True, "2027-01-11", "2027-01-12")),
        (True, "2027-01-10T23:00", "2027-01-12T10:00", BRUSSELS, (True, "2027-01-11", "2027-01-13")),
        (True, "2027-03-27T23:00", "2027-03-27T23:00", BRUSSELS, (True, "2027-03-28", "2027-03-29")),
        (True, "2027-10-30T22:00", "2027-10-31T22:59", BRUSSELS, (True, "2027-10-31", "2027-11-01")),
        # Flagged as not: never, even from midnight to midnight.
        (False, "2027-01-10T23:00", "2027-01-11T23:00", BRUSSELS, (False, "2027-01-10T23:00:00Z", "2027-01-11T23:00:00Z")),
    ],
)  # fmt: skip
def test_all_day_is_the_plannings_word_or_the_mailboxs_midnight(
    flag: bool | None, start: str, end: str, zone: ZoneInfo, expected: tuple[bool, str, str]
) -> None:
    planned = wanted(snapshot(start=at(start), end=at(end), all_day=flag), Defaults(planning_zone=BRUSSELS))

    values = resolve(planned.values, zone)
    assert (values["isAllDay"], values["start"], values["end"]) == expected


def test_resolving_twice_changes_nothing() -> None:
    values = mapped(start=at("2027-01-10T23:00"), end=at("2027-01-11T22:00"))

    assert resolve(resolve(values, NEW_YORK), NEW_YORK) == resolve(values, NEW_YORK)
