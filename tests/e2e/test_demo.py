"""The demo, as `make demo` plays it where there is no terminal."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stack import ledger

PATIENCE_S = 240

pytestmark = pytest.mark.usefixtures("postgres_server", "amqp_server", "odbc")


def demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "demo", "--folder", folder, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def processes_of(pid: int) -> list[ledger.Pid]:
    return [
        each["pid"] for note in ledger.notes() if note["owner"].number == pid for each in note["processes"]
    ]


def test_the_story_ends_with_planning_and_calendars_equal(tmp_path):
    playing = demo(tmp_path)
    told, _ = playing.communicate(timeout=PATIENCE_S)

    assert playing.returncode == 0, told
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["appointments"] >= 25
    assert summary["events"] >= 20
    assert (summary["differences"], summary["duplicates"], summary["adopted"]) == (0, 0, 2)
    assert 0 < summary["lag_ms"]["p50"] <= summary["lag_ms"]["p95"]
    assert summary["graph_requests"] > summary["events"]
    assert summary["back"] == {"changes": 0, "echoes": 0, "refused": 0, "lag_ms": {"p50": 0, "p95": 0}}
    assert "Traceback" not in told
    assert "\x1b" not in told
    assert processes_of(playing.pid) == []


def test_a_demo_has_its_folder_for_itself_and_leaves_nothing_running(tmp_path):
    first = demo(tmp_path, "--kind")
    await_service("dashboard-api", tmp_path, first)
    started = processes_of(first.pid)
    second = demo(tmp_path, "--kind")
    refused, _ = second.communicate(timeout=PATIENCE_S)
    first.terminate()
    told, _ = first.communicate(timeout=PATIENCE_S)

    assert second.returncode == 1
    assert "a demo runs already" in refused
    assert len(started) > 5
    assert [pid for pid in started if ledger.is_running(pid)] == []
    assert "Traceback" not in told + refused


def test_stop_ends_what_a_killed_demo_left_running(tmp_path):
    playing = demo(tmp_path, "--kind")
    await_service("dashboard-api", tmp_path, playing)
    started = processes_of(playing.pid)
    playing.kill()
    playing.communicate(timeout=PATIENCE_S)
    stopping = demo(tmp_path, "stop")
    told, _ = stopping.communicate(timeout=PATIENCE_S)

    assert stopping.returncode == 0, told
    assert len(started) > 5
    assert [pid for pid in started if ledger.is_running(pid)] == []


def test_a_service_that_dies_is_named_with_its_last_words(tmp_path):
    playing = demo(tmp_path, "--kind")
    await_service("scheduler", tmp_path, playing)
    victim = next(
        each["pid"] for note in ledger.notes() if note["owner"].number == playing.pid
        for each in note["processes"] if each["name"] == "scheduler-1"
    )  # fmt: skip
    ledger.signal_all([victim], signal.SIGKILL)
    told, _ = playing.communicate(timeout=PATIENCE_S)

    assert playing.returncode == 1
    assert "scheduler-1 ended by itself, exit status -9" in told
    assert "service.started" in told
    assert "Traceback" not in told


def await_service(service: str, folder: Path, playing: subprocess.Popen[str]) -> None:
    """Returns when the service has begun to work."""
    log = folder / f"{service}-1.log"
    deadline = time.monotonic() + PATIENCE_S
    while not (log.exists() and "service.started" in log.read_text()):
        assert playing.poll() is None, playing.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)
