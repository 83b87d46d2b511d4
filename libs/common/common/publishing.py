"""Publishing messages on a channel with confirms, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID, uuid4

from aio_pika.exceptions import PublishError
from aiormq import spec
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import ChannelInvalidStateError
from pamqp.body import ContentBody
from pamqp.frame import marshal
from pamqp.header import ContentHeader

from common import metrics
from common.errors import Transient
from common.topology import BROKER_ERRORS, EXCHANGE, describe


class Outgoing(Protocol):
    """What can be published: a message of common.messages, or `Encoded`."""

    @property
    def type(self) -> str: ...
    @property
    def mandatory(self) -> bool: ...
    def encode(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message whose body is bytes already."""

    type: str
    body: bytes
    mandatory: bool = True

    def encode(self) -> bytes:
        return self.body


async def send(
    channel: Channel, messages: Sequence[Outgoing], headers: Mapping[str, Any] | None
) -> list[asyncio.Future[Any]]:
    """Send messages, and give for each a future that the broker's confirm ends.

    What aiormq's `basic_publish` does for one message, for all at once: one lock, and few writes to the socket. One
    by one, a write each and the tasks around it cost more than half of the rate.
    """
    if channel.is_closed:
        raise ChannelInvalidStateError("the channel is closed")
    envelopes = {
        type_: _Envelope(channel, type_, mandatory, headers) for type_, mandatory in _kinds(messages)
    }
    frames, ids = [], []
    for message in messages:
        ids.append(str(uuid4()))
        frames.append(envelopes[message.type].around(message.encode(), ids[-1]))
    async with channel.lock:
        first = channel.delivery_tag + 1
        confirms = [_expected(channel, tag, message_id) for tag, message_id in enumerate(ids, first)]
        channel.delivery_tag += len(ids)
        try:
            await channel.write_queue.put(ChannelFrame(payload=b"".join(frames), should_close=False))
        except BaseException:  # nothing was sent: the next message gets the first's number
            channel.delivery_tag -= len(ids)
            for tag, confirm in enumerate(confirms, first):
                channel.confirmations.pop(tag, None)
                confirm.cancel()
            raise
    return confirms


def _kinds(messages: Sequence[Outgoing]) -> set[tuple[str, bool]]:
    return {(message.type, message.mandatory) for message in messages}


def _expected(channel: Channel, tag: int, message_id: str) -> asyncio.Future[Any]:
    """A future that aiormq ends by the number, or, where the message is returned, by its id."""
    confirm = channel.create_future()
    channel.confirmations[tag] = confirm
    channel.message_id_delivery_tag[message_id] = tag
    confirm.add_done_callback(lambda _: channel.message_id_delivery_tag.pop(message_id, None))
    return confirm


class _Envelope:
    """The frames around the bodies of one type of message: encoded once, then filled in.

    https://www.rabbitmq.com/amqp-0-9-1-protocol (2.3.5.2): a header frame is type, channel, size (7 bytes), class,
    weight (4), body size (8), properties; of these only the body size and the id differ.
    """

    def __init__(
        self, channel: Channel, type_: str, mandatory: bool, headers: Mapping[str, Any] | None
    ) -> None:
        blank = str(UUID(int=0))
        publish = spec.Basic.Publish(exchange=EXCHANGE, routing_key=type_, mandatory=mandatory)
        properties = spec.Basic.Properties(
            content_type="application/json",
            delivery_mode=2,
            message_id=blank,
            message_type=type_,
            headers=dict(headers) if headers else None,
        )
        header = marshal(ContentHeader(properties=properties, body_size=0), channel.number)
        before, self._after = header.split(blank.encode(), 1)
        self._publish = marshal(publish, channel.number) + before[:11]
        self._before = before[19:]
        self._channel = channel

    def around(self, body: bytes, message_id: str) -> bytes:
        size = len(body).to_bytes(8, "big")
        return b"".join(
            (self._publish, size, self._before, message_id.encode(), self._after, *self._parts(body))
        )

    def _parts(self, body: bytes) -> Iterator[bytes]:
        longest = self._channel.max_content_size
        for start in range(0, len(body), longest):
            yield marshal(ContentBody(body[start : start + longest]), self._channel.number)


def away(error: BaseException) -> Transient:
    return Transient(describe(error), code="EXC-BROKER-UNAVAILABLE", scope="tenant")


def outcome(result: BaseException | None) -> Transient | None:
    """None where a message was confirmed, else why not; raises what is a defect of ours."""
    if result is None:
        return None
    if isinstance(result, asyncio.CancelledError):  # by the timeout; or aio-pika's word for a closed channel
        return away(TimeoutError("no confirm in time"))
    if isinstance(result, PublishError):
        return away(LookupError("no queue takes the message yet"))
    if isinstance(result, BROKER_ERRORS):
        return away(result)
    raise result


def count(messages: Sequence[Outgoing], outcomes: Sequence[Transient | None]) -> None:
    pairs = zip(messages, outcomes, strict=True)
    for (type_, failed), number in Counter((m.type, o is not None) for m, o in pairs).items():
        metrics.PUBLISHED.labels(type_, "failed" if failed else "ok").inc(number)
