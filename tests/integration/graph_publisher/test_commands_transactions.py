"""graph-publisher transactions: what happened, and the operations on it."""

from __future__ import annotations

import asyncio
import getpass
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from shell import CUT, audit, failed

from builders import ALICE, BOB, CHARLIE, changed, deleted, snapshot
from common import amqp
from common.messages import MailboxDirty
from graph_publisher.store.retries import RetryStore


async def test_a_list_tells_the_newest_first(publisher, shell):
    await failed(publisher)
    await publisher.plan(changed(snapshot(2, BOB)))
    await publisher.drain()

    _, printed = await shell("transactions")
    _, rows = await shell.json("transactions --status failed")

    lines = printed.splitlines()
    assert [line.split()[3] for line in lines[1:]] == ["2", "1"]
    assert "EXC-REFUSED: Microsoft Graph refused the event's values." in lines[2]
    assert [(row["appointment_id"], row["status"]) for row in rows] == [(1, "failed")]
    assert rows[0]["attempts"][0]["code"] == "EXC-REFUSED"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (f"--mailbox {BOB}", [2]),
        ("--code exc-refused", [1]),
        ("--status succeeded", [3, 2]),
        ("--since 2999-01-01", []),
        ("--since 2020-01-01 --limit 2", [3, 2]),
        ("--archived", []),
    ],
)
async def test_a_filter_chooses(publisher, shell, words, found):
    await failed(publisher)
    await publisher.plan(changed(snapshot(2, BOB)))
    await publisher.plan(changed(snapshot(3, CHARLIE)))
    await publisher.drain()

    status, printed = await shell(f"transactions {words}")

    assert status == 0
    assert [int(line.split()[3]) for line in printed.splitlines()[1:] if "more than" not in line] == found


async def test_the_story_of_an_appointment_is_told_in_order_with_its_calls(publisher, shell):
    await failed(publisher)
    await publisher.plan(changed(snapshot(1, subject="Boiler"), 2))
    await publisher.drain()
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.drain()

    _, printed = await shell("transactions --appointment 1")

    told = [line.strip() for line in printed.splitlines()]
    heads = [line.partition(": ")[2] for line in told if f"for ALICE ({ALICE}):" in line]
    calls = [line.partition("call ")[2].partition(",")[0] for line in told if " call " in line]
    assert heads == [
        f"create for ALICE ({ALICE}): failed",
        f"create for ALICE ({ALICE}): succeeded",
        f"delete for ALICE ({ALICE}): succeeded",
    ]
    assert calls == ["create: failed", "create: ok", "delete: ok"]
    assert "subject: Visit 1 -> Boiler" in told
    assert "replaced by 2" in told


async def test_a_retry_makes_the_link_wanted_again(publisher, shell):
    failure = await failed(publisher)

    status, printed = await shell(f"transactions retry {failure}")
    await publisher.drain()

    assert (status, printed) == (0, f"{failure}: pending again as {failure + 1}\n")
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [
        ("create", "failed", "EXC-REFUSED"),
        ("create", "succeeded", None),
    ]
    row = await publisher.pool.fetchrow(
        "SELECT source, cause, superseded_by, notes FROM transaction WHERE id = 2"
    )
    assert (row["source"], row["cause"], row["superseded_by"]) == ("website", "retry", None)
    assert row["notes"] == [f"retry asked by {getpass.getuser()}"]
    assert await publisher.pool.fetchval("SELECT superseded_by FROM transaction WHERE id = 1") == 2
    assert await audit(publisher) == [("transactions.retried", "transactions")]


async def test_a_retry_wakes_the_mailbox_at_once(publisher, shell):
    failure = await failed(publisher)
    await shell(f"transactions retry {failure}")

    assert await publisher.step() == 1


