"""The command line of graph-publisher beside a running publisher."""

from __future__ import annotations

import getpass
import json
from argparse import ArgumentParser
from dataclasses import dataclass

import pytest
from replica import Publisher
from structlog.testing import capture_logs

from builders import changed, snapshot
from common.errors import Configuration, Permanent, Transient
from common.settings import load
from graph_publisher.commands import COMMANDS
from graph_publisher.settings import Settings

REFUSED = Permanent("Graph answered 400 ErrorPropertyValidationFailure", code="EXC-REFUSED", status=400)
NO_LICENCE = Configuration(
    "Graph answered 404 MailboxNotEnabledForRESTAPI",
    code="EXC-MAILBOX-NO-LICENCE",
    scope="mailbox",
    status=404,
)
SECRET = Configuration(
    "Entra ID answered invalid_client", code="EXC-SIGN-IN-SECRET", scope="tenant", status=401
)
CUT = Transient("the connection broke", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


@dataclass
class Shell:
    """A command line beside a running publisher. The broker is away unless a test says otherwise."""

    environ: dict[str, str]
    capsys: pytest.CaptureFixture[str]

    async def __call__(self, line: str) -> tuple[int, str]:
        """Run `graph-publisher LINE`; gives the exit status and all that was printed."""
        name, *words = line.split()
        command = next(one for one in COMMANDS if one.name == name)
        parser = ArgumentParser(prog=name)
        command.arguments(parser)
        self.capsys.readouterr()
        with capture_logs():  # which a process writes to standard error
            status = await command.run(load(Settings, self.environ), parser.parse_args(command.amend(words)))
        out, err = self.capsys.readouterr()
        return status, out + err

    async def json(self, line: str):
        status, printed = await self(f"{line} --json")
        return status, json.loads(printed)


async def failed(publisher: Publisher, appointment: int = 1) -> int:
    """An appointment whose create Graph refused; gives its transaction."""
    publisher.calendars.fail_next("create", REFUSED)
    await publisher.plan(changed(snapshot(appointment)))
    await publisher.drain()
    return await publisher.pool.fetchval("SELECT max(id) FROM transaction WHERE status = 'failed'")


async def audit(publisher: Publisher) -> list[tuple[str, str]]:
    assert {row["who"] for row in await publisher.pool.fetch("SELECT who FROM audit")} <= {getpass.getuser()}
    return [tuple(row) for row in await publisher.pool.fetch("SELECT what, subject FROM audit ORDER BY id")]
