"""Who started what, in var/run/<pid>.json, so that a killed run's leftovers can be found and stopped.

A pid counts only together with its start time: the kernel gives numbers again.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
VAR = ROOT / "var"


class Pid(NamedTuple):
    """One process, now and never another one of the same number."""

    number: int
    started: int


def write(names: dict[int, str], folders: list[Path]) -> None:
    """Notes the processes that this one started and its temporary folders; none removes the note."""
    note = VAR / "run" / f"{os.getpid()}.json"
    if not names and not folders:
        note.unlink(missing_ok=True)
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    processes = [{"name": name, "pid": identify(pid)} for pid, name in names.items()]
    record = {
        "command": sys.argv[0],
        "owner": identify(os.getpid()),
        "processes": processes,
        "folders": [str(folder) for folder in folders],
    }
    draft = note.with_suffix(".draft")
    draft.write_text(json.dumps(record))
    draft.replace(note)


def notes() -> list[dict]:
    """What every run of this clone noted: command, owner, processes still running, folders."""
    return [note for path in sorted((VAR / "run").glob("*.json")) if (note := _read(path))]


def stop_everything() -> int:
    """Ends every noted run but the caller's own, and their processes; how many processes were running."""
    return sum(stop_run(note) for note in notes() if note["owner"].number != os.getpid())


def stop_run(note: dict) -> int:
    """Ends one of `notes()` and its processes; how many processes were running."""
    _end(note["owner"], patience_s=40)
    stopped = sum(_end(process["pid"], patience_s=10) for process in note["processes"])
    for folder in note["folders"]:
        shutil.rmtree(folder, ignore_errors=True)
    (VAR / "run" / f"{note['owner'].number}.json").unlink(missing_ok=True)
    return stopped


def identify(pid: int) -> Pid | None:
    """A process as far as it runs; None where it doesn't."""
    try:
        # The command, second of the fields, may contain spaces and closing brackets.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else Pid(pid, int(fields[19]))


def is_running(pid: Pid) -> bool:
    return identify(pid.number) == pid


def family(pid: int) -> list[Pid]:
    """A process and everything under it, by /proc."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(path.parent.name))
    found = [pid]
    for member in found:
        found += parents.get(member, [])
    return [known for member in found if (known := identify(member))]


def signal_all(pids: list[Pid], number: signal.Signals) -> None:
    for pid in pids:
        if is_running(pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid.number, number)


def _end(pid: Pid, *, patience_s: float) -> int:
    if not is_running(pid):
        return 0
    members = family(pid.number)
    os.kill(pid.number, signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    signal_all(members, signal.SIGKILL)
    return 1


def _read(path: Path) -> dict | None:
    with contextlib.suppress(OSError, ValueError):
        note = json.loads(path.read_text())
        note["owner"] = Pid(*note["owner"])
        note["processes"] = [
            {"name": each["name"], "pid": pid}
            for each in note["processes"]
            if each["pid"] and is_running(pid := Pid(*each["pid"]))
        ]
        return note
    return None
