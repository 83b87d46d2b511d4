"""A publisher for each test, on a state database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from replica import Publisher
from shell import Shell

import stack
from common import db
from fakes import FakeCalendars


@pytest.fixture
def publisher(pool: db.Pool) -> Publisher:
    return Publisher(pool, FakeCalendars())


@pytest.fixture
async def shell(
    publisher: Publisher,
    postgres_server: stack.Postgres,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """The command line on that database, with those calendars; the broker is away."""
    name = await publisher.pool.fetchval("SELECT current_database()")
    dsn = urlsplit(postgres_server.dsn)._replace(path=f"/{name}").geturl()

    @asynccontextmanager
    async def client(*_: object, **__: object) -> AsyncIterator[FakeCalendars]:
        yield publisher.calendars

    monkeypatch.setattr("common.graph.client.client", client)
    monkeypatch.setattr("graph_publisher.commands.opening.WAKE_SECONDS", 0.05)
    monkeypatch.setattr("graph_publisher.previewing.RATE", 100_000.0)
    environ = {
        "EXCONN_POSTGRES_DSN": dsn,
        "EXCONN_AMQP_URL": f"amqp://nobody:nothing@127.0.0.1:{stack.free_port()}/",
        "EXCONN_INSTALLATION": "test",
        "EXCONN_PROFILES__CONTOSO__TENANT_ID": "t",
        "EXCONN_PROFILES__CONTOSO__CLIENT_ID": "c",
        "EXCONN_PROFILES__CONTOSO__CLIENT_SECRET": "s",
        "EXCONN_PROFILES__CONTOSO__DOMAINS": "contoso.example",
    }
    return Shell(environ, capsys)
