"""Servers of our own survive what chaos tests do to them."""

import aio_pika
import asyncpg
import pytest
from conftest import bring

import stack


@pytest.fixture
def own_postgres():
    server = bring(stack.PrivatePostgres)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def own_broker():
    server = bring(stack.PrivateBroker)
    server.start()
    yield server
    server.stop()


async def rows(dsn: str, statement: str) -> list[tuple]:
    connection = await asyncpg.connect(dsn)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_a_killed_database_keeps_what_was_committed(own_postgres):
    await rows(own_postgres.dsn, "CREATE TABLE kept AS SELECT 1 AS id")

    own_postgres.kill()
    own_postgres.start()

    assert await rows(own_postgres.dsn, "SELECT id FROM kept") == [(1,)]


async def test_a_killed_broker_keeps_what_was_confirmed(own_broker):
    url = stack.fresh_vhost(own_broker)
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(b"kept", delivery_mode=2), "kept")

    own_broker.kill()
    own_broker.start()

    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("kept", passive=True)
        async with queue.iterator(no_ack=True) as messages:
            message = await anext(messages)
    assert message.body == b"kept"


async def test_databases_and_virtual_hosts_are_empty_and_one_s_own(
    database, vhost, postgres_server, amqp_server
):
    other_database, other_vhost = stack.fresh_database(postgres_server), stack.fresh_vhost(amqp_server)

    assert await rows(database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []
    assert other_database != database
    assert other_vhost != vhost
    stack.drop_database(other_database)
    stack.delete_vhost(other_vhost)
