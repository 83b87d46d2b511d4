"""The broker away, cut off, silent or killed: publisher and consumer come back, and nothing confirmed is lost."""

import asyncio
import contextlib
import os
from collections.abc import Iterator

import pytest
from integration.common.consumers import QUEUE, TYPES, Handler, consuming_with, declared, dirty, holds

import stack
from common import amqp
from common.errors import Transient
from common.messages import MailboxDirty, Message

pytestmark = pytest.mark.usefixtures("quick")


async def test_publisher_and_consumer_come_back_after_a_cut(vhost, wire) -> None:
    handler, told = Handler(), []
    async with amqp.connect(wire.through(vhost), name="test", report=told.append) as broker:
        await declared(vhost)
        async with consuming_with(broker, handler):
            await broker.publish(MailboxDirty(mailbox="a"))
            await handler.until(lambda: handler.handled == ["a"])
            await wire.cut()
            async with asyncio.timeout(30):
                while not all(outcome is None for outcome in await broker.publish_all(dirty("b"))):
                    pass
            await handler.until(lambda: "b" in handler.handled)

    assert told[:2] == ["the broker is not connected yet", None]
    assert any(reason and "out of reach" in reason for reason in told)
    assert told[-1] is None


async def test_a_broker_that_is_away_at_the_start_is_waited_for(vhost, wire) -> None:
    await declared(vhost)
    url = wire.through(vhost)
    await wire.refuse()
    handler, told = Handler(), []

    async with amqp.connect(url, name="test", report=told.append) as broker, consuming_with(broker, handler):
        with pytest.raises(Transient):
            await broker.publish(MailboxDirty(mailbox="a"), timeout=0.5)
        assert not broker.connected
        await wire.listen()
        await broker.publish(MailboxDirty(mailbox="b"), timeout=30)
        await handler.until(lambda: bool(handler.handled))

    assert "out of reach" in told[1]
    assert handler.handled == ["b"]


async def test_a_publish_never_hangs_on_a_broker_that_falls_silent(vhost, wire) -> None:
    await declared(vhost)
    async with amqp.connect(wire.through(vhost), name="test") as broker:
        await broker.publish(MailboxDirty(mailbox="a"))
        wire.hold()

        outcomes = await broker.publish_all(dirty(*"bcdefghijklmnop"), timeout=0.3)
        wire.release()

        assert all("no confirm in time" in str(outcome) for outcome in outcomes)
        await broker.publish(MailboxDirty(mailbox="z"))


async def test_a_cut_loses_no_message_that_was_being_handled(vhost, wire) -> None:
    await declared(vhost)
    handler = Handler()
    async with amqp.connect(wire.through(vhost), name="test") as broker:
        await broker.publish_all(dirty("a", "b", "c"))
        cuts = iter([True])

        async def meets_a_cut(messages: list[Message]) -> None:
            if next(cuts, False):
                await wire.cut()
            await handler(messages)

        consumer = asyncio.create_task(broker.consume(QUEUE, TYPES, meets_a_cut))
        await handler.until(lambda: {"a", "b", "c"} <= set(handler.handled))
        await holds(vhost, QUEUE, 0)
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)

    assert sorted(set(handler.handled)) == ["a", "b", "c"]


@pytest.fixture(scope="module")
def victim() -> Iterator[stack.PrivateBroker]:
    """A broker that may be killed."""
    try:
        broker = stack.PrivateBroker(install=os.environ.get("EXCONN_TEST_REQUIRE") == "1")
    except stack.Missing as missing:
        pytest.skip(str(missing))
    broker.start()
    yield broker
    broker.stop()


async def test_nothing_confirmed_is_lost_when_the_broker_is_killed(victim) -> None:
    handler, sent = Handler(), set()
    async with amqp.connect(victim.url, name="test") as broker:
        await declared(victim.url)
        stop = asyncio.Event()

        async def publish_on() -> None:
            while not stop.is_set():
                name = f"{len(sent)}"
                with contextlib.suppress(Transient):
                    await broker.publish(MailboxDirty(mailbox=name), timeout=1)
                    sent.add(name)

        async with consuming_with(broker, handler, batch=10):
            publishing = asyncio.create_task(publish_on())
            await handler.until(lambda: len(handler.handled) > 50)
            await asyncio.to_thread(victim.kill)
            await asyncio.to_thread(victim.start)
            before = len(sent)
            async with asyncio.timeout(60):
                while len(sent) < before + 50:
                    await asyncio.sleep(0.05)
            stop.set()
            await publishing
            await handler.until(lambda: sent <= set(handler.handled))

    assert len(sent) > 100
