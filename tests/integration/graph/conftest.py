"""The Graph simulator, once for all tests here: each uses mailboxes of its own and no random faults."""

import socket
import uuid
from collections.abc import Iterator

import pytest

from common.graph.client import Call, client
from fakes import FakeProfile
from simulators.launch import Running, launch


@pytest.fixture(scope="session")
def simulator() -> Iterator[Running]:
    with launch("graph", "--kind") as running:
        yield running


@pytest.fixture
def address() -> str:
    """A mailbox that nobody has used."""
    return f"user-{uuid.uuid4().hex[:12]}@contoso.example"


@pytest.fixture
def profile(simulator) -> FakeProfile:
    return FakeProfile(
        client_secret="simulated-secret",
        login_url=simulator.address,
        graph_url=f"{simulator.address}/v1.0",
        ca_file=simulator.ca_file,
    )


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address that refuses connections: the port is taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"https://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def calls() -> list[Call]:
    """Every HTTP request that `graph` made."""
    return []


@pytest.fixture
async def graph(profile, calls):
    async with client({"contoso": profile}, timeout=10, observe=calls.append) as graph:
        yield graph
