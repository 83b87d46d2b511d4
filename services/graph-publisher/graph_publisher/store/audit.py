"""The SQL of the audit log: what administrators did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.db import Connection


async def note(
    connection: Connection, who: str, what: str, subject: str, details: Mapping[str, Any] | None = None
) -> None:
    """Tell who did what to which mailbox or transactions, in the transaction that does it."""
    await connection.execute(
        "INSERT INTO audit (who, what, subject, details) VALUES ($1, $2, $3, $4)",
        who,
        what,
        subject,
        dict(details or {}),
    )
