"""The baseline of the lanes: a client that does nothing but send the same requests within the same limits."""

import asyncio
import json
import ssl
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import aiohttp
from yarl import URL

from common.graph import requests
from common.graph.requests import PREFER, Request
from graph_publisher.budget import Budget
from graph_publisher.settings import Tuning

TENANT = "00000000-0000-4000-8000-000000000001"
CLIENT = {"client_id": "00000000-0000-4000-8000-000000000002", "client_secret": "simulated-secret"}
GRANT = {"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"}

Values = dict[str, Any]


@dataclass
class Bare:
    """A signed-in aiohttp session. `events` are those of each mailbox, in the order in which they were made."""

    base: str
    session: aiohttp.ClientSession
    tuning: Tuning
    token: str = ""
    events: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def open(cls, address: str, ca_file: str | None, tuning: Tuning) -> "Bare":
        context = ssl.create_default_context(cafile=ca_file)
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=context), trust_env=False)
        return cls(address, session, tuning)

    async def sign_in(self) -> None:
        address = f"{self.base}/{TENANT}/oauth2/v2.0/token"
        async with self.session.post(address, data=CLIENT | GRANT) as response:
            self.token = (await response.json())["access_token"]

    async def create(self, mailboxes: Iterable[str], each: int, values: Values) -> None:
        """POST `each` events into every mailbox."""

        async def one(mailbox: str, send: "Send") -> None:
            key = uuid.uuid4()
            made = await send(requests.create(mailbox, values, str(key), f"bare/{key}/R", "UTC"))
            self.events.setdefault(mailbox, []).append(made["id"])

        await self._each(mailboxes, lambda mailbox: [one] * each)

    async def move(self, mailboxes: Iterable[str], each: int, values: Values, *, skip: int) -> None:
        """GET and PATCH `each` events of every mailbox, the last ones but `skip`."""

        def mover(event_id: str) -> "Work":
            async def one(mailbox: str, send: "Send") -> None:
                await send(requests.read(mailbox, event_id))
                # Without If-Match: Exchange changes the key of a new event by itself now and then.
                await send(requests.update(mailbox, event_id, values, "UTC"))

            return one

        def movers(mailbox: str) -> "list[Work]":
            events = self.events[mailbox][: -skip or None]
            return [mover(event) for event in events[-each:]]

        await self._each(mailboxes, movers)

    async def _each(self, mailboxes: Iterable[str], work: "Callable[[str], Sequence[Work]]") -> None:
        await asyncio.gather(*(self._mailbox(mailbox, work(mailbox)) for mailbox in mailboxes))

    async def _mailbox(self, mailbox: str, work: "Sequence[Work]") -> None:
        """As many requests in flight, and as many a second, as a lane may have."""
        budget, queue = Budget(self.tuning.rate, self.tuning.burst), iter(work)

        async def send(request: Request) -> Any:
            await budget.take()
            return await self._send(request)

        async def slot() -> None:
            for one in queue:
                await one(mailbox, send)

        await asyncio.gather(*(slot() for _ in islice(range(len(work)), self.tuning.slots)))

    async def _send(self, request: Request) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", "Prefer": PREFER, **request.headers}
        address = URL(request.url(f"{self.base}/v1.0"), encoded=True)
        async with self.session.request(
            request.method, address, headers=headers, json=request.json
        ) as response:
            content = await response.read()
            response.raise_for_status()
            return json.loads(content)


Send = Callable[[Request], Awaitable[Any]]
Work = Callable[[str, Send], Awaitable[None]]
