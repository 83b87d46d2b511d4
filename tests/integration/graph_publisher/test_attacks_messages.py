"""What a message may hold must neither lose, double nor stall a change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from integration.graph_publisher.dangers import INVALID, link, unknown
from replica import Publisher

from builders import ALICE, assignment, changed, deleted, guid, snapshot
from graph_publisher.deciding import Policy


async def test_a_nul_character_is_not_the_end_of_a_change(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="Boi\x00ler", body="a\x00b\x07", category="U\x00rgent")))
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert (event.values["subject"], event.values["body"]) == ("Boiler", "ab")
    assert event.values["categories"] == ["Urgent"]


async def test_a_hash_is_that_of_the_planning_whatever_can_be_stored(publisher: Publisher) -> None:
    odd = snapshot(1, subject="Boi\x00ler")
    await publisher.plan(changed(odd))

    assert await publisher.pool.fetchval("SELECT hash FROM appointment") == odd.digest()


@pytest.mark.parametrize("end", [datetime(9999, 12, 31, 23, 59, tzinfo=UTC), INVALID["end"]])
async def test_times_that_no_calendar_shows_fail_one_item(publisher: Publisher, end: datetime) -> None:
    await publisher.plan(changed(snapshot(1, end=end, all_day=True)), changed(snapshot(2)))
    await publisher.drain()

    assert (await publisher.transactions(1))[0][1] == "failed"
    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_a_stored_snapshot_that_nobody_can_read_stops_no_recomputation(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2)))
    await publisher.drain()
    await publisher.pool.execute("""UPDATE appointment SET snapshot = '{"id": "odd"}' WHERE id = 1""")
    publisher.policy, publisher.generation = Policy(outbound=False), 2
    while await publisher.planner.recompute(2):
        pass

    assert (await link(publisher, 1))["frozen"] is None
    assert (await link(publisher, 2))["frozen"] == "EXC-DIRECTION-OFF"


async def test_a_body_of_megabytes_is_cut_and_told(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, body="x" * 5_000_000)))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)[0].values["body"]) == 250_000
    assert "body cut" in (await link(publisher))["notes"][0]


async def test_the_same_id_with_another_guid_is_another_appointment(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="first")))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="second", guid=guid(1, 1)), 3))
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["second"]


async def test_a_snapshot_that_was_not_found_changes_nothing(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.plan(changed(snapshot(1), 2, snapshot=None))
    await publisher.drain()
    kept = publisher.subjects(ALICE)
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.drain()

    assert (kept, publisher.subjects(ALICE)) == (["Visit 1"], [])


async def test_a_resource_with_an_odd_number_finds_its_event_again(publisher: Publisher) -> None:
    odd = snapshot(1, assignments=(assignment(ALICE, resource_no="R|1 'ü%"),))
    await publisher.plan(changed(odd))
    publisher.calendars.fail_next("create", unknown(), applied=True)
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 1
