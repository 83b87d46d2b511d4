"""Consuming: what becomes of a delivery. The only module that acks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic, perf_counter

import structlog
from aio_pika.abc import AbstractChannel
from aiormq.abc import AbstractChannel as RawChannel
from aiormq.abc import DeliveredMessage

from common import metrics
from common.dead_letters import bury
from common.errors import Malformed, Transient
from common.messages import Message, decode
from common.topology import TIMEOUT, declare_exchanges, declare_queue

Handler = Callable[[list[Message]], Awaitable[None]]

BACK_OFF = (0.2, 30.0)  # seconds between attempts of a handler that is hindered: first, longest
MIN_PREFETCH = 10  # deliveries under way, so that small batches need not wait for each other
HOLD = 600.0  # seconds after which hindered deliveries are given back; RabbitMQ closes the channel after 1800

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that RabbitMQ gave us, decoded."""

    origin: DeliveredMessage
    message: Message

    @property
    def tag(self) -> int:
        """The number to ack it by."""
        return self.origin.delivery_tag or 0


@dataclass(slots=True)
class _Inbox:
    """Deliveries as they come; `lost` is set when no more can come on this channel."""

    arrived: asyncio.Queue[DeliveredMessage | None] = field(default_factory=asyncio.Queue)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    def close(self, *_: object) -> None:
        self.lost.set()
        self.arrived.put_nowait(None)  # wakes the one that waits

    async def collect(self, batch: int, wait: float) -> list[DeliveredMessage]:
        """Return 1 to `batch` deliveries, at most `wait` seconds after the first; none when the channel is lost."""
        collected = [await self.arrived.get()]
        deadline = asyncio.get_running_loop().time() + wait
        try:
            while len(collected) < batch and not self.lost.is_set():
                if self.arrived.empty():
                    async with asyncio.timeout_at(deadline):
                        collected.append(await self.arrived.get())
                else:
                    collected.append(self.arrived.get_nowait())
        except TimeoutError:
            pass
        return [] if self.lost.is_set() else [delivery for delivery in collected if delivery]


@dataclass(frozen=True, slots=True)
class Consumer:
    """A queue and its handler, which must be repeatable.

    Where the handler raises `Transient`, it is called again, more and more slowly, while the deliveries are held. Any other error is a
    defect: the batch is tried one by one, and a message that fails alone goes to the dead letters, as do bytes
    that do not decode. Nothing is acked before the handler has returned, and nothing is lost: what was held
    when the channel is lost is delivered again.
    """

    queue: str
    types: tuple[str, ...]
    handler: Handler
    batch: int
    wait: float

    async def run(self, channel: AbstractChannel, *, started: Callable[[], None]) -> None:
        """Declare, consume, and return when the channel is lost; `started` is called once deliveries may come."""
        inbox = _Inbox()
        raw = await channel.get_underlay_channel()
        channel.close_callbacks.add(inbox.close)
        raw.on_consumer_cancel_callbacks.add(inbox.close)  # the queue was deleted, or its leader moved
        await declare_exchanges(channel)
        await declare_queue(channel, self.queue, self.types)
        await channel.set_qos(prefetch_count=max(MIN_PREFETCH, 2 * self.batch), timeout=TIMEOUT)
        await raw.basic_consume(self.queue, inbox.arrived.put, timeout=TIMEOUT)
        started()
        while deliveries := await inbox.collect(self.batch, self.wait):
            await _Batch(self, raw, inbox.lost).settle(deliveries)


@dataclass(frozen=True, slots=True)
class _Batch:
    """How the deliveries of one batch are settled on their channel."""

    consumer: Consumer
    channel: RawChannel
    lost: asyncio.Event

    async def settle(self, arrived: Sequence[DeliveredMessage]) -> None:
        deliveries = [delivery for one in arrived if (delivery := await self._decode(one))]
        if deliveries:
            await self._settle(deliveries)

    async def _settle(self, deliveries: Sequence[Delivery]) -> None:
        """Handle and ack. Order is kept, so acking the last one acks all before it."""
        try:
            handled = await self._handle([delivery.message for delivery in deliveries])
        except Exception as error:  # noqa: BLE001  (a defect; it is recorded once, in _bury)
            defect = error
        else:
            await self._answer(deliveries, handled)
            return
        await self._single_out(deliveries, defect)

    async def _answer(self, deliveries: Sequence[Delivery], handled: bool) -> None:
        last = deliveries[-1].tag
        if self.lost.is_set():
            return  # they will be delivered again
        if handled:
            await self.channel.basic_ack(last, multiple=True, wait=False)
        else:
            await self.channel.basic_nack(last, multiple=True, requeue=True)
        self._count("ok" if handled else "given_back", len(deliveries))

    async def _handle(self, messages: list[Message]) -> bool:
        """Call the handler until it returns; False where the channel was lost or the time to hold is over."""
        pause, longest = BACK_OFF
        started = monotonic()
        while not await self._attempt(messages):
            if monotonic() - started + pause > HOLD or await self._lost_within(pause):
                return False
            pause = min(pause * 2, longest)
        return True

    async def _attempt(self, messages: list[Message]) -> bool:
        started = perf_counter()
        try:
            await self.consumer.handler(messages)
        except Transient as hindrance:
            log.warning(
                "handling.hindered", queue=self.consumer.queue, code=hindrance.code, reason=str(hindrance)
            )
            self._count("hindered", len(messages))
            return False
        finally:
            metrics.HANDLE_SECONDS.labels(self.consumer.queue).observe(perf_counter() - started)
        return True

    async def _lost_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self.lost.wait()
        except TimeoutError:
            return False

    async def _single_out(self, deliveries: Sequence[Delivery], error: Exception) -> None:
        """One of them makes the handler fail: each is tried alone, and the one that fails alone is buried."""
        if len(deliveries) == 1:
            await self._bury(deliveries[0].origin, error)
            return
        for delivery in deliveries:
            await self._settle([delivery])

    async def _decode(self, arrived: DeliveredMessage) -> Delivery | None:
        type_ = arrived.header.properties.message_type or arrived.routing_key
        try:
            return Delivery(arrived, decode(type_, arrived.body))
        except Malformed as error:
            await self._bury(arrived, error)
            return None

    async def _bury(self, arrived: DeliveredMessage, error: Exception) -> None:
        """Move one message to the dead letters; the log line says why, without the message's contents.

        It is acked when the copy is confirmed: a crash in between leaves it in both.
        """
        trace = None if isinstance(error, Malformed) else error
        reason = type(error).__name__ if trace else str(error)
        queue, message_id = self.consumer.queue, arrived.header.properties.message_id
        log.error("message.dead_lettered", queue=queue, message_id=message_id, reason=reason, exc_info=trace)
        if self.lost.is_set():
            return  # it will be delivered again
        await bury(self.channel, arrived, queue, reason)
        await self.channel.basic_ack(arrived.delivery_tag or 0)
        metrics.DEAD_LETTERS.labels(queue).inc()
        self._count("dead_lettered", 1)

    def _count(self, outcome: str, number: int) -> None:
        metrics.CONSUMED.labels(self.consumer.queue, outcome).inc(number)
