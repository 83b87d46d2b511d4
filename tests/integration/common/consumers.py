"""Consumers of a queue as the tests use them: what they were called with, and when."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aio_pika
from prometheus_client import REGISTRY

from common import amqp, consuming
from common.messages import MailboxDirty, Message

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
