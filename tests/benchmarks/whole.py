"""The whole chain as real processes: planning, outbox-reader, broker, graph-publisher, simulated Graph."""

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from benchmarks import places
from demo.environment import HURRIED
from demo.processes import Process
from demo.world import World
from graph_publisher.settings import Tuning as PublisherTuning
from outbox_reader.settings import Tuning as ReaderTuning
from simulators.launch import Running, launch

PATIENCE_S = 180

TUNINGS = {"EXCONN_READER__": ReaderTuning(), "EXCONN_PUBLISHER__": PublisherTuning()}


def as_installed() -> dict[str, str]:
    """The defaults, for everything that the demo has in more of a hurry."""
    return {
        name: str(getattr(tuning, name.removeprefix(prefix).lower()))
        for name in HURRIED
        for prefix, tuning in TUNINGS.items()
        if name.startswith(prefix)
    }


@dataclass
class Chain:
    """One reader and one publisher at work; every appointment that was there is in the calendars."""

    world: World
    graph: Running

    @property
    def processes(self) -> list[Process]:
        return self.world.processes

    def events(self, mailbox: str) -> list[dict[str, Any]]:
        return list(self.graph.door("GET", f"/_sim/mailboxes/{mailbox}/events"))

    def throttling(self) -> dict[str, int]:
        return dict(self.graph.door("GET", "/_sim/throttling")["total"])

    def wait_until_idle(self) -> None:
        """No row waits in the outbox, no link wants anything; raises TimeoutError."""
        deadline = time.monotonic() + PATIENCE_S
        while asyncio.run(self._busy()):
            self.world.check()
            if time.monotonic() > deadline:
                raise TimeoutError("the connector never comes to rest")
            time.sleep(0.2)

    async def _busy(self) -> bool:
        """Rows are counted before links: what left the outbox meanwhile is found at its next place, or later."""
        return bool(
            await fetch(self.world.planning_dsn, WAITING)
            or await fetch(self.world.state_dsn, UNPLANNED)
            or await fetch(self.world.planning_dsn, UNKNOWN, await fetch(self.world.state_dsn, KNOWN))
        )


WAITING = "SELECT count(*) FROM exconn.Outbox WHERE State < 2"
UNPLANNED = "SELECT count(*) FROM link WHERE want_seq > done_seq"
KNOWN = "SELECT coalesce(max(version), 0) FROM appointment"
UNKNOWN = "SELECT count(*) FROM exconn.Outbox WHERE Version > $1"


@contextmanager
def chain(appointments: int, mailboxes: int, latency_ms: int = 0) -> Iterator[Chain]:
    """Everything of ours as installed; logs go to a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="exconn-bench-") as folder, _graph(latency_ms) as graph:
        settings = as_installed() | {
            "EXCONN_PROFILES__CONTOSO__LOGIN_URL": graph.address,
            "EXCONN_PROFILES__CONTOSO__GRAPH_URL": f"{graph.address}/v1.0",
            "EXCONN_PROFILES__CONTOSO__CA_FILE": str(graph.ca_file),
        }
        with World(Path(folder), faults=False, settings=settings) as world:
            world.install()
            asyncio.run(_fill(world.planning_dsn, appointments, mailboxes))
            world.start("graph-publisher")  # first, so that the reader's messages have a queue
            world.start("outbox-reader")
            found = Chain(world, graph)
            found.wait_until_idle()
            yield found


@contextmanager
def _graph(latency_ms: int) -> Iterator[Running]:
    with launch("graph", "--kind", "--latency-ms", latency_ms, "--log-size", 1000) as running:
        yield running


async def _fill(dsn: str, appointments: int, mailboxes: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await places.fill(connection, appointments, mailboxes)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()


async def fetch(dsn: str, statement: str, *values: object) -> Any:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()
