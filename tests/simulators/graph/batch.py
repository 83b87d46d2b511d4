"""JSON batching: https://learn.microsoft.com/graph/json-batching."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from multidict import CIMultiDict

from . import errors
from .calls import Answer, Call
from .faults import Cut

MOST = 20
AT_ONCE = 4
_INHERITED = ("Authorization", "client-request-id")
_ABSOLUTE = re.compile(r"^(?:https?://[^/]+)?/?(?:v1\.0/|beta/)?")
_NEEDS_ALL_BEFORE = "A request in a batch depends on another that failed."

Part = dict[str, Any]
Send = Callable[[Call], Awaitable[Answer]]


async def run(call: Call, send: Send) -> Answer:
    """200 with an answer for each part; parts without dependencies go out four at a time."""
    if call.method != "POST":
        raise errors.method_not_allowed()
    parts = _parts(call)
    slots = asyncio.Semaphore(AT_ONCE)
    running: dict[str, asyncio.Task[Part]] = {}

    async def perform(part: Part) -> Part:
        before = [await running[each] for each in _depends_on(part)]
        if any(each["status"] >= 400 for each in before):
            return _response(
                part, Answer(424, {"error": {"code": "FailedDependency", "message": _NEEDS_ALL_BEFORE}})
            )
        async with slots:
            return await _perform(call, part, send)

    for part in parts:
        running[_id(part)] = asyncio.ensure_future(perform(part))
    responses = await asyncio.gather(*running.values())
    return Answer(200, {"responses": responses})


def _parts(call: Call) -> list[Part]:
    parts = call.json().get("requests")
    if not isinstance(parts, list) or not parts or not all(isinstance(part, dict) for part in parts):
        raise errors.bad_request("Invalid batch payload format.")
    if len(parts) > MOST:
        raise errors.bad_request(f"Number of batch request steps exceeds the maximum value of {MOST}.")
    known: set[str] = set()
    for part in parts:
        if not part.get("id") or not part.get("method") or not isinstance(part.get("url"), str):
            raise errors.bad_request("Invalid batch payload format: id, method and url are required.")
        if _id(part) in known:
            raise errors.bad_request("Invalid batch payload format: the ids must be unique.")
        if any(each not in known for each in _depends_on(part)):
            raise errors.bad_request(
                "Invalid batch payload format: dependsOn names an unknown or later request."
            )
        if "body" in part and not any(name.lower() == "content-type" for name in part.get("headers") or {}):
            raise errors.bad_request(
                "Write requests in a batch must contain the Content-Type header declaration."
            )
        known.add(_id(part))
    return parts


def _id(part: Part) -> str:
    return str(part["id"]).lower()


def _depends_on(part: Part) -> list[str]:
    # The batch of msgraph-core writes depends_on.
    return [str(each).lower() for each in part.get("dependsOn") or part.get("depends_on") or ()]


async def _perform(call: Call, part: Part, send: Send) -> Part:
    target = "/" + _ABSOLUTE.sub("", part["url"])
    if target.startswith("/$batch"):
        return _response(
            part, Answer(400, {"error": {"code": "BadRequest", "message": "Batches cannot be nested."}})
        )
    headers = CIMultiDict({name: call.headers[name] for name in _INHERITED if name in call.headers})
    headers.update({str(name): str(value) for name, value in (part.get("headers") or {}).items()})
    content = json.dumps(part["body"]).encode() if "body" in part else b""
    inner = Call(call.base, part["method"].upper(), target, headers, content, in_batch=True)
    try:
        answer = await send(inner)
    except Cut:
        # A lost connection behind the batch's own front end shows as a gateway's failure.
        answer = Answer(504, {"error": {"code": "UnknownError", "message": ""}})
    return _response(part, answer)


def _response(part: Part, answer: Answer) -> Part:
    response = {"id": part["id"], "status": answer.status, "headers": answer.headers}
    if answer.body is not None:
        response["headers"] = {"Content-Type": "application/json"} | answer.headers
        response["body"] = answer.body
    return response
