"""graph-publisher transactions: what happened, and the operations on it, by id or filter."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

from common.codes import CODES
from common.service import Command
from graph_publisher.commands.arguments import mailbox_address, moment, positive
from graph_publisher.commands.opening import examples, state, wake, who
from graph_publisher.commands.story import listed, tell
from graph_publisher.commands.tables import DONE, FAILED, WRONG, complain, dump, say
from graph_publisher.settings import Settings
from graph_publisher.store.retries import Again, RetryStore
from graph_publisher.store.transactions import Filter, TransactionStore

BATCH = 100
"""Transactions that are changed in one commit."""
SHOWN, SHOWN_WHOLE = 50, 1000
HIGHEST = 2**63 - 1

_ACTIONS = {
    "retry": "try failed transactions again; what has succeeded or goes on by itself is left alone",
    "resend": "send every field again, also of transactions that succeeded",
    "archive": "put closed transactions into the archive",
    "restore": "take transactions out of the archive",
}

Batch = Sequence[int]
Work = Callable[[Batch], Awaitable[bool]]
"""Works off some ids, says what became of each, and returns whether somebody must do something else first."""


def _arguments(parser: ArgumentParser) -> None:
    examples(
        parser,
        "graph-publisher transactions --status failed",
        "graph-publisher transactions --appointment 1234",
        "graph-publisher transactions retry --code EXC-REFUSED --limit 10",
    )
    _filters(parser, None)
    _list_options(parser, as_json=False, archived=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="newest first; with --appointment its whole story (default)")
    examples(
        listing,
        "graph-publisher transactions list --mailbox alice@contoso.example --json",
        "graph-publisher transactions list 17",
    )
    listing.add_argument("ids", nargs="*", type=positive, metavar="ID", help="tell these with their calls")
    _filters(listing, SUPPRESS)
    _list_options(listing, as_json=SUPPRESS, archived=SUPPRESS)
    for name, about in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        examples(
            action,
            f"graph-publisher transactions {name} 17 18",
            f"graph-publisher transactions {name} --mailbox alice@contoso.example --limit 10",
        )
        action.add_argument("ids", nargs="*", type=positive, metavar="ID")
        _filters(action, SUPPRESS)
    parser.set_defaults(action="list", ids=[])


def _filters(parser: ArgumentParser, default: object) -> None:
    """The same filters before and after the action; only the former have defaults."""
    statuses = ("pending", "succeeded", "failed", "skipped")
    parser.add_argument("--status", choices=statuses, default=default)
    parser.add_argument("--mailbox", type=mailbox_address, default=default, metavar="ADDRESS")
    parser.add_argument("--appointment", type=int, default=default, metavar="N")
    parser.add_argument("--code", type=str.upper, choices=sorted(CODES), default=default, metavar="EXC-...")
    parser.add_argument("--since", type=moment, default=default, metavar="TIME", help="created then or later")
    parser.add_argument("--limit", type=positive, default=default, metavar="N", help="the newest N")


def _list_options(parser: ArgumentParser, *, as_json: object, archived: object) -> None:
    parser.add_argument("--json", action="store_true", default=as_json, help="for scripts")
    parser.add_argument("--archived", action="store_true", default=archived, help="list the archive instead")


async def _run(settings: Settings, arguments: Namespace) -> int:
    wanted = Filter(
        None, arguments.status, arguments.mailbox, arguments.appointment, arguments.code, arguments.since
    )
    listing = arguments.action == "list"
    if not listing and bool(arguments.ids) == (wanted.asks or arguments.limit is not None):
        complain(
            f"transactions {arguments.action}: name ids, or choose by --status, --mailbox, --appointment, "
            "--code, --since or --limit; one of the two"
        )
        return WRONG
    async with state(settings) as pool:
        store = TransactionStore(pool, who())
        if listing:
            return await show(store, wanted, arguments)
        works = _works(store, RetryStore(pool, store.who), settings, named=bool(arguments.ids))
        chosen = _chosen(store, arguments.ids, _eligible(arguments.action, wanted), arguments.limit)
        return await work_off(chosen, works[arguments.action])


async def show(store: TransactionStore, wanted: Filter, arguments: Namespace) -> int:
    """List transactions, or tell the story of one appointment, or of those that are named, with every call."""
    whole = wanted.appointment is not None or bool(arguments.ids)
    limit = arguments.limit or (SHOWN_WHOLE if whole or arguments.json else SHOWN)
    archived = None if whole else arguments.archived
    rows = await store.read(replace(wanted, ids=arguments.ids or None, archived=archived), limit + 1)
    if len(rows) > limit:
        complain(f"there are more than {limit} transactions; see --limit")
    rows = rows[:limit]
    attempts = await store.attempts(row["id"] for row in rows) if whole or arguments.json else {}
    if arguments.json:
        dump([row | {"attempts": attempts[row["id"]]} for row in rows])
    elif whole:
        tell(reversed(rows), attempts)
    else:
        listed(rows)
    return DONE


def _eligible(action: str, wanted: Filter) -> Filter:
    """Narrow a filter to what the action is for, so that nothing has to be refused one by one."""
    match action:
        case "retry":
            return replace(wanted, status=wanted.status or "failed", current=True)
        case "resend":
            return replace(wanted, current=True)
        case "archive":
            return wanted
    return replace(wanted, archived=True)


async def _chosen(
    store: TransactionStore, ids: Sequence[int], wanted: Filter, limit: int | None
) -> AsyncIterator[Batch]:
    """Give the named ids, or those that the filter finds, newest first; in batches, so that memory is bounded."""
    if ids:
        unique = list(dict.fromkeys(ids))
        for start in range(0, len(unique), BATCH):
            yield unique[start : start + BATCH]
        return
    before, left = HIGHEST, limit or HIGHEST
    while left and (batch := await store.ids(wanted, before, min(BATCH, left))):
        yield batch
        before, left = batch[-1], left - len(batch)


async def work_off(chosen: AsyncIterator[Batch], work: Work) -> int:
    """Work off every batch; exit status 1 where something was left that needs somebody."""
    failed, count = False, 0
    async for batch in chosen:
        failed |= await work(batch)
        count += len(batch)
    if not count:
        say("no transaction is of that kind")
    return FAILED if failed else DONE


def _works(
    store: TransactionStore, retries: RetryStore, settings: Settings, *, named: bool
) -> dict[str, Work]:
    """What is named goes before changes that come; what a filter finds may be a lot, and waits behind them."""
    again = partial(_again, retries, settings, bulk=not named)
    return {
        "retry": partial(again, resend=False),
        "resend": partial(again, resend=True),
        "archive": partial(_archive, store, archive=True),
        "restore": partial(_archive, store, archive=False),
    }


async def _again(retries: RetryStore, settings: Settings, batch: Batch, *, resend: bool, bulk: bool) -> bool:
    told = await retries.again(batch, resend=resend, bulk=bulk)
    for one in told:
        say(_became(one))
    await wake(settings, [one.mailbox for one in told if one.mailbox])
    return any(one.refusal and one.refusal.needed for one in told)


def _became(one: Again) -> str:
    if one.refusal:
        return f"{one.id}: unchanged: {one.refusal.reason}"
    hold = f", but its mailbox is {one.hold}" if one.hold else ""
    return f"{one.id}: pending again as {one.successor}{hold}"


async def _archive(store: TransactionStore, batch: Batch, *, archive: bool) -> bool:
    told = await store.archive(batch, archive=archive)
    for one, reason in told.items():
        say(f"{one}: unchanged: {reason}" if reason else f"{one}: {'archived' if archive else 'restored'}")
    return any(reason and "no such" in reason for reason in told.values())


TRANSACTIONS = Command(
    "transactions", "What happened to appointments, and trying it again.", _arguments, _run
)
