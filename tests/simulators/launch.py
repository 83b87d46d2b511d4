"""Starts a simulator as a process of its own: `with launch("graph", "--kind") as graph: graph.address ...`."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

STOP_S = 10


@dataclass
class Running:
    """A simulator that listens at `address` (with scheme, without a slash at the end)."""

    address: str
    process: subprocess.Popen[str]
    cert_dir: Path | None = None
    printed: list[str] = field(default_factory=list)
    last_errors: deque[str] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def ca_file(self) -> str | None:
        """The authority to trust."""
        return None if self.cert_dir is None else str(self.cert_dir / "ca.pem")

    @property
    def client_pem(self) -> str:
        """A client certificate with its key, as text."""
        return (self.cert_dir / "client.pem").read_text() if self.cert_dir else ""

    def door(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that a door answers (blocking); RuntimeError with its text if it refuses."""
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", content, method=method)
        request.add_header("Content-Type", "application/json")
        context = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        try:
            with opener.open(request, timeout=60) as response:
                return json.load(response)
        except HTTPError as error:
            with error:
                raise RuntimeError(f"{method} {path}: {error.code} {error.read().decode()}") from None


@contextmanager
def launch(name: str, *arguments: object) -> Iterator[Running]:
    """Runs `simulators.<name>`, waits until it listens, stops it at the end.

    The Graph simulator gets a temporary --cert-dir unless one is among the arguments. RuntimeError with what it
    wrote to stderr, if it ends before it listens.
    """
    given = [str(each) for each in arguments]
    with tempfile.TemporaryDirectory(prefix="simulator-") as temporary:
        if name == "graph" and "--cert-dir" not in given:
            given += ["--cert-dir", temporary]
        process = _start(name, given)
        running = Running("", process)
        if "--cert-dir" in given:
            running.cert_dir = Path(given[given.index("--cert-dir") + 1])
        reader = threading.Thread(target=_drain, args=(process.stderr, running.last_errors), daemon=True)
        reader.start()
        try:
            _await_address(name, running, reader)
            yield running
        finally:
            _stop(process)
            reader.join()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def _start(name: str, given: list[str]) -> subprocess.Popen[str]:
    tests = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        [sys.executable, "-m", f"simulators.{name}", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )


def _await_address(name: str, running: Running, reader: threading.Thread) -> None:
    for line in running.process.stdout or ():
        running.printed.append(line.rstrip("\n"))
        if line.startswith("listening "):
            running.address = line.split(None, 1)[1].strip().rstrip("/")
            if "://" not in running.address:
                running.address = f"{'https' if name == 'graph' else 'http'}://{running.address}"
            threading.Thread(target=_drain, args=(running.process.stdout, None), daemon=True).start()
            return
    running.process.wait()
    reader.join()
    raise RuntimeError(f"simulators.{name} did not start:\n" + "".join(running.last_errors))


def _drain(stream: Any, into: deque[str] | None) -> None:
    try:
        for line in stream:
            if into is not None:
                into.append(line)
    except ValueError:
        return  # closed in the meantime


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
