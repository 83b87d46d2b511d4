"""What must hold for the repository as a whole."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ("outbox-reader", "graph-publisher", "webhook-ingest", "scheduler", "dashboard-api")
LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-msodbc.txt")


def pins(lock: str) -> dict[str, str]:
    """The version of each package in a lock, by name."""
    text = (ROOT / lock).read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ]+)", text, re.MULTILINE))


def test_locks_name_no_address():
    for lock in LOCKS:
        text = (ROOT / lock).read_text()

        assert "://" not in text
        assert not re.search(r"^\s*-", text.replace("    --hash=", ""), re.MULTILINE), lock


def test_every_locked_package_has_a_hash():
    for lock in LOCKS:
        entries = re.split(r"^(?=[a-z0-9._-]+==)", (ROOT / lock).read_text(), flags=re.MULTILINE)[1:]

        assert entries
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_tests_run_with_the_versions_that_operators_get():
    development = pins("requirements-dev.txt")

    assert {name: development.get(name) for name in pins("requirements.txt")} == pins("requirements.txt")


def test_common_names_what_the_lock_is_compiled_from():
    wanted = (ROOT / "requirements.in").read_text().splitlines()
    manifest = (ROOT / "libs/common/pyproject.toml").read_text()
    named = re.search(r"^dependencies = \[(.*?)^\]", manifest, re.MULTILINE | re.DOTALL)[1]

    assert re.findall(r'"([^"]+)"', named) == [line for line in wanted if not line.startswith("#")]


def test_microsofts_driver_is_in_no_lock_but_its_own():
    assert "mssql-python-odbc" in pins("requirements-msodbc.txt")
    assert "mssql-python-odbc" not in pins("requirements-dev.txt")


def test_help_lists_every_command():
    text = (ROOT / "Makefile").read_text()
    commands = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()

    make_help = ["make", "--no-print-directory", "help"]
    told = subprocess.run(make_help, cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert [line.split()[1] for line in told.splitlines()] == commands


def test_every_service_has_a_package_and_a_command_of_its_name():
    for service in SERVICES:
        package = service.replace("-", "_")
        manifest = (ROOT / "services" / service / "pyproject.toml").read_text()

        assert f'\nname = "exconn-{service}"\n' in manifest
        assert f'\n{service} = "{package}.__main__:main"\n' in manifest
        assert (ROOT / "services" / service / package / "__init__.py").exists()
