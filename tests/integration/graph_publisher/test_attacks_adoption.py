"""Adoption must neither take what is not ours, nor double what is, nor stall anybody."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from integration.graph_publisher.dangers import LOOK, forget, link, server_error
from replica import Publisher

from builders import ALICE, changed, deleted, guid, snapshot
from common.errors import Permanent, Transient
from common.graph.protocol import Event, key
from fakes import FakeCalendar
from graph_publisher import adopting, lane
from graph_publisher.adopting import Adopter
from graph_publisher.adoption import transaction_key
from graph_publisher.settings import Tuning
from graph_publisher.turn import LeaseLost


async def test_a_listing_that_ends_early_decides_nothing(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    publisher.calendars.fail_next(
        "view", Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox"), applied=True
    )
    await publisher.step()
    undecided = (await link(publisher))["adopt"]
    await publisher.drain()

    assert undecided
    assert len(publisher.calendars.events(ALICE)) == 1


@pytest.mark.parametrize("operation", ["read", "mark"])
@pytest.mark.parametrize("fault", [server_error, lambda: Permanent("400", code="EXC-REFUSED", status=400)])
async def test_one_event_that_cannot_be_adopted_stops_nobody_else(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Any
) -> None:
    odd = publisher.calendars.put(ALICE, LOOK)
    publisher.calendars.put(ALICE, LOOK | {"subject": "Visit 2"})
    whole = getattr(FakeCalendar, operation)

    async def refuse(self: FakeCalendar, event_id: str, *rest: Any) -> Event:
        if event_id == odd.id:
            raise fault()
        return await whole(self, event_id, *rest)

    monkeypatch.setattr(FakeCalendar, operation, refuse)
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2, 3)))
    for _ in range(4):
        await publisher.step()

    states = [(await publisher.transactions(n))[-1][1] for n in (2, 3)]
    assert states == ["succeeded", "succeeded"]
    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2", "Visit 3"]


async def test_a_stored_id_that_graph_chokes_on_stops_nobody_else(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = FakeCalendar.read

    async def choke(self: FakeCalendar, event_id: str) -> Event:
        if event_id == "garbage":
            raise server_error()
        return await whole(self, event_id)

    monkeypatch.setattr(FakeCalendar, "read", choke)
    await publisher.plan(
        changed(snapshot(1, exchange_id="garbage"), cause="backfill"), changed(snapshot(2), cause="backfill")
    )
    for _ in range(3):
        await publisher.step()

    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_an_event_with_attendees_that_dime_names_is_not_even_marked(publisher: Publisher) -> None:
    event = publisher.calendars.put(ALICE, LOOK | {"subject": "Meeting"}, has_attendees=True)
    await publisher.plan(changed(snapshot(1, exchange_id=event.id), cause="backfill"))
    await publisher.drain()

    assert publisher.calendars.events(ALICE) == [event]
    assert (await publisher.transactions())[-1][1:] == ("failed", "EXC-HAS-ATTENDEES")


async def test_an_appointment_far_in_the_past_does_not_hide_earlier_events(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    long_ago = datetime(1990, 1, 1, 8, tzinfo=UTC)
    await publisher.plan(
        changed(snapshot(1), cause="backfill"),
        changed(snapshot(2, start=long_ago, end=long_ago + timedelta(hours=1)), cause="backfill"),
    )
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2"]


async def test_more_links_than_one_listing_serves_are_adopted_in_turns(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "AT_ONCE", 5)
    publisher.tuning = Tuning(yield_after=4)
    for n in range(1, 13):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in range(1, 13)))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 12
    assert [call[0] for call in publisher.calendars.calls].count("create") == 0


async def test_questions_to_an_administrator_do_not_keep_others_from_adoption(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "AT_ONCE", 2)
    for n in (1, 2, 3):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    publisher.calendars.put(ALICE, LOOK | {"subject": "Visit 4"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2, 3, 4)))
    await publisher.drain()

    assert [(await publisher.transactions(n))[-1][1] for n in (1, 2, 3, 4)] == ["failed"] * 3 + ["succeeded"]
    assert len(publisher.calendars.events(ALICE)) == 7


async def test_a_fresh_change_does_not_wait_for_the_adoption_of_others(publisher: Publisher) -> None:
    publisher.tuning = Tuning(yield_after=5)
    for n in range(1, 21):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in range(1, 21)))
    await publisher.step()
    await publisher.plan(changed(snapshot(99, subject="fresh")))
    await publisher.step()

    assert "fresh" in publisher.subjects(ALICE)


async def test_a_lane_that_lost_its_mailbox_adopts_nothing(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    (lease,) = await publisher.take()
    (event,) = publisher.calendars.events(ALICE)
    lease.token = uuid4()
    await publisher.adoptions.adopt(lease, (await link(publisher))["id"], event, {})

    assert (await link(publisher))["event_id"] is None


async def test_two_links_never_share_an_event(publisher: Publisher) -> None:
    event = publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2)))
    (lease,) = await publisher.take()
    for n in (1, 2):
        await publisher.adoptions.adopt(lease, (await link(publisher, n))["id"], event, {})

    assert (await link(publisher, 2))["event_id"] is None


async def test_what_a_lost_database_knew_is_removed_where_the_appointment_is_deleted_before_it_is_found(
    publisher: Publisher,
) -> None:
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2)))
    await publisher.drain()
    await forget(publisher)
    await publisher.plan(changed(snapshot(1), 5, cause="replay"), changed(snapshot(2), 6, cause="replay"))
    await publisher.plan(deleted(snapshot(1), 7))
    await publisher.drain()
    while await publisher.planner.recompute(publisher.generation):
        await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_of_a_lost_databases_event_and_its_copy_the_copy_is_left_alone(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    mark = key("test", str(guid(1)), "ALICE")
    copy = publisher.calendars.put(ALICE, LOOK, id="AA-first", key=mark, transaction_id="localevent:7")
    await forget(publisher)
    await publisher.plan(changed(snapshot(1, subject="moved on"), 9, cause="replay"))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1", "moved on"]
    assert copy in publisher.calendars.events(ALICE)


def test_the_transaction_id_of_a_create_never_changes() -> None:
    made = transaction_key("test", guid(1), "ALICE", ALICE, 0)

    assert str(made) == "7032474e-9d8e-53e1-8d31-e6cd099b87bd"
    assert made != transaction_key("test", guid(1), "ALICE", ALICE, 1)


async def test_a_lease_lost_in_a_listing_is_not_given_back_by_who_lost_it(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    lease.until = time.monotonic()  # half of it is gone, so it is to be lengthened
    await publisher.pool.execute("UPDATE mailbox SET write_token = gen_random_uuid(), time_zone = 'UTC'")
    (due,) = await publisher.lanes.due(lease, 10)

    with pytest.raises(LeaseLost):
        await Adopter(publisher.adoptions).adopt(turn, [due])
    await lane.run(publisher.turn(lease), Adopter(publisher.adoptions))
    assert await publisher.pool.fetchval("SELECT write_token IS NOT NULL FROM mailbox")
    assert publisher.subjects(ALICE) == ["Visit 1"]
