"""Writers, readers, messages and lanes in any order end with calendars that show the planning, each event once.

Lanes are killed, answered wrongly, or so late that their mailbox is another's; the state database is lost; events
are out of sight for a while.

The planning and the readers are a model of a few lines; plan, lanes and the state database are the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from convergence.plans import KNOWN, Plan, steps
from convergence.slow_calendars import SlowCalendars
from convergence.world import TABLES, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replica import Publisher

import stack
from common import db


@pytest.mark.parametrize("name", KNOWN)
async def test_a_known_danger_loses_and_doubles_nothing(pool: db.Pool, name: str) -> None:
    world = await played(pool, KNOWN[name])

    await check_that_all_ended_well(world)


@pytest.fixture(scope="module")
def state(postgres_server: stack.Postgres, migrated: str) -> Iterator[str]:
    dsn = stack.fresh_database(postgres_server, template=migrated)
    yield dsn
    stack.drop_database(dsn)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(plan=st.lists(steps, min_size=5, max_size=60))
def test_no_interleaving_loses_or_doubles_a_change(state: str, plan: Plan) -> None:
    asyncio.run(check_that_it_ends_well(state, plan))


async def check_that_it_ends_well(dsn: str, plan: Plan) -> None:
    """On a state database that is emptied first; hypothesis plays many plans in one test."""
    async with db.pool(dsn, application_name="tests") as pool:
        await pool.execute(f"TRUNCATE {TABLES} CASCADE")
        world = await played(pool, plan)

        await check_that_all_ended_well(world)


async def played(pool: db.Pool, plan: Plan) -> World:
    """The world after a plan, when nothing is under way any more."""
    one = Publisher(pool, SlowCalendars(), name="one")
    world = World([one, replace(one, name="two")])
    for name, *arguments in plan:
        await getattr(world, name)(*arguments)
    await world.settle()
    return world


async def check_that_all_ended_well(world: World) -> None:
    """No event is missing or there twice, no call or transaction is left open, and none failed."""
    count = world.publishers[0].pool.fetchval
    assert world.twice() == []
    assert world.missing() == []
    # A calendar in which nothing is to be made is not listed: what a lost database knew of it stays.
    assert world.lost or world.shown() == world.wanted()
    assert await count("SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'") == 0
    assert await count("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0
    assert await count("SELECT count(*) FROM transaction WHERE status = 'failed'") == 0
