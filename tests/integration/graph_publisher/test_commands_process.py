"""The commands as processes: exit status and streams."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

import stack
from builders import ALICE, changed, snapshot
from common.errors import Configuration


async def run(*words: str, **environ: str) -> tuple[int, str, str]:
    """The installed command itself."""
    path = {"PATH": os.environ["PATH"]}
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).with_name("graph-publisher"),
        *words,
        env=path | environ,
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_json_is_all_that_is_printed(publisher, shell):
    await publisher.plan(changed(snapshot(1)))

    status, out, _ = await run("mailboxes", "list", "--json", **shell.environ)

    assert status == 0
    assert [one["address"] for one in json.loads(out)] == [ALICE]


async def test_wrong_settings_end_with_2_and_no_traceback(shell):
    status, out, err = await run("preview", **shell.environ | {"EXCONN_POSTGRES_DSN": "nonsense"})

    assert (status, out) == (2, "")
    assert "EXCONN_POSTGRES_DSN" in err
    assert "Traceback" not in err


async def test_a_state_database_that_is_away_ends_with_1_and_a_sentence(shell):
    away = {"EXCONN_POSTGRES_DSN": f"postgresql://nobody@127.0.0.1:{stack.free_port()}/nothing"}
    status, out, err = await run("transactions", **shell.environ | away)

    assert (status, out) == (1, "")
    assert "the state database is out of reach" in err
    assert "Traceback" not in err


async def test_a_state_database_without_tables_is_told_in_a_sentence(shell, database):
    shell.environ["EXCONN_POSTGRES_DSN"] = database

    with pytest.raises(Configuration, match=r"python -m common\.db"):
        await shell("mailboxes")