async def test_a_command_tells_the_publisher_through_the_broker(publisher, shell, vhost, monkeypatch):
    monkeypatch.setattr("graph_publisher.commands.opening.WAKE_SECONDS", 10.0)
    shell.environ["EXCONN_AMQP_URL"] = vhost
    failure = await failed(publisher)
    told: asyncio.Queue[str] = asyncio.Queue()

    async def hear(messages) -> None:
        for message in messages:
            told.put_nowait(message.mailbox)

    async with amqp.connect(vhost, name="tests") as broker:
        listening = asyncio.create_task(broker.consume("tests.mailboxes", (MailboxDirty.type,), hear))
        while await amqp.depth(vhost, "tests.mailboxes") is None:
            await asyncio.sleep(0.01)
        await shell(f"transactions retry {failure}")
        by_retry = await told.get()
        _, printed = await shell(f"mailboxes release {ALICE}")
        by_release = await told.get()
        listening.cancel()

    assert by_retry == by_release == ALICE
    assert printed.splitlines()[-1] == f"{ALICE} is released"


async def test_a_second_retry_changes_nothing(publisher, shell):
    failure = await failed(publisher)
    await shell(f"transactions retry {failure}")

    status, printed = await shell(f"transactions retry {failure} {failure + 1}")

    assert status == 0
    assert printed.splitlines() == [
        f"{failure}: unchanged: transaction {failure + 1} replaced it",
        f"{failure + 1}: unchanged: it is pending, and goes on by itself",
    ]
    assert len(await publisher.transactions()) == 2
    assert len(await audit(publisher)) == 1


async def test_two_who_retry_at_once_get_one_transaction(publisher):
    failures = [await failed(publisher, appointment=number) for number in (1, 2, 3)]
    store = RetryStore(publisher.pool, "test")
    async with publisher.pool.acquire(), publisher.pool.acquire(), publisher.pool.acquire():
        """So that all three are connected when they begin."""

    told = await asyncio.gather(
        *(store.again(order, resend=False, bulk=False) for order in (failures, failures[::-1], failures))
    )

    assert sum(one.refusal is None for answer in told for one in answer) == 3
    assert await publisher.pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 3


async def test_a_retry_beside_a_plan_neither_blocks_nor_loses(publisher):
    failure = await failed(publisher)
    store = RetryStore(publisher.pool, "test")

    await asyncio.gather(
        store.again([failure], resend=False, bulk=False),
        publisher.plan(changed(snapshot(1, subject="newer"), 2)),
    )
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["newer"]
    assert await publisher.pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0


async def test_a_retry_by_filter_takes_only_what_failed_and_is_not_replaced(publisher, shell):
    first = await failed(publisher)
    await shell(f"transactions retry {first}")
    await publisher.drain()
    second = await failed(publisher, appointment=2)

    status, printed = await shell(f"transactions retry --mailbox {ALICE}")

    assert (status, printed) == (0, f"{second}: pending again as {second + 1}\n")
    assert await shell(f"transactions retry --mailbox {ALICE}") == (0, "no transaction is of that kind\n")


async def test_a_retry_by_filter_works_in_bounded_steps_and_waits_behind_fresh_changes(
    publisher, shell, monkeypatch
):
    monkeypatch.setattr("graph_publisher.commands.transactions.BATCH", 2)
    for number in range(1, 6):
        await failed(publisher, appointment=number)

    await shell("transactions retry --status failed --limit 3")

    pending = await publisher.pool.fetch(
        "SELECT t.appointment_id, l.bulk FROM transaction t JOIN link l ON l.id = link_id WHERE status = 'pending'"
    )
    assert sorted(tuple(row) for row in pending) == [(3, True), (4, True), (5, True)]
    assert len(await audit(publisher)) == 2


async def test_a_retry_says_what_must_be_done_first(publisher, shell):
    early = datetime(2027, 3, 1, 7, tzinfo=UTC)
    await publisher.plan(changed(snapshot(1, end=early)))
    invalid = await publisher.pool.fetchval("SELECT max(id) FROM transaction")

    status, printed = await shell(f"transactions retry {invalid} 4711")

    assert status == 1
    assert printed.splitlines() == [
        f"{invalid}: unchanged: The appointment ends before it starts. Correct its times in Dime.Scheduler.",
        "4711: unchanged: there is no such transaction",
    ]
    assert await publisher.pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0


async def test_a_retry_tells_of_a_held_mailbox(publisher, shell):
    failure = await failed(publisher)
    await shell(f"mailboxes hold {ALICE}")

    _, printed = await shell(f"transactions retry {failure}")

    assert printed == f"{failure}: pending again as {failure + 1}, but its mailbox is held\n"


