"""The ops port of a service: is it alive, is it able to work, what does it measure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from common import __version__
from common import metrics as common_metrics
from common.amqp import Report


@dataclass(slots=True)
class Ops:
    """What the process tells about itself.

    `ready(name, None)` says that a neighbour is there, `ready(name, reason)` that it is not; the service is
    ready when at least one has been reported and none is missing.
    """

    service: str
    reasons: dict[str, str | None] = field(default_factory=dict)
    stopping: bool = False
    port: int = 0
    """The port that was bound, once it is: another than the setting where that is 0."""

    def ready(self, name: str, reason: str | None = None) -> None:
        self.reasons[name] = reason

    def reporter(self, name: str) -> Report:
        """A function that reports about one neighbour, as `amqp.connect` and `db.watch` want it."""
        return partial(self.ready, name)

    @property
    def is_ready(self) -> bool:
        return bool(self.reasons) and not self.stopping and all(why is None for why in self.reasons.values())

    def answer(self) -> dict[str, object]:
        """The body of /readyz; `reasons` names every neighbour, with null where all is well."""
        reasons = {**self.reasons, **({"service": "stopping"} if self.stopping else {})}
        if not reasons:
            reasons = {"service": "starting"}
        return {"ready": self.is_ready, "reasons": reasons, "service": self.service, "version": __version__}


@asynccontextmanager
async def answering(ops: Ops, host: str, port: int) -> AsyncIterator[None]:
    """Answer /healthz, /readyz and /metrics while the context lasts; raises OSError if the port is taken."""
    runner = web.AppRunner(_application(ops), access_log=None, handle_signals=False, shutdown_timeout=1)
    common_metrics.BUILD.labels(ops.service, __version__).set(1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        ops.port = runner.addresses[0][1]
        yield
    finally:
        await runner.cleanup()


def _application(ops: Ops) -> web.Application:
    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"alive": True, "service": ops.service, "version": __version__})

    async def ready(_: web.Request) -> web.Response:
        return web.json_response(ops.answer(), status=200 if ops.is_ready else 503)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(
        [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)]
    )
    return application
