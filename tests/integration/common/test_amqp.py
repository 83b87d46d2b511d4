"""The broker as those see it who publish: confirmed or refused, counted, checked."""

import aio_pika
import pytest
from integration.common.consumers import QUEUE, declared, dirty

import stack
from common import amqp
from common.errors import Transient
from common.messages import MailboxDirty, PlanningChanged, PruneTick


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

    for_anybody, for_somebody = await broker.publish_all([told, *dirty("a")])

    assert for_anybody is None
    assert isinstance(for_somebody, Transient)


async def test_of_many_messages_each_has_its_own_outcome(vhost, broker) -> None:
    await declared(vhost)
    nobody_binds = PruneTick(due="2026-11-22T00:00:00Z")

    outcomes = await broker.publish_all([*dirty("a"), nobody_binds, *dirty("b")])

    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert await amqp.depth(vhost, QUEUE) == 2


async def test_publishing_nothing_is_done_at_once(broker) -> None:
    assert await broker.publish_all([]) == []


async def test_depth_counts_what_is_there_now(vhost, broker) -> None:
    await declared(vhost)
    before = await amqp.depth(vhost, QUEUE)

    await broker.publish_all(dirty("a", "b"))

    assert (before, await amqp.depth(vhost, QUEUE)) == (0, 2)
    assert await amqp.depth(vhost, "nobody.has-it") is None


async def test_check_tells_a_broker_that_is_there_from_one_that_is_not(vhost) -> None:
    assert await amqp.check(vhost) is None
    assert "cannot connect" in await amqp.check(f"amqp://guest:hush@127.0.0.1:{stack.free_port()}/")
