"""The commands on a real state database, with a publisher beside them and calendars in memory."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import sys
from argparse import ArgumentParser
from asyncio.subprocess import PIPE
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from replica import Publisher

import stack
from builders import ALICE, BOB, CHARLIE, changed, deleted, snapshot
from common import amqp
from common.errors import Configuration, Permanent, Throttled, Transient
from common.messages import MailboxDirty
from common.settings import load
from graph_publisher.commands import COMMANDS
from graph_publisher.deciding import Policy
from graph_publisher.settings import Settings
from graph_publisher.store.retries import RetryStore

REFUSED = Permanent("Graph answered 400 ErrorPropertyValidationFailure", code="EXC-REFUSED", status=400)
NO_LICENCE = Configuration(
    "Graph answered 404 MailboxNotEnabledForRESTAPI",
    code="EXC-MAILBOX-NO-LICENCE",
    scope="mailbox",
    status=404,
)
SECRET = Configuration(
    "Entra ID answered invalid_client", code="EXC-SIGN-IN-SECRET", scope="tenant", status=401
)
CUT = Transient("the connection broke", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


WAITING = """SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
                            WHERE datname = current_database() AND NOT granted)"""


@dataclass
class Shell:
    """A command line beside a running publisher. The broker is away unless a test says otherwise."""

    environ: dict[str, str]
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, line: str) -> tuple[int, str]:
        """Run `graph-publisher LINE`; gives the exit status and all that was printed."""
        name, *words = line.split()
        command = next(one for one in COMMANDS if one.name == name)
        parser = ArgumentParser(prog=name)
        command.arguments(parser)
        self.capsys.readouterr()
        status = await command.run(load(Settings, self.environ), parser.parse_args(words))
        out, err = self.capsys.readouterr()
        return status, out + err

    async def json(self, line: str):
        status, printed = await self(f"{line} --json")
        return status, json.loads(printed)


@pytest.fixture
async def shell(publisher, postgres_server, monkeypatch, capsys) -> Shell:
    name = await publisher.pool.fetchval("SELECT current_database()")
    dsn = urlsplit(postgres_server.dsn)._replace(path=f"/{name}").geturl()

    @asynccontextmanager
    async def client(profiles, **_):
        yield publisher.calendars

    monkeypatch.setattr("common.graph.client.client", client)
    monkeypatch.setattr("graph_publisher.commands.opening.WAKE_SECONDS", 0.05)
    monkeypatch.setattr("graph_publisher.previewing.RATE", 100_000.0)
    environ = {
        "EXCONN_POSTGRES_DSN": dsn,
        "EXCONN_AMQP_URL": f"amqp://nobody:nothing@127.0.0.1:{stack.free_port()}/",
        "EXCONN_INSTALLATION": "test",
        "EXCONN_PROFILES__CONTOSO__TENANT_ID": "t",
        "EXCONN_PROFILES__CONTOSO__CLIENT_ID": "c",
        "EXCONN_PROFILES__CONTOSO__CLIENT_SECRET": "s",
        "EXCONN_PROFILES__CONTOSO__DOMAINS": "contoso.example",
    }
    return Shell(environ, capsys)


async def recompute(publisher: Publisher) -> None:
    """What the running publisher does by itself, seconds later."""
    while await publisher.planner.recompute(publisher.generation):
        pass


async def failed(publisher: Publisher, error: Permanent = REFUSED, appointment: int = 1) -> int:
    """An appointment whose create Graph refused; gives its transaction."""
    publisher.calendars.fail_next("create", error)
    await publisher.plan(changed(snapshot(appointment)))
    await publisher.drain()
    return await publisher.pool.fetchval("SELECT max(id) FROM transaction WHERE status = 'failed'")


async def audit(publisher: Publisher) -> list[tuple[str, str]]:
    assert {row["who"] for row in await publisher.pool.fetch("SELECT who FROM audit")} <= {getpass.getuser()}
    return [tuple(row) for row in await publisher.pool.fetch("SELECT what, subject FROM audit ORDER BY id")]


# mailboxes


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
        f"{ALICE} is released; the broker is away, so it is found a little later\n",
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


# transactions


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


# preview


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


@pytest.mark.parametrize("outbound", [True, False])
async def test_what_ended_before_the_cut_off_date_is_counted_as_such(publisher, shell, outbound):
    publisher.policy = Policy(outbound=outbound, cut_off=date(2027, 3, 2))
    shell.environ["EXCONN_PUBLISHER__CUT_OFF"] = "2027-03-02"
    late = {"start": datetime(2027, 3, 2, 8, tzinfo=UTC), "end": datetime(2027, 3, 2, 9, tzinfo=UTC)}
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2, **late)))

    _, seen = await shell.json("preview")

    assert (seen["totals"]["create"], seen["totals"]["before_cut_off"]) == (1, 1)


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


# the process


async def run(*words: str, **environ: str) -> tuple[int, str, str]:
    """The installed command itself."""
    path = {"PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("graph-publisher"),
        *words,
        env=path | environ,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_json_is_all_that_is_printed(publisher, shell):
    await publisher.plan(changed(snapshot(1)))

    status, out, _ = await run("mailboxes", "list", "--json", **shell.environ)

    assert status == 0
    assert [one["address"] for one in json.loads(out)] == [ALICE]


async def test_wrong_settings_end_with_2_and_no_traceback(shell):
    status, out, err = await run("preview", **shell.environ | {"EXCONN_POSTGRES_DSN": "nonsense"})

    assert (status, out) == (2, "")
    assert "EXCONN_POSTGRES_DSN" in err
    assert "Traceback" not in err


async def test_a_state_database_that_is_away_ends_with_1_and_a_sentence(shell):
    away = {"EXCONN_POSTGRES_DSN": f"postgresql://nobody@127.0.0.1:{stack.free_port()}/nothing"}
    status, out, err = await run("transactions", **shell.environ | away)

    assert (status, out) == (1, "")
    assert "the state database is out of reach" in err
    assert "Traceback" not in err


async def test_a_state_database_without_tables_is_told_in_a_sentence(shell, database):
    shell.environ["EXCONN_POSTGRES_DSN"] = database

    with pytest.raises(Configuration, match=r"python -m common\.db"):
        await shell("mailboxes")