async def test_a_call_of_unknown_outcome_is_left_alone(publisher, shell):
    publisher.calendars.fail_next("create", CUT, applied=True)
    await publisher.plan(changed(snapshot(1)))
    await publisher.step()

    status, printed = await shell("transactions resend 1")
    await publisher.drain()

    assert status == 0
    assert "the outcome of its last call is not known yet" in printed
    assert len(publisher.calendars.events(ALICE)) == 1


async def test_an_ambiguous_one_is_looked_for_again(publisher, shell):
    twins = [publisher.calendars.put(ALICE, {"subject": "Visit 1", "start": "2027-03-01T08:00:00Z",
                                             "end": "2027-03-01T09:00:00Z"}) for _ in range(2)]  # fmt: skip
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    publisher.calendars.remove(ALICE, twins[0].id)

    await shell("transactions retry --code EXC-AMBIGUOUS")
    await publisher.drain()

    assert [event.id for event in publisher.calendars.events(ALICE)] == [twins[1].id]
    assert (await publisher.transactions())[0] == ("create", "failed", "EXC-AMBIGUOUS")


async def test_a_resend_writes_every_field_again(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.change(ALICE, event.id, subject="mine now", reminder=5, categories=["Red"])

    retried = await shell("transactions retry 1")
    status, printed = await shell("transactions resend 1")
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert retried == (0, "1: unchanged: it succeeded; `resend` sends it once more\n")
    assert (status, printed) == (0, "1: pending again as 2\n")
    assert (event.values["subject"], event.values["reminder"], event.values["categories"]) == (
        "Visit 1",
        15,
        [],
    )
    assert await publisher.transactions() == [("create", "succeeded", None), ("update", "succeeded", None)]
    pairs = await publisher.pool.fetchval("SELECT fields FROM link")
    assert all(pair["sent"] == pair["seen"] for pair in pairs.values())
    assert await audit(publisher) == [("transactions.resent", "transactions")]


async def test_a_resend_writes_a_reminder_that_is_off_too(publisher, shell):
    policy = publisher.policy
    publisher.policy = replace(policy, defaults=replace(policy.defaults, reminder="off"))
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.change(ALICE, event.id, reminder=5)

    await shell("transactions resend 1")
    await publisher.drain()

    assert publisher.calendars.events(ALICE)[0].values["reminder"] is None


async def test_what_was_seen_stays_known_until_a_resend_is_answered(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()

    await shell("transactions resend 1")

    pairs = await publisher.pool.fetchval("SELECT fields FROM link")
    assert pairs["subject"]["seen"] == "Visit 1"


async def test_a_deleted_event_is_not_resent(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert await shell("transactions resend 2") == (
        0, "2: unchanged: the event is gone from the calendar, as wanted\n",
    )  # fmt: skip


async def test_a_resend_by_filter_sends_each_event_once(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="Boiler"), 2))
    await publisher.drain()

    _, printed = await shell(f"transactions resend --mailbox {ALICE}")

    assert printed == "2: pending again as 3\n"


async def test_the_archive_takes_what_is_closed_and_gives_it_back(publisher, shell):
    failure = await failed(publisher)
    await publisher.plan(changed(snapshot(2)))

    status, printed = await shell(f"transactions archive {failure} {failure + 1}")
    _, listed = await shell.json("transactions list")
    _, archived = await shell.json("transactions list --archived")
    restored = await shell("transactions restore --code EXC-REFUSED")

    assert (status, printed) == (0, f"{failure}: archived\n{failure + 1}: unchanged: it is still pending\n")
    assert [row["id"] for row in listed] == [failure + 1]
    assert [row["id"] for row in archived] == [failure]
    assert restored == (0, f"{failure}: restored\n")
    assert len((await shell.json("transactions"))[1]) == 2
    assert await audit(publisher) == [
        ("transactions.archived", "transactions"), ("transactions.restored", "transactions"),
    ]  # fmt: skip


@pytest.mark.parametrize("action", ["retry", "resend", "archive", "restore"])
async def test_an_operation_on_nothing_is_wrong_usage(shell, action):
    status, printed = await shell(f"transactions {action}")

    assert status == 2
    assert "name ids, or choose by" in printed
