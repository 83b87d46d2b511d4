"""Plans and lanes at the same moment must lose nothing."""

from __future__ import annotations

import asyncio

from integration.graph_publisher.dangers import link
from replica import Publisher

from builders import ALICE, BOB, changed, deleted, snapshot
from graph_publisher import lane
from graph_publisher.adopting import Adopter


async def test_a_plan_sees_the_call_that_a_lane_began_while_it_waited(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    (due,) = await publisher.lanes.due(lease, 10)
    async with publisher.pool.acquire() as connection:
        lane_commits = connection.transaction()
        await lane_commits.start()
        await connection.execute("SELECT 1 FROM link FOR UPDATE")
        await connection.execute(
            """INSERT INTO attempt (link_id, operation, want_seq, lease_token, settled_after)
               VALUES ($1, 'create', 1, $2, now())""",
            due.id, lease.token,
        )  # fmt: skip
        plan = asyncio.create_task(publisher.plan(deleted(snapshot(1), 2)))
        await _until_somebody_waits(publisher)
        await lane_commits.commit()
        await plan

    now = await link(publisher)
    assert now["want_seq"] > now["done_seq"]
    assert (await publisher.transactions())[-1] == ("delete", "pending", None)


async def _until_somebody_waits(publisher: Publisher) -> None:
    while not await publisher.pool.fetchval(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    ):
        await asyncio.sleep(0.01)


async def test_a_change_that_is_planned_while_its_lane_leaves_is_not_forgotten(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await lane._work_off(turn, Adopter(publisher.adoptions))
    async with publisher.pool.acquire() as connection:
        planned = connection.transaction()
        await planned.start()
        await connection.execute("UPDATE mailbox SET wakes = wakes + 1, work_bulk = false")
        leaving = asyncio.create_task(turn.release())
        await _until_somebody_waits(publisher)
        await planned.commit()
        await leaving

    told = await publisher.pool.fetchrow("SELECT work_at <= now() AS due, work_bulk FROM mailbox")
    assert tuple(told) == (True, False)


async def test_plans_lanes_and_sweeps_at_once_lose_nothing(publisher: Publisher) -> None:
    replicas = [publisher, publisher.replica("two")]

    async def planning(which: Publisher, first: int) -> None:
        for version in range(1, 6):
            await which.plan(
                *(
                    changed(snapshot(n, ALICE, BOB, subject=f"{n}.{version}"), version)
                    for n in range(first, first + 6)
                )
            )

    async def working(which: Publisher) -> None:
        for _ in range(15):
            await which.step()
            await which.lanes.sweep()
            await asyncio.sleep(0)

    await asyncio.gather(
        planning(publisher, 1),
        planning(publisher, 4),
        planning(publisher, 4),
        *(working(one) for one in replicas),
    )
    await publisher.drain()

    assert publisher.subjects(ALICE) == publisher.subjects(BOB) == [f"{n}.5" for n in range(1, 10)]
