"""One process of the connector or one simulator: start it, wait for it, kill it, and read its last words."""

import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import stack

PATIENCE_S = 60
STOP_S = 40  # more than a service gives its own work to end
LAST_LINES = 8


class Trouble(Exception):
    """Something that a person can understand and mend; the text says what."""


@dataclass
class Process:
    """A process that should run until it is stopped; it may be killed and started again with the same log."""

    name: str
    command: list[str]
    environment: Mapping[str, str]
    log: Path
    ops_port: int = 0
    popen: subprocess.Popen | None = None
    asked: bool = False
    """Whether it was asked to stop."""

    def start(self) -> None:
        self.asked = False
        self.popen = stack.start(self.name, self.command, env=self.environment, log=self.log)

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting; once, because a second one would end a service at once."""
        if self.popen and not self.asked:
            self.asked = True
            self.popen.terminate()

    def stop(self) -> int | None:
        """SIGTERM, and SIGKILL where that does not help; the exit status."""
        self.ask_to_stop()
        popen, self.popen = self.popen, None  # first, so that nobody takes it for one that ended by itself
        if popen is None:
            return None
        with contextlib.suppress(subprocess.TimeoutExpired):
            popen.wait(STOP_S)
        return stack.kill(popen)

    def kill(self) -> None:
        """SIGKILL, as if its machine had lost power."""
        popen, self.popen = self.popen, None
        if popen:
            stack.kill(popen)

    def check(self) -> None:
        """Raises Trouble where it ended by itself."""
        popen = self.popen
        if popen and (status := popen.poll()) is not None:
            words = "\n".join(f"    {line}" for line in last_words(self.log))
            raise Trouble(
                f"{self.name} ended by itself, exit status {status}. Its last words ({self.log}):\n{words}"
            )

    def wait_until_ready(self) -> None:
        """Returns once /readyz says so; raises Trouble with the reason."""
        deadline = time.monotonic() + PATIENCE_S
        while (reason := self.unready()) is not None:
            self.check()
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} is not ready after {PATIENCE_S} s: {reason} ({self.log})")
            time.sleep(0.05)

    def unready(self) -> str | None:
        """What /readyz gives as the reason; None where the service is able to work."""
        try:
            with _opener.open(f"http://127.0.0.1:{self.ops_port}/readyz", timeout=5):
                return None
        except urllib.error.HTTPError as error:
            with error:
                return error.read().decode(errors="replace")
        except OSError as error:
            return str(error)

    def wait_for_address(self) -> str:
        """The address that a simulator prints when it listens, with its scheme."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for line in self.log.read_text().splitlines():
                if line.startswith("listening "):
                    return line.split(None, 1)[1].rstrip("/")
            self.check()
            if time.monotonic() > deadline:
                raise Trouble(f"{self.name} does not listen after {PATIENCE_S} s ({self.log})")
            time.sleep(0.05)


# Proxies, which a machine may have set, are not asked for what is on this machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def errors(log: Path) -> tuple[int, str]:
    """How many errors a service logged, and the first of them."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    found = [line for line in lines if '"level": "error"' in line]
    return len(found), _shortened(found[0]) if found else ""


def last_words(log: Path, lines: int = LAST_LINES) -> list[str]:
    """The last lines of a log, those in JSON shortened to what a person wants to know."""
    written = log.read_text(errors="replace").splitlines() if log.exists() else []
    return [_shortened(line) for line in written[-lines:]] or ["(nothing)"]


def _shortened(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        return line[:300]
    if not isinstance(entry, dict):
        return line[:300]
    told = [str(entry.pop(name, "")) for name in ("timestamp", "level", "event")]
    exception = str(entry.pop("exception", "")).strip().rpartition("\n")[2]
    rest = [f"{name}={value}" for name, value in entry.items() if name not in ("service", "logger")]
    return " ".join(filter(None, [*told, *rest, exception]))[:300]
