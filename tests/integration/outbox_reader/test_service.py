import asyncio
import json
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from urllib.error import HTTPError
from urllib.request import urlopen

import aio_pika
import pytest

import stack
from common import db
from common.messages import AppointmentChanged

from .conftest import HOUR, START, eventually


@pytest.fixture
def environment(planning_dsn, state_dsn, vhost, odbc):
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("EXCONN_")},
        **odbc,
        "EXCONN_AMQP_URL": vhost,
        "EXCONN_POSTGRES_DSN": state_dsn,
        "EXCONN_PLANNING_ODBC": stack.planning_odbc(planning_dsn),
        "EXCONN_PLANNING_DIALECT": "postgresql",
        "EXCONN_INSTALLATION": "test",
        "EXCONN_OPS_HOST": "127.0.0.1",
        "EXCONN_OPS_PORT": "0",
        "EXCONN_LOG_FORMAT": "json",
        "EXCONN_READER__LEASE_S": "15",
        "EXCONN_READER__POLL_MAX_S": "0.1",
    }


@asynccontextmanager
async def reading(environment):
    """A running outbox-reader; gives the process, its ops port, and the lines that it logs until its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "outbox_reader", env=environment, stdout=subprocess.PIPE
    )
    try:
        line = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        drain = asyncio.create_task(process.stdout.read())
        yield process, line["ops_port"], asyncio.ensure_future(_lines(drain))
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 30) == 0
        await drain
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _lines(drain):
    return (await drain).decode().splitlines()


@asynccontextmanager
async def queue(vhost):
    """What graph-publisher would get."""
    connection = await aio_pika.connect(vhost)
    channel = await connection.channel()
    exchange = await channel.declare_exchange("exconn", "topic", durable=True)
    declared = await channel.declare_queue("test.appointments")
    await declared.bind(exchange, AppointmentChanged.type)
    try:
        yield declared
    finally:
        await connection.close()


async def take(queue_, number):
    async with asyncio.timeout(30):
        while True:
            message = await queue_.get(no_ack=True, fail=False)
            if message is None:
                await asyncio.sleep(0.02)
                continue
            told = AppointmentChanged.parse(message.body)
            if told.appointment_id == number:
                return told


async def ready(port):
    def ask():
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                return json.load(answer)["ready"]
        except OSError:
            return False

    return await asyncio.to_thread(ask)


async def reasons(port):
    """What /readyz names, with the status of the answer."""

    def ask():
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                return answer.status, json.load(answer)["reasons"]
        except HTTPError as refusal:
            with refusal:
                return refusal.code, json.load(refusal)["reasons"]

    return await asyncio.to_thread(ask)


@pytest.fixture
def bare_dsn(postgres_server):
    """A state database without tables."""
    dsn = stack.fresh_database(postgres_server)
    yield dsn
    stack.drop_database(dsn)


async def test_without_tables_it_is_not_ready_says_so_once_and_works_once_they_are_there(
    environment, bare_dsn, vhost, planner, sql
):
    number = await planner.add_appointment("Waits", START, START + HOUR)
    bare = environment | {"EXCONN_POSTGRES_DSN": bare_dsn}

    async with queue(vhost) as appointments, reading(bare) as (_, port, log):
        await eventually(lambda: named(port, "planning", None))
        await eventually(lambda: named(port, "postgresql", "migrations are missing: run python -m common.db"))
        await eventually(lambda: named(port, "rabbitmq", None))
        status, _ = await reasons(port)
        claimed = await sql.fetchval("SELECT max(Attempts) FROM exconn.Outbox")
        await db.migrate(bare_dsn)
        told = await take(appointments, number)

    assert (status, claimed, told.snapshot.subject) == (503, 0, "Waits")
    lines = [json.loads(line) for line in await log]
    assert [line["reason"] for line in lines if line["event"] == "state.waited_for"] == [
        "the state database lacks migrations: run python -m common.db"
    ]
    assert not [line for line in lines if line["level"] == "error"]


async def named(port, name, reason):
    return (await reasons(port))[1].get(name, "") == reason


@pytest.mark.parametrize("words", [("backfill", "--from", "2026-01-01"), ("replay", "--since", "2026-01-01")])
async def test_commands_say_in_a_sentence_that_the_state_database_cannot_be_used(
    environment, bare_dsn, words
):
    away = "postgresql://postgres@127.0.0.1:1/none"

    bare = await command(environment | {"EXCONN_POSTGRES_DSN": bare_dsn}, *words)
    gone = await command(environment | {"EXCONN_POSTGRES_DSN": away}, *words)

    assert (bare[0], gone[0]) == (1, 1)
    assert bare[2] == (
        "outbox-reader: EXC-STATE-UNAVAILABLE: the state database lacks migrations: run python -m common.db\n"
    )
    assert gone[2].count("\n") == 1 and "EXC-STATE-UNAVAILABLE" in gone[2]


async def test_changes_reach_the_broker(environment, vhost, planner):
    async with queue(vhost) as appointments, reading(environment) as (_, port, _):
        number = await planner.add_appointment("Over the wire", START, START + HOUR, ["ALICE"])

        told = await take(appointments, number)
        assert told.snapshot.subject == "Over the wire"
        await eventually(lambda: ready(port))


async def test_a_killed_reader_loses_nothing(environment, vhost, planner, sql):
    async with queue(vhost) as appointments:
        async with reading(environment) as (process, _, _):
            numbers = [await planner.add_appointment(f"A{n}", START, START + HOUR) for n in range(40)]
            await take(appointments, numbers[0])
            process.kill()
            await process.wait()
        await planner.edit(numbers[0], subject="changed while nobody read")
        await sql.execute("UPDATE exconn.Outbox SET LeaseUntil = now() AT TIME ZONE 'utc' WHERE State = 1")

        async with reading(environment):
            await eventually(lambda: empty(sql), 40)

        newest = {}
        while message := await appointments.get(no_ack=True, fail=False):
            told = AppointmentChanged.parse(message.body)
            newest[told.appointment_id] = max(
                newest.get(told.appointment_id, told), told, key=lambda m: m.version
            )
        assert newest[numbers[0]].snapshot.subject == "changed while nobody read"


async def empty(sql):
    return await sql.fetchval("SELECT count(*) FROM exconn.Outbox WHERE State IN (0, 1)") == 0


async def command(environment, *arguments):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "outbox_reader",
        *arguments,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_check_names_every_neighbour(environment, sql):
    status, out, err = await command(environment, "check")
    assert (status, [line.split() for line in out.splitlines()]) == (
        0,
        [["planning", "ok"], ["postgresql", "ok"], ["rabbitmq", "ok"]],
    ), err
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox") == 0

    await sql.execute("DROP TABLE exconn.State")
    status, out, _ = await command(
        environment | {"EXCONN_AMQP_URL": "amqp://guest:guest@127.0.0.1:1/"}, "check"
    )

    assert status == 1
    planning, postgres, broker = out.splitlines()
    assert "EXC-PLANNING-SCHEMA" in planning
    assert postgres.split() == ["postgresql", "ok"]
    assert "cannot connect" in broker


async def test_settings_faults_are_told_all_at_once(environment):
    status, _, err = await command(
        environment
        | {
            "EXCONN_PLANNING_TIMEZONE": "Middle/Earth",
            "EXCONN_READER__BATCH_SIZE": "0",
            "EXCONN_PLANNING_DIALECT": "oracle",
        }
    )

    assert status == 2
    assert "EXCONN_PLANNING_TIMEZONE" in err
    assert "EXCONN_READER__BATCH_SIZE" in err
    assert "EXCONN_PLANNING_DIALECT" in err
    assert "Traceback" not in err


async def test_schema_prints_sql(environment):
    status, out, _ = await command({"PATH": os.environ["PATH"]}, "schema", "--dialect", "postgresql")

    assert status == 0
    assert "CREATE TABLE IF NOT EXISTS exconn.Outbox" in out


async def test_backfill_and_replay_are_commands(environment, planner, sql):
    await planner.add_appointment("Old", START, START + HOUR)
    await sql.execute("DELETE FROM exconn.Outbox")

    dry = await command(environment, "backfill", "--from", "2026-01-01", "--dry-run")
    assert dry[0] == 0 and "1 read, 1 differ" in dry[1]
    assert await sql.fetchval("SELECT count(*) FROM exconn.Outbox") == 0
    status, out, err = await command(environment, "backfill", "--from", "2026-01-01")
    assert (status, "1 enqueued" in out) == (0, True), err
    replayed = await command(environment, "replay", "--since", "2026-01-01T00:00")
    assert replayed[:2] == (0, "replay: 0 rows enqueued again\n")
    wrong = await command(environment, "backfill", "--from", "yesterday")

    assert wrong[0] == 2 and "Traceback" not in wrong[2]


async def test_a_planning_that_is_away_is_one_line(environment):
    nowhere = (
        "Driver={PostgreSQL Unicode};Server=127.0.0.1;Port=1;Database=none;Uid=postgres;Pwd=hidden-secret"
    )

    status, _, err = await command(
        environment | {"EXCONN_PLANNING_ODBC": nowhere}, "replay", "--since", "2026-01-01"
    )

    assert status == 1
    assert "EXC-PLANNING-UNAVAILABLE" in err
    assert "Traceback" not in err
    assert "hidden-secret" not in err
