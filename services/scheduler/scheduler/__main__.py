"""scheduler: cRON expressions in, ticks out. So far it only tells that it is there."""

from __future__ import annotations

import sys

from common import amqp, db, service
from common.service import Ops, Service
from scheduler.settings import Settings

NAME = "scheduler"


async def serve(settings: Settings, ops: Ops) -> None:
    """Hold the connections that the work will need, and tell whether they are up, until told to stop."""
    async with (
        db.pool(settings.postgres_dsn, application_name=NAME, max_size=2) as pool,
        amqp.connect(settings.amqp_url, name=NAME, report=ops.reporter("rabbitmq")),
    ):
        await db.watch(pool, ops.reporter("postgresql"))


async def check(settings: Settings) -> list[tuple[str, str | None]]:
    """Try each neighbour once."""
    return [
        ("postgresql", await db.check(settings.postgres_dsn)),
        ("rabbitmq", await amqp.check(settings.amqp_url)),
    ]


SERVICE = Service(NAME, "CRON expressions in, ticks out.", Settings, serve, check)


def main() -> None:
    """The command `scheduler`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
