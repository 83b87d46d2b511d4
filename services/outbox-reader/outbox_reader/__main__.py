"""outbox-reader: changes of the planning database in, messages with snapshots out."""

from __future__ import annotations

import asyncio
import sys
from functools import partial

from common import amqp, db
from common.messages import OutboxRequeue
from common.planning import database
from common.planning.reading import Planning
from common.service import Ops, Service
from common.service import main as run
from outbox_reader import upkeep
from outbox_reader.backfill import Backfill
from outbox_reader.checking import check
from outbox_reader.commands import COMMANDS
from outbox_reader.epochs import Epochs
from outbox_reader.expanding import expand_and_wake
from outbox_reader.missed import Missed
from outbox_reader.relay import Relay
from outbox_reader.requeue import QUEUE, requeue
from outbox_reader.settings import Settings
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from outbox_reader.store.state import State


async def serve(settings: Settings, ops: Ops) -> None:
    """Work off the outbox until cancelled."""
    tuning = settings.reader
    async with (
        db.pool(settings.postgres_dsn, application_name="outbox-reader", max_size=5) as pool,
        database.connect(settings.planning_odbc, settings.planning_dialect, size=tuning.connections) as planning_database,
        amqp.connect(settings.amqp_url, name="outbox-reader", report=ops.reporter("rabbitmq")) as broker,
        asyncio.TaskGroup() as tasks,
    ):  # fmt: skip
        outbox, keeping, state = Outbox(planning_database), Keeping(planning_database), State(pool)
        tasks.create_task(db.watch(pool, ops.reporter("postgresql")))
        tasks.create_task(upkeep.watch(keeping, ops.reporter("planning")))
        tasks.create_task(upkeep.every(5, "leases", partial(upkeep.free_expired, keeping)))
        tasks.create_task(upkeep.every(5, "depth", partial(upkeep.measure, keeping)))
        tasks.create_task(upkeep.every(30, "parked rows", partial(upkeep.settle_parked, keeping)))
        await state.there()
        planning = Planning(planning_database, settings.zone)
        epochs = Epochs(keeping, state, lambda: planning_database.connects, tuning.check_every_s)
        publish = partial(broker.publish_all, timeout=tuning.publish_timeout_s)
        relay = Relay(outbox, planning, epochs, publish, tuning, lambda: broker.connected)
        backfill = Backfill(planning, outbox, state, tuning.absent_apart_s)
        expand = partial(expand_and_wake, outbox, tuning, relay.wake)
        handler = partial(requeue, outbox=outbox, state=state, wake=relay.wake)
        missed = Missed(keeping, backfill, state.recovering, tuning.recover_days, tuning.missed_after_s)
        recover = partial(upkeep.recover, epochs, keeping, backfill, state.recovering, tuning.recover_days)
        tasks.create_task(relay.run())
        tasks.create_task(upkeep.every(tuning.poll_max_s, "expansion", expand))
        tasks.create_task(broker.consume(QUEUE, [OutboxRequeue.type], handler, batch=50))
        tasks.create_task(upkeep.every(tuning.note_every_s, "notes", epochs.note))
        tasks.create_task(upkeep.every(1, "recovery", recover))
        tasks.create_task(upkeep.every(10, "missed", missed.look))
        tasks.create_task(upkeep.every(600, "pruning", partial(upkeep.prune, keeping, tuning.keep_done_days)))


SERVICE = Service(
    name="outbox-reader",
    about="Reads the outbox of the planning database and publishes appointments.",
    settings=Settings,
    serve=serve,
    check=check,
    commands=COMMANDS,
)


def main() -> int:
    """The command `outbox-reader`."""
    return run(SERVICE)


if __name__ == "__main__":
    sys.exit(main())
