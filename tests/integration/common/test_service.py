"""What every process does, seen from outside: exit status, output, probes, signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import stack

SAMPLE = Path(__file__).with_name("sample_service.py")
SETTINGS = {
    "EXCONN_POSTGRES_DSN": "postgresql://postgres:hush@127.0.0.1:9/x",
    "EXCONN_AMQP_URL": "amqp://guest:hush@127.0.0.1:9/",
    "EXCONN_INSTALLATION": "test",
    "EXCONN_OPS_HOST": "127.0.0.1",
    "EXCONN_OPS_PORT": "0",
}


def environment(**more: str) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("EXCONN_")}
    return {**plain, **SETTINGS, **more}


def sample(*arguments: str, **more: str) -> subprocess.CompletedProcess:
    command = [sys.executable, SAMPLE, *arguments]
    return subprocess.run(
        command, env=environment(**more), capture_output=True, text=True, timeout=60, check=False
    )


class Running:
    """A service under way, with its log."""

    def __init__(self, command: list[str | Path], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.lines: list[dict] = []

    def until(self, event: str) -> dict:
        """Reads the log up to an event."""
        for line in self.process.stdout:
            self.lines.append(json.loads(line))
            if self.lines[-1]["event"] == event:
                return self.lines[-1]
        raise AssertionError(f"ended before {event}: {self.lines}")

    def ends(self) -> tuple[int, list[str]]:
        """Waits for the end; the exit status and the events that were logged."""
        rest = [json.loads(line) for line in self.process.stdout]
        return self.process.wait(60), [line["event"] for line in [*self.lines, *rest]]


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(command: list[str | Path] = (sys.executable, SAMPLE), **more: str) -> Running:
        started.append(Running(list(command), environment(**more)))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.wait()
        running.process.stdout.close()


def get(port: int, path: str) -> tuple[int, str]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_version_and_help_need_no_settings() -> None:
    version = sample("--version", EXCONN_INSTALLATION="")
    help_ = sample("--help", EXCONN_INSTALLATION="")

    assert (version.returncode, version.stdout) == (0, "sample 0.1.0\n")
    assert help_.returncode == 0
    assert "say a word" in help_.stdout


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["say"], ["check", "x"]])
def test_wrong_usage_is_exit_status_2(arguments) -> None:
    assert sample(*arguments).returncode == 2


@pytest.mark.parametrize("arguments", [[], ["run"], ["check"], ["say", "x"]])
def test_settings_faults_are_exit_status_2_one_per_line_without_a_traceback(arguments) -> None:
    done = sample(*arguments, EXCONN_OPS_PORT="x", EXCONN_NONSENSE="1")

    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == [
        "EXCONN_NONSENSE",
        "EXCONN_OPS_PORT",
    ]


def test_check_names_every_neighbour_and_fails_where_one_is_missing() -> None:
    good = sample("check")
    bad = sample("check", EXCONN_TEST_HOW="away")

    assert (good.returncode, good.stdout.split()) == (0, ["first", "ok", "second", "ok"])
    assert bad.returncode == 1
    assert "amqp://guest:***@x is away" in bad.stdout


def test_a_commands_exit_status_is_its_own() -> None:
    done = sample("say", "abc")

    assert (done.returncode, done.stdout) == (3, "test abc\n")


def test_a_command_without_settings_runs_without_them() -> None:
    done = sample("mumble", "x", EXCONN_INSTALLATION="")

    assert (done.returncode, done.stdout) == (1, "no settings x\n")


def test_a_command_that_fails_says_so_in_one_line_without_secrets() -> None:
    done = sample("say", "transient")

    assert done.returncode == 1
    assert done.stderr == "sample: EXC-BROKER-UNAVAILABLE: amqp://guest:***@x is away\n"


@pytest.mark.parametrize(("how", "status"), [("ends", 0), ("defect", 1), ("configuration", 1), ("port", 1)])
def test_the_end_of_the_work_is_the_end_of_the_process(run, how, status) -> None:
    running = run(EXCONN_TEST_HOW=how)

    code, events = running.ends()

    assert code == status
    assert events[-1] == ("service.stopped" if how == "ends" else "service.failed")


def test_an_expected_failure_of_one_task_is_told_without_a_traceback(run) -> None:
    running = run(EXCONN_TEST_HOW="group", PYTHONUNBUFFERED="1")
    running.process.stdout.readline()  # service.started
    assert running.process.stdout.readline() == "test transient\n"

    line = running.until("service.failed")

    assert (line["code"], line["reason"]) == ("EXC-BROKER-UNAVAILABLE", "amqp://guest:***@x is away")
    assert "exception" not in line


def test_a_defect_keeps_its_traceback_and_shows_no_secret(run) -> None:
    running = run(EXCONN_TEST_HOW="defect")

    line = running.until("service.failed")

    assert "ZeroDivisionError" in line["exception"]
    assert "password=***" in line["exception"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_gracefully(run, number) -> None:
    running = run()
    running.until("work.started")

    running.process.send_signal(number)

    code, events = running.ends()
    assert code == 0
    assert events == [
        "service.started",
        "work.started",
        "service.stopping",
        "work.ending",
        "work.ended",
        "service.stopped",
    ]


def test_a_second_signal_ends_at_once(run) -> None:
    running = run(EXCONN_TEST_HOW="stuck")
    running.until("work.started")

    running.process.send_signal(signal.SIGTERM)
    running.until("work.ending")
    running.process.send_signal(signal.SIGTERM)

    assert running.ends()[0] == 128 + signal.SIGTERM


def test_the_ops_port_answers_its_three_questions(run) -> None:
    port = run().until("service.started")["ops_port"]

    healthy, ready, metrics, other = (get(port, path) for path in ("/healthz", "/readyz", "/metrics", "/"))

    assert (healthy[0], json.loads(healthy[1])["alive"]) == (200, True)
    assert (ready[0], json.loads(ready[1])) == (
        200,
        {"ready": True, "reasons": {"nothing": None}, "service": "sample", "version": "0.1.0"},
    )
    assert 'exconn_build_info{service="sample",version="0.1.0"} 1.0' in metrics[1]
    assert "process_resident_memory_bytes" in metrics[1]
    assert "python_gc_collections_total" in metrics[1]
    assert other[0] == 404


def test_while_it_stops_it_is_not_ready_but_alive(run) -> None:
    running = run(EXCONN_TEST_HOW="stuck")
    port = running.until("service.started")["ops_port"]
    running.until("work.started")
    running.process.send_signal(signal.SIGTERM)
    running.until("work.ending")

    assert get(port, "/readyz")[0] == 503
    assert get(port, "/healthz")[0] == 200


def test_a_port_that_is_taken_is_told_in_one_line(run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = run(EXCONN_OPS_PORT=str(taken.getsockname()[1]))
        line = running.until("service.failed")

    assert "cannot answer on 127.0.0.1" in line["reason"]
    assert running.ends()[0] == 1


@pytest.mark.parametrize("name", ["webhook-ingest", "scheduler", "dashboard-api"])
def test_services_without_work_yet_tell_whether_their_neighbours_are_there(
    run, database, vhost, name
) -> None:
    command = Path(sys.executable).with_name(name)
    given = {"EXCONN_POSTGRES_DSN": database, "EXCONN_AMQP_URL": vhost}
    subprocess.run(
        [sys.executable, "-m", "common.db"], env=environment(**given), check=True, capture_output=True
    )

    checked = subprocess.run(
        [command, "check"], env=environment(**given), capture_output=True, text=True, check=False
    )
    running = run([command], **given)
    port = running.until("service.started")["ops_port"]
    stack.wait_for(lambda: get(port, "/readyz")[0] == 200, "readiness")
    running.process.terminate()

    assert (checked.returncode, checked.stdout.split()) == (0, ["postgresql", "ok", "rabbitmq", "ok"])
    assert running.ends()[0] == 0


def test_a_service_without_neighbours_is_alive_says_why_it_is_not_ready_and_fails_its_check(run) -> None:
    command = Path(sys.executable).with_name("scheduler")
    checked = subprocess.run(
        [command, "check"], env=environment(), capture_output=True, text=True, check=False
    )
    port = run([command]).until("service.started")["ops_port"]
    stack.wait_for(lambda: len(json.loads(get(port, "/readyz")[1])["reasons"]) == 2, "both reports")

    status, body = get(port, "/readyz")

    assert status == 503
    assert "out of reach" in json.loads(body)["reasons"]["rabbitmq"]
    assert "out of reach" in json.loads(body)["reasons"]["postgresql"]
    assert get(port, "/healthz")[0] == 200
    assert checked.returncode == 1
    assert "hush" not in checked.stdout + checked.stderr + body


def test_every_service_names_all_its_missing_settings() -> None:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("EXCONN_")}
    for name in ("webhook-ingest", "scheduler", "dashboard-api"):
        command = Path(sys.executable).with_name(name)
        done = subprocess.run([command], env=plain, capture_output=True, text=True, check=False)

        assert done.returncode == 2
        assert {line.partition(":")[0] for line in done.stderr.splitlines()} >= {
            "EXCONN_AMQP_URL",
            "EXCONN_POSTGRES_DSN",
            "EXCONN_INSTALLATION",
        }
