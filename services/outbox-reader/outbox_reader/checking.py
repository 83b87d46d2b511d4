"""`outbox-reader check`: are the neighbours there, and may we do there all that the reader does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import uuid4

from common import amqp, db
from common.errors import SyncError
from common.planning import database
from common.planning.database import Database
from common.planning.reading import Planning
from outbox_reader.settings import Settings
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from outbox_reader.upkeep import BEGINNING

AGES = 36_500  # days: nothing is that old

Probe = tuple[str, Callable[[], Awaitable[object]]]


async def check(settings: Settings) -> list[tuple[str, str | None]]:
    """Each neighbour, with what is wrong with it."""
    return [
        ("planning", await _check_planning(settings)),
        ("postgresql", await db.check(settings.postgres_dsn)),
        ("rabbitmq", await amqp.check(settings.amqp_url)),
    ]


async def _check_planning(settings: Settings) -> str | None:
    async with database.connect(settings.planning_odbc, settings.planning_dialect, size=1) as connection:
        for purpose, attempt in _probes(connection, Planning(connection, settings.zone)):
            try:
                await attempt()
            except SyncError as error:
                return f"{error.code}: cannot {purpose}: {error}"
            except Exception as error:  # noqa: BLE001 - whatever it is, the reader would meet it too
                return f"cannot {purpose}: {type(error).__name__}: {error}"
    return None


def _probes(connection: Database, planning: Planning) -> list[Probe]:
    """Everything the reader does there, upon no row; a version drawn too many means nothing."""
    keeping, outbox, nobody = Keeping(connection), Outbox(connection), uuid4()
    return [
        ("read the outbox's identity", keeping.identity),
        ("read what triggers missed", keeping.missed),
        ("read the outbox", keeping.depths),
        ("number new rows of the outbox", keeping.may_number),
        ("add rows to the outbox", lambda: keeping.replay(0, 0, BEGINNING, 0)),
        ("change rows of the outbox", lambda: outbox.done(nobody, 0)),
        ("remove rows from the outbox", lambda: keeping.prune(AGES)),
        ("look up who shows a shared row", lambda: outbox.expand(nobody, -1, 1, 1, 1)),
        ("note how far the state database is", lambda: keeping.planned(-1, nobody)),
        ("draw a version", planning.next_version),
        ("read appointments", lambda: _read_one(planning)),
    ]


async def _read_one(planning: Planning) -> None:
    await planning.read(await planning.ids(-(2**63), 1))
