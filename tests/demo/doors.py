"""The doors of both simulators: what is planned, what the calendars show, what was asked of Graph."""

import asyncio
import ssl
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp

from demo.compare import Calendar

NEVER = 10**12
FRESH_S = 0.05
"""Several who watch one mailbox share a look that is no older than this."""


class Doors:
    """A client of `GET /_sim/...` at the Graph and Dime simulators."""

    def __init__(self, session: aiohttp.ClientSession, graph: str, dime: str) -> None:
        self._session = session
        self._graph = graph
        self._dime = dime
        self._looks: dict[str, tuple[float, list[dict[str, Any]]]] = {}
        self._looking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    @classmethod
    @asynccontextmanager
    async def open(cls, graph: str, ca_file: str, dime: str) -> AsyncIterator[Self]:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=ca_file), limit=20)
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, trust_env=False) as session:
            yield cls(session, graph, dime)

    async def appointments(self) -> list[dict[str, Any]]:
        """Everything that is planned, with assignments."""
        return await self._ask("GET", f"{self._dime}/_sim/appointments")

    async def events(self, address: str) -> list[dict[str, Any]]:
        """All events of a mailbox, hardly older than now."""
        async with self._looking[address]:
            at, events = self._looks.get(address, (0.0, []))
            if time.monotonic() - at > FRESH_S:
                at = time.monotonic()
                events = await self.graph("GET", f"mailboxes/{address}/events")
                self._looks[address] = at, events
            return events

    async def calendars(self) -> dict[str, Calendar]:
        """Every mailbox that anybody ever asked for."""
        found = {}
        for address in await self.graph("GET", "mailboxes"):
            settings = await self.graph("GET", f"mailboxes/{address}/settings")
            events = await self.graph("GET", f"mailboxes/{address}/events")
            found[address] = Calendar(events, settings["timeZone"])
        return found

    async def last_request(self) -> int:
        """The number of the newest request to Graph."""
        return (await self.graph("GET", f"requests?since={NEVER}"))["next"]

    async def requests(self, since: int = 0) -> list[dict[str, Any]]:
        """Every request to Graph after that number but those for tokens, oldest first."""
        listed = (await self.graph("GET", f"requests?since={since}"))["requests"]
        return [each for each in listed if not each["path"].endswith("/oauth2/v2.0/token")]

    async def graph(self, method: str, door: str, body: Any = None) -> Any:
        """The answer of any door of the Graph simulator."""
        return await self._ask(method, f"{self._graph}/_sim/{door}", body)

    async def _ask(self, method: str, url: str, body: Any = None) -> Any:
        async with self._session.request(method, url, json=body) as response:
            if response.status >= 400:
                raise RuntimeError(f"{method} {url}: {response.status} {await response.text()}")
            return await response.json(content_type=None)
