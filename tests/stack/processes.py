"""Processes that we start: known by pid, in a session of their own, stopped at exit and never by name."""

import asyncio
import atexit
import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from stack import ledger

T = TypeVar("T")

_started: dict[int, tuple[str, subprocess.Popen]] = {}
_folders: list[Path] = []
_leaving = contextlib.ExitStack()
_lock = threading.RLock()


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        return candidate.getsockname()[1]


def start(
    name: str,
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    user: str | None = None,
    stdout: int | None = None,
) -> subprocess.Popen:
    """Starts a process that ends with ours at the latest; its output goes to `log` (None: nowhere).

    `env` replaces the environment; `stdout=subprocess.PIPE` keeps standard output for the caller.
    """
    stop_all_at_exit()
    if log:
        log.parent.mkdir(parents=True, exist_ok=True)
    with Path(log or os.devnull).open("ab") as sink:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sink if stdout is None else stdout,
            stderr=sink,
            cwd="/" if user else None,
            start_new_session=True,
            **_identity(user),
        )
    with _lock:
        _started[process.pid] = (name, process)
        _note()
    return process


def stop(process: subprocess.Popen, *, patience_s: float = 15) -> int:
    """Asks a process to end, insists after `patience_s`; its exit status."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    return kill(process)


def kill(process: subprocess.Popen) -> int:
    """SIGKILL to a process and to everything under it; its exit status."""
    family = ledger.family(process.pid) if process.poll() is None else []
    ledger.signal_all(family, signal.SIGKILL)
    status = process.wait()
    if process.stdout:
        process.stdout.close()
    with _lock:
        _started.pop(process.pid, None)
        _note()
    wait_for(lambda: not any(map(ledger.is_running, family)), "killed processes to be gone", timeout_s=10)
    return status


def wait_for(
    ready: Callable[[], object],
    what: str,
    *,
    timeout_s: float = 60,
    process: subprocess.Popen | None = None,
    log: Path | None = None,
) -> None:
    """Returns once `ready()` is true; raises TimeoutError after `timeout_s` or when `process` ended."""
    deadline = time.monotonic() + timeout_s
    while not ready():
        ended = process is not None and process.poll() is not None
        if ended or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:] if log and log.exists() else ""
            raise TimeoutError(f"waited in vain for {what}{' (it ended)' if ended else ''}\n{tail}".strip())
        time.sleep(0.05)


def private_folder(prefix: str) -> Path:
    """A new temporary folder, removed by `remove_folder` or after this process."""
    folder = Path(tempfile.mkdtemp(prefix=f"exconn-{prefix}-"))
    with _lock:
        _folders.append(folder)
        _note()
    at_exit(remove_folder, folder)
    return folder


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with _lock:
        if folder in _folders:
            _folders.remove(folder)
        _note()


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, in a loop of its own: the caller may have one running."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def once(bring: Callable[..., T]) -> Callable[..., T]:
    """A function called for its first answer only, whatever its arguments are later, in any thread."""
    answers: list[T] = []
    busy = threading.Lock()

    @functools.wraps(bring)
    def answer(**options: object) -> T:
        with busy:
            if not answers:
                answers.append(bring(**options))
            return answers[0]

    return answer


def at_exit(callback: Callable[..., object], *arguments: object) -> None:
    """Calls back when this process ends, last come first served; on SIGTERM too."""
    stop_all_at_exit()
    _leaving.callback(callback, *arguments)


@functools.cache
def stop_all_at_exit() -> None:
    atexit.register(_leave)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _leave() -> None:
    with contextlib.suppress(OSError):
        _leaving.close()
    for _, process in list(_started.values())[::-1]:
        stop(process)


def _note() -> None:
    ledger.write({pid: name for pid, (name, _) in _started.items()}, _folders)


def _identity(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
