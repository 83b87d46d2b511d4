"""The tree of errors, by what the caller has to do about them."""

from __future__ import annotations

from typing import Literal

Scope = Literal["item", "mailbox", "tenant"]


class SyncError(Exception):
    """Something that the connector expected could happen.

    `code` is a stable code of `common.codes`; `scope` says how far the trouble reaches.
    `maybe_applied` is true where a write was sent and nobody knows whether it took effect.
    `status` and `request_id` are those of the other side's answer, where there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "EXC-INTERNAL",
        scope: Scope = "item",
        maybe_applied: bool = False,
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        """Keep the facts; the message never holds a secret, a subject or a body."""
        super().__init__(message)
        self.code = code
        self.scope: Scope = scope
        self.maybe_applied = maybe_applied
        self.status = status
        self.request_id = request_id


class Transient(SyncError):
    """The same call may succeed later."""


class Throttled(Transient):
    """The same call may succeed later, and the other side said when."""

    def __init__(
        self, message: str, *, retry_after: float, code: str, scope: Scope = "mailbox", **facts: object
    ) -> None:
        """`retry_after` is in seconds, never negative."""
        super().__init__(message, code=code, scope=scope, **facts)  # type: ignore[arg-type]
        self.retry_after = max(0.0, retry_after)


class Configuration(SyncError):
    """An administrator must change something first."""


class Permanent(SyncError):
    """Repeating cannot help."""


class Malformed(Permanent):
    """The bytes do not match the contract."""
