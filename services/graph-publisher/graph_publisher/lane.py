"""One lane's turn at one mailbox: adopt if need be, work off what is due, give the mailbox back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import takewhile

import structlog

from common.errors import SyncError
from common.zones import zone
from graph_publisher.adopting import Adopter, needed
from graph_publisher.store.lanes import Due
from graph_publisher.turn import LeaseLost, Turn
from graph_publisher.writing import work

log = structlog.get_logger()


async def run(turn: Turn, adopter: Adopter) -> None:
    """Work until nothing is due, the mailbox is held, or it is others' turn; then give the mailbox back.

    Raises where the state database is away: the lease then runs out by itself. So it does after a defect, which
    keeps a broken mailbox from coming back at once.
    """
    try:
        await _work_off(turn, adopter)
    except LeaseLost:
        return
    except SyncError as error:
        if error.code == "EXC-STATE-UNAVAILABLE":
            raise
        await turn.trouble(error)
    except asyncio.CancelledError:
        # Its calls have ended, and their attempts tell what may have happened.
        await asyncio.shield(turn.release())
        raise
    await turn.release()


async def _work_off(turn: Turn, adopter: Adopter) -> None:
    while not turn.stopped and turn.worked < turn.tuning.yield_after:
        if not await turn.keep_lease():
            return
        due = await turn.lanes.due(turn.lease, turn.tuning.yield_after - turn.worked)
        if not due:
            return
        await _know_zone(turn)
        # In their order, so that a fresh change waits for no listing that only the bulk behind it needs.
        ready = list(takewhile(lambda link: not needed(link, turn), due))
        await (_work(ready, turn) if ready else adopter.adopt(turn, due))


async def _know_zone(turn: Turn) -> None:
    """Read the mailbox's time zone once a day; a customised one is replaced by the profile's, with a note."""
    if turn.lease.time_zone:
        return
    name = (await turn.call(turn.calendar.settings)).time_zone
    note = None
    if zone(name) is None:
        note = f"the mailbox has a customised time zone ({name!r}); {turn.default_zone} is used"
        name = turn.default_zone
    await turn.lanes.note_zone(turn.lease, name, note)


async def _work(due: Sequence[Due], turn: Turn) -> None:
    """Work off links side by side, one request in flight per slot; all slots have ended when this does."""
    queue = list(reversed(due))

    async def slot() -> None:
        try:
            while queue and not turn.stopped:
                turn.worked += 1
                await work(queue.pop(), turn)
        except SyncError:
            turn.stopped = True
            raise

    slots = (slot() for _ in range(min(turn.tuning.slots, len(due))))
    for ended in await asyncio.gather(*slots, return_exceptions=True):
        if isinstance(ended, BaseException):
            raise ended
