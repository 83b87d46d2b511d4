"""The comparison must see what it is there to see, or it proves nothing."""

from typing import Any

import pytest

from demo.compare import Calendar, Comparison, Exceptions, compare, differing

GUID = "7a3d6c1e-0000-4000-8000-000000000001"
ALICE = "alice@contoso.example"
BOB = "bob@contoso.example"


def assignment(no: str = "R01", email: str | None = ALICE, enabled: bool = True) -> dict[str, Any]:
    return {"resource_no": no, "display_name": no, "email": email, "exchange_integration_enabled": enabled}


def appointment(**fields: Any) -> dict[str, Any]:
    return {
        "id": 1, "guid": GUID, "subject": "Replace valve", "body": "Dock 4\nAsk Kim", "all_day": False,
        "start": "2026-11-23T08:00:00Z", "end": "2026-11-23T10:00:00Z", "importance": 0, "show_as": None,
        "sensitivity": None, "category": None, "location": None, "assignments": [assignment()],
    } | fields  # fmt: skip


def event(**fields: Any) -> dict[str, Any]:
    return {
        "id": "e1", "subject": "Replace valve", "body": "Dock 4\r\nAsk Kim\r\n", "isAllDay": False,
        "start": at("2026-11-23T08:00:00"), "end": at("2026-11-23T10:00:00"), "importance": "normal",
        "showAs": "busy", "sensitivity": "normal", "categories": [], "location": "", "isReminderOn": True,
        "reminderMinutesBeforeStart": 15, "createdBy": "connector",
        "extendedProperties": {"String {b8c1a6f5} Name exconn": f"demo|{GUID}|R01"},
    } | fields  # fmt: skip


def at(text: str) -> dict[str, str]:
    return {"dateTime": f"{text}.0000000", "timeZone": "UTC"}


def compared(
    appointments: list[dict[str, Any]], events: list[dict[str, Any]], *exceptions: Exceptions, **scope: Any
) -> Comparison:
    return compare(appointments, {ALICE: Calendar(events)}, "demo", *exceptions, **scope)


def test_an_event_that_shows_its_appointment_is_no_difference():
    found = compared([appointment()], [event()])

    assert found.equal
    assert (found.appointments, found.events, found.calendars, found.adopted) == (1, 1, 1, 0)


@pytest.mark.parametrize(
    ("planned", "shown"),
    [
        ({"subject": "Other"}, {}),
        ({"body": "Dock 5"}, {}),
        ({"start": "2026-11-23T08:00:01Z"}, {}),
        ({"end": "2026-11-23T11:00:00Z"}, {}),
        ({"importance": 1}, {}),
        ({"show_as": 4}, {}),
        ({"sensitivity": 3}, {}),
        ({"category": "Repair"}, {}),
        ({"location": "Dock 4"}, {}),
        ({"all_day": True}, {}),
        ({}, {"isReminderOn": False}),
        ({}, {"reminderMinutesBeforeStart": 30}),
        ({}, {"categories": ["Mine"]}),
    ],
)
def test_every_mapped_field_counts(planned, shown):
    found = compared([appointment(**planned)], [event(**shown)])

    assert len(found.differences) >= 1
    assert not found.equal


@pytest.mark.parametrize(
    ("planned", "shown"),
    [
        ({"subject": "Replace  valve "}, {}),
        ({"subject": "x" * 300}, {"subject": "x" * 254 + "…"}),
        ({"body": None}, {"body": ""}),
        ({"start": "2026-11-23T08:00:00.250Z"}, {}),
        ({"show_as": 6}, {}),
        ({"location": "Dock 4"}, {"location": "Dock 4"}),
        ({"location": None}, {"location": "somewhere"}),
    ],
)
def test_what_exchange_makes_of_a_value_is_no_difference(planned, shown):
    assert differing(appointment(**planned), event(**shown)) == []


def test_a_flag_or_midnights_of_the_mailbox_make_an_event_all_day():
    days = {"isAllDay": True, "start": at("2026-11-26T00:00:00"), "end": at("2026-11-27T00:00:00")}
    flagged = appointment(all_day=True, start="2026-11-26T08:00:00Z", end="2026-11-26T16:00:00Z")
    midnights = appointment(all_day=None, start="2026-11-25T23:00:00Z", end="2026-11-26T23:00:00Z")

    assert differing(flagged, event(**days)) == []
    assert differing(midnights, event(**days), "W. Europe Standard Time") == []
    assert differing(midnights, event(**days), "UTC") != []


def test_missing_surplus_and_foreign_events_are_differences():
    assert not compared([appointment()], []).equal
    assert not compared([], [event()]).equal
    assert not compared([appointment(assignments=[])], [event()]).equal
    assert not compared([], [event(extendedProperties={})]).equal
    assert compared([], [event(extendedProperties={}, createdBy="person")]).equal


def test_a_mailbox_that_nobody_ever_asked_for_lacks_its_event():
    found = compare([appointment()], {}, "demo")

    assert len(found.differences) == 1


def test_two_events_of_one_assignment_are_a_duplicate_unless_a_person_copied_one():
    events = [event(), event(id="e2", createdBy="person")]

    assert len(compared([appointment()], events).duplicates) == 1
    assert compared([appointment()], events, Exceptions(copies={"e2"})).equal


def test_an_event_of_a_person_that_carries_our_mark_was_adopted():
    found = compared([appointment()], [event(createdBy="person")])

    assert (found.equal, found.adopted) == (True, 1)


def test_who_cannot_or_need_not_have_an_event_is_an_absence_with_its_reason():
    assignments = [
        assignment("R01", enabled=False), assignment("R02", None), assignment("R03", BOB), assignment("R04", ALICE)
    ]  # fmt: skip
    exceptions = Exceptions(held={BOB}, frozen={ALICE})
    found = compared([appointment(assignments=assignments)], [], exceptions)

    assert found.equal
    assert {key.resource_no: reason for key, reason in found.absences} == {
        "R01": "not taking part", "R02": "no address", "R03": "mailbox held", "R04": "mailbox switched off"
    }  # fmt: skip


def test_a_part_is_compared_by_its_guids_in_the_calendars_given():
    other = appointment(guid="other", assignments=[assignment(), assignment("R02", BOB)])

    assert compared([appointment(), other], [event()], guids={GUID}).equal
    assert len(compared([appointment(), other], [event()], guids={"other"}).differences) == 1
