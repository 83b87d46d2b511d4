"""The dead letters: look at them and put them back. `python -m common.amqp dead-letters`."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import ChannelNotFoundEntity, PublishError
from aiormq import spec
from aiormq.abc import AbstractChannel as RawChannel
from aiormq.abc import DeliveredMessage

from common.settings import AmqpSettings, SettingsFault, load, reveal
from common.topology import BROKER_ERRORS, DEAD_EXCHANGE, DEAD_QUEUE, TIMEOUT, describe


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in the queue of dead letters; held, not taken, until the connection ends."""

    origin: AbstractIncomingMessage

    @property
    def queue(self) -> str:
        """The queue that its consumer gave it up in."""
        headers: Any = self.origin.headers
        return str(headers.get("exconn-queue") or headers.get("x-first-death-queue", ""))

    @property
    def line(self) -> str:
        headers: Any = self.origin.headers
        facts = (headers.get("exconn-at", "-"), self.origin.message_id, self.queue, self.origin.type)
        return "  ".join(map(str, facts)) + f"  {headers.get('exconn-reason', 'by the broker')}"

    def selected(self, queue: str | None, message_id: str | None) -> bool:
        return queue in {None, self.queue} and message_id in {None, self.origin.message_id}


async def bury(channel: RawChannel, delivery: DeliveredMessage, queue: str, reason: str) -> None:
    """Put a copy of a delivery of `queue` into the dead letters; confirmed when this returns."""
    properties = delivery.header.properties
    now = datetime.now(UTC).isoformat(timespec="seconds")
    headers = {"exconn-queue": queue, "exconn-reason": reason, "exconn-at": now}
    await channel.basic_publish(
        delivery.body,
        exchange=DEAD_EXCHANGE,
        routing_key=queue,
        properties=spec.Basic.Properties(
            content_type=properties.content_type,
            delivery_mode=2,
            message_id=properties.message_id,
            message_type=properties.message_type,
            headers={**(properties.headers or {}), **headers},
        ),
        mandatory=True,
        timeout=TIMEOUT,
    )


async def requeue(letter: DeadLetter, channel: AbstractChannel) -> None:
    """Put it back in its consumer's queue, then take it from the dead letters.

    In this order: a crash in between leaves it in both, and handlers are repeatable. Raises PublishError
    where that queue is gone.
    """
    origin = letter.origin
    message = aio_pika.Message(
        origin.body,
        content_type=origin.content_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        message_id=origin.message_id,
        type=origin.type,
        headers={
            key: value for key, value in origin.headers.items() if not key.startswith(("x-", "exconn-"))
        },
    )
    await channel.default_exchange.publish(message, letter.queue, mandatory=True, timeout=TIMEOUT)
    await origin.ack()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[AbstractChannel]:
    """A channel of its own; what is read on it and not acked returns to its place when it is closed."""
    connection = await aio_pika.connect(url, timeout=TIMEOUT)
    async with connection, connection.channel(on_return_raises=True) as channel:
        yield channel


async def letters(channel: AbstractChannel, limit: int) -> AsyncIterator[DeadLetter]:
    """The oldest dead letters, at most `limit` and each once; none where the queue does not exist yet."""
    try:
        queue = await channel.declare_queue(DEAD_QUEUE, passive=True, timeout=TIMEOUT)
    except ChannelNotFoundEntity:
        return
    for _ in range(limit):
        message = await queue.get(fail=False, timeout=TIMEOUT)
        if message is None:
            return
        yield DeadLetter(message)


async def _run(url: str, arguments: argparse.Namespace) -> int:
    done = 0
    async with opened(url) as channel:
        async for letter in letters(channel, arguments.limit):
            if letter.selected(arguments.queue, arguments.message_id):
                await _one(letter, channel, arguments)
                done += 1
    sys.stderr.write(f"{done} {'put back' if arguments.action == 'requeue' else 'dead letters'}\n")
    return 0


async def _one(letter: DeadLetter, channel: AbstractChannel, arguments: argparse.Namespace) -> None:
    if arguments.action == "requeue":
        await requeue(letter, channel)
    sys.stdout.write(f"{letter.line}\n")
    if arguments.bodies:
        sys.stdout.write(f"    {letter.origin.body.decode(errors='backslashreplace')}\n")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m common.amqp", description="Look at the dead letters of the broker (EXCONN_AMQP_URL)."
    )
    group = parser.add_subparsers(required=True, metavar="dead-letters").add_parser("dead-letters")
    group.add_argument("action", nargs="?", choices=("list", "requeue"), default="list")
    group.add_argument("--queue", help="only those of this consumer's queue")
    group.add_argument("--message-id", help="only this one")
    group.add_argument("--limit", type=int, default=1000, help="look at no more than the oldest N (1000)")
    group.add_argument("--bodies", action="store_true", help="print the bodies too; they hold personal data")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; exit status 0 done, 1 failed, 2 wrong usage or settings."""
    arguments = _arguments(argv)
    try:
        return asyncio.run(_run(reveal(load(AmqpSettings).amqp_url), arguments))
    except SettingsFault as fault:
        sys.stderr.writelines(f"{line}\n" for line in fault.faults)
        return 2
    except PublishError:
        sys.stderr.write("a dead letter's queue is gone; start its service once, which declares it\n")
    except BROKER_ERRORS as error:
        sys.stderr.write(f"the broker is out of reach: {describe(error)}\n")
    return 1
