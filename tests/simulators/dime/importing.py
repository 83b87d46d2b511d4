"""The import: requests with parallel arrays in, one transaction, ImportSet or error out."""

import json
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiohttp import web

from .appointments import Touched
from .procedures import execute
from .sqlserver import SqlError

DEADLOCK = (
    "Transaction (Process ID 63) was deadlocked on lock resources with another process and has been chosen"
    " as the deadlock victim. Rerun the transaction."
)


class ImportFormatError(Exception):
    """The body is not what the import takes; the caller answers 400."""


@dataclass(frozen=True)
class ImportRequest:
    """One procedure with its parameters, as text."""

    procedure: str
    names: list[str]
    values: list[str | None]

    def pairs(self) -> list[tuple[str, str | None]]:
        if len(self.values) < len(self.names):
            raise SqlError("Index was outside the bounds of the array.", 0)
        return list(zip(self.names, self.values, strict=False))


def read_requests(body: str, *, array: bool) -> list[ImportRequest]:
    """Read one object, or an array of them; ImportFormatError where it is the other, or not this at all."""
    try:
        wanted = json.loads(body)
    except ValueError:
        raise ImportFormatError("The request is invalid: no JSON.") from None
    if isinstance(wanted, list) != array:
        raise ImportFormatError(
            f"The request is invalid: {'an array' if array else 'an object'} is expected."
        )
    return [_request(element) for element in (wanted if array else [wanted])]


def _request(element: Any) -> ImportRequest:
    if not isinstance(element, dict):
        raise ImportFormatError("The request is invalid: an object is expected.")
    fields = {str(name).lower(): value for name, value in element.items()}
    names, values = fields.get("parameternames") or [], fields.get("parametervalues") or []
    if not isinstance(fields.get("storedprocedurename"), str):
        raise ImportFormatError("The StoredProcedureName field is required.")
    if not _strings(names) or not _strings(values, null=True):
        raise ImportFormatError(
            "The request is invalid: ParameterNames and ParameterValues are arrays of strings."
        )
    return ImportRequest(fields["storedprocedurename"], names, values)


def _strings(values: Any, *, null: bool = False) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, str) or (null and value is None) for value in values
    )


async def run(pool: Any, requests: list[ImportRequest], user: str, *, cloud: bool) -> Touched:
    """Run the procedures in one transaction: all of them, or SqlError and none."""
    found: Touched = []
    try:
        async with pool.acquire() as connection, connection.transaction():
            for request in requests:
                found += await execute(connection, request.procedure, request.pairs(), user, cloud)
    except asyncpg.DeadlockDetectedError:
        raise SqlError(DEADLOCK, 1205) from None
    except asyncpg.IntegrityConstraintViolationError as error:
        raise SqlError(f"The statement conflicted with a constraint: {error}", 547) from None
    return found


def import_set(found: Touched) -> dict[str, Any]:
    appointments = [{"Id": number, "Guid": str(guid)} for number, guid in dict(found).items()]
    return {"Success": True, "Message": "", "Status": 200, "Phrase": "OK", "Appointments": appointments}


def unsuccessful(message: str) -> dict[str, Any]:
    return {
        "Success": False,
        "Message": message,
        "Status": 500,
        "Phrase": "Internal Server Error",
        "Appointments": [],
    }


def error_body(message: str) -> dict[str, str]:
    return {"Error": "SqlException", "Description": message}


def error_answer(message: str, shape: str) -> web.Response:
    """A documented failure of the on-premises generation; the content types carry a charset."""
    if shape == "error-text":
        return web.Response(status=500, text=message, content_type="text/plain", charset="utf-8")
    return web.json_response(error_body(message), status=500)


def wrapped(content: dict[str, Any], status: int) -> web.Response:
    """The cloud's answer: always HTTP 200, the outcome inside, as a JSON *string*."""
    inner = {"content": json.dumps(content), "contentType": "application/json", "statusCode": status}
    return web.json_response(inner)
