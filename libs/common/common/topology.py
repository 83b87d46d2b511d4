"""What exists on the broker: one topic exchange, a quorum queue per consumer, one queue for dead letters."""

from __future__ import annotations

from collections.abc import Iterable

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import AMQPError
from pamqp.common import FieldTable

EXCHANGE = "exconn"
DEAD_EXCHANGE = "exconn.dead"
DEAD_QUEUE = "exconn.dead-letters"
TIMEOUT = 10.0  # seconds that one exchange of words with the broker may take

BROKER_ERRORS: tuple[type[BaseException], ...] = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What a lost or closing connection raises; aio-pika says some of it by RuntimeError."""


def describe(error: BaseException) -> str:
    """Name an error of the broker for logs and answers; its text holds no password."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


_QUEUE: FieldTable = {
    "x-queue-type": "quorum",
    # Our own dead letters are published with a confirm (consuming.py), so they need no at-least-once strategy
    # of RabbitMQ's, which can strand a queue: https://github.com/rabbitmq/rabbitmq-server/issues/16652
    "x-dead-letter-exchange": DEAD_EXCHANGE,
    # Every lost connection counts as a delivery, and RabbitMQ 4 would give up after 20 of them.
    "x-delivery-limit": 1_000_000,
}
_DEAD_QUEUE: FieldTable = {"x-queue-type": "quorum"}  # no length limit: what is in it would otherwise be lost


async def declare_exchanges(channel: AbstractChannel) -> None:
    """Declare both exchanges and the queue of dead letters, so that nothing is lost whoever comes first."""
    await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, timeout=TIMEOUT)
    dead = await channel.declare_exchange(
        DEAD_EXCHANGE, aio_pika.ExchangeType.FANOUT, durable=True, timeout=TIMEOUT
    )
    queue = await channel.declare_queue(DEAD_QUEUE, durable=True, arguments=_DEAD_QUEUE, timeout=TIMEOUT)
    await queue.bind(dead, timeout=TIMEOUT)


async def declare_queue(channel: AbstractChannel, name: str, types: Iterable[str]) -> AbstractQueue:
    """Declare a consumer's queue and bind the message types to it."""
    queue = await channel.declare_queue(name, durable=True, arguments=_QUEUE, timeout=TIMEOUT)
    for type_ in types:
        await queue.bind(EXCHANGE, routing_key=type_, timeout=TIMEOUT)
    return queue
