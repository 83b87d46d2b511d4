"""One demo at a time in a folder: who runs it, and what to remove where it was killed."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

import stack
from demo.processes import Trouble
from demo.world import World
from stack import brokers, ledger

FILE = "pid"


@dataclass
class Claim:
    """A folder that is ours for now."""

    path: Path

    def note(self, world: World) -> None:
        """Notes what only we know the names of."""
        self.path.write_text(json.dumps(_note(world.state_dsn, world.planning_dsn, vhost=world.amqp_url)))


@contextmanager
def claimed(folder: Path) -> Iterator[Claim]:
    """The folder is this process's; raises Trouble where another demo uses it. Removes what a killed one left."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble("a demo runs already; `make stop` ends it") from None
        _end(path)
        path.touch(mode=0o600)  # the addresses of databases may hold passwords
        path.write_text(json.dumps(_note()))
        try:
            yield Claim(path)
        finally:
            path.unlink(missing_ok=True)


def stop(folder: Path) -> int:
    """Ends the demo that uses the folder and what a killed one left; how many processes were running."""
    return _end(folder / FILE)


def _note(*databases: str, vhost: str | None = None) -> dict[str, object]:
    return {"owner": ledger.identify(os.getpid()), "databases": databases, "vhost": vhost}


def _end(path: Path) -> int:
    try:
        note = json.loads(path.read_text())
        owner = ledger.Pid(*note["owner"])
    except (OSError, ValueError, TypeError, KeyError):
        return 0
    stopped = sum(ledger.stop_run(known) for known in ledger.notes() if known["owner"] == owner)
    if path.exists():  # it could not clean up
        _remove(note["databases"], note["vhost"])
    path.unlink(missing_ok=True)
    return stopped


def _remove(databases: list[str], vhost: str | None) -> None:
    """As far as their servers still run."""
    for dsn in databases:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError):
            stack.drop_database(dsn)
    if vhost and brokers.logs_in(vhost):
        stack.broker().release(unquote(urlsplit(vhost).path[1:]))  # deleted when this process ends
