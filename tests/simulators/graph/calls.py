"""One request and its answer, apart from HTTP, so that parts of a $batch are the same as requests."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

from . import errors
from .odata import Preferences, preferences


@dataclass(slots=True)
class Call:
    """`target` is the undecoded path below the version, with its query; header names are case-insensitive."""

    base: str
    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes = b""
    request_id: str = ""
    in_batch: bool = False
    segments: list[str] = field(default_factory=list)
    query: dict[str, str] = field(default_factory=dict)
    preferences: Preferences = field(default_factory=Preferences)
    mailbox: str | None = None
    client: str | None = None
    fault: str | None = None

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.segments = [unquote(each) for each in path.split("/") if each]
        if query:
            # The names of query options have no case, nor do their dollar signs matter to the service.
            self.query = {_option(name): value for name, value in parse_qsl(query, keep_blank_values=True)}

    @property
    def path(self) -> str:
        """The undecoded path without the query."""
        return self.target.partition("?")[0]

    @property
    def client_request_id(self) -> str:
        """As the client sent it, else the service's own."""
        return self.headers.get("client-request-id") or self.request_id

    def read_preferences(self) -> Preferences:
        """The Prefer headers, kept for the answer; GraphError 400."""
        if header := self.headers.get("Prefer"):
            self.preferences = preferences(header)
        return self.preferences

    def json(self) -> dict[str, Any]:
        """The body; GraphError 400 unless it is a JSON object and says so."""
        body = None
        if "json" in self.headers.get("Content-Type", ""):
            with suppress(ValueError):
                body = json.loads(self.content)
        if not isinstance(body, dict):
            raise errors.unreadable_payload()
        return body


@dataclass(slots=True)
class Answer:
    """`body` None is an empty one."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def _option(name: str) -> str:
    plain = name.lower()
    return plain if plain.startswith("$") or plain in ("startdatetime", "enddatetime") else f"?{plain}"
