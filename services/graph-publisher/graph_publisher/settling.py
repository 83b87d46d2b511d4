"""Calls of unknown outcome: closed only by looking again, after long enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog

from common.errors import SyncError
from common.graph.protocol import DuplicateTransaction, Event, Gone, key
from graph_publisher import steps
from graph_publisher.mapping import Values
from graph_publisher.metrics import observe_lag
from graph_publisher.store.attempts import Outcome
from graph_publisher.store.lanes import Attempt, Due
from graph_publisher.turn import Turn, outcome

log = structlog.get_logger()


async def settle(due: Due, attempt: Attempt, turn: Turn) -> None:
    """Find out what became of a call, and close its attempt; the link stays due for what is still wanted."""
    if attempt.lease_token != turn.lease.token:
        await turn.attempts.take_over(attempt)
    match attempt.operation:
        case "create":
            await _settle_create(due, attempt, turn)
        case "update":
            await _settle_update(due, attempt, turn)
        case _:
            await _settle_delete(due, attempt, turn)
    log.info("attempt.settled", link=due.id, operation=attempt.operation)


async def _settle_create(due: Due, attempt: Attempt, turn: Turn) -> None:
    """Look the event up by our property, else send the same create again: the transaction id makes it one event."""
    values, time_zone = _sent(attempt)
    mark = key(turn.installation, str(due.appointment_guid), due.resource_no)
    found = _ours(await turn.call(lambda: turn.calendar.find(mark)), attempt)
    if found is None:
        try:
            found = await turn.call(
                lambda: turn.calendar.create(values, str(attempt.transaction_key), mark, time_zone)
            )
        except DuplicateTransaction as duplicate:
            await settle_duplicate(due, attempt.id, values, turn, duplicate)
            return
        except SyncError as error:
            await _still_unknown(due, attempt, turn, error)
            return
    await _created(due, attempt.id, values, found, turn)


def _ours(found: Sequence[Event], attempt: Attempt) -> Event | None:
    """A person's copy of our event carries our property too, but not our transaction id."""
    return _made(found, attempt.transaction_key)


def _made(found: Sequence[Event], transaction_key: UUID | None) -> Event | None:
    return next(
        (event for event in found if (event.transaction_id or "").lower() == str(transaction_key)), None
    )


async def settle_duplicate(
    due: Due, attempt_id: int, values: Values, turn: Turn, duplicate: DuplicateTransaction
) -> None:
    """Graph made an event of this transaction id at an earlier try and it has other values by now: it is the one."""
    event = await _duplicated(due, turn, duplicate.event_id)
    if event is None and duplicate.event_id is None:
        # Graph knows an event that its listing does not show yet: another one beside it would be the second.
        await turn.attempts.unknown(attempt_id, turn.tuning.settle_s, outcome(duplicate), tried=True)
        if await turn.give_up(due, due.tries + 1, str(duplicate)):
            await turn.attempts.unapplied(attempt_id, outcome(duplicate))
    elif event is None:
        await turn.attempts.unapplied(attempt_id, outcome(duplicate))
        await turn.attempts.next_incarnation(due)
    else:
        await _created(due, attempt_id, values, event, turn)


async def _duplicated(due: Due, turn: Turn, event_id: str | None) -> Event | None:
    """None where the event was deleted meanwhile: then another incarnation needs another id."""
    if event_id is None:
        mark = key(turn.installation, str(due.appointment_guid), due.resource_no)
        return _made(await turn.call(lambda: turn.calendar.find(mark)), turn.transaction_key(due))
    try:
        return await turn.call(lambda: turn.calendar.read(event_id))
    except Gone:
        return None


async def _created(due: Due, attempt_id: int, values: Values, event: Event, turn: Turn) -> None:
    """Link the event. Values that it does not show may be another try's: they are sent next."""
    turn.wrote()
    differing = steps.not_as_sent(values, event.values)
    known = values | {name: event.values[name] for name in differing}
    closed = await turn.attempts.succeeded(
        attempt_id, event, steps.pairs(known, event.values), Outcome(201), done=not differing
    )
    observe_lag(closed.lag if closed else None)
    await turn.attempts.surplus(due.id)


async def _still_unknown(due: Due, attempt: Attempt, turn: Turn, error: SyncError) -> None:
    """The same create again ended as open as the first: the attempt stays open, until nobody waits any more.

    An attempt may be given up: the next create of this incarnation carries the same transaction id.
    """
    if error.maybe_applied or error.scope != "item":
        item = error.scope == "item"
        await turn.attempts.still_unknown(attempt, turn.patience(turn.tuning.settle_s, due.tries), tried=item)
        await turn.trouble(error)
        if item and await turn.give_up(due, due.tries + 1, str(error)):
            await turn.attempts.unapplied(attempt.id, outcome(error))
        return
    await turn.attempts.unapplied(attempt.id, outcome(error))
    raise error


async def _settle_update(due: Due, attempt: Attempt, turn: Turn) -> None:
    values, _ = _sent(attempt)
    event_id = attempt.event_id or ""
    try:
        event = await turn.call(lambda: turn.calendar.read(event_id))
    except Gone as gone:
        await turn.attempts.unapplied(attempt.id, outcome(gone))
        return
    if steps.took_effect(values, due.fields, event):
        turn.wrote()
        closed = await turn.attempts.succeeded(attempt.id, event, steps.pairs(values, values), Outcome(200))
        observe_lag(closed.lag if closed else None)
    else:
        await turn.attempts.unapplied(attempt.id, Outcome(200, reason="the event does not show it"))
        await turn.give_up(due, due.tries, "the event does not show the change")


async def _settle_delete(due: Due, attempt: Attempt, turn: Turn) -> None:
    event_id = attempt.event_id or ""
    try:
        await turn.call(lambda: turn.calendar.read(event_id))
    except Gone as gone:
        await turn.attempts.deleted(attempt.id, outcome(gone))
    else:
        await turn.attempts.unapplied(attempt.id, Outcome(200, reason="the event is still there"))
        await turn.give_up(due, due.tries, "the event is still there")


def _sent(attempt: Attempt) -> tuple[Values, str]:
    sent: dict[str, Any] = attempt.sent
    return sent.get("values", {}), sent.get("time_zone", "UTC")
