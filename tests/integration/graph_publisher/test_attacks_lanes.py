"""Lanes that lose their mailbox, their database or their life, or have too much to do, must leave nothing behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from replica import Publisher

from builders import ALICE, BOB, changed, snapshot
from common.errors import Transient
from common.graph.protocol import Event
from fakes import FakeCalendar
from graph_publisher import lane
from graph_publisher.adopting import Adopter
from graph_publisher.settings import Tuning
from graph_publisher.store.lanes import LaneStore


async def test_a_lane_of_before_does_not_unlink_the_event_that_replaced_its_own(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    (lease,) = await publisher.take()
    (stale,) = await publisher.lanes.due(lease, 10)
    publisher.calendars.remove(ALICE, publisher.calendars.events(ALICE)[0].id)
    await publisher.elapse()
    await publisher.replica("two").drain()
    await publisher.attempts.gone(stale, lease)
    await publisher.plan(changed(snapshot(1, subject="newest"), 3))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["newest"]


async def test_trouble_with_our_database_after_a_write_is_not_taken_for_trouble_with_the_write(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.plan(changed(snapshot(1)))

    async def away(*_: object) -> None:
        raise Transient("away", code="EXC-STATE-UNAVAILABLE", scope="tenant")

    monkeypatch.setattr(LaneStore, "recovered", away)
    await publisher.step()

    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_the_database_going_away_while_a_call_is_closed_leaves_it_open(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.plan(changed(snapshot(1)))
    with monkeypatch.context() as broken:

        async def away(*_: object, **__: object) -> bool:
            raise Transient("away", code="EXC-STATE-UNAVAILABLE", scope="tenant")

        broken.setattr(type(publisher.attempts), "succeeded", away)
        with pytest.raises(Transient):
            await publisher.step()
    open_calls = await publisher.pool.fetchval("SELECT count(*) FROM attempt WHERE outcome IS NULL")
    await publisher.drain()

    assert open_calls == 1
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_lane_that_is_cancelled_in_a_call_leaves_it_to_be_settled(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    calling = asyncio.Event()

    class Slow(FakeCalendar):
        async def create(self, *arguments: Any) -> Event:
            await super().create(*arguments)
            calling.set()
            return await asyncio.Future()

    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    turn.calendar = Slow(publisher.calendars, ALICE)
    working = asyncio.create_task(lane.run(turn, Adopter(publisher.adoptions)))
    await calling.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_mailbox_with_many_links_is_worked_on_by_index(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.pool.execute(
        """INSERT INTO link (appointment_id, appointment_guid, resource_no, mailbox, wanted, want_seq, due_at, bulk)
           SELECT n, gen_random_uuid(), 'R', $1, '{}', 1, CASE WHEN n % 2 = 0 THEN now() END, true
           FROM generate_series(10, 10010) n""",
        ALICE,
    )
    await publisher.pool.execute(
        "UPDATE link SET done_seq = 1 WHERE appointment_id % 10 <> 0 AND appointment_id > 1"
    )
    await publisher.pool.execute("ANALYZE link")
    rows = await publisher.pool.fetch(
        """EXPLAIN SELECT * FROM link l WHERE l.mailbox = $1 AND l.want_seq > l.done_seq AND l.due_at <= now()
           ORDER BY l.bulk, l.due_at, l.id LIMIT 50""",
        ALICE,
    )

    plan = "\n".join(row[0] for row in rows)
    assert "link_due" in plan
    assert "Seq Scan" not in plan


async def test_a_fresh_change_passes_thousands_of_bulk_links(publisher: Publisher) -> None:
    publisher.tuning = Tuning(yield_after=3)
    await publisher.plan(*(changed(snapshot(n, ALICE), cause="backfill") for n in range(1, 101)))
    await publisher.step()
    await publisher.plan(changed(snapshot(500, ALICE, BOB, subject="fresh")))
    await publisher.step()

    assert publisher.subjects(BOB) == ["fresh"]
    assert "fresh" in publisher.subjects(ALICE)
    assert len(publisher.subjects(ALICE)) < 10
