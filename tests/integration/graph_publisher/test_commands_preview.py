"""graph-publisher preview: what a first sync would do, without any write."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest
from replica import Publisher
from shell import NO_LICENCE, failed

from builders import ALICE, BOB, changed, snapshot
from common.errors import Throttled
from graph_publisher.deciding import Policy


def person(publisher: Publisher, mailbox: str = ALICE, subject: str = "Visit 1") -> str:
    values = {"subject": subject, "start": "2027-03-01T08:00:00Z", "end": "2027-03-01T09:00:00Z"}
    return publisher.calendars.put(mailbox, values).id


def rows_of(publisher: Publisher):
    tables = (
        "appointment",
        "link",
        "mailbox",
        "transaction",
        "attempt",
        "tenant",
        "audit",
        "once_ours",
        "look",
    )
    return asyncio.gather(
        *(
            publisher.pool.fetchval(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {one} t")
            for one in tables
        )
    )


async def test_a_preview_tells_what_would_be_made_adopted_and_asked(publisher, shell):
    publisher.policy = Policy(outbound=False)
    person(publisher, ALICE, "Visit 1")
    person(publisher, ALICE, "Visit 2")
    person(publisher, ALICE, "Visit 2")
    await publisher.plan(*(changed(snapshot(number, ALICE, BOB), cause="backfill") for number in (1, 2, 3)))
    before = await rows_of(publisher)

    status, seen = await shell.json("preview --details")
    _, printed = await shell("preview")

    alice, bob = seen["mailboxes"]
    assert status == 0
    assert (alice["create"], alice["adopt"], alice["ask"]) == (1, 1, 1)
    assert (bob["create"], bob["adopt"], bob["ask"]) == (3, 0, 0)
    assert (seen["totals"]["create"], seen["totals"]["adopt"], seen["totals"]["ask"]) == (4, 1, 1)
    assert {row["appointment"]: (row["would"], row["events"]) for row in alice["appointments"]} == {
        1: ("adopt", 1), 2: ("ask", 2), 3: ("create", None),
    }  # fmt: skip
    assert printed.splitlines()[-1].split()[:4] == ["total", "4", "1", "1"]
    assert await rows_of(publisher) == before
    assert {operation for operation, _, _ in publisher.calendars.calls} <= {
        "settings",
        "ours",
        "view",
        "read",
    }


async def test_a_preview_comes_true(publisher, shell):
    person(publisher)
    await publisher.plan(*(changed(snapshot(number), cause="backfill") for number in (1, 2)))
    _, seen = await shell.json("preview")

    await publisher.drain()

    assert (seen["totals"]["adopt"], seen["totals"]["create"]) == (1, 1)
    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2"]
    assert await shell("preview") == (
        0,
        "nothing waits for a first sync: every link has its event, or wants none\n",
    )


async def test_what_was_planned_after_the_first_sync_takes_over_nothing(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    person(publisher, ALICE, "Visit 2")
    await publisher.plan(changed(snapshot(2)))

    _, seen = await shell.json("preview")
    await publisher.drain()

    assert (seen["totals"]["create"], seen["totals"]["adopt"]) == (1, 0)
    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2", "Visit 2"]


@pytest.mark.parametrize("outbound", [True, False])
async def test_what_ended_before_the_cut_off_date_is_counted_as_such(publisher, shell, outbound):
    publisher.policy = Policy(outbound=outbound, cut_off=date(2027, 3, 2))
    shell.environ["EXCONN_PUBLISHER__CUT_OFF"] = "2027-03-02"
    late = {"start": datetime(2027, 3, 2, 8, tzinfo=UTC), "end": datetime(2027, 3, 2, 9, tzinfo=UTC)}
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2, **late)))

    _, seen = await shell.json("preview")

    assert (seen["totals"]["create"], seen["totals"]["before_cut_off"]) == (1, 1)


async def test_events_that_a_lost_state_database_left_behind_are_counted(publisher, shell):
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.pool.execute("TRUNCATE appointment, link, mailbox, transaction, attempt CASCADE")
    await publisher.plan(changed(snapshot(2), cause="backfill"))

    _, seen = await shell.json("preview")

    assert (seen["totals"]["create"], seen["totals"]["left_behind"]) == (1, 1)


async def test_a_preview_mends_no_state(publisher, shell):
    """Only a lane may tell that a mailbox is well again."""
    publisher.calendars.fail_next("settings", NO_LICENCE)
    await publisher.plan(changed(snapshot(1)))
    await publisher.step()
    await publisher.pool.execute("UPDATE mailbox SET hold_until = now()")

    status, _ = await shell("preview")

    assert status == 0
    assert await publisher.pool.fetchval("SELECT state FROM mailbox") == "no licence"


async def test_what_failed_is_counted_apart(publisher, shell):
    await failed(publisher)
    await publisher.plan(changed(snapshot(2)))

    _, seen = await shell.json("preview")

    assert (seen["totals"]["create"], seen["totals"]["failed"]) == (1, 1)


async def test_a_preview_of_one_mailbox_leaves_the_others_alone(publisher, shell):
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))

    _, seen = await shell.json(f"preview {BOB}")

    assert [one["address"] for one in seen["mailboxes"]] == [BOB]
    assert {mailbox for _, mailbox, _ in publisher.calendars.calls} == {BOB}


async def test_trouble_with_one_mailbox_stays_with_it(publisher, shell):
    publisher.calendars.fail_next("ours", NO_LICENCE, mailbox=ALICE)
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))

    status, printed = await shell("preview")

    assert status == 1
    assert f"{ALICE}: EXC-MAILBOX-NO-LICENCE: The mailbox has no licence" in printed
    assert printed.splitlines()[3].split()[:2] == ["total", "1"]


async def test_a_hold_binds_a_preview_too(publisher, shell):
    throttled = Throttled("Graph answered 429", retry_after=600, code="EXC-THROTTLED", status=429)
    publisher.calendars.fail_next("settings", throttled)
    await publisher.plan(changed(snapshot(1)))
    await publisher.step()
    publisher.calendars.calls.clear()

    status, seen = await shell.json("preview")

    assert status == 1
    assert seen["mailboxes"][0]["fault"]["code"] == "EXC-THROTTLED"
    assert seen["mailboxes"][0]["not_looked_at"] == 1
    assert publisher.calendars.calls == []


async def test_a_preview_names_only_our_own_appointments(publisher, shell):
    person(publisher, ALICE, "Doctor")
    await publisher.plan(changed(snapshot(1)))

    _, printed = await shell("preview --details")

    assert "Visit 1" in printed
    assert "Doctor" not in printed
