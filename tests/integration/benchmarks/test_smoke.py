"""Each benchmark in its smallest form, so that none of them rots. What it measures here means nothing."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

import stack
from benchmarks.__main__ import BENCHMARKS, main


@pytest.fixture
def logs_as_before() -> Iterator[None]:
    handlers, level, configuration = logging.root.handlers[:], logging.root.level, structlog.get_config()
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.configure(**configuration)


@pytest.mark.usefixtures("logs_as_before")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_it_runs_and_reports(
    name: str,
    postgres_server: stack.Postgres,
    amqp_server: stack.Broker,
    odbc: dict[str, str],
    tmp_path: Path,
) -> None:
    status = main(["--smoke", "--only", name, "--into", str(tmp_path)])

    report = json.loads((tmp_path / f"{name}.json").read_text())
    assert status == 0
    assert report["rows"]
    assert all(row.get("429", 0) == 0 for row in report["rows"])
    assert report["machine"]["cores"]
