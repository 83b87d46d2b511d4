"""Calls whose answer is unknown, late or wrong must neither lose nor double an event."""

from __future__ import annotations

from typing import Any

import pytest
from integration.graph_publisher.dangers import INVALID, LOOK, link, unknown
from replica import Publisher

from builders import ALICE, changed, deleted, snapshot
from common.graph.protocol import DuplicateTransaction, Event, Gone
from fakes import FakeCalendar
from graph_publisher import lane
from graph_publisher.adopting import Adopter
from graph_publisher.store.attempts import Outcome


async def _create_of_unknown_outcome(publisher: Publisher, *, applied: bool) -> None:
    await publisher.plan(changed(snapshot(1)))
    publisher.calendars.fail_next("create", unknown(), applied=applied)
    await publisher.step()


@pytest.mark.parametrize("applied", [True, False])
async def test_a_call_is_settled_also_where_its_appointment_is_invalid_by_now(
    publisher: Publisher, applied: bool
) -> None:
    await _create_of_unknown_outcome(publisher, applied=applied)
    await publisher.plan(changed(snapshot(1, **INVALID), 2))
    await publisher.drain()
    open_calls = await publisher.pool.fetchval(
        "SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'"
    )
    told = await publisher.transactions()
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.drain()

    assert open_calls == 0
    assert {status for _, status, _ in told} == {"succeeded", "failed"}
    assert publisher.subjects(ALICE) == []


@pytest.mark.parametrize("applied", [True, False])
async def test_a_deletion_waits_for_the_create_that_nobody_knows_of(
    publisher: Publisher, applied: bool
) -> None:
    await _create_of_unknown_outcome(publisher, applied=applied)
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert await publisher.pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0


async def test_a_late_answer_of_another_event_is_removed(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (lease,) = await _lease_again(publisher)
    (due,) = await publisher.lanes.due(lease, 10)
    second = publisher.calendars.put(ALICE, LOOK)
    await publisher.attempts.once_ours(due, lease, second.id)
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 1
    assert (await publisher.transactions())[-1] == ("delete", "succeeded", None)


async def _lease_again(publisher: Publisher) -> list[Any]:
    await publisher.pool.execute("UPDATE link SET want_seq = want_seq + 1, due_at = now()")
    await publisher.lanes.sweep()
    return await publisher.take()


async def test_an_event_that_was_only_out_of_sight_is_not_there_twice(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.remove(ALICE, event.id)
    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    for _ in range(3):
        await publisher.step()
        await publisher.pool.execute("UPDATE link SET missing_since = missing_since - interval '1 minute'")
        await publisher.pool.execute("UPDATE link SET due_at = now() WHERE surplus_event = ''")
        await publisher.lanes.sweep()
    publisher.calendars._mailbox(ALICE).events[event.id] = event
    both = len(publisher.calendars.events(ALICE))
    await publisher.drain()

    assert both == 2
    assert publisher.subjects(ALICE) == ["new"]


async def test_a_duplicate_that_the_listing_does_not_show_yet_makes_no_second_event(
    publisher: Publisher,
) -> None:
    await publisher.plan(changed(snapshot(1)))
    told = DuplicateTransaction("400", event_id=None, code="EXC-REFUSED", status=400)
    publisher.calendars.fail_next("create", told)
    await publisher.step()

    assert (await link(publisher))["incarnation"] == 0
    await publisher.drain()
    assert publisher.subjects(ALICE) == ["Visit 1"]


async def test_an_event_that_vanishes_under_a_delete_is_deleted(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(deleted(snapshot(1), 2))
    publisher.calendars.fail_next("delete", Gone("404", code="EXC-EVENT-GONE", status=404))
    await publisher.step()

    assert (await publisher.transactions())[-1] == ("delete", "succeeded", None)


async def test_an_answer_of_other_values_fails_the_transaction_once(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)

    class Stubborn(FakeCalendar):
        async def update(self, event_id: str, *rest: Any) -> Event:
            await super().update(event_id, *rest)
            return self._calendars.change(self._name, event_id, subject="always this")

    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    turn.calendar = Stubborn(publisher.calendars, ALICE)
    await lane.run(turn, Adopter(publisher.adoptions))

    assert (await publisher.transactions())[-1] == ("update", "failed", "EXC-NOT-AS-SENT")
    assert publisher.calendars.events(ALICE)[0].id == event.id
    assert await publisher.step() == 0


async def test_a_late_failure_of_a_settled_call_changes_nothing(publisher: Publisher) -> None:
    await _create_of_unknown_outcome(publisher, applied=True)
    attempt = await publisher.pool.fetchval("SELECT id FROM attempt")
    await publisher.drain()
    await publisher.attempts.unapplied(attempt, Outcome(400))

    assert await publisher.pool.fetchval("SELECT outcome FROM attempt WHERE id = $1", attempt) == "ok"
    assert publisher.subjects(ALICE) == ["Visit 1"]
