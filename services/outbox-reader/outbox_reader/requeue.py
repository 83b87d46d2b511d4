"""outbox.requeue.v1: somebody wants fresh snapshots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Literal, Protocol

from common.messages import Cause, Message, OutboxRequeue
from outbox_reader.records import Key, Known

QUEUE = "outbox-reader.requests"


class Outbox(Protocol):
    """Where rows are added."""

    async def enqueue(
        self, keys: Iterable[Key], *, cause: Cause, priority: int, action: Literal["U", "D"] = "U"
    ) -> int: ...


class State(Protocol):
    """What is known."""

    async def known(self, ids: Sequence[int]) -> list[Known]: ...


async def requeue(
    messages: Sequence[Message], *, outbox: Outbox, state: State, wake: Callable[[], None]
) -> None:
    """Add a row for each appointment that is wanted; also for one that is gone, so that this is told."""
    wanted = sorted(
        (message for message in messages if isinstance(message, OutboxRequeue)),
        key=lambda message: (message.cause, message.priority),
    )
    for (cause, priority), group in groupby(wanted, key=lambda message: (message.cause, message.priority)):
        ids = sorted({number for message in group for number in message.appointment_ids})
        known: list[Key] = [(one.id, one.guid) for one in await state.known(ids) if not one.deleted]
        named = {number for number, _ in known}
        await outbox.enqueue(
            [*known, *((number, None) for number in ids if number not in named)],
            cause=cause,
            priority=priority,
        )
    wake()
