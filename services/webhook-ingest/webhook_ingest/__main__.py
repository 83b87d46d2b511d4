"""webhook-ingest: notifications of calendars in, changes of the planning out. So far it only tells that it is there."""

from __future__ import annotations

import sys

from common import amqp, db, service
from common.service import Ops, Service
from webhook_ingest.settings import Settings

NAME = "webhook-ingest"


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


SERVICE = Service(NAME, "Notifications of calendars in, changes of the planning out.", Settings, serve, check)


def main() -> None:
    """The command `webhook-ingest`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
