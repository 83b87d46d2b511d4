"""A simulated Graph without its port: calls go straight to the gateway."""

import argparse
import asyncio
import json
from typing import Any

import pytest
from multidict import CIMultiDict

from simulators.graph import tokens
from simulators.graph.__main__ import build
from simulators.graph.calls import Answer, Call
from simulators.graph.doors import open_door

BASE = "https://graph.test"
SCOPE = "https://graph.microsoft.com/.default"
PROPERTY = "String {66F5A359-4659-4830-9070-00047EC6AC6E} Name Dime"


class Graph:
    """What a client and a test can ask; `anna@contoso.example` unless another mailbox is named."""

    def __init__(self, **options: Any) -> None:
        given = {"kind": True, "fault_rate": 0.02, "latency_ms": 0, "log_size": 1000} | options
        self.gateway = build(argparse.Namespace(**given), seed=1)
        self.token = self.sign_in()

    def sign_in(self, tenant: str = tokens.CONTOSO, client: str = tokens.CLIENT) -> str:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": tokens.SECRET}
        issued = self.gateway.login.issue(BASE, tenant, form | {"scope": SCOPE}, None)
        return issued["access_token"]

    def prepare(self, method: str, target: str, body: Any = None, **headers: str) -> Call:
        if not target.startswith("/"):
            target = f"/users/anna@contoso.example/{target}"
        given = CIMultiDict({"Authorization": f"Bearer {self.token}"})
        if body is not None:
            given["Content-Type"] = "application/json"
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        return Call(BASE, method, target, given, b"" if body is None else json.dumps(body).encode())

    async def call(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        return await self.gateway.answer(self.prepare(method, target, body, **headers))

    async def refusal(self, method: str, target: str, body: Any = None, **headers: str) -> tuple[int, str]:
        answer = await self.call(method, target, body, **headers)
        return answer.status, answer.body["error"]["code"]

    async def create(self, **changes: Any) -> dict[str, Any]:
        answer = await self.call("POST", "events", event(**changes))
        assert answer.status == 201, answer.body
        return answer.body

    def door(self, method: str, target: str, body: Any = None) -> Any:
        status, shown = open_door(self.gateway, method, target, body)
        assert status < 300, shown
        return shown

    def events(self) -> list[dict[str, Any]]:
        return self.door("GET", "mailboxes/anna@contoso.example/events")

    def advance(self, seconds: float) -> None:
        self.door("POST", "clock", {"advance_s": seconds})

    async def together(self, *calls: Call) -> list[Answer]:
        return await asyncio.gather(*(self.gateway.answer(call) for call in calls))


def event(**changes: Any) -> dict[str, Any]:
    """A body for POST: one hour on Monday, 23 November 2026."""
    return {
        "subject": "Repair the pump",
        "start": {"dateTime": "2026-11-23T09:00:00", "timeZone": "UTC"},
        "end": {"dateTime": "2026-11-23T10:00:00", "timeZone": "UTC"},
    } | changes


@pytest.fixture
def graph() -> Graph:
    return Graph()


@pytest.fixture
def make_graph() -> type[Graph]:
    return Graph


@pytest.fixture
def make_event() -> Any:
    return event
