"""A broker to publish to, and a wire that can be cut: what stands between a client and its server."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest

from common import amqp, consuming


class Wire:
    """Forwards TCP to a server; `cut` breaks what is connected, `refuse` also what comes, `hold` swallows bytes."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.connected = 0
        self._flows: set[asyncio.Task] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        self._server.close()
        await self.cut()

    async def cut(self) -> None:
        flows = list(self._flows)
        for flow in flows:
            flow.cancel()
        await asyncio.gather(*flows, return_exceptions=True)

    def hold(self) -> None:
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    async def close(self) -> None:
        self.release()
        await self.refuse()

    def through(self, url: str) -> str:
        """The same address, by way of this wire."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow = asyncio.current_task()
        self._flows.add(flow)
        self.connected += 1
        there = None
        try:
            from_there, there = await asyncio.open_connection(*self.target)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, there))
                group.create_task(self._pump(from_there, writer))
        except (OSError, asyncio.CancelledError, ExceptionGroup):
            pass
        finally:
            self._flows.discard(flow)
            for end in filter(None, (writer, there)):
                end.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while some := await source.read(65536):
            await self._open.wait()
            sink.write(some)
            await sink.drain()
        raise ConnectionResetError  # ends the other direction too


@pytest.fixture
async def wire(vhost: str) -> AsyncIterator[Wire]:
    """A wire to the broker; `wire.through(vhost)` is the address to use."""
    parts = urlsplit(vhost)
    wire = Wire(parts.hostname, parts.port or 5672)
    await wire.listen()
    yield wire
    with contextlib.suppress(OSError):
        await wire.close()


@pytest.fixture
async def broker(vhost: str) -> AsyncIterator[amqp.Broker]:
    async with amqp.connect(vhost, name="test") as broker:
        yield broker


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Handlers that are hindered are called again at once."""
    monkeypatch.setattr(consuming, "BACK_OFF", (0.01, 0.05))
