"""A service whose work is not built yet: it connects, tells whether it could work, and waits."""

from __future__ import annotations

from typing import Any

from common import amqp, db
from common.service import Ops, Service
from common.settings import CommonSettings


def waiting(name: str, about: str, settings: type[CommonSettings]) -> Service:
    """Give the service; its command line, settings, probes and metrics are those that it will keep."""

    async def serve(found: Any, ops: Ops) -> None:
        async with (
            db.pool(found.postgres_dsn, application_name=name, max_size=2) as pool,
            amqp.connect(found.amqp_url, name=name, report=ops.reporter("rabbitmq")),
        ):
            await db.watch(pool, ops.reporter("postgresql"))

    return Service(name, about, settings, serve, neighbours)


async def neighbours(found: CommonSettings) -> list[tuple[str, str | None]]:
    """Try state database and broker once."""
    return [
        ("postgresql", await db.check(found.postgres_dsn)),
        ("rabbitmq", await amqp.check(found.amqp_url)),
    ]
