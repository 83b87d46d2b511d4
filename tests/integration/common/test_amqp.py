"""The broker as services see it: confirmed or refused, repeated or buried, and back after every loss."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import aio_pika
import pytest
from prometheus_client import REGISTRY

import stack
from common import amqp, consuming
from common.errors import Transient
from common.messages import MailboxDirty, Message, PlanningChanged, PruneTick
from common.topology import DEAD_QUEUE

QUEUE = "graph-publisher.mailboxes"
TYPES = ["mailbox.dirty.v1"]


class Handler:
    """Notes the mailboxes it was called with; `meets` may raise before."""

    def __init__(self, meets: Callable[[list[str]], None] = lambda _: None) -> None:
        self.meets = meets
        self.calls: list[list[str]] = []
        self.handled: list[str] = []
        self.changed = asyncio.Condition()

    async def __call__(self, messages: list[Message]) -> None:
        mailboxes = [message.mailbox for message in messages]
        async with self.changed:
            self.calls.append(mailboxes)
            self.changed.notify_all()
        self.meets(mailboxes)
        async with self.changed:
            self.handled += mailboxes
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(condition)


@asynccontextmanager
async def consuming_with(broker: amqp.Broker, handler: Handler, **options: float) -> AsyncIterator[None]:
    consumer = asyncio.create_task(broker.consume(QUEUE, TYPES, handler, **options))
    try:
        yield
    finally:
        consumer.cancel()
        await asyncio.gather(consumer, return_exceptions=True)


async def declared(url: str, queue: str = QUEUE, types: list[str] = TYPES) -> None:
    """As a consumer that was there once."""
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        await amqp.declare_exchanges(channel)
        await consuming.declare_queue(channel, queue, types)


async def holds(url: str, queue: str, number: int) -> None:
    """Returns when a queue holds so many messages that nobody has."""
    async with asyncio.timeout(30):
        while await amqp.depth(url, queue) != number:
            await asyncio.sleep(0.05)


def dirty(*mailboxes: str) -> list[MailboxDirty]:
    return [MailboxDirty(mailbox=mailbox) for mailbox in mailboxes]


def metric(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.fixture
async def broker(vhost: str) -> AsyncIterator[amqp.Broker]:
    async with amqp.connect(vhost, name="test") as broker:
        yield broker


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consuming, "BACK_OFF", (0.01, 0.05))


async def test_a_message_reaches_the_queue_that_its_consumer_bound(vhost, broker) -> None:
    handler = Handler()
    await declared(vhost)
    async with consuming_with(broker, handler):
        await broker.publish(MailboxDirty(mailbox="alice@contoso.example"))
        await handler.until(lambda: bool(handler.handled))

    assert handler.handled == ["alice@contoso.example"]


async def test_what_crosses_the_broker_says_what_it_is_and_survives_a_restart(vhost, broker) -> None:
    await declared(vhost)

    await broker.publish(MailboxDirty(mailbox="a"), headers={"traceparent": "00-ab-cd-01"})

    connection = await aio_pika.connect(vhost)
    async with connection, connection.channel() as channel:
        message = await (await channel.get_queue(QUEUE)).get(no_ack=True)
    assert message.body == b'{"mailbox":"a"}'
    assert (message.type, message.routing_key) == ("mailbox.dirty.v1", "mailbox.dirty.v1")
    assert message.content_type == "application/json"
    assert message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
    assert len(message.message_id) == 36
    assert message.headers["traceparent"] == "00-ab-cd-01"


async def test_a_message_that_no_queue_takes_is_an_error_for_its_sender(broker) -> None:
    with pytest.raises(Transient, match="no queue") as raised:
        await broker.publish(MailboxDirty(mailbox="a"))

    assert raised.value.code == "EXC-BROKER-UNAVAILABLE"


async def test_a_message_for_whoever_cares_may_find_nobody(broker) -> None:
    told = PlanningChanged(
        transaction_id="00000000-0000-4000-8000-000000000001", mailbox="a", outcome="succeeded"
    )

    await broker.publish(told)


async def test_of_many_messages_each_has_its_own_outcome(vhost, broker) -> None:
    await declared(vhost)
    nobody_binds = PruneTick(due="2026-11-22T00:00:00Z")

    outcomes = await broker.publish_all([*dirty("a"), nobody_binds, *dirty("b")])

    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert await amqp.depth(vhost, QUEUE) == 2


async def test_publishing_nothing_is_done_at_once(broker) -> None:
    assert await broker.publish_all([]) == []


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
    connection = await aio_pika.connect(vhost)
    async with connection, connection.channel() as channel:
        await channel.declare_queue(QUEUE, durable=False)  # of another kind than ours

        async with (
            amqp.connect(vhost, name="test", report=told.put_nowait) as broker,
            consuming_with(broker, Handler()),
            asyncio.timeout(30),
        ):
            while "cannot be consumed" not in (await told.get() or ""):
                pass
            await (await channel.get_queue(QUEUE)).delete()
            while await told.get() is not None:
                pass


async def test_depth_counts_what_is_there_now(vhost, broker) -> None:
    await declared(vhost)
    before = await amqp.depth(vhost, QUEUE)

    await broker.publish_all(dirty("a", "b"))

    assert (before, await amqp.depth(vhost, QUEUE)) == (0, 2)
    assert await amqp.depth(vhost, "nobody.has-it") is None


async def test_check_tells_a_broker_that_is_there_from_one_that_is_not(vhost) -> None:
    assert await amqp.check(vhost) is None
    assert "cannot connect" in await amqp.check(f"amqp://guest:hush@127.0.0.1:{stack.free_port()}/")


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
