"""A simulated Graph as a process, and the official clients pointed at it."""

from collections.abc import Iterator
from typing import Any

import msal
import pytest
import requests

from simulators.graph.tokens import CLIENT, CONTOSO, SECRET
from simulators.launch import Running, launch

SCOPES = ["https://graph.microsoft.com/.default"]


@pytest.fixture(scope="session")
def process() -> Iterator[Running]:
    with launch("graph", "--kind", "--seed", 1) as running:
        yield running


@pytest.fixture
def simulator(process: Running) -> Running:
    process.door("POST", "/_sim/reset")
    return process


@pytest.fixture
def session(simulator: Running) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = simulator.ca_file
        yield session


@pytest.fixture
def make_app(simulator: Running, session: requests.Session) -> Any:
    """A confidential client of msal: credential, tenant."""

    def make(credential: Any = SECRET, tenant: str = CONTOSO) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            CLIENT,
            client_credential=credential,
            authority=f"{simulator.address}/{tenant}",
            instance_discovery=False,
            http_client=session,
        )

    return make


@pytest.fixture
def token(make_app: Any) -> str:
    return make_app().acquire_token_for_client(SCOPES)["access_token"]
