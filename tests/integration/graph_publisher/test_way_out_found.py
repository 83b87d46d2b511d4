"""The way out where the calendar is not as the state database says: adopted, restored, removed or left alone."""

from __future__ import annotations

from integration.graph_publisher.dangers import LOOK, forget
from replica import Publisher

from builders import ALICE, BOB, changed, deleted, guid, snapshot
from common.graph.protocol import key


async def test_an_event_that_a_person_deleted_is_restored_after_two_looks(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.remove(ALICE, event.id)
    await publisher.plan(changed(snapshot(1, subject="later"), 2))
    await publisher.step()
    after_one_look = publisher.subjects(ALICE)
    await publisher.drain()

    assert after_one_look == []
    assert publisher.subjects(ALICE) == ["later"]


async def test_an_event_with_attendees_is_never_written_to(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.remove(ALICE, event.id)
    mailbox = publisher.calendars._mailbox(ALICE)
    mailbox.events[event.id] = type(event)(**{**_facts(event), "has_attendees": True})
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 1
    assert (await publisher.transactions())[-1] == ("delete", "failed", "EXC-HAS-ATTENDEES")


def _facts(event: object) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__slots__}  # type: ignore[attr-defined]


async def test_an_event_of_ours_is_adopted_after_the_state_was_lost(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.pool.execute(
        "TRUNCATE appointment, link, mailbox, transaction, attempt, once_ours CASCADE"
    )
    await publisher.plan(changed(snapshot(1, subject="moved on"), 9, cause="replay"))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["moved on"]


async def test_an_earlier_connectors_event_is_adopted_by_its_look(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert event.key == key("test", str(guid(1)), "ALICE")
    assert event.values["body"] == "Bring the ladder."


async def test_two_events_that_could_be_it_ask_an_administrator(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 2
    assert await publisher.transactions() == [("create", "failed", "EXC-AMBIGUOUS")]


async def test_an_event_that_is_not_wanted_any_more_goes_after_the_state_was_lost(
    publisher: Publisher,
) -> None:
    await publisher.plan(
        changed(snapshot(1, ALICE)), changed(snapshot(2, ALICE)), changed(snapshot(3, ALICE))
    )
    await publisher.drain()
    await forget(publisher)
    await publisher.plan(
        changed(snapshot(1, BOB), 8, cause="replay"), changed(snapshot(2, ALICE), 8, cause="replay")
    )
    await publisher.drain()
    before_it_is_known = publisher.subjects(ALICE)
    await publisher.plan(deleted(snapshot(3), 9, cause="replay"))
    while await publisher.planner.recompute(publisher.generation):
        pass
    await publisher.drain()

    assert before_it_is_known in (["Visit 2", "Visit 3"], ["Visit 1", "Visit 2", "Visit 3"])
    assert publisher.subjects(ALICE) == ["Visit 2"]
    assert publisher.subjects(BOB) == ["Visit 1"]


async def test_a_persons_copy_of_our_event_is_no_stray(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, ALICE)), changed(snapshot(2, ALICE)))
    await publisher.drain()
    original = next(
        event for event in publisher.calendars.events(ALICE) if event.values["subject"] == "Visit 1"
    )
    publisher.calendars.put(ALICE, original.values | {"subject": "my copy"}, key=original.key)
    await forget(publisher)
    await publisher.plan(
        deleted(snapshot(1), 8, cause="replay"), changed(snapshot(2, ALICE), 8, cause="replay")
    )
    await publisher.drain()
    while await publisher.planner.recompute(publisher.generation):
        pass
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 2", "my copy"]
