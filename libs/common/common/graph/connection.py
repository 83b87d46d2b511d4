"""The wire to Graph for one profile: one try per call, signed in, bounded in time, told to an observer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
from yarl import URL

from common.errors import Transient
from common.graph import trust
from common.graph.failures import failure
from common.graph.profiles import Profile
from common.graph.requests import PREFER, Request
from common.graph.tokens import Tokens

# More calls than this wait for a connection; lanes bound what is in flight before.
_CONNECTIONS = 500


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request, as it was. `status` is None where no answer came; `seconds` until its last byte."""

    profile: str
    mailbox: str
    operation: str
    method: str
    status: int | None
    request_id: str | None
    client_request_id: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    status: int
    body: bytes


@dataclass(slots=True)
class _Flight:
    """Whether a byte of a request may have left."""

    sent: bool = False


class Connection:
    """Signed-in calls under one profile. Its sockets open on the first call and close with it."""

    def __init__(
        self, name: str, profile: Profile, *, timeout: float, user_agent: str, observe: Callable[[Call], None]
    ) -> None:
        """`timeout`, in seconds, bounds a whole call: signing in, sending, reading, and once more after a 401."""
        self.name = name
        self.base = profile.graph_url.rstrip("/").removesuffix("/v1.0") + "/v1.0"
        self._profile = profile
        self._timeout = timeout
        self._headers = {"Prefer": PREFER, "Accept": "application/json", "User-Agent": user_agent}
        self._observe = observe
        self._tokens = Tokens(profile)
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all sockets."""
        await self._tokens.close()
        if self._session:
            await self._session.close()

    async def sign_in(self) -> None:
        """Have a token; Configuration or Transient of scope tenant where there is none."""
        await self._tokens.token()

    async def send(self, request: Request, mailbox: str, client_request_id: str) -> Answer:
        """Give a successful answer, else raise what it means.

        A write that was cut short has `maybe_applied`, but for one of which nothing was sent yet. A GET or DELETE
        on a connection that had been kept and turns out closed is sent once more, by aiohttp: so a DELETE whose
        answer was lost may end as 'not found'.
        """
        flight = _Flight()
        try:
            async with asyncio.timeout(self._timeout):
                return await self._signed_in(request, mailbox, client_request_id, flight)
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise Transient(
                f"Graph gave no answer: {type(error).__name__}",
                code="EXC-GRAPH-UNAVAILABLE",
                scope="mailbox",
                maybe_applied=request.write and flight.sent,
            ) from error

    async def _signed_in(
        self, request: Request, mailbox: str, client_request_id: str, flight: _Flight
    ) -> Answer:
        """Send, and once more with a new token where Graph refuses the one that is held."""
        session = self._opened()
        for last in (False, True):
            token = await self._tokens.token()
            flight.sent = False
            own = {"Authorization": f"Bearer {token}", "client-request-id": client_request_id}
            headers = {**self._headers, **request.headers, **own}
            status, answered, content = await self._tried(session, request, mailbox, headers, flight)
            if status != 401 or last:
                break
            self._tokens.reject(token)
        if 200 <= status < 300:
            return Answer(status, content)
        raise failure(status, answered, content, write=request.write, item=request.item)

    async def _tried(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        mailbox: str,
        headers: Mapping[str, str],
        flight: _Flight,
    ) -> tuple[int, dict[str, str], bytes]:
        """Make one HTTP request and tell the observer, whatever becomes of it."""
        started = time.monotonic()
        status, answered = None, dict[str, str]()
        try:
            async with session.request(
                request.method,
                URL(request.url(self.base), encoded=True),
                headers=headers,
                json=request.json,
                allow_redirects=False,
                trace_request_ctx=flight,
            ) as response:
                answered = {name.lower(): value for name, value in response.headers.items()}
                content = await response.read()
                status = response.status
                return status, answered, content
        finally:
            self._observe(
                Call(
                    profile=self.name,
                    mailbox=mailbox,
                    operation=request.operation,
                    method=request.method,
                    status=status,
                    request_id=answered.get("request-id"),
                    client_request_id=headers["client-request-id"],
                    seconds=time.monotonic() - started,
                )
            )

    def _opened(self) -> aiohttp.ClientSession:
        """Give the session; opened late, so that one profile's bad CA file does not stop the others."""
        if self._session is None:
            ca_file = str(self._profile.ca_file) if self._profile.ca_file else None
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=trust.context(ca_file)),
                timeout=aiohttp.ClientTimeout(total=self._timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                trace_configs=[_departures()],
            )
        return self._session


def _departures() -> aiohttp.TraceConfig:
    """Mark a flight as sent just before its first byte is written."""

    async def mark(_session: aiohttp.ClientSession, context: SimpleNamespace, _headers: Any) -> None:
        context.trace_request_ctx.sent = True

    config = aiohttp.TraceConfig()
    config.on_request_headers_sent.append(mark)
    return config
