"""Bad input is put aside, where it can be found, and everything else flows."""

import asyncio
import urllib.request

import aio_pika
import pytest
from e2e.chaos import Scene

from common.amqp import depth
from common.topology import DEAD_QUEUE, EXCHANGE
from demo.processes import Process

POISON = (
    ("appointment.changed.v1", None, b"\xff\xfe\x00 no JSON"),
    ("appointment.changed.v1", None, b'{"appointment_id": "seven"}'),
    ("appointment.changed.v1", "appointment.forgotten.v7", b"{}"),
    ("mailbox.dirty.v1", None, b"[]"),
    ("outbox.requeue.v1", None, b'{"appointment_ids": []}'),
)
"""Routing key, type where it is another, body."""


async def test_messages_that_nobody_understands_become_dead_letters_and_everything_flows(world, seed):
    made = world(faults=False)
    async with Scene.open(made, seed) as scene:
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher")
        working = asyncio.create_task(scene.guarded(scene.day.work(30)))
        for poison in POISON:
            await scene.day.after(2)
            await publish(made.amqp_url, *poison)
        await working
        await scene.until(lambda: buried(scene), "there are fewer dead letters than poison")
        await scene.settled()

        assert await scene.verdict(letters=len(POISON)) == []
        (reader,), (publisher,) = made.of("outbox-reader"), made.of("graph-publisher")
        assert counted(publisher, "graph-publisher.appointments") == 3
        assert counted(publisher, "graph-publisher.mailboxes") == 1
        assert counted(reader, "outbox-reader.requests") == 1
        assert publisher.log.read_text().count("message.dead_lettered") == 4


@pytest.mark.parametrize("date", ["infinity", "20000-01-01"])
async def test_an_unreadable_row_fails_alone_and_heals_when_it_is_corrected(world, seed, date):
    made = world(faults=False)
    async with Scene.open(made, seed, switching=False) as scene:
        made.start("outbox-reader", wait=False)
        made.start("graph-publisher")
        ill = scene.day.planned[0]
        await scene.ask_planning(
            f"UPDATE dbo.Appointments SET StartDate = '{date}' WHERE Id = $1 RETURNING Id", ill.number
        )
        healthy = [each for each in scene.day.planned if each is not ill]
        scene.day.planned = healthy
        await scene.guarded(scene.day.work(20))
        await scene.until(lambda: failures(scene, ill.number), "no transaction tells of the unreadable row")
        await scene.settled()
        events = await scene.doors.calendars()
        await scene.day.move(ill)
        await scene.settled()

        assert sum(len(calendar.events) for calendar in events.values()) >= len(healthy)
        assert await scene.verdict(failed=["EXC-UNREADABLE"], parked=ill.number) == []
        assert await failures(scene, ill.number) > 0


async def publish(url: str, routing_key: str, type_: str | None, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(body, type=type_), routing_key)


async def buried(scene: Scene) -> bool:
    return (await depth(scene.world.amqp_url, DEAD_QUEUE) or 0) >= len(POISON)


async def failures(scene: Scene, appointment: int) -> int:
    return await scene.ask(
        "SELECT count(*) FROM transaction WHERE appointment_id = $1 AND status = 'failed'"
        " AND code = 'EXC-UNREADABLE'",
        appointment,
    )


def counted(process: Process, queue: str) -> float:
    """What the process's metrics say of dead letters of a queue."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{process.ops_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("exconn_dead_letters_total{") and f'"{queue}"' in line
    )
