"""Play a story from a planning to calendars, through the real services; on a terminal, then keep it running.

`make demo` runs it, `make stop` (`python -m demo stop`) ends what a demo left running.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg
from aio_pika.exceptions import AMQPError

import stack
from demo import run, summary
from demo.play import Result, guarded, play, tell
from demo.processes import Trouble
from demo.table import BOLD, GREEN, RED, Table
from demo.wording import lag
from demo.world import SEED, World
from stack.ledger import VAR

DONE, FAILED = 0, 1
AWAY = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, aiohttp.ClientError, AMQPError)


def main() -> int:
    """Exit status 0 where planning and calendars are equal at the end, 1 where not or where it did not get there."""
    options = _options()
    if options.command == "stop":
        stopped = run.stop(options.folder)
        print(f"stopped {stopped} processes" if stopped else "no demo is running")
        return DONE
    try:
        with run.claimed(options.folder) as claim:
            return _demo(options, claim, Table())
    except (Trouble, stack.Missing) as trouble:
        print(f"\n{trouble}", file=sys.stderr)
    except AWAY as error:
        print(f"\nA server went away: {type(error).__name__}: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
    return FAILED


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__.partition("\n")[0])
    parser.add_argument("command", nargs="?", choices=("play", "stop"), default="play")
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of the faults that Graph has on purpose ({SEED})"
    )
    parser.add_argument("--kind", action="store_true", help="a Graph without faults")
    parser.add_argument(
        "--folder", type=Path, default=VAR / "demo", help="for logs and summary.json (var/demo)"
    )
    return parser.parse_args()


def _demo(options: argparse.Namespace, claim: run.Claim, table: Table) -> int:
    began = time.monotonic()
    (options.folder / summary.FILE).unlink(missing_ok=True)
    table.line("The Exchange connector for Dime.Scheduler: from the planning to the calendars", BOLD)
    world = World(options.folder, seed=options.seed, faults=not options.kind, tell=_progress(table))
    with world:
        claim.note(world)
        result = asyncio.run(play(world, table))
        path = summary.write(options.folder, result.summary)
        tell(result, world, table)
        _verdict(result, table, path, time.monotonic() - began)
        if sys.stdin.isatty() and sys.stdout.isatty():
            with contextlib.suppress(KeyboardInterrupt):
                _stay(world, table)
            table.line("stopping ...")
    return DONE if result.comparison.equal else FAILED


def _progress(table: Table):
    return lambda text: table.line(f"{text} ...", indent="    ")


def _verdict(result: Result, table: Table, path: Path, seconds: float) -> None:
    table.line()
    found = result.comparison
    if found.equal:
        table.line("Planning and calendars are equal: 0 differences, 0 duplicates.", GREEN)
    else:
        table.line(
            f"Planning and calendars are NOT equal: {len(found.differences)} differences, "
            f"{len(found.duplicates)} duplicates.",
            RED,
        )
    table.line(f"After {lag(seconds)}; the numbers are in {_short(path)}")


def _stay(world: World, table: Table) -> None:
    """Keeps everything running until Ctrl-C; raises Trouble where a process ends by itself."""
    planning = _without_password(world.planning_dsn)
    table.title("Everything keeps running; look around:")
    table.facts(
        {process.name: f"http://127.0.0.1:{process.ops_port}/metrics  /readyz" for process in world.processes}
        | {
            "Microsoft 365": f"{world.graph}/_sim/mailboxes",
            "Dime.Scheduler": f"{world.dime}/_sim/appointments",
            "its database": planning,
            "the connector's": _without_password(world.state_dsn),
            "RabbitMQ": _without_password(world.amqp_url),
            "logs": f"{_short(world.folder)}/*.log",
        }
    )
    events = f"{world.graph}/_sim/mailboxes/alice@contoso.example/events"
    change = "UPDATE dbo.Appointments SET Subject = 'Changed by hand' WHERE Id = 1"
    table.title("Change something in the planning, and look at Alice's calendar:")
    table.command(f'psql {planning} -c "{change}"')
    table.command(f"curl -s --cacert {_short(Path(world.ca_file))} {events}")
    table.line()
    table.line("Ctrl-C ends it.", BOLD)
    asyncio.run(guarded(world, asyncio.Event().wait()))


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    login, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=login.partition(":")[0] + at + host))


def _short(path: Path) -> str:
    """As it is typed from here, where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)


if __name__ == "__main__":
    sys.exit(main())
