"""The bringing of servers: processes that end with ours, and what a killed run leaves behind."""

import json
import signal
import subprocess
import sys

import pytest

import stack
from stack import ledger

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
PARENT = [sys.executable, "-c", f"import subprocess; subprocess.run({SLEEP!r})"]


def test_a_killed_process_takes_its_children_along():
    process = stack.start("parent", PARENT)
    stack.wait_for(lambda: len(ledger.family(process.pid)) == 2, "a child", timeout_s=30)
    family = ledger.family(process.pid)

    stack.kill(process)

    assert [member for member in family if ledger.is_running(member)] == []


def test_a_stopped_process_is_asked_first():
    script = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(7)); print(1, flush=True); time.sleep(600)"
    process = stack.start("polite", [sys.executable, "-c", script], stdout=subprocess.PIPE)
    process.stdout.readline()

    status = stack.stop(process)

    assert status == 7


def test_waiting_for_a_process_that_ended_fails_at_once_with_its_last_words(tmp_path):
    log = tmp_path / "log"
    process = stack.start("short", [sys.executable, "-c", "print('no room')"], log=log)

    with pytest.raises(TimeoutError, match="no room"):
        stack.wait_for(lambda: False, "nothing", process=process, log=log)

    stack.kill(process)


def test_what_a_killed_run_left_is_found_and_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "VAR", tmp_path)
    script = f"import stack, time; from pathlib import Path; from stack import ledger; ledger.VAR = Path({str(tmp_path)!r})"
    script += f"; print(stack.start('left', {SLEEP!r}).pid, flush=True); time.sleep(600)"
    run = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    left = ledger.identify(int(run.stdout.readline()))
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()

    stopped = ledger.stop_everything()

    assert stopped == 1
    assert not ledger.is_running(left)
    assert list((tmp_path / "run").iterdir()) == []


def test_a_number_that_the_kernel_gave_again_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "VAR", tmp_path)
    process = stack.start("stranger", SLEEP)
    identity = ledger.identify(process.pid)
    other = [identity.number, identity.started - 1]
    note = {"command": "", "owner": other, "processes": [{"name": "left", "pid": other}], "folders": []}
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run/1.json").write_text(json.dumps(note))

    stopped = ledger.stop_everything()

    assert stopped == 0
    assert ledger.is_running(identity)
    stack.kill(process)


def test_an_odbc_string_carries_what_a_dsn_says():
    text = stack.planning_odbc("postgresql://some%40one:p%2Fw@db.example:5433/planning")

    assert text == (
        "Driver={PostgreSQL Unicode};Server=db.example;Port=5433;Database=planning;"
        "Uid=some@one;Pwd=p/w;BoolsAsChar=0"
    )
