"""The example of an environment is one that every service starts with."""

from __future__ import annotations

from pathlib import Path

import documents
import pytest

from common.settings import load

EXAMPLE = Path(__file__).parents[3] / "deploy" / "env.example"


def _environment(folder: Path) -> dict[str, str]:
    lines = (line for line in EXAMPLE.read_text().splitlines() if line and not line.startswith("#"))
    environment = dict(line.split("=", 1) for line in lines)
    contents = {"DSN": "postgresql://exconn@db/exconn", "ODBC": "DRIVER=x;SERVER=y"}
    for name in [name for name in environment if name.endswith("_FILE")]:
        file = folder / name
        file.write_text(contents.get(name.split("_")[-2], "secret"))
        environment[name] = str(file)
    return environment


@pytest.mark.parametrize("service", sorted(documents.SERVICES))
def test_every_service_reads_the_example(service: str, tmp_path: Path) -> None:
    settings = load(documents.SERVICES[service], _environment(tmp_path))

    assert settings.model_dump()["installation"] == "acme"
