"""The HTTP side: routes whatever their case, sign-in, faults, latency, and the doors for tests."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from . import importing, reading
from .faults import Fault, Faults
from .importing import ImportFormatError
from .sqlserver import SqlError
from .tables import empty_tables
from .tokens import USER, Tokens, bearer, sign_in

UNAUTHORIZED = {"Message": "Authorization has been denied for this request."}
SERVER_PAGE = "<!DOCTYPE html><html><head><title>Runtime Error</title></head><body>Server Error</body></html>"
Handler = Callable[["Dime", web.Request, str], Awaitable[web.Response]]


@dataclass
class Dime:
    """One simulated server: its database, its faults, its tokens."""

    pool: Any
    faults: Faults
    latency_s: float = 0.0
    tokens: Tokens = field(default_factory=Tokens)
    errors_told: int = 0

    def application(self) -> web.Application:
        application = web.Application(client_max_size=64 * 2**20)
        application.router.add_route("*", "/{path:.*}", self.answer)
        return application

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer any request; ASP.NET routes ignore case."""
        path = request.path.lower().rstrip("/")
        methods = {method: route for (method, known), route in ROUTES.items() if known == path}
        if not methods:
            return _json({"Message": f"No HTTP resource was found that matches '{request.path}'."}, 404)
        if request.method not in methods:
            text = f"The requested resource does not support http method '{request.method}'."
            return _json({"Message": text}, 405)
        at, handler = methods[request.method]
        body = await request.text()
        return await (
            handler(self, request, body) if at == "sim" else self._faulty(request, body, at, handler)
        )

    async def _faulty(self, request: web.Request, body: str, at: str, handler: Handler) -> web.Response:
        await asyncio.sleep(self.latency_s)
        fault = self.faults.draw(at, body)
        if fault and fault.when == "before" and (response := self._spoilt(request, fault)):
            return response
        if at != "token" and not self.tokens.admits(request):
            return _json(UNAUTHORIZED, 401, {"WWW-Authenticate": "Bearer"})
        response = await handler(self, request, body)
        return (fault and fault.when == "after" and self._spoilt(request, fault)) or response

    def _spoilt(self, request: web.Request, fault: Fault) -> web.Response | None:
        """What the fault answers in place of the truth; None where it does not apply to this request."""
        if fault.name == "cut":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        if fault.name == "401":
            return self._expired(request)
        if fault.name == "429":
            return web.Response(status=429, headers={"Retry-After": str(fault.retry_after)})
        if fault.name == "500":
            return web.Response(status=500, text=SERVER_PAGE, content_type="text/html")
        if fault.name == "503":
            return web.Response(status=503)
        return self._refused(request, fault)

    def _expired(self, request: web.Request) -> web.Response | None:
        token = bearer(request)
        if not token:
            return None  # an API key does not expire in the middle of a day
        self.tokens.expire(token)
        return _json(UNAUTHORIZED, 401, {"WWW-Authenticate": "Bearer"})

    def _refused(self, request: web.Request, fault: Fault) -> web.Response:
        cloud = request.path.lower().rstrip("/") == "/import"
        if fault.name == "unsuccessful":
            content = importing.unsuccessful(fault.message)
            return importing.wrapped(content, 200) if cloud else _json(content)
        return self.told(fault.message, cloud=cloud)

    def told(self, message: str, *, cloud: bool) -> web.Response:
        """An error in one of its documented shapes; on premises they take turns unless one was ordered."""
        if cloud:
            return importing.wrapped(importing.error_body(message), 500)
        self.errors_told += 1
        turn = "error-text" if self.errors_told % 2 else "error-json"
        return importing.error_answer(message, self.faults.error_shape() or turn)


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(content, status=status, headers=headers)


async def _import(dime: Dime, request: web.Request, body: str, *, array: bool, cloud: bool) -> Any:
    """The ImportSet, or a response where it failed."""
    if request.content_type != "application/json":
        return _json({"Message": "The request entity's media type is not supported for this resource."}, 415)
    try:
        wanted = importing.read_requests(body, array=array)
        user = "api-key" if "X-API-KEY" in request.headers else USER
        return importing.import_set(await importing.run(dime.pool, wanted, user, cloud=cloud))
    except ImportFormatError as error:
        return _json({"Message": str(error)}, 400)
    except SqlError as error:
        return dime.told(error.message, cloud=cloud)


async def insert(dime: Dime, request: web.Request, body: str) -> web.Response:
    answer = await _import(dime, request, body, array=False, cloud=False)
    return answer if isinstance(answer, web.Response) else _json(answer)


async def insert_data(dime: Dime, request: web.Request, body: str) -> web.Response:
    answer = await _import(dime, request, body, array=False, cloud=False)
    return answer if isinstance(answer, web.Response) else web.Response()


async def execute(dime: Dime, request: web.Request, body: str) -> web.Response:
    answer = await _import(dime, request, body, array=True, cloud=False)
    return answer if isinstance(answer, web.Response) else _json(answer)


async def cloud_import(dime: Dime, request: web.Request, body: str) -> web.Response:
    answer = await _import(dime, request, body, array=True, cloud=True)
    return answer if isinstance(answer, web.Response) else importing.wrapped(answer, 200)


async def token(dime: Dime, request: web.Request, body: str) -> web.Response:
    return sign_in(request, body, dime.tokens)


async def resources(dime: Dime, request: web.Request, body: str) -> web.Response:
    try:
        async with dime.pool.acquire() as connection:
            return _json({"Data": await reading.resources(connection, dict(request.query))})
    except (reading.QueryError, ValueError) as error:
        return _json({"Message": str(error)}, 400)


async def sim_appointments(dime: Dime, request: web.Request, body: str) -> web.Response:
    async with dime.pool.acquire() as connection:
        return _json(await reading.appointments(connection))


async def sim_faults(dime: Dime, request: web.Request, body: str) -> web.Response:
    try:
        fault = dime.faults.order(json.loads(body))
    except (ValueError, TypeError) as error:
        return _json({"error": str(error)}, 400)
    if fault.name == "expire-tokens":
        dime.tokens.expire_all()
    return _json({})


async def sim_reset(dime: Dime, request: web.Request, body: str) -> web.Response:
    async with dime.pool.acquire() as connection:
        await empty_tables(connection)
    dime.faults.clear()
    dime.tokens.expire_all()
    dime.errors_told = 0
    return _json({})


# (method, path): where a fault may be ordered (import, read, token; "sim": nowhere), and what answers
ROUTES: dict[tuple[str, str], tuple[str, Handler]] = {
    ("POST", "/token"): ("token", token),
    ("POST", "/api/import/insert"): ("import", insert),
    ("POST", "/api/import/insertdata"): ("import", insert_data),
    ("POST", "/api/import/execute"): ("import", execute),
    ("POST", "/import"): ("import", cloud_import),
    ("GET", "/api/resources/get"): ("read", resources),
    ("GET", "/_sim/appointments"): ("sim", sim_appointments),
    ("POST", "/_sim/faults"): ("sim", sim_faults),
    ("POST", "/_sim/reset"): ("sim", sim_reset),
}
