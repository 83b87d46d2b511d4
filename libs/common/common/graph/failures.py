"""What an answer of Graph that is no success means for the caller; no I/O.

https://learn.microsoft.com/graph/errors and https://learn.microsoft.com/graph/throttling
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from common.errors import Configuration, Permanent, Scope, SyncError, Throttled, Transient

# Outlook's own usual Retry-After; used where an answer 429 names none.
_RETRY_AFTER = 1.0
_CODE = re.compile(r"[A-Za-z0-9_.\-]{1,80}")

_MAILBOX_CODES = {
    "errorinvaliduser": "EXC-MAILBOX-NOT-FOUND",
    "errornonexistentmailbox": "EXC-MAILBOX-NOT-FOUND",
    "request_resourcenotfound": "EXC-MAILBOX-NOT-FOUND",
    "resourcenotfound": "EXC-MAILBOX-NOT-FOUND",
    "mailboxnotenabledforrestapi": "EXC-MAILBOX-NO-LICENCE",
    "mailboxnotsupportedforrestapi": "EXC-MAILBOX-NO-LICENCE",
    "erroraccessdenied": "EXC-MAILBOX-NO-ACCESS",
    "errorquotaexceeded": "EXC-MAILBOX-FULL",
}
_MAILBOX_STATUS = {403: "EXC-MAILBOX-NO-ACCESS", 423: "EXC-MAILBOX-FULL", 507: "EXC-MAILBOX-FULL"}
_CONFLICTS = {"errorirresolvableconflict", "errorconcurrentitemsave", "concurrentitemsave"}
_HALF_SAVED = {"errorconcurrentitemsave", "concurrentitemsave"}


class Gone(Permanent):
    """The mailbox has no event of that id."""


class Changed(Transient):
    """Somebody changed the event in between: read it again."""


class Expired(Transient):
    """A delta token is no longer known: list everything again."""


class DuplicateTransaction(Permanent):
    """The transaction id was used for an event of other content; `event_id` is its id where Graph said so."""

    def __init__(self, message: str, *, event_id: str | None, **facts: Any) -> None:
        """Keep the id of the event that the transaction made."""
        super().__init__(message, **facts)
        self.event_id = event_id


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    error: Mapping[str, Any]
    write: bool
    item: bool

    @property
    def code(self) -> str:
        code = self.error.get("code")
        return code if isinstance(code, str) and _CODE.fullmatch(code) else ""

    @property
    def request_id(self) -> str | None:
        inner = self.error.get("innerError") or self.error.get("innererror")
        told = self.headers.get("request-id") or (isinstance(inner, Mapping) and inner.get("request-id"))
        return told if isinstance(told, str) and _CODE.fullmatch(told) else None

    @property
    def facts(self) -> dict[str, Any]:
        return {"status": self.status, "request_id": self.request_id}

    def __str__(self) -> str:
        return f"Graph answered {self.status} {self.code}".rstrip()


def failure(
    status: int, headers: Mapping[str, str], body: bytes, *, write: bool, item: bool = True
) -> SyncError:
    """Give the error that an answer stands for; the message holds Graph's status and code, nothing else of it.

    `headers` has lower-case names. `write`: the call was no GET. `item`: its path names an event, so that
    'not found' may mean the event; elsewhere it means the mailbox.
    """
    answer = _Answer(status, headers, _error(body), write, item)
    return _by_code(answer) or _by_status(answer)


def _error(body: bytes) -> Mapping[str, Any]:
    """Give the error object, or an empty one: Graph's front doors also answer empty, text and HTML bodies."""
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    error = document.get("error") if isinstance(document, dict) else None
    return error if isinstance(error, dict) else {}


def _by_code(answer: _Answer) -> SyncError | None:
    """Decide by Graph's code, which says more than the status, for answers below 500."""
    code = answer.code.lower()
    if answer.status >= 500 or answer.status in (401, 429):
        return None
    if code == "errorduplicatetransactionid":
        return _duplicate(answer)
    if code == "erroritemnotfound":
        return _not_found(answer)
    if code in _CONFLICTS:
        return _conflict(answer)
    if code in _MAILBOX_CODES:
        return _mailbox(answer, _MAILBOX_CODES[code])
    return None


