"""The commands of outbox-reader: schema, backfill, replay."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from pathlib import Path
from typing import cast

from common import db
from common.errors import Configuration
from common.planning import database
from common.planning.database import Dialect
from common.planning.reading import Planning
from common.service import DONE, FAILED, WRONG, Command
from outbox_reader import upkeep
from outbox_reader.backfill import Backfill, Summary
from outbox_reader.schema import schema_command
from outbox_reader.settings import Settings
from outbox_reader.store.keeping import Keeping
from outbox_reader.store.outbox import Outbox
from outbox_reader.store.state import State


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Both databases, as a command sees them."""

    planning: Planning
    outbox: Outbox
    keeping: Keeping
    state: State


@asynccontextmanager
async def neighbours(settings: Settings) -> AsyncIterator[Neighbours]:
    """Connect to both databases; raises `Configuration` where the state database lacks migrations."""
    async with (
        db.pool(settings.postgres_dsn, application_name="outbox-reader", max_size=2) as pool,
        database.connect(settings.planning_odbc, settings.planning_dialect, size=1) as connection,
    ):
        state = State(pool)
        await state.migrated()
        yield Neighbours(Planning(connection, settings.zone), Outbox(connection), Keeping(connection), state)


def _schema_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--dialect", choices=("mssql", "postgresql"), required=True)
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="names of Dime.Scheduler's tables; default: its own"
    )
    parser.add_argument(
        "--uninstall", action="store_true", help="print the SQL that takes everything out again"
    )
    parser.add_argument(
        "--preflight", action="store_true", help="print the check that a DBA runs before (SQL Server only)"
    )


async def _schema(_: None, arguments: Namespace) -> int:
    try:
        dialect = cast("Dialect", arguments.dialect)
        sql = schema_command(dialect, arguments.mapping, arguments.uninstall, arguments.preflight)
    except (Configuration, OSError) as error:
        sys.stderr.write(f"outbox-reader schema: {error}\n")
        return WRONG
    sys.stdout.write(sql)
    return DONE


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no date; write it as 2026-01-31") from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is no time; write it as 2026-01-31T08:00, or with an offset"
        ) from None


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def _backfill_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="since", type=_day, required=True, metavar="DATE",
                        help="appointments that end on this day of the planning, or later")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only say what would be enqueued")
    parser.add_argument("--allow-deletions", type=_number, default=0, metavar="N",
                        help="how many known appointments may be found gone, above 10 and 5 %%")  # fmt: skip


async def _backfill(settings: Settings, arguments: Namespace) -> int:
    midnight = datetime.combine(arguments.since, time.min, settings.zone)
    async with neighbours(settings) as near:
        summary = await Backfill(
            near.planning,
            near.outbox,
            near.state,
            settings.reader.absent_apart_s,
            arguments.dry_run,
            arguments.allow_deletions,
            _progress(),
        ).run(midnight)
    print("dry run:" if arguments.dry_run else "backfill:", summary)
    if summary.held:
        print(
            f"{summary.held} appointments that were planned are not in the planning any more. That is many: look "
            f"before you let their events be removed with --allow-deletions {summary.held}.",
            file=sys.stderr,
        )
    return FAILED if summary.held else DONE


def _progress() -> Callable[[Summary], None]:
    last = 0

    def tell(summary: Summary) -> None:
        nonlocal last
        if summary.read - last >= 10_000:
            last = summary.read
            print(summary, file=sys.stderr, flush=True)

    return tell


def _replay_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--since", type=_moment, required=True, metavar="TIME",
                        help="rows done since then; without an offset, a time of the planning's zone")  # fmt: skip


async def _replay(settings: Settings, arguments: Namespace) -> int:
    async with neighbours(settings) as near:
        rows = await upkeep.replay(near.keeping, _aware(arguments.since, settings.zone))
    print(f"replay: {rows} rows enqueued again")
    return DONE


def _aware(moment: datetime, zone: tzinfo) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


COMMANDS = (
    Command("schema", "print the SQL of the outbox objects", _schema_arguments, _schema, needs_settings=False),
    Command("backfill", "enqueue existing appointments that differ from what was last published",
            _backfill_arguments, _backfill),
    Command("replay", "enqueue rows again that were done", _replay_arguments, _replay),
)  # fmt: skip
