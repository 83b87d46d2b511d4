"""The broker as those see it who consume: handled, repeated or buried."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import aio_pika
import pytest
from integration.common.consumers import QUEUE, TYPES, Handler, consuming_with, declared, dirty, holds, metric

from common import amqp, consuming
from common.errors import Transient
from common.messages import MailboxDirty, Message
from common.topology import DEAD_QUEUE

pytestmark = pytest.mark.usefixtures("quick")


async def test_a_message_reaches_the_queue_that_its_consumer_bound(vhost, broker) -> None:
    handler = Handler()
    await declared(vhost)
    async with consuming_with(broker, handler):
        await broker.publish(MailboxDirty(mailbox="alice@contoso.example"))
        await handler.until(lambda: bool(handler.handled))

    assert handler.handled == ["alice@contoso.example"]


async def test_messages_come_in_batches_in_their_order(vhost, broker) -> None:
    await declared(vhost)
    names = [f"{n}" for n in range(25)]
    for name in names:
        await broker.publish(MailboxDirty(mailbox=name))
    handler = Handler()

    async with consuming_with(broker, handler, batch=10, wait=0.2):
        await handler.until(lambda: len(handler.handled) == 25)

    assert handler.handled == names
    assert max(map(len, handler.calls)) == 10


async def test_a_hindered_handler_is_called_again_with_the_same_messages(vhost, broker) -> None:
    await declared(vhost)
    await broker.publish_all(dirty("a", "b"))
    hindrances = iter([Transient("away"), Transient("away")])

    def meets(_: list[str]) -> None:
        if (hindrance := next(hindrances, None)) is not None:
            raise hindrance

    handler = Handler(meets)
    async with consuming_with(broker, handler, batch=2, wait=1):
        await handler.until(lambda: bool(handler.handled))

    assert handler.calls == [["a", "b"]] * 3
    assert handler.handled == ["a", "b"]
    await holds(vhost, QUEUE, 0)
    assert await amqp.depth(vhost, DEAD_QUEUE) == 0


async def test_messages_hindered_for_long_are_given_back_and_come_again(vhost, broker, monkeypatch) -> None:
    monkeypatch.setattr(consuming, "HOLD", 0.05)
    await declared(vhost)
    given_back = metric("exconn_consumed_total", queue=QUEUE, outcome="given_back")

    def meets(_: list[str]) -> None:
        if metric("exconn_consumed_total", queue=QUEUE, outcome="given_back") == given_back:
            raise Transient("away")

    handler = Handler(meets)
    async with consuming_with(broker, handler):
        await broker.publish(MailboxDirty(mailbox="a"))
        await handler.until(lambda: bool(handler.handled))

    assert handler.handled == ["a"]
    await holds(vhost, QUEUE, 0)


async def test_the_message_that_meets_a_defect_is_buried_and_no_other(vhost, broker) -> None:
    await declared(vhost)
    buried = metric("exconn_dead_letters_total", queue=QUEUE)
    await broker.publish_all(dirty("a", "bad", "c"))

    def meets(mailboxes: list[str]) -> None:
        if "bad" in mailboxes:
            raise ValueError("a defect")

    handler = Handler(meets)
    async with consuming_with(broker, handler, batch=3, wait=1):
        await handler.until(lambda: len(handler.handled) == 2)
        await holds(vhost, DEAD_QUEUE, 1)

    assert handler.calls == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]
    assert handler.handled == ["a", "c"]
    assert metric("exconn_dead_letters_total", queue=QUEUE) == buried + 1
    await holds(vhost, QUEUE, 0)


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b"{}", b""])
async def test_bytes_that_do_not_decode_are_buried_and_the_others_flow(vhost, broker, body) -> None:
    await declared(vhost)
    handler = Handler()

    async with consuming_with(broker, handler, batch=3):
        await broker.publish_all([*dirty("a"), amqp.Encoded("mailbox.dirty.v1", body), *dirty("b")])
        await handler.until(lambda: len(handler.handled) == 2)
        await holds(vhost, DEAD_QUEUE, 1)

    assert handler.handled == ["a", "b"]


async def test_what_was_not_acked_comes_again(vhost, broker) -> None:
    await declared(vhost)
    await broker.publish(MailboxDirty(mailbox="a"))
    started, never = asyncio.Event(), asyncio.Event()

    async def dies(_: list[Message]) -> None:
        started.set()
        await never.wait()

    first = asyncio.create_task(broker.consume(QUEUE, TYPES, dies))
    await started.wait()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    second = Handler()
    async with consuming_with(broker, second):
        await second.until(lambda: bool(second.handled))

    assert second.handled == ["a"]


async def test_a_queue_that_was_deleted_is_declared_again(vhost, broker) -> None:
    handler = Handler()
    await declared(vhost)
    async with consuming_with(broker, handler):
        await broker.publish(MailboxDirty(mailbox="a"))
        await handler.until(lambda: bool(handler.handled))
        connection = await aio_pika.connect(vhost)
        async with connection, connection.channel() as channel:
            await (await channel.get_queue(QUEUE)).delete(if_unused=False, if_empty=False)
        async with asyncio.timeout(30):
            while (await broker.publish_all(dirty("b")))[0] is not None:
                await asyncio.sleep(0.05)
        await handler.until(lambda: "b" in handler.handled)

    assert handler.handled == ["a", "b"]


async def test_a_queue_that_cannot_be_consumed_is_reported(vhost) -> None:
    told: asyncio.Queue[str | None] = asyncio.Queue()
    handler = Handler()
    connection = await aio_pika.connect(vhost)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(QUEUE, durable=False)  # of another kind than ours

        async with (
            amqp.connect(vhost, name="test", report=told.put_nowait) as broker,
            consuming_with(broker, handler),
        ):
            trouble = await heard(told, lambda reason: QUEUE in (reason or ""))
            await (await channel.get_queue(QUEUE)).delete()
            await heard(told, lambda reason: reason is None)
            await broker.publish(MailboxDirty(mailbox="a"))
            await handler.until(lambda: bool(handler.handled))

    assert f"{QUEUE} cannot be consumed" in trouble
    assert handler.handled == ["a"]


async def heard(told: asyncio.Queue[str | None], condition: Callable[[str | None], bool]) -> str | None:
    """The next report that is so."""
    async with asyncio.timeout(30):
        while not condition(reason := await told.get()):
            pass
    return reason


async def test_dead_letters_are_listed_and_put_back(vhost, broker) -> None:
    await declared(vhost)
    defects = iter([True])

    def meets(_: list[str]) -> None:
        if next(defects, False):
            raise ValueError("mended later")

    handler = Handler(meets)
    async with consuming_with(broker, handler):
        await broker.publish(MailboxDirty(mailbox="a"))
        await holds(vhost, DEAD_QUEUE, 1)
    listed = await dead_letters(vhost, "list", "--bodies")
    other = await dead_letters(vhost, "requeue", "--queue", "another.queue")
    requeued = await dead_letters(vhost, "requeue", "--queue", QUEUE)
    async with consuming_with(broker, handler):
        await handler.until(lambda: bool(handler.handled))

    assert QUEUE in listed.stdout
    assert "ValueError" in listed.stdout
    assert '{"mailbox":"a"}' in listed.stdout
    assert "0 put back" in other.stderr
    assert "1 put back" in requeued.stderr
    assert handler.handled == ["a"]
    assert await amqp.depth(vhost, DEAD_QUEUE) == 0


async def dead_letters(url: str, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "common.amqp", "dead-letters", *arguments]
    environment = {**os.environ, "EXCONN_AMQP_URL": url}
    run = asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, check=True
    )
    return await run
