"""Which event of a calendar is which link's."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from builders import ALICE, guid
from common.graph.protocol import Event, key
from graph_publisher.adoption import Adoptable, Verdict, index, judge, transaction_key, windows

UTC_ZONE = ZoneInfo("UTC")
LOOK: dict[str, Any] = {
    "subject": "Visit",
    "start": "2027-03-01T08:00:00Z",
    "end": "2027-03-01T09:00:00Z",
    "isAllDay": False,
}


def link(number: int = 1, **facts: Any) -> Adoptable:
    wanted = LOOK | facts.pop("wanted", {})
    ordinary = {"exchange_id": None, "ical_uid": None}
    return Adoptable(number, number, guid(number), "R1", wanted, **ordinary | facts)


def event(event_id: str = "E1", **facts: Any) -> Event:
    values = LOOK | facts.pop("values", {})
    return Event(event_id, "ck", facts.pop("ical_uid", f"uid-{event_id}"), values, **facts)


def mark(number: int = 1) -> str:
    return key("test", str(guid(number)), "R1")


def made(number: int = 1, incarnation: int = 0) -> str:
    return str(transaction_key("test", guid(number), "R1", ALICE, incarnation))


def verdict(
    links: list[Adoptable],
    events: list[Event],
    stored: dict[str, Event] | None = None,
    taken: set[str] | None = None,
) -> Verdict:
    found = index(events, stored or {})
    return judge(links, found, "test", ALICE, UTC_ZONE, taken or set())


def adopted(told: Verdict) -> dict[int, str]:
    return {number: event.id for number, event in told.adopted.items()}


def test_our_property_decides_before_everything_else() -> None:
    ours = event("E9", key=mark(), values={"subject": "moved on", "start": "2030-01-01T08:00:00Z"})

    assert adopted(verdict([link(exchange_id="E2")], [event("E1"), ours], {"E2": event("E2")})) == {1: "E9"}


def test_of_an_event_and_its_copies_the_one_that_we_made_is_ours() -> None:
    copies = [event("E1", key=mark()), event("E3", key=mark(), transaction_id="localevent:1")]
    original = event("E2", key=mark(), transaction_id=made(incarnation=2).upper())

    assert adopted(verdict([link()], [*copies, original])) == {1: "E2"}


def test_copies_without_an_original_ask_an_administrator() -> None:
    told = verdict([link()], [event("E1", key=mark()), event("E2", key=mark())])

    assert told.ambiguous == {1: 2}


def test_a_single_event_with_our_property_is_ours_whoever_made_it() -> None:
    assert adopted(verdict([link()], [event("E1", key=mark())])) == {1: "E1"}


def test_the_stored_id_decides_before_the_look() -> None:
    told = verdict([link(exchange_id="E2")], [event("E1")], {"E2": event("E2")})

    assert adopted(told) == {1: "E2"}


def test_a_stored_id_of_an_event_that_carries_another_key_is_not_followed() -> None:
    told = verdict([link(exchange_id="E2")], [], {"E2": event("E2", key=mark(7))})

    assert told.new == [1]


def test_the_stored_ical_uid_decides_before_the_look() -> None:
    told = verdict(
        [link(ical_uid="u2")], [event("E1"), event("E2", ical_uid="u2", values={"subject": "other"})]
    )

    assert adopted(told) == {1: "E2"}


def test_the_look_ignores_case_and_spaces_of_the_subject() -> None:
    assert adopted(verdict([link()], [event(values={"subject": "  VISIT "})])) == {1: "E1"}


def test_another_moment_is_another_event() -> None:
    assert verdict([link()], [event(values={"end": "2027-03-01T09:30:00Z"})]).new == [1]


def test_two_events_that_look_alike_ask_an_administrator() -> None:
    assert verdict([link()], [event("E1"), event("E2")]).ambiguous == {1: 2}


def test_two_links_alike_share_two_events_alike() -> None:
    told = verdict([link(1), link(2)], [event("E1"), event("E2")])

    assert sorted(adopted(told).values()) == ["E1", "E2"]


def test_one_event_goes_to_one_link_only() -> None:
    told = verdict([link(1), link(2)], [event("E1")])

    assert adopted(told) == {1: "E1"}
    assert told.new == [2]


def test_an_event_that_belongs_to_a_link_already_is_nobodys_candidate() -> None:
    assert verdict([link()], [event("E1")], taken={"E1"}).new == [1]


def test_an_event_of_a_link_does_not_make_another_ambiguous() -> None:
    assert adopted(verdict([link()], [event("E1"), event("E2")], taken={"E1"})) == {1: "E2"}


def test_events_that_must_never_be_written_to_are_not_adopted_by_their_look() -> None:
    others = [
        event("E1", has_attendees=True), event("E2", type="occurrence"), event("E3", is_organizer=False),
    ]  # fmt: skip

    assert verdict([link()], others).new == [1]


def test_an_event_that_is_listed_twice_is_one() -> None:
    assert adopted(verdict([link()], [event("E1"), event("E1")])) == {1: "E1"}


def test_what_we_made_and_nobody_wants_is_a_stray() -> None:
    lost = event("E1", key=mark(7), transaction_id=made(7))
    copy = event("E2", key=mark(8), transaction_id="localevent:1")

    assert [one.id for one in verdict([link()], [lost, copy]).strays] == ["E1"]


def at(text: str) -> dict[str, str]:
    start = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return {"start": f"{start:%Y-%m-%dT%H:%M:%SZ}", "end": f"{start + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}"}


def test_an_appointment_far_away_does_not_hide_the_others() -> None:
    links = [
        link(1, wanted=at("1990-01-01")),
        link(2, wanted=at("2027-03-01")),
        link(3, wanted=at("2027-03-20")),
    ]
    listed = windows(links)

    assert len(listed) == 2
    for each in links:
        start = datetime.fromisoformat(each.wanted["start"])
        assert any(first < start < last for first, last in listed)


def test_no_window_is_longer_than_graph_lists() -> None:
    day = datetime(2000, 1, 1, tzinfo=UTC)
    links = [link(n, wanted=at((day + timedelta(days=20 * n)).isoformat()[:10])) for n in range(500)]

    assert all(last - first <= timedelta(days=1825) for first, last in windows(links))
    assert len(windows(links)) < 10
    assert windows([]) == []
