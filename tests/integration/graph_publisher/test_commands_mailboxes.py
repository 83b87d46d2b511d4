"""graph-publisher mailboxes: the switches of a mailbox."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from replica import Publisher
from shell import NO_LICENCE, SECRET, audit

from builders import ALICE, BOB, changed, snapshot

WAITING = """SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
                            WHERE datname = current_database() AND NOT granted)"""


async def recompute(publisher: Publisher) -> None:
    """What the running publisher does by itself, seconds later."""
    while await publisher.planner.recompute(publisher.generation):
        pass


async def test_an_address_alone_is_listed(publisher, shell):
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))

    status, printed = await shell(f"mailboxes {ALICE}")

    assert status == 0
    assert ALICE in printed
    assert BOB not in printed


async def test_a_list_tells_each_mailbox_with_what_holds_it(publisher, shell):
    publisher.calendars.fail_next("settings", NO_LICENCE, mailbox=ALICE)
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))
    await publisher.step()

    status, (alice, bob) = await shell.json("mailboxes")
    _, printed = await shell(f"mailboxes list {ALICE}")

    assert status == 0
    assert (alice["address"], alice["profile"], alice["state"], alice["code"]) == (
        ALICE, "contoso", "no licence", "EXC-MAILBOX-NO-LICENCE",
    )  # fmt: skip
    assert alice["pending"] == 1
    assert alice["hold_until"] and not alice["held"]
    assert (bob["state"], bob["pending"], bob["outbound"], bob["code"]) == ("active", 0, True, None)
    assert bob["last_success"]
    assert "The mailbox has no licence" in printed
    assert BOB not in printed


async def test_a_tenant_that_cannot_sign_in_shows_at_its_mailboxes(publisher, shell):
    publisher.calendars.fail_next("settings", SECRET)
    await publisher.plan(changed(snapshot(1)))
    await publisher.step()

    _, (alice,) = await shell.json("mailboxes")

    assert (alice["state"], alice["code"]) == ("sign-in", "EXC-SIGN-IN-SECRET")


async def test_a_mailbox_of_a_domain_that_nobody_serves_says_so(publisher, shell):
    await publisher.plan(changed(snapshot(1, "zoe@nowhere.example")))

    _, (zoe,) = await shell.json("mailboxes")

    assert (zoe["state"], zoe["code"]) == ("no profile", "EXC-NO-PROFILE")


async def test_an_unknown_address_is_a_failure(shell):
    assert await shell(f"mailboxes list {ALICE}") == (
        1, f"the mailbox {ALICE} is not known: no appointment was ever planned for it\n",
    )  # fmt: skip
    assert (await shell(f"mailboxes release {ALICE}"))[0] == 1


async def test_a_long_list_says_that_there_is_more(publisher, shell):
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))

    _, printed = await shell("mailboxes --limit 1")

    assert ALICE in printed and BOB not in printed
    assert "more than 1" in printed


async def test_a_disabled_mailbox_is_frozen_and_an_enabled_one_catches_up(publisher, shell):
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))
    assert (await shell(f"mailboxes disable {ALICE.title()}"))[0] == 0
    await recompute(publisher)
    await publisher.drain()
    while_off = publisher.subjects(ALICE), publisher.subjects(BOB)

    status, printed = await shell(f"mailboxes enable {ALICE}")
    await recompute(publisher)
    await publisher.drain()

    assert while_off == ([], ["Visit 1"])
    assert (status, printed) == (0, f"{ALICE} is switched on; 1 appointments are decided on anew\n")
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert len(publisher.calendars.events(BOB)) == 1
    assert await audit(publisher) == [("mailbox.disabled", ALICE), ("mailbox.enabled", ALICE)]


async def test_a_mailbox_can_be_disabled_before_it_is_known(publisher, shell):
    await shell(f"mailboxes disable {ALICE}")
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert await publisher.transactions() == [("create", "skipped", "EXC-DIRECTION-OFF")]
    assert (await shell.json("mailboxes"))[1][0]["profile"] == "contoso"


async def test_a_switch_reaches_every_appointment_in_bounded_steps(publisher, shell, monkeypatch):
    monkeypatch.setattr("graph_publisher.commands.mailboxes.BATCH", 2)
    await publisher.plan(*(changed(snapshot(number)) for number in range(1, 6)), changed(snapshot(9, BOB)))

    _, printed = await shell(f"mailboxes disable {ALICE}")

    left = await publisher.pool.fetch("SELECT id FROM appointment WHERE generation = 0 ORDER BY id")
    assert [row["id"] for row in left] == [1, 2, 3, 4, 5]
    assert "5 appointments" in printed


async def test_a_switch_waits_for_plans_that_were_made_on_the_old_position(publisher, shell):
    """Without it their links would be frozen, or sent, for good: nobody would decide on them again."""
    async with publisher.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO appointment (id, guid, epoch, version) VALUES (7, gen_random_uuid(), 1, 1)"
        )
        switching = asyncio.create_task(shell(f"mailboxes disable {ALICE}"))
        while not (switching.done() or await publisher.pool.fetchval(WAITING)):
            await asyncio.sleep(0.01)
        await connection.execute("INSERT INTO mailbox (address) VALUES ($1) ON CONFLICT DO NOTHING", ALICE)
        await connection.execute(
            """INSERT INTO link (appointment_id, appointment_guid, resource_no, mailbox)
                   SELECT id, guid, 'ALICE', $1 FROM appointment""",
            ALICE,
        )
    _, printed = await switching

    assert "1 appointments" in printed


async def test_a_held_mailbox_waits_until_it_is_released(publisher, shell):
    await shell(f"mailboxes hold {ALICE}")
    await publisher.plan(changed(snapshot(1)))
    await publisher.elapse()
    worked = await publisher.step()
    _, (held,) = await shell.json("mailboxes")

    status, printed = await shell(f"mailboxes release {ALICE}")
    await publisher.drain()

    assert worked == 0
    assert (held["state"], held["held"], held["pending"]) == ("held", True, 1)
    assert (status, printed) == (
        0,
        f"{ALICE} is released; no publisher could be told, so it is found by the next sweep\n",
    )
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await audit(publisher) == [("mailbox.held", ALICE), ("mailbox.released", ALICE)]


async def test_a_release_ends_a_hold_by_trouble_and_that_of_the_tenant(publisher, shell):
    publisher.calendars.fail_next("settings", SECRET)
    await publisher.plan(changed(snapshot(1)))
    await publisher.step()

    await shell(f"mailboxes release {ALICE}")

    assert await publisher.step() == 1
    assert publisher.subjects(ALICE) == ["Visit 1"]


async def test_a_test_says_that_all_works(publisher, shell):
    now = datetime.now(UTC)
    publisher.calendars.put(ALICE, {"start": f"{now:%Y-%m-%d}T00:00:00Z", "end": "2999-01-01T00:00:00Z"})
    publisher.calendars.set_time_zone(ALICE, "W. Europe Standard Time")

    status, printed = await shell(f"mailboxes test {ALICE}")

    assert status == 0
    assert printed.splitlines() == [
        "profile   contoso",
        "sign-in   ok",
        "settings  ok: time zone 'W. Europe Standard Time'",
        "listing   ok: 1 events in the next 24 hours",
    ]


async def test_a_test_names_the_step_that_fails_with_advice(publisher, shell):
    publisher.calendars.fail_next("view", NO_LICENCE)

    status, printed = await shell(f"mailboxes test {ALICE}")

    assert status == 1
    assert "settings  ok" in printed
    assert "listing   EXC-MAILBOX-NO-LICENCE: The mailbox has no licence" in printed
    assert "Assign a licence." in printed


async def test_a_test_without_sign_in_tries_nothing_else(publisher, shell):
    publisher.calendars.fail_next("settings", SECRET)

    status, printed = await shell(f"mailboxes test {ALICE}")

    assert status == 1
    assert "sign-in   EXC-SIGN-IN-SECRET" in printed
    assert "listing   not tried" in printed
    assert publisher.calendars.calls == [("settings", ALICE, None)]


async def test_a_test_of_a_domain_that_nobody_serves_fails(shell):
    status, printed = await shell("mailboxes test zoe@nowhere.example")

    assert status == 1
    assert "EXC-NO-PROFILE" in printed
