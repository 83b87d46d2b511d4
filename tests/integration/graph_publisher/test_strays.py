"""Events that a lost state database left behind, noted and claimed by transactions that run side by side."""

from __future__ import annotations

import asyncio

from replica import Publisher

from builders import ALICE, BOB, changed, guid, snapshot
from graph_publisher.store.strays import Stray, note


async def test_a_stray_is_claimed_though_its_appointment_is_planned_at_the_same_moment(
    publisher: Publisher,
) -> None:
    await publisher.plan(changed(snapshot(1)))
    strays = [Stray("first", guid(1), "ALICE"), Stray("second", guid(2), "ALICE")]
    async with publisher.pool.acquire() as slow, slow.transaction():
        await slow.execute("SELECT FROM appointment WHERE id = 1 FOR UPDATE")
        noting = asyncio.create_task(note(publisher.pool, ALICE, strays))
        await waiting(publisher, 1)
        planning = asyncio.create_task(publisher.plan(changed(snapshot(2, BOB))))
        while not planning.done() and await locked(publisher) < 2:
            await asyncio.sleep(0.01)
    await asyncio.gather(noting, planning)
    await publisher.planner.recompute(publisher.generation)

    found = await publisher.pool.fetch("SELECT mailbox, event_id FROM link WHERE wanted IS NULL")
    assert [tuple(row) for row in found] == [(ALICE, "second")]


async def waiting(publisher: Publisher, number: int) -> None:
    while await locked(publisher) < number:
        await asyncio.sleep(0.01)


async def locked(publisher: Publisher) -> int:
    """How many transactions of this database wait for another."""
    return await publisher.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
