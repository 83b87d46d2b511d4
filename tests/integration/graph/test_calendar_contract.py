"""What every calendar does: the fake that other tests use, and the real adapter on the simulator."""

import uuid
from datetime import UTC, datetime

import pytest

from common.graph import wire
from common.graph.protocol import Changed, DuplicateTransaction, Gone
from fakes import FakeCalendars

KEY = "main|0b7e4d1c-5f7c-4e0a-9f52-0d3a2f6b8c11|R1"
TIMED = {"start": "2026-11-23T08:00:00Z", "end": "2026-11-23T09:30:00Z", "isAllDay": False}
COMPLETE = TIMED | {
    "subject": "Pump & valve",
    "body": "Replace the seal.\nCall first.",
    "showAs": "oof",
    "sensitivity": "private",
    "importance": "high",
    "categories": ["Blue", "Green"],
    "location": "Ghent",
    "reminder": 30,
}
WEEK = (datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 30, tzinfo=UTC))


class FakePerson:
    """What a person does, in the fake."""

    def __init__(self, calendars, address):
        self.calendars, self.address = calendars, address

    def put(self, values):
        return self.calendars.put(self.address, values).id

    def change(self, event_id, **values):
        self.calendars.change(self.address, event_id, **values)

    def remove(self, event_id):
        self.calendars.remove(self.address, event_id)


class SimulatedPerson:
    """What a person does, by the simulator's doors."""

    def __init__(self, simulator, address):
        self.door, self.path = simulator.door, f"/_sim/mailboxes/{address}/events"

    def put(self, values):
        return self.door("POST", self.path, wire.body(values, "UTC"))["id"]

    def change(self, event_id, **values):
        self.door("PATCH", f"{self.path}/{event_id}", wire.body(values, "UTC"))

    def remove(self, event_id):
        self.door("DELETE", f"{self.path}/{event_id}")


@pytest.fixture(params=["fake", "graph"])
def seam(request, address):
    """A calendar, and the person whose it is."""
    if request.param == "fake":
        calendars = FakeCalendars()
        return calendars.calendar("contoso", address), FakePerson(calendars, address)
    graph, simulator = request.getfixturevalue("graph"), request.getfixturevalue("simulator")
    return graph.calendar("contoso", address), SimulatedPerson(simulator, address)


@pytest.fixture
def calendar(seam):
    return seam[0]


@pytest.fixture
def person(seam):
    return seam[1]


@pytest.fixture
def transaction():
    return str(uuid.uuid4())


async def listed(calendar, **options):
    return [event async for event in calendar.view(*WEEK, **options)]


