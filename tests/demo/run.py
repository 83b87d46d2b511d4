"""One demo at a time in a folder: who runs it, and what to remove where it was killed."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from demo.processes import Trouble
from stack import ledger

FILE = "pid"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """The folder is this process's; raises Trouble where another demo uses it. Leftovers of a killed one are ended."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / FILE).open("a+") as note:
        try:
            fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Trouble("a demo runs already; `make stop` ends it") from None
        _end(_owner(folder))
        note.truncate(0)
        json.dump(ledger.identify(os.getpid()), note)
        note.flush()
        yield
        (folder / FILE).unlink()


def stop(folder: Path) -> int:
    """Ends the demo that uses the folder and what a killed one left; how many processes were running."""
    owner = _owner(folder)
    stopped = _end(owner)
    (folder / FILE).unlink(missing_ok=True)
    return stopped


def _owner(folder: Path) -> ledger.Pid | None:
    with suppress(OSError, ValueError, TypeError):
        return ledger.Pid(*json.loads((folder / FILE).read_text()))
    return None


def _end(owner: ledger.Pid | None) -> int:
    return sum(ledger.stop_run(note) for note in ledger.notes() if note["owner"] == owner)
