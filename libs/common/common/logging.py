"""Logs: one JSON object per line, or readable on a terminal; secrets are masked whoever logs them."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog

Format = Literal["auto", "json", "console"]

MASK = "***"
_SECRET_KEY = re.compile(
    r"password|passwd|pwd|secret|token(?!_count)|authorization|credential|api_?key|cookie|dsn|odbc",
    re.IGNORECASE,
)
_SECRET_TEXT = (
    (re.compile(r"(\w+://[^\s:/@]*:)[^\s/]*(?=@)"), rf"\1{MASK}"),  # scheme://user:password@host
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),  # a JSON web token
    (re.compile(r"(?i)\b(pwd|password|client_secret|client_assertion|api_?key)(\s*[=:]\s*)[^\s;,&]+"), rf"\1\2{MASK}"),
)  # fmt: skip


def mask(_: object, __: str, event: Mapping[str, Any]) -> dict[str, Any]:
    """A structlog processor: no secret leaves, neither under a telling key nor inside a text."""
    return {key: MASK if _SECRET_KEY.search(key) and value else masked(value) for key, value in event.items()}


def masked(value: Any) -> Any:
    """The value without the secrets in it, at any depth."""
    if isinstance(value, str):
        for pattern, replacement in _SECRET_TEXT:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, Mapping):
        return mask(None, "", {str(key): inner for key, inner in value.items()})
    if isinstance(value, (list, tuple, set, frozenset)):
        return [masked(inner) for inner in value]
    return value


def configure(service: str, level: str = "info", form: Format = "auto", stream: TextIO | None = None) -> None:
    """Route structlog and the standard library's logging to `stream` (default stdout), from `level` up."""
    stream = stream or sys.stdout
    console = form == "console" or (form == "auto" and stream.isatty())

    def name_service(_: object, __: str, event: Any) -> Any:
        return {**event, "service": service}

    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        name_service,
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.dev.ConsoleRenderer(timestamp_key="time")
        if console
        else structlog.processors.JSONRenderer(default=str)
    )
    least = logging.getLevelName(level.upper())
    structlog.configure(
        processors=[*before, mask, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(before, renderer, least, stream)


def _route_standard_library(before: list[Any], renderer: Any, least: int, stream: TextIO) -> None:
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, mask, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(least, logging.INFO), force=True)
    for noisy in ("aio_pika", "aiohttp.access", "asyncio", "msal", "urllib3"):
        logging.getLogger(noisy).setLevel(max(least, logging.WARNING))
    logging.getLogger("aiormq").setLevel(
        logging.CRITICAL
    )  # every lost connection with a traceback; amqp.py tells it
