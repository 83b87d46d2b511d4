"""What every test may ask for: a database of its own, a virtual host of its own, ODBC drivers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

import pytest

import stack
from common import db

T = TypeVar("T")

# `make test` brings every server; a bare pytest makes do with what the machine has.
REQUIRED = os.environ.get("EXCONN_TEST_REQUIRE") == "1"


def bring(what: Callable[..., T]) -> T:
    """A server or driver; without it the test is skipped, for `make test` it fails."""
    try:
        return what(install=REQUIRED)
    except stack.Missing as missing:
        if REQUIRED:
            raise
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def postgres_server() -> stack.Postgres:
    return bring(stack.postgres)


@pytest.fixture(scope="session")
def amqp_server() -> stack.Broker:
    return bring(stack.broker)


@pytest.fixture(scope="session")
def odbc() -> dict[str, str]:
    """The environment for processes that use ODBC."""
    return bring(stack.odbc_environment)


@pytest.fixture
def database(postgres_server: stack.Postgres) -> Iterator[str]:
    """The DSN of an empty database."""
    dsn = stack.fresh_database(postgres_server)
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
def vhost(amqp_server: stack.Broker) -> Iterator[str]:
    """The AMQP URL of an empty virtual host."""
    url = stack.fresh_vhost(amqp_server)
    yield url
    stack.delete_vhost(url)


@pytest.fixture(scope="session")
def migrated(postgres_server: stack.Postgres) -> Iterator[str]:
    """The DSN of a state database that others are cloned from."""
    dsn = stack.fresh_database(postgres_server)
    asyncio.run(db.migrate(dsn))
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
def state_dsn(postgres_server: stack.Postgres, migrated: str) -> Iterator[str]:
    """The DSN of an empty state database."""
    dsn = stack.fresh_database(postgres_server, template=migrated)
    yield dsn
    stack.drop_database(dsn)


@pytest.fixture
async def pool(state_dsn: str) -> AsyncIterator[db.Pool]:
    """Connections to an empty state database."""
    async with db.pool(state_dsn, application_name="tests") as connections:
        yield connections
