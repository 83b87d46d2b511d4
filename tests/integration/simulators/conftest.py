"""A simulated Dime.Scheduler as a process, and a client of it."""

import subprocess
import sys

import aiohttp
import pytest
from integration.simulators.dime_requests import insert

import stack


@pytest.fixture(scope="module")
def address():
    """A kind simulator with a database of its own."""
    try:
        dsn = stack.fresh_database(stack.postgres(install=False))
    except stack.Missing as missing:
        pytest.skip(str(missing))
    command = [sys.executable, "-m", "simulators.dime", "--dsn", dsn, "--port", "0", "--seed", "1", "--kind"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "seed 1\n"
        word, address = process.stdout.readline().split()
        assert word == "listening"
        yield address
        process.terminate()
    assert process.returncode == 0
    stack.drop_database(dsn)


@pytest.fixture
async def http(address):
    """An HTTP client; the planning holds Alice (A1) and Bob (B1)."""
    async with aiohttp.ClientSession(address) as session:
        await session.post("/_sim/reset")
        for no, email in (("A1", "alice@contoso.example"), ("B1", "bob@contoso.example")):
            await insert(session, "mboc_upsertResource", ResourceNo=no, Email=email, DisplayName=no)
        yield session
