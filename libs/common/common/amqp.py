"""The broker: publish with confirms, consume (see consuming.py). It may be away, now and at any time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, perf_counter
from typing import Any, NoReturn, cast

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.channel import Channel as RawChannel
from pamqp.common import FieldTable
from pydantic import SecretStr

from common import consuming, metrics
from common.errors import Transient
from common.publishing import Encoded, Outgoing, away, count, outcome, send
from common.settings import reveal
from common.topology import BROKER_ERRORS, TIMEOUT, declare_exchanges, describe

__all__ = ["Broker", "Encoded", "Outgoing", "check", "connect", "depth"]

HEARTBEAT = 20  # seconds; a silent broker is given up after a few of them
CLOSE_TIMEOUT = 2.0  # seconds
RECONNECT = (0.2, 5.0)  # seconds between attempts: first, longest

log = structlog.get_logger(__name__)

Report = Callable[[str | None], None]
"""Told None when the connection is up, else why it is not."""


@dataclass(slots=True)
class Broker:
    """One connection that comes back by itself, with one channel to publish on."""

    url: str
    name: str
    report: Report = lambda _: None
    _troubles: dict[str, str] = field(default_factory=dict)
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _connection: AbstractConnection | None = None
    _channel: RawChannel | None = None

    @property
    def connected(self) -> bool:
        return self._up.is_set()

    async def publish(
        self,
        message: Outgoing,
        *,
        headers: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109  (part of the guarantee)
    ) -> None:
        """Publish one message: confirmed by the broker and taken by at least one queue when this returns.

        Otherwise, within `timeout` seconds, raises `Transient`; then it may have been published all the same.
        A message type that is not mandatory may go to no queue at all.
        """
        (hindrance,) = await self.publish_all((message,), headers=headers, timeout=timeout)
        if hindrance is not None:
            raise hindrance

    async def publish_all(
        self,
        messages: Sequence[Outgoing],
        *,
        headers: Mapping[str, Any] | None = None,
        timeout: float = TIMEOUT,  # noqa: ASYNC109  (part of the guarantee)
    ) -> list[Transient | None]:
        """Publish many at once, as `publish` does each, and return for each, in order, None or why not.

        Comes back within `timeout` seconds for all together.
        """
        started = perf_counter()
        outcomes = await self._outcomes(messages, headers, timeout)
        metrics.PUBLISH_SECONDS.observe(perf_counter() - started)
        count(messages, outcomes)
        return outcomes

    async def _outcomes(
        self, messages: Sequence[Outgoing], headers: Mapping[str, Any] | None, seconds: float
    ) -> list[Transient | None]:
        """What became of each, known within so many seconds."""
        confirms: list[asyncio.Future[Any]] = []
        try:
            async with asyncio.timeout(seconds):
                channel = self._channel or (await self._opened())[1]
                confirms = await send(channel, messages, headers)
                if confirms:
                    await asyncio.wait(confirms)
        except BROKER_ERRORS as error:
            if not confirms:
                await asyncio.sleep(
                    min(seconds, RECONNECT[0])
                )  # a caller that insists must not keep us from connecting
                return [outcome(error) for _ in messages]
        finally:
            for confirm in confirms:
                confirm.cancel()
        results = await asyncio.gather(*confirms, return_exceptions=True)
        return [outcome(result if isinstance(result, BaseException) else None) for result in results]

    async def consume(
        self,
        queue: str,
        types: Iterable[str],
        handler: consuming.Handler,
        *,
        batch: int = 1,
        wait: float = 0.01,
    ) -> NoReturn:
        """Consume a queue of ours until cancelled; see `consuming.Consumer` for what becomes of a message.

        `types` are bound to the queue `owner.purpose`, which is declared, again after every reconnection.
        The handler gets up to `batch` messages in the order of delivery, collected for at most `wait`
        seconds after the first; all are acked when it returns.
        """
        consumer = consuming.Consumer(queue, tuple(types), handler, batch, wait)
        pause, longest = RECONNECT
        while True:
            connection = (await self._opened())[0]
            began = monotonic()
            try:
                async with _channel(connection) as channel:
                    await consumer.run(channel, started=partial(self._tell, queue, None))
            except BROKER_ERRORS as error:
                self._tell(queue, f"{queue} cannot be consumed: {describe(error)}")
            pause = RECONNECT[0] if monotonic() - began > longest else min(pause * 2, longest)
            await asyncio.sleep(pause)

    async def _opened(self) -> tuple[AbstractConnection, RawChannel]:
        while self._connection is None or self._channel is None:
            await self._up.wait()
        return self._connection, self._channel

    async def keep(self) -> NoReturn:
        """Connect, and again whenever the connection is lost, more slowly while that fails."""
        pause, longest = RECONNECT
        while True:
            try:
                await self._hold()
                pause = RECONNECT[0]
            except Exception as error:  # noqa: BLE001  (whatever it is, connecting again is the only way on)
                self._lost(describe(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _hold(self) -> None:
        """Open the connection and return when it, or the channel to publish on, is gone."""
        connection = await _open(self.url, self.name)
        try:
            async with asyncio.timeout(TIMEOUT):
                channel = await connection.channel(on_return_raises=True)
                await declare_exchanges(channel)
            self._connection, self._channel = (
                connection,
                cast(RawChannel, await channel.get_underlay_channel()),
            )
            self._up.set()
            self._tell(self.name, None)
            await channel.closed()
            self._lost("the connection was closed")
        finally:
            await _close(connection)

    def _lost(self, reason: str) -> None:
        self._up.clear()
        self._connection = self._channel = None
        self._tell(self.name, f"the broker is out of reach: {reason}")

    def _tell(self, what: str, trouble: str | None) -> None:
        """Log how connection or consumer are where that changed, and report the first trouble there is."""
        if trouble is None:
            log.info("broker.connected" if what == self.name else "consumer.started", name=what)
            self._troubles.pop(what, None)
        elif self._troubles.get(what) != trouble:
            log.warning("broker.lost" if what == self.name else "consumer.lost", name=what, reason=trouble)
            self._troubles[what] = trouble
        self.report(next(iter(self._troubles.values()), None))


@asynccontextmanager
async def connect(
    url: str | SecretStr, *, name: str, report: Report = lambda _: None
) -> AsyncIterator[Broker]:
    """Give a broker that connects in the background, now and whenever it was lost; never raises for that.

    `name` is shown in RabbitMQ's list of connections. `report` is told None when connected, else why not.
    """
    broker = Broker(reveal(url), name, report)
    report("the broker is not connected yet")
    keeper = asyncio.create_task(broker.keep())
    try:
        yield broker
    finally:
        keeper.cancel()
        await asyncio.wait([keeper])


async def check(url: str | SecretStr) -> str | None:
    """Say why the broker cannot be worked with, or None."""
    try:
        connection = await _open(reveal(url), "check")
        try:
            await declare_exchanges(await connection.channel())
        finally:
            await _close(connection)
    except BROKER_ERRORS as error:
        return f"cannot connect: {describe(error)}"
    return None


async def depth(url: str | SecretStr, queue: str) -> int | None:
    """Count the messages that are ready in a queue; None where there is no such queue.

    Raises `Transient` where the broker is away. A connection of its own: aio-pika caches declarations.
    """
    try:
        connection = await _open(reveal(url), "depth")
        try:
            channel = await connection.channel()
            declared = await channel.declare_queue(queue, passive=True, timeout=TIMEOUT)
            return declared.declaration_result.message_count
        finally:
            await _close(connection)
    except ChannelNotFoundEntity:
        return None
    except BROKER_ERRORS as error:
        raise away(error) from error


async def _open(url: str, name: str) -> AbstractConnection:
    properties: FieldTable = {"connection_name": name}
    return await aio_pika.connect(url, timeout=TIMEOUT, client_properties=properties, heartbeat=HEARTBEAT)


@asynccontextmanager
async def _channel(connection: AbstractConnection) -> AsyncIterator[AbstractChannel]:
    async with asyncio.timeout(TIMEOUT):
        channel = await connection.channel(on_return_raises=True)
    try:
        yield channel
    finally:
        await _close(channel)


async def _close(opened: AbstractConnection | AbstractChannel) -> None:
    """Close without waiting for a dead broker."""
    with suppress(*BROKER_ERRORS):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await opened.close()


if __name__ == "__main__":
    from common.dead_letters import main

    sys.exit(main())
