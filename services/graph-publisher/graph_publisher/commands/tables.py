"""How commands speak: tables and sentences for people, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from common.codes import CODES
from common.errors import SyncError
from common.logging import masked

DONE, FAILED, WRONG = 0, 1, 2


def say(text: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{text}\n")


def complain(text: str) -> None:
    """Write a line to standard error."""
    sys.stderr.write(f"{text}\n")


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows below their headings, each column as wide as its widest cell."""
    lines = [list(headings), *([cell(value) for value in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def cell(value: Any) -> str:
    """Return a value as a table shows it: one line, times in UTC to the second, nothing as a dash."""
    match value:
        case None | "" | ():
            return "-"
        case bool():
            return "on" if value else "off"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"
    return " ".join(str(value).split())


def dump(value: Any) -> None:
    """Write a value as JSON; times are ISO 8601 in UTC."""
    say(json.dumps(value, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def sentence(code: str | None) -> str | None:
    """Return what a code means."""
    return CODES[code].sentence if code in CODES else None


def meaning(code: str) -> str:
    """Return a code with what it means and what to do about it."""
    known = CODES.get(code)
    return f"{code}: {known.sentence} {known.advice}" if known else code


def explained(error: SyncError) -> str:
    """Return an error with its meaning, what to do, and what the other side said."""
    request = f", request {error.request_id}" if error.request_id else ""
    return f"{meaning(error.code)} ({masked(str(error))}{request})"
