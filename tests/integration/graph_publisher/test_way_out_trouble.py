"""The way out while Graph fails, throttles or refuses: nothing is lost, nothing is there twice."""

from __future__ import annotations

from replica import Publisher

from builders import ALICE, BOB, changed, deleted, snapshot
from common.errors import Configuration, Permanent, Throttled, Transient
from graph_publisher import writing


async def test_a_create_answered_503_after_the_fact_makes_one_event(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    error = Transient("Graph answered 503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)
    publisher.calendars.fail_next("create", error, applied=True)
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_create_that_never_arrived_is_sent_again(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    error = Transient("cut", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)
    publisher.calendars.fail_next("create", error, applied=False)
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1"]


async def test_a_deletion_waits_for_an_unknown_create(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    error = Transient("cut", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)
    publisher.calendars.fail_next("create", error, applied=True)
    await publisher.step()
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert [status for _, status, _ in await publisher.transactions()] == ["succeeded", "succeeded"]


async def test_an_update_of_unknown_outcome_is_looked_at(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="moved"), 2))
    error = Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)
    publisher.calendars.fail_next("update", error, applied=False)
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["moved"]
    assert await publisher.transactions() == [("create", "succeeded", None), ("update", "succeeded", None)]


async def test_an_item_that_graph_refuses_fails_and_others_flow(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2)))
    publisher.calendars.fail_next(
        "create", Permanent("Graph answered 400", code="EXC-REFUSED"), applied=False
    )
    await publisher.drain()

    assert len(publisher.subjects(ALICE)) == 1
    statuses = [(await publisher.transactions(number))[0][1] for number in (1, 2)]
    assert sorted(statuses) == ["failed", "succeeded"]


async def test_a_mailbox_without_access_is_held_and_heals(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))
    denied = Configuration("403", code="EXC-MAILBOX-NO-ACCESS", scope="mailbox", status=403)
    publisher.calendars.fail_next("settings", denied, applied=False, mailbox=ALICE)
    await publisher.step()
    held = await publisher.pool.fetchrow(
        "SELECT state, state_code, hold_until > now() AS held FROM mailbox WHERE address = $1", ALICE
    )
    before = (publisher.subjects(ALICE), publisher.subjects(BOB))
    await publisher.drain()

    assert tuple(held) == ("no access", "EXC-MAILBOX-NO-ACCESS", True)
    assert before == ([], ["Visit 1"])
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.pool.fetchval("SELECT state FROM mailbox WHERE address = $1", ALICE) == "active"


async def test_a_refused_sign_in_holds_the_tenant_and_fails_nothing(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))
    refused = Configuration("AADSTS7000215", code="EXC-SIGN-IN-SECRET", scope="tenant")
    publisher.calendars.fail_next("settings", refused, applied=False)
    publisher.calendars.fail_next("settings", refused, applied=False)
    await publisher.step()
    again = await publisher.step()

    assert again == 0
    assert await publisher.pool.fetchval("SELECT state_code FROM tenant") == "EXC-SIGN-IN-SECRET"
    assert {status for _, status, _ in await publisher.transactions()} == {"pending"}


async def test_throttling_holds_the_mailbox_for_as_long_as_asked(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    publisher.calendars.fail_next(
        "create", Throttled("429", retry_after=90, code="EXC-THROTTLED"), applied=False
    )
    await publisher.step()

    waits = await publisher.pool.fetchval("SELECT extract(epoch FROM hold_until - now()) FROM mailbox")
    assert 85 < waits < 130


async def test_a_killed_holders_create_is_settled_by_the_next(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    (due,) = await publisher.lanes.due(lease, 10)
    values = {"subject": "Visit 1"}
    attempt = await writing._intend(due, turn, "create", values, transaction=True)
    await publisher.elapse()  # killed here: nobody knows whether the call was made
    await publisher.replica("two").drain()

    assert attempt is not None
    assert publisher.subjects(ALICE) == ["Visit 1"]