async def test_a_created_event_is_read_as_it_was_written(calendar, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    read = await calendar.read(created.id)

    assert created.values == read.values == COMPLETE
    assert (created.key, read.key) == (KEY, KEY)
    assert read.transaction_id == transaction
    assert read.is_organizer
    assert not read.has_attendees
    assert read.type == "singleInstance"
    assert read.ical_uid


async def test_what_a_create_leaves_out_gets_exchanges_defaults(calendar, transaction):
    created = await calendar.create(TIMED, transaction, KEY, "UTC")

    assert created.values == TIMED | {
        "subject": "",
        "body": "",
        "showAs": "busy",
        "sensitivity": "normal",
        "importance": "normal",
        "categories": [],
        "location": "",
        "reminder": 15,
    }


@pytest.mark.parametrize("time_zone", ["UTC", "Romance Standard Time", "America/New_York"])
async def test_an_all_day_event_keeps_its_days_in_every_zone(calendar, transaction, time_zone):
    days = {"start": "2026-11-24", "end": "2026-11-26", "isAllDay": True}

    created = await calendar.create(days, transaction, KEY, time_zone)

    assert {name: (await calendar.read(created.id)).values[name] for name in days} == days


async def test_the_same_create_again_gives_the_same_event(calendar, transaction):
    first = await calendar.create(COMPLETE, transaction, KEY, "UTC")

    again = await calendar.create(COMPLETE, transaction, KEY, "UTC")

    assert again.id == first.id
    assert len(await listed(calendar)) == 1


async def test_another_create_under_the_same_transaction_names_the_first_event(calendar, transaction):
    first = await calendar.create(COMPLETE, transaction, KEY, "UTC")

    with pytest.raises(DuplicateTransaction) as caught:
        await calendar.create(COMPLETE | {"subject": "Other"}, transaction, KEY, "UTC")

    assert caught.value.event_id == first.id


async def test_the_same_create_after_an_edit_names_the_first_event(calendar, person, transaction):
    first = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    person.change(first.id, subject="Mine")

    with pytest.raises(DuplicateTransaction) as caught:
        await calendar.create(COMPLETE, transaction, KEY, "UTC")

    assert caught.value.event_id == first.id


async def test_an_update_writes_what_is_given_and_leaves_the_rest(calendar, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    moved = {"start": "2026-11-24T08:00:00Z", "end": "2026-11-24T09:00:00Z", "isAllDay": False}

    updated = await calendar.update(created.id, moved | {"reminder": None}, "UTC")

    assert updated.values == COMPLETE | moved | {"reminder": None}
    assert updated.id == created.id
    assert updated.change_key != created.change_key


async def test_a_timed_event_becomes_an_all_day_one_and_back(calendar, transaction):
    created = await calendar.create(TIMED, transaction, KEY, "UTC")
    days = {"start": "2026-11-24", "end": "2026-11-25", "isAllDay": True}

    there = await calendar.update(created.id, days, "Romance Standard Time")
    back = await calendar.update(created.id, TIMED, "Romance Standard Time")

    assert {name: there.values[name] for name in days} == days
    assert {name: back.values[name] for name in TIMED} == TIMED


async def test_texts_can_be_emptied(calendar, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    empty = {"subject": "", "body": "", "location": "", "categories": []}

    updated = await calendar.update(created.id, empty, "UTC")

    assert {name: updated.values[name] for name in empty} == empty


async def test_a_change_key_that_is_not_the_events_any_more_refuses_the_write(calendar, person, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    person.change(created.id, subject="Mine")

    with pytest.raises(Changed):
        await calendar.update(created.id, {"subject": "Ours"}, "UTC", created.change_key)
    with pytest.raises(Changed):
        await calendar.delete(created.id, created.change_key)

    assert (await calendar.read(created.id)).values["subject"] == "Mine"


async def test_the_change_key_that_was_read_lets_the_write_through(calendar, person, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    person.change(created.id, location="Home")
    read = await calendar.read(created.id)

    updated = await calendar.update(created.id, {"subject": "Ours"}, "UTC", read.change_key)

    assert (updated.values["subject"], updated.values["location"]) == ("Ours", "Home")


async def test_a_deleted_event_is_gone_for_every_call(calendar, transaction):
    created = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    await calendar.delete(created.id)

    with pytest.raises(Gone):
        await calendar.read(created.id)
    with pytest.raises(Gone):
        await calendar.update(created.id, {"subject": "x"}, "UTC")
    with pytest.raises(Gone):
        await calendar.delete(created.id)
    with pytest.raises(Gone):
        await calendar.mark(created.id, KEY)
    assert await calendar.find(KEY) == []
    assert await listed(calendar) == []


async def test_finding_gives_the_events_of_exactly_that_key(calendar, person):
    person.put(TIMED)
    first = await calendar.create(COMPLETE, str(uuid.uuid4()), KEY, "UTC")
    second = await calendar.create(TIMED, str(uuid.uuid4()), KEY, "UTC")
    await calendar.create(TIMED, str(uuid.uuid4()), KEY.replace("R1", "r1"), "UTC")
    quoted = await calendar.create(TIMED, str(uuid.uuid4()), KEY + "'s", "UTC")

    assert {event.id for event in await calendar.find(KEY)} == {first.id, second.id}
    assert [event.id for event in await calendar.find(KEY + "'s")] == [quoted.id]
    assert await calendar.find(KEY + "0") == []


async def test_our_events_are_those_of_the_installation_whenever_they_are(calendar, person):
    person.put(TIMED)
    past = TIMED | {"start": "2019-01-01T08:00:00Z", "end": "2019-01-01T09:00:00Z"}
    ours = await calendar.create(COMPLETE | past, str(uuid.uuid4()), KEY, "UTC")
    await calendar.create(TIMED, str(uuid.uuid4()), KEY.replace("main", "Main"), "UTC")
    await calendar.create(TIMED, str(uuid.uuid4()), KEY.replace("main", "main2"), "UTC")

    found = [event async for event in calendar.ours("main")]

    assert [(event.id, event.key) for event in found] == [(ours.id, KEY)]
    assert "body" not in found[0].values


async def test_a_marked_event_carries_the_key_and_is_otherwise_as_it_was(calendar, person):
    theirs = person.put(COMPLETE)
    marked = await calendar.mark(theirs, KEY)

    assert (marked.id, marked.key, marked.values) == (theirs, KEY, COMPLETE)
    assert (await calendar.read(theirs)).values == COMPLETE
    assert [event.id for event in await calendar.find(KEY)] == [theirs]


async def test_a_view_shows_what_touches_the_window(calendar, person, transaction):
    ours = await calendar.create(COMPLETE, transaction, KEY, "UTC")
    theirs = person.put(TIMED | {"start": "2026-11-22T23:00:00Z", "end": "2026-11-23T01:00:00Z"})
    person.put(TIMED | {"start": "2026-11-22T22:00:00Z", "end": "2026-11-23T00:00:00Z"})
    person.put(TIMED | {"start": "2026-11-30T00:00:00Z", "end": "2026-11-30T01:00:00Z"})

    events = {event.id: event for event in await listed(calendar)}

    assert set(events) == {ours.id, theirs}
    assert events[ours.id].values == COMPLETE
    assert (events[ours.id].key, events[theirs].key) == (KEY, None)


async def test_a_view_without_bodies_lacks_nothing_else(calendar, transaction):
    await calendar.create(COMPLETE, transaction, KEY, "UTC")

    (event,) = await listed(calendar, bodies=False)

    assert event.values == {name: value for name, value in COMPLETE.items() if name != "body"}
    assert event.key == KEY


async def test_an_unused_mailbox_is_in_utc(calendar):
    assert (await calendar.settings()).time_zone == "UTC"
