"""Switches and holds of a mailbox or a tenant must be neither passed, hidden nor counted twice."""

from __future__ import annotations

import asyncio

import pytest
import replica
from integration.graph_publisher.dangers import unknown
from replica import Publisher

from builders import ALICE, changed, snapshot
from common.errors import Configuration, Throttled
from graph_publisher import writing


async def test_a_disabled_mailbox_gets_no_further_call(publisher: Publisher) -> None:
    await publisher.plan(*(changed(snapshot(n)) for n in range(1, 4)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await publisher.pool.execute("UPDATE mailbox SET outbound = false")
    for due in await publisher.lanes.due(lease, 10):
        await writing.work(due, turn)

    assert publisher.calendars.events(ALICE) == []


async def test_a_call_that_holds_the_mailbox_stops_the_one_beside_it(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    (due,) = await publisher.lanes.due(lease, 10)
    await turn.trouble(Throttled("429", retry_after=60, code="EXC-THROTTLED"))
    await writing.work(due, turn)

    assert [call for call in publisher.calendars.calls if call[0] == "create"] == []


async def test_success_beside_a_throttled_call_does_not_end_the_hold(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await turn.trouble(Throttled("429", retry_after=60, code="EXC-THROTTLED"))
    await turn.paid(turn.calendar.settings)

    assert await publisher.pool.fetchval("SELECT hold_until > now() FROM mailbox")


async def test_three_calls_that_fail_at_once_grow_a_hold_by_one_step(publisher: Publisher) -> None:
    await publisher.plan(*(changed(snapshot(n)) for n in range(1, 4)))
    for _ in range(3):
        publisher.calendars.fail_next("create", unknown())
    await publisher.step()

    told = await publisher.pool.fetchrow(
        "SELECT hold_count, extract(epoch FROM hold_until - now()) AS seconds FROM mailbox"
    )
    assert told["hold_count"] == 1
    assert told["seconds"] < 2


async def test_holds_grow_and_begin_anew_after_a_write(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    counts = []
    for _ in range(4):
        publisher.calendars.fail_next("create", Throttled("429", retry_after=0, code="EXC-THROTTLED"))
        await publisher.step()
        counts.append(await publisher.pool.fetchval("SELECT hold_count FROM mailbox"))
        await publisher.elapse()
    await publisher.drain()

    assert counts == [1, 2, 3, 4]
    assert await publisher.pool.fetchval("SELECT hold_count FROM mailbox") == 0


async def test_a_persons_hold_is_not_hidden_by_trouble(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    await publisher.pool.execute("UPDATE mailbox SET state = 'held', hold_until = 'infinity'")
    await publisher.turn(lease).trouble(Throttled("429", retry_after=9, code="EXC-THROTTLED"))

    assert await publisher.pool.fetchval("SELECT state FROM mailbox") == "held"


async def test_a_mailbox_that_no_profile_serves_says_so_and_follows_the_settings(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = "dora@fabrikam.example"
    await publisher.plan(changed(snapshot(1, stranger)))
    await publisher.drain()
    lost = await publisher.pool.fetchrow("SELECT state, state_code FROM mailbox")
    told = await publisher.transactions()
    monkeypatch.setattr(replica, "profile_of", lambda _mailbox: replica.PROFILE)
    publisher.generation = 2
    while await publisher.planner.recompute(2):
        pass
    await publisher.drain()

    assert tuple(lost) == ("no profile", "EXC-NO-PROFILE")
    assert told == [("create", "pending", "EXC-NO-PROFILE")]
    assert publisher.subjects(stranger) == ["Visit 1"]
    assert await publisher.pool.fetchval("SELECT state FROM mailbox") == "active"
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_tenants_trouble_counts_once_for_many_lanes(publisher: Publisher) -> None:
    boxes = [f"m{n}@contoso.example" for n in range(12)]
    await publisher.plan(changed(snapshot(1, *boxes)))
    leases = await publisher.take(12)
    trouble = Configuration("AADSTS", code="EXC-SIGN-IN-SECRET", scope="tenant")
    await asyncio.gather(*(publisher.turn(lease).trouble(trouble) for lease in leases))

    assert await publisher.pool.fetchval("SELECT hold_count FROM tenant") == 1
