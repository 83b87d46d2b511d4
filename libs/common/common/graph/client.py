"""Calendars in Microsoft Graph: the adapter behind `common.graph.protocol.Calendar`."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from common.codes import CODES
from common.errors import Configuration, Malformed, SyncError, Transient
from common.graph import requests, wire
from common.graph.connection import Call, Connection
from common.graph.events import Event, MailboxSettings, Values, key_prefix
from common.graph.failures import Gone
from common.graph.profiles import Profile
from common.graph.protocol import Calendar, Calendars
from common.graph.requests import Request

T = TypeVar("T")

__all__ = ["Call", "Graph", "GraphCalendar", "Profile", "check", "client"]

# 500 events each: no calendar has more in a window, so a listing that goes on is one that turns in circles.
_PAGES = 2000


@asynccontextmanager
async def client(
    profiles: Mapping[str, Profile],
    *,
    timeout: float = 20.0,  # noqa: ASYNC109 - it bounds calls, not this function
    user_agent: str = "exconn",
    observe: Callable[[Call], None] = lambda _call: None,
) -> AsyncIterator[Graph]:
    """Reach the calendars of all profiles. `timeout`, in seconds, bounds each call as a whole.

    Nothing is opened before the first call. `observe` hears of every HTTP request, also of failed ones.
    """
    connections = {
        name: Connection(name, profile, timeout=timeout, user_agent=user_agent, observe=observe)
        for name, profile in profiles.items()
    }
    try:
        yield Graph(connections)
    finally:
        for connection in connections.values():
            await connection.close()


async def check(profiles: Mapping[str, Profile]) -> list[tuple[str, str | None]]:
    """Sign in once with each profile; give its name with None, or with the fault and what to do about it."""
    async with client(profiles) as graph:
        return [(f"profile {name}", await graph.sign_in(name)) for name in profiles]


class Graph(Calendars):
    """Every calendar that the profiles reach."""

    def __init__(self, connections: Mapping[str, Connection]) -> None:
        """One connection per profile's name."""
        self._connections = connections

    async def sign_in(self, profile: str) -> str | None:
        """Say why there is no token for a profile, or None."""
        try:
            await self._connections[profile].sign_in()
        except SyncError as error:
            return f"{error.code}: {error}. {CODES[error.code].advice}"
        return None

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> GraphCalendar:
        """Give the default calendar of a mailbox; no call is made here.

        `request_id`, a UUID, goes with each of its calls as client-request-id; without it each call has its own.
        Raises Configuration for an unknown profile.
        """
        if profile not in self._connections:
            raise Configuration(f"there is no profile {profile!r}", code="EXC-NO-PROFILE", scope="mailbox")
        return GraphCalendar(self._connections[profile], mailbox, request_id)


class GraphCalendar(Calendar):
    """The default calendar of one mailbox; guarantees and errors as in `common.graph.protocol.Calendar`."""

    def __init__(self, connection: Connection, mailbox: str, request_id: str | None) -> None:
        """Cheap; make one per unit of work."""
        self._connection = connection
        self._mailbox = mailbox
        self._request_id = request_id

    async def read(self, event_id: str) -> Event:
        return await self._event(requests.read(self._mailbox, event_id))

    async def create(self, values: Values, transaction_id: str, key: str, time_zone: str) -> Event:
        request = requests.create(self._mailbox, values, transaction_id, key, time_zone)
        event = await self._event(request)
        if event.transaction_id and event.transaction_id.lower() != transaction_id.lower():
            # Rapid creates were seen to be answered with one another's events.
            raise _odd("the event of another transaction", request)
        return replace(event, key=event.key or key)

    async def update(
        self, event_id: str, values: Values, time_zone: str, change_key: str | None = None
    ) -> Event:
        return await self._event(requests.update(self._mailbox, event_id, values, time_zone, change_key))

    async def delete(self, event_id: str, change_key: str | None = None) -> None:
        await self._body(requests.delete(self._mailbox, event_id, change_key))

    async def find(self, key: str) -> list[Event]:
        found = [event async for event in self._listed(requests.find(self._mailbox, key))]
        return [event for event in found if event.key in (None, key)]

    async def ours(self, installation: str) -> AsyncIterator[Event]:
        prefix = key_prefix(installation)
        async for listed in self._listed(requests.ours(self._mailbox, prefix)):
            event = await self._expanded(listed)
            if event and event.key and event.key.startswith(prefix):
                yield event

    async def mark(self, event_id: str, key: str) -> Event:
        event = await self._event(requests.mark(self._mailbox, event_id, key))
        return replace(event, key=key)

    async def view(self, start: datetime, end: datetime, *, bodies: bool = True) -> AsyncIterator[Event]:
        async for event in self._listed(requests.view(self._mailbox, start, end, bodies=bodies)):
            yield event

    async def settings(self) -> MailboxSettings:
        request = requests.settings(self._mailbox)
        return _read(wire.settings, await self._document(request), request)

    async def _event(self, request: Request) -> Event:
        return _read(wire.event, await self._document(request), request)

    async def _listed(self, request: Request) -> AsyncIterator[Event]:
        """Give all pages' events; a listing that cannot go on to its end ends with an error, never early."""
        links: set[str] = set()
        while True:
            page = await self._document(request)
            if not isinstance(page, dict) or not isinstance(page.get("value"), list):
                raise _odd("no list", request)
            for document in page["value"]:
                yield _read(wire.event, document, request)
            link = page.get("@odata.nextLink")
            if link is None:
                return
            request = _followed(request, link, links, self._connection.base)

    async def _expanded(self, event: Event) -> Event | None:
        """Give a listed event with its key, which Microsoft does not promise for filtered listings; None if gone."""
        if event.key is not None:
            return event
        try:
            return await self.read(event.id)
        except Gone:
            return None

    async def _document(self, request: Request) -> Any:
        try:
            return json.loads(await self._body(request))
        except ValueError:
            raise _odd("no JSON", request) from None

    async def _body(self, request: Request) -> bytes:
        call_id = self._request_id or str(uuid.uuid4())
        return (await self._connection.send(request, self._mailbox, call_id)).body


def _followed(request: Request, link: Any, links: set[str], base: str) -> Request:
    """Give the request for the next page; our token goes to Graph's own host only."""
    if not isinstance(link, str) or link in links or len(links) >= _PAGES:
        raise _odd("pages without end", request)
    links.add(link)
    following = requests.following(request, link, base)
    if following is None:
        raise _odd("a next page elsewhere", request)
    return following


def _read(reader: Callable[[Any], T], document: Any, request: Request) -> T:
    try:
        return reader(document)
    except Malformed as error:
        raise _odd(str(error), request) from None


def _odd(what: str, request: Request) -> Transient:
    """An answer of success that cannot be read: the write has probably been applied."""
    return Transient(f"Graph answered {what}", code="EXC-GRAPH-ANSWER", maybe_applied=request.write)
