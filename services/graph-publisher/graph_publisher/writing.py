"""One link: read its event, commit the intent, make the call, record what came of it.

The intent is committed before the call, so whatever is killed when, the next holder of the lease knows what
may have happened; and at most one call of a link is open or of unknown outcome at any time.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import assert_never

import structlog

from common.errors import Permanent, SyncError
from common.graph.protocol import DuplicateTransaction, Event, Gone, key
from graph_publisher import steps
from graph_publisher.mapping import Values, resolve
from graph_publisher.metrics import observe_lag
from graph_publisher.settling import settle, settle_duplicate
from graph_publisher.store.attempts import Outcome
from graph_publisher.store.lanes import Due
from graph_publisher.turn import Turn, outcome

log = structlog.get_logger()

REAPPEARS = 3600.0
"""Seconds after which an event that was not found is looked for once more: it may only have been out of sight."""


async def work(due: Due, turn: Turn) -> None:
    """Bring one link a step further; raises only where the state database is away.

    A defect fails the item once, and is never repeated in a loop; an attempt that it left open stays open.
    """
    try:
        await (_settle(due, turn) if due.attempt else _write(due, turn))
    except SyncError as error:
        if error.code == "EXC-STATE-UNAVAILABLE":
            raise
        await _item_trouble(due, turn, error)
    except Exception as defect:
        log.exception("link.broken", link=due.id)
        await turn.attempts.failed(due, "EXC-INTERNAL", type(defect).__name__)


async def _settle(due: Due, turn: Turn) -> None:
    assert due.attempt is not None  # noqa: S101 - the caller just looked
    if due.attempt.settles_in > 0:
        await turn.attempts.postpone(due, due.attempt.settles_in)
        return
    await settle(due, due.attempt, turn)


async def _write(due: Due, turn: Turn) -> None:
    if due.frozen:
        # It was due only for a call of unknown outcome, which is settled by now.
        await turn.attempts.frozen(due)
        return
    wanted = None if due.wanted is None else resolve(due.wanted, turn.zone)
    match steps.before_reading(wanted, due.fields, due.event_id):
        case steps.Nothing():
            await turn.attempts.nothing_to_do(due)
        case steps.Create():
            await _create(due, turn, wanted or {})
        case steps.Read():
            await _read_and_write(due, turn, wanted)
        case never:
            assert_never(never)


async def _read_and_write(due: Due, turn: Turn, wanted: Values | None) -> None:
    event_id = due.event_id or ""
    try:
        event = await turn.call(lambda: turn.calendar.read(event_id))
    except Gone:
        await _not_found(due, turn)
        return
    match steps.after_reading(wanted, due.fields, event):
        case steps.Nothing():
            await turn.attempts.nothing_to_do(due)
        case steps.Refuse(code, reason):
            log.warning("link.refused", link=due.id, code=code)
            await turn.attempts.failed(due, code, reason)
        case steps.Update(values):
            await _update(due, turn, values, event)
        case steps.Delete():
            await _delete(due, turn, event)
        case never:
            assert_never(never)


async def _not_found(due: Due, turn: Turn) -> None:
    """Wanted absent: done. Wanted: only a second look, apart from the first, proves that it is gone."""
    if due.wanted is None:
        await turn.attempts.gone(due, turn.lease, reappears_s=REAPPEARS)
        await turn.attempts.nothing_to_do(replace(due, event_id=None))
    elif due.missing_for is None or due.missing_for < turn.tuning.look_apart_s:
        await turn.attempts.missing(due, turn.tuning.look_apart_s - (due.missing_for or 0.0))
    else:
        log.info("event.restored", link=due.id)
        await turn.attempts.gone(due, turn.lease, reappears_s=REAPPEARS)


async def _create(due: Due, turn: Turn, values: Values) -> None:
    transaction_key = turn.transaction_key(due)
    attempt = await _intend(due, turn, "create", values, transaction=True)
    if attempt is None:
        return
    mark = key(turn.installation, str(due.appointment_guid), due.resource_no)
    try:
        event = await turn.paid(
            lambda: turn.calendar.create(values, str(transaction_key), mark, turn.time_zone)
        )
    except DuplicateTransaction as duplicate:
        await settle_duplicate(due, attempt, values, turn, duplicate)
    except SyncError as error:
        await _call_trouble(turn, attempt, error)
    else:
        await record(due, turn, attempt, values, event)


async def _update(due: Due, turn: Turn, values: Values, event: Event) -> None:
    attempt = await _intend(due, turn, "update", values)
    if attempt is None:
        return
    try:
        answer = await turn.paid(
            lambda: turn.calendar.update(event.id, values, turn.time_zone, event.change_key)
        )
    except SyncError as error:
        await _call_trouble(turn, attempt, error)
    else:
        await record(due, turn, attempt, values, answer)


async def _delete(due: Due, turn: Turn, event: Event) -> None:
    attempt = await _intend(due, turn, "delete", {})
    if attempt is None:
        return
    try:
        await turn.paid(lambda: turn.calendar.delete(event.id, event.change_key))
    except Gone as answer:
        await turn.attempts.deleted(attempt, outcome(answer))
    except SyncError as error:
        await _call_trouble(turn, attempt, error)
    else:
        turn.wrote()
        closed = await turn.attempts.deleted(attempt, Outcome(204))
        observe_lag(closed.lag if closed else None)
        log.info("event.deleted", link=due.id, appointment=due.appointment_id)


async def _intend(
    due: Due, turn: Turn, operation: str, values: Values, *, transaction: bool = False
) -> int | None:
    """Commit the intent; None where the link changed, another call held the mailbox, or the lease ends too soon."""
    await turn.budget.take()
    if turn.stopped or not await turn.keep_lease():
        return None
    if turn.lease.until - time.monotonic() <= turn.tuning.call_timeout_s:
        turn.stopped = True
        return None
    sent = {"values": values, "time_zone": turn.time_zone}
    transaction_key = turn.transaction_key(due) if transaction else None
    timing = turn.tuning
    return await turn.attempts.intend(
        turn.lease,
        due,
        operation,
        sent,
        transaction_key,
        timeout_s=timing.call_timeout_s,
        settle_s=timing.settle_s,
    )


async def record(due: Due, turn: Turn, attempt: int, sent: Values, event: Event) -> None:
    """Record an answer: verified field by field, and known as ours even where the lane was lost meanwhile."""
    turn.wrote()
    differing = steps.not_as_sent(sent, event.values)
    told = Outcome(200, code="EXC-NOT-AS-SENT", reason=", ".join(differing)) if differing else Outcome(200)
    closed = await turn.attempts.succeeded(attempt, event, steps.pairs(sent, event.values), told)
    if closed is None:
        await turn.attempts.once_ours(due, turn.lease, event.id)
        return
    observe_lag(closed.lag)
    log.info("event.written", link=due.id, appointment=due.appointment_id, differing=differing)


async def _call_trouble(turn: Turn, attempt: int, error: SyncError) -> None:
    """A call failed: leave it open where it may have taken effect, close it where it cannot have."""
    if error.maybe_applied:
        await turn.attempts.unknown(
            attempt, turn.tuning.settle_s, outcome(error), tried=error.scope == "item"
        )
        await turn.trouble(error)
        return
    await turn.attempts.unapplied(attempt, outcome(error))
    raise error


async def _item_trouble(due: Due, turn: Turn, error: SyncError) -> None:
    """Nothing was changed by the call: wait, or fail the item for good."""
    if isinstance(error, Permanent) and not isinstance(error, Gone):
        await turn.attempts.failed(due, error.code, str(error))
        log.warning("link.failed", link=due.id, code=error.code, reason=str(error))
        return
    if error.scope == "item":
        await turn.wait_or_give_up(due, error)
        return
    await turn.attempts.postpone(due, 0.0, error.code, str(error))
    await turn.trouble(error)
