"""The way of every request: token, route, mailbox, throttle, fault, work, answer, record."""

import asyncio
import random
import uuid
from collections import deque
from itertools import islice
from typing import Any, NamedTuple

from . import batch, errors
from .calls import Answer, Call
from .clock import Clock, stamp
from .faults import NONE, Faults
from .mailboxes import Directory, Mailbox
from .routes import Route, route
from .throttle import Gauge, Throttle
from .tokens import Login


class Record(NamedTuple):
    """One request, for /_sim/requests; status None means that the connection was cut."""

    n: int
    time: float
    mailbox: str | None
    method: str
    path: str
    query: str
    status: int | None
    client: str | None
    fault: str | None
    request_id: str
    client_request_id: str
    batch: bool

    def json(self) -> dict[str, Any]:
        """As the door shows it."""
        return self._asdict() | {"time": stamp(self.time)}


class Log:
    """The last requests, numbered from 1."""

    def __init__(self, size: int, clock: Clock) -> None:
        self._records: deque[Record] = deque(maxlen=size)
        self._clock = clock
        self.last = 0

    def add(self, call: Call, path: str, status: int | None) -> None:
        """Notes the outcome of a call."""
        self.last += 1
        self._records.append(
            Record(
                self.last, self._clock.time(), call.mailbox, call.method, path, call.target.partition("?")[2],
                status, call.client, call.fault, call.request_id, call.client_request_id, call.in_batch,
            )
        )  # fmt: skip

    def since(self, n: int) -> list[dict[str, Any]]:
        """Those with a higher number."""
        wanted = min(self.last - n, len(self._records))
        return [record.json() for record in islice(self._records, len(self._records) - wanted, None)]

    def clear(self) -> None:
        """Forgets them and counts from 1 again."""
        self._records.clear()
        self.last = 0


class Gateway:
    """Answers calls; all state of the simulator hangs on it."""

    def __init__(
        self,
        *,
        clock: Clock,
        directory: Directory,
        login: Login,
        faults: Faults,
        log: Log,
        rng: random.Random,
        latency_s: float = 0.0,
    ) -> None:
        self.clock = clock
        self.directory = directory
        self.login = login
        self.faults = faults
        self.log = log
        self.throttle = Throttle(clock)
        self.latency_s = latency_s
        self._rng = rng

    async def answer(self, call: Call) -> Answer:
        """Every refusal is an answer too; only Cut is raised."""
        call.request_id = str(uuid.UUID(int=self._rng.getrandbits(128)))
        status = None
        try:
            answer = await self._answer(call)
            status = answer.status
        except errors.GraphError as error:
            answer = self._refusal(call, error)
            status = error.status
        finally:
            self.log.add(call, f"/v1.0{call.path}", status)
        _add_headers(call, answer)
        return answer

    async def _answer(self, call: Call) -> Answer:
        token = self.login.check(call.headers.get("Authorization"))
        call.client = token.client
        call.read_preferences()
        if call.segments == ["$batch"]:
            return await batch.run(call, self.answer)
        found = route(call)
        if not token.roles & found.roles:
            raise errors.access_denied()
        call.mailbox = found.user.lower()
        mailbox = self.directory.mailbox(found.user, token.tenant)
        call.mailbox = mailbox.address
        gauge = self.throttle.enter(token.client, mailbox.address, len(call.content))
        try:
            return await self._work(call, found, mailbox, gauge)
        finally:
            self.throttle.leave(gauge)

    async def _work(self, call: Call, found: Route, mailbox: Mailbox, gauge: Gauge) -> Answer:
        fault = self.faults.draw(mailbox.address, call.method)
        if fault is not NONE:
            call.fault = fault.name
            gauge.injected_429 += fault.name == "429"
        await asyncio.sleep(self.latency_s)
        fault.raise_if("before")
        _admit(mailbox)
        answer = found.handle(call, mailbox, self.faults.lag(fault))
        if delay := self.faults.delay(fault):
            await asyncio.sleep(delay)
        fault.raise_if("after")
        return answer

    def _refusal(self, call: Call, error: errors.GraphError) -> Answer:
        if error.code is None:
            return Answer(error.status, None, {"Content-Type": "text/plain"} | error.headers)
        body = error.body(stamp(self.clock.time()), call.request_id, call.client_request_id)
        return Answer(error.status, body, dict(error.headers))


def _admit(mailbox: Mailbox) -> None:
    if mailbox.state == "unlicensed":
        raise errors.no_mailbox()
    if mailbox.state == "denied":
        raise errors.denied_by_policy()


def _add_headers(call: Call, answer: Answer) -> None:
    answer.headers["request-id"] = call.request_id
    answer.headers["client-request-id"] = call.client_request_id
    if call.preferences.applied and answer.status < 300:
        answer.headers["Preference-Applied"] = call.preferences.applied
