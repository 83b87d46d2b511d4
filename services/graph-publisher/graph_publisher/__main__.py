"""graph-publisher: planned appointments in, calendar events out."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

import structlog

from common import amqp, db, service
from common.errors import SyncError
from common.graph import client as graph
from common.messages import AppointmentChanged, AppointmentUnreadable, MailboxDirty
from common.service import Ops, Service
from common.waiting import neighbours
from graph_publisher.commands import COMMANDS
from graph_publisher.lanes import Lanes
from graph_publisher.metrics import observe
from graph_publisher.plan import Planner
from graph_publisher.settings import Settings
from graph_publisher.store.adoptions import AdoptionStore
from graph_publisher.store.attempts import AttemptStore
from graph_publisher.store.generations import generation
from graph_publisher.store.lanes import LaneStore
from graph_publisher.store.plans import PlanStore

NAME = "graph-publisher"
log = structlog.get_logger()


async def serve(settings: Settings, ops: Ops) -> None:
    """Plan what the reader publishes, and write what is planned, until told to stop."""
    tuning = settings.publisher
    async with (
        db.pool(settings.postgres_dsn, application_name=NAME, max_size=tuning.connections) as pool,
        graph.client(settings.profiles, timeout=tuning.call_timeout_s, observe=observe) as calendars,
        amqp.connect(settings.amqp_url, name=NAME, report=ops.reporter("rabbitmq")) as broker,
    ):
        holder = f"{socket.gethostname()}:{os.getpid()}"
        lanes = Lanes(
            settings,
            LaneStore(pool, holder, tuple(settings.profiles)),
            AttemptStore(pool),
            AdoptionStore(pool),
            calendars,
        )
        async with asyncio.TaskGroup() as work:
            work.create_task(db.watch(pool, ops.reporter("postgresql")))
            current = await _generation(settings, pool)
            planner = Planner(
                PlanStore(pool, settings.profile_of, current),
                broker.publish_all,
                settings.policy(),
                settings.profile_of,
            )
            work.create_task(
                broker.consume(
                    "graph-publisher.appointments",
                    (AppointmentChanged.type, AppointmentUnreadable.type),
                    planner.handle,
                    batch=tuning.plan_batch,
                )
            )
            work.create_task(
                broker.consume("graph-publisher.mailboxes", (MailboxDirty.type,), lanes.wake, batch=500)
            )
            work.create_task(_recompute(planner, current, tuning.sweep_s))
            work.create_task(lanes.run())


async def _generation(settings: Settings, pool: db.Pool) -> int:
    """Wait for the state database: nothing can be planned without it."""
    while True:
        try:
            return await generation(pool, settings.fingerprint())
        except SyncError as error:
            log.warning("service.waiting", code=error.code, reason=str(error))
            await asyncio.sleep(settings.publisher.sweep_s)


async def _recompute(planner: Planner, current: int, pause_s: float) -> None:
    """Decide again what older settings decided, a batch at a time; what was done stays done."""
    while True:
        try:
            if not await planner.recompute(current):
                await asyncio.sleep(pause_s)
        except SyncError as error:
            log.warning("recomputation.interrupted", code=error.code, reason=str(error))
            await asyncio.sleep(pause_s)
        except Exception:
            # A defect here must not take planning and lanes down with it, again at every start.
            log.exception("recomputation.broken")
            await asyncio.sleep(10 * pause_s)


async def check(settings: Settings) -> list[tuple[str, str | None]]:
    """Try each neighbour once."""
    return [*await neighbours(settings), *await graph.check(settings.profiles)]


SERVICE = Service(NAME, "Planned appointments in, calendar events out.", Settings, serve, check, COMMANDS)


def main() -> None:
    """The command `graph-publisher`."""
    sys.exit(service.main(SERVICE))


if __name__ == "__main__":
    main()
