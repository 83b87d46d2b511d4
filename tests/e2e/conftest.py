"""Servers to be killed, and a world around them."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from e2e.chaos import QUICK

import stack
from demo.world import World


def _bring(what: type) -> Iterator[stack.PrivateBroker | stack.PrivatePostgres]:
    """A server of our own; without its programs the test is skipped, for `make test` it fails."""
    required = os.environ.get("EXCONN_TEST_REQUIRE") == "1"
    try:
        server = what(install=required)
    except stack.Missing as missing:
        if required:
            raise
        pytest.skip(str(missing))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def a_broker():
    yield from _bring(stack.PrivateBroker)


@pytest.fixture(scope="session")
def a_postgres():
    yield from _bring(stack.PrivatePostgres)


@pytest.fixture(scope="session")
def another_postgres():
    yield from _bring(stack.PrivatePostgres)


@pytest.fixture
def own_broker(a_broker) -> Iterator[stack.PrivateBroker]:
    """A RabbitMQ that a test may kill."""
    yield a_broker
    _revive(a_broker)


@pytest.fixture
def state_server(a_postgres) -> Iterator[stack.PrivatePostgres]:
    """A PostgreSQL for the state that a test may kill."""
    yield a_postgres
    _revive(a_postgres)


@pytest.fixture
def planning_server(another_postgres) -> Iterator[stack.PrivatePostgres]:
    """A PostgreSQL for the planning that a test may kill."""
    yield another_postgres
    _revive(another_postgres)


def _revive(server: stack.PrivateBroker | stack.PrivatePostgres) -> None:
    """The next test finds it alive, however this one ended."""
    if server._process is None:
        server.start()


@pytest.fixture
def seed() -> int:
    """What happens follows from it, but for the speed of the machine. EXCONN_TEST_SEED sets it."""
    return int(os.environ.get("EXCONN_TEST_SEED") or random.randrange(10**6))


@pytest.fixture
def world(tmp_path, seed, postgres_server, amqp_server, odbc) -> Iterator[Callable[..., World]]:
    """Makes a world without services; what is not given is taken from the servers of all tests."""
    with ExitStack() as worlds:

        def make(*, settings: dict[str, str] | None = None, **servers) -> World:
            given = {"state": postgres_server, "planning": postgres_server, "broker": amqp_server} | servers
            made = World(tmp_path, seed=seed, settings={**QUICK, **(settings or {})}, **given)
            return worlds.enter_context(made)

        yield make