def _by_status(answer: _Answer) -> SyncError:
    status = answer.status
    if status in _MAILBOX_STATUS:
        return _mailbox(answer, _MAILBOX_STATUS[status])
    if status in (408, 425) or status >= 500:
        return _unavailable(answer)
    return _DECISIONS.get(status, _odd if status < 400 else _refused)(answer)


def _mailbox(answer: _Answer, code: str) -> SyncError:
    return Configuration(str(answer), code=code, scope="mailbox", **answer.facts)


def _not_found(answer: _Answer) -> SyncError:
    """Tell an event that is gone from a principal that has no calendar; only the wording does."""
    message = str(answer.error.get("message") or "").lower()
    if not answer.item or "default folder" in message:
        return _mailbox(answer, "EXC-MAILBOX-NO-LICENCE")
    return Gone(str(answer), code="EXC-EVENT-GONE", **answer.facts)


def _duplicate(answer: _Answer) -> SyncError:
    existing = answer.error.get("@event.existingEventId")
    event_id = existing if isinstance(existing, str) and existing else None
    return DuplicateTransaction(str(answer), event_id=event_id, code="EXC-REFUSED", **answer.facts)


def _unavailable(answer: _Answer) -> SyncError:
    """Graph is in trouble; a write may have been applied all the same.

    500 is the item's (Exchange answers it to some contents, always), else one event could hold its mailbox.
    """
    scope: Scope = "item" if answer.status == 500 else "mailbox"
    facts: dict[str, Any] = {"scope": scope, "maybe_applied": answer.write, **answer.facts}
    wait = retry_after(answer.headers)
    if wait is not None:
        return Throttled(str(answer), retry_after=wait, code="EXC-GRAPH-UNAVAILABLE", **facts)
    return Transient(str(answer), code="EXC-GRAPH-UNAVAILABLE", **facts)


def _odd(answer: _Answer) -> SyncError:
    """A redirect or a 404 without a known code comes from something before Graph: it proves nothing."""
    scope: Scope = "item" if answer.item else "mailbox"
    unknown = answer.write and answer.status < 400
    facts = {"maybe_applied": unknown, **answer.facts}
    return Transient(str(answer), code="EXC-GRAPH-ANSWER", scope=scope, **facts)


def _refused(answer: _Answer) -> SyncError:
    return Permanent(str(answer), code="EXC-REFUSED", **answer.facts)


def _signed_out(answer: _Answer) -> SyncError:
    return Configuration(str(answer), code="EXC-SIGN-IN-REFUSED", scope="tenant", **answer.facts)


def _conflict(answer: _Answer) -> SyncError:
    """A create that met ConcurrentItemSave was seen to leave its event behind."""
    unknown = answer.write and answer.code.lower() in _HALF_SAVED
    return Changed(str(answer), code="EXC-CONFLICT", maybe_applied=unknown, **answer.facts)


def _expired(answer: _Answer) -> SyncError:
    return Expired(str(answer), code="EXC-GRAPH-ANSWER", scope="mailbox", **answer.facts)


def _throttled(answer: _Answer) -> SyncError:
    wait = retry_after(answer.headers)
    wait = _RETRY_AFTER if wait is None else wait
    return Throttled(str(answer), retry_after=wait, code="EXC-THROTTLED", **answer.facts)


_DECISIONS: dict[int, Callable[[_Answer], SyncError]] = {
    401: _signed_out,
    404: _odd,
    409: _conflict,
    410: _expired,
    412: _conflict,
    429: _throttled,
}


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Give the seconds of Retry-After, in either of its forms; None where it is absent or makes no sense."""
    value = headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        return max(
            0.0, (parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])).total_seconds()
        )
    except (ValueError, TypeError, KeyError):
        return None
