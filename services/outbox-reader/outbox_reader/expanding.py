"""A row of the outbox that names a shared row (a resource, a category) becomes one per appointment that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID, uuid4

import structlog

from outbox_reader import metrics
from outbox_reader.records import SharedRow
from outbox_reader.settings import Tuning

log = structlog.get_logger(__name__)

FRESH, BULK = 0, 1


class Outbox(Protocol):
    """The rows."""

    async def claim_shared(self, token: UUID, lease: int) -> list[SharedRow]: ...
    async def expand(self, token: UUID, row_id: int, size: int, priority: int, lease: int) -> int: ...


async def expand_and_wake(outbox: Outbox, tuning: Tuning, wake: Callable[[], None]) -> None:
    """Expand what is due now, and wake whoever tells it; what a killed reader began goes on at its cursor."""
    if await expand_all(outbox, tuning):
        wake()


async def expand_all(outbox: Outbox, tuning: Tuning) -> int:
    """Expand what is due now, and count the appointments."""
    token = uuid4()
    expanded = 0
    for row in await outbox.claim_shared(token, tuning.lease_s):
        expanded += await _expand(outbox, token, row, tuning)
        metrics.ROWS.labels("expanded").inc()
    return expanded


async def _expand(outbox: Outbox, token: UUID, row: SharedRow, tuning: Tuning) -> int:
    """The first ones go with the fresh changes, for whoever waits for a new address; a thousand others with the bulk."""
    size, priority, expanded = tuning.expand_first, FRESH, 0
    if row.after is not None:
        size, priority = tuning.batch_size, BULK
    while (number := await outbox.expand(token, row.id, size, priority, tuning.lease_s)) == size:
        expanded += number
        size, priority = tuning.batch_size, BULK
    log.info("shared.expanded", table=row.table, appointments=expanded + number)
    return expanded + number
