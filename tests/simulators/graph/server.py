"""HTTP around the gateway, the login endpoint and the doors: one catch-all handler, no router."""

import json
import time
from typing import Any
from urllib.parse import parse_qsl

from aiohttp import web
from multidict import CIMultiDict

from . import errors
from .calls import Call
from .credentials import LoginError
from .doors import open_door
from .faults import Cut
from .gateway import Gateway

_encode = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
LARGEST_BODY = 4 * 2**20
_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_FIXED = {
    "Cache-Control": "private",
    "OData-Version": "4.0",
    "Strict-Transport-Security": "max-age=31536000",
    "x-ms-ags-diagnostic": '{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"000",'
    '"RoleInstance":"AM0SIMULATED"}}',
}


class Server:
    """`handle` answers every request of the port."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def make(self) -> web.Server:
        """A server that reads bodies up to Graph's 4 MB."""
        return web.Server(self.handle, request_factory=_make_request, access_log=None)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """By the first segment: doors, Graph (v1.0 and beta alike), or the login endpoint of a tenant."""
        target = request.raw_path
        first, _, rest = target.removeprefix("/").partition("/")
        if first == "_sim":
            return await self._door(request, rest)
        if first in ("v1.0", "beta"):
            return await self._graph(request, "/" + rest)
        return await self._login(request, first, rest)

    async def _graph(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        try:
            content = await request.read() if request.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            return _json(
                413, {"error": {"code": "RequestEntityTooLarge", "message": "The body exceeds 4 MB."}}
            )
        call = Call(_base(request), request.method, target, _headers(request), content)
        try:
            answer = await self._gateway.answer(call)
        except Cut:
            return _cut(request)
        headers = _FIXED | answer.headers
        if answer.body is None:
            return web.Response(status=answer.status, headers=headers)
        headers["Content-Type"] = _JSON
        return web.Response(status=answer.status, body=_encode(answer.body).encode(), headers=headers)

    async def _login(self, request: web.BaseRequest, tenant: str, rest: str) -> web.StreamResponse:
        login, base = self._gateway.login, _base(request)
        path = rest.partition("?")[0]
        try:
            if path in ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"):
                return _json(200, login.discovery(base, tenant))
            if path == "oauth2/v2.0/token" and request.method == "POST":
                return await self._token(request, tenant)
        except LoginError as error:
            return _json(error.status, error.body(time.time()))
        refusal = errors.unknown_segment(tenant)
        return _json(refusal.status, {"error": {"code": refusal.code, "message": refusal.message}})

    async def _token(self, request: web.BaseRequest, tenant: str) -> web.StreamResponse:
        form = dict(parse_qsl((await request.read()).decode()))
        call = Call(_base(request), "POST", f"/{tenant}/oauth2/v2.0/token", request.headers)
        call.client = form.get("client_id")
        call.fault = self._gateway.faults.draw_login()
        response = self._token_answer(call, tenant, form)
        self._gateway.log.add(call, call.path, response.status)
        return response

    def _token_answer(self, call: Call, tenant: str, form: dict[str, str]) -> web.Response:
        if call.fault == "token-503":
            return web.Response(status=503, text="Service unavailable")
        if call.fault == "token-429":
            return _json(
                429,
                {"error": "temporarily_unavailable", "error_description": "AADSTS90055"},
                {"Retry-After": "1"},
            )
        try:
            if call.fault == "token-401":
                form = {**form, "client_secret": "", "client_assertion": ""}
            return _json(
                200, self._gateway.login.issue(call.base, tenant, form, call.headers.get("Authorization"))
            )
        except LoginError as error:
            return _json(error.status, error.body(time.time()))

    async def _door(self, request: web.BaseRequest, target: str) -> web.StreamResponse:
        content = await request.read()
        try:
            body: Any = json.loads(content) if content else None
        except ValueError as error:
            return _json(400, {"error": f"not JSON: {error}"})
        return _json(*open_door(self._gateway, request.method, target, body))


def _make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    return web.BaseRequest(
        message, payload, protocol, writer, task, protocol._loop, client_max_size=LARGEST_BODY
    )


def _base(request: web.BaseRequest) -> str:
    return f"https://{request.headers.get('Host', 'localhost')}"


def _headers(request: web.BaseRequest) -> Any:
    """Repeated Prefer headers are one, joined by comma."""
    prefer = request.headers.getall("Prefer", [])
    if len(prefer) < 2:
        return request.headers
    joined = CIMultiDict(request.headers)
    joined["Prefer"] = ", ".join(prefer)
    return joined


def _json(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=_encode(body).encode(), content_type="application/json", headers=headers
    )


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)
