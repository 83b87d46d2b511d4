"""graph-publisher mailboxes: the switches of a mailbox."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict

from common.graph import client as graph
from common.service import Command
from graph_publisher.commands.arguments import mailbox_address, positive
from graph_publisher.commands.mailbox_test import try_mailbox
from graph_publisher.commands.opening import examples, state, wake, who
from graph_publisher.commands.tables import DONE, FAILED, complain, dump, say, sentence, table
from graph_publisher.settings import Settings
from graph_publisher.store.mailboxes import FIRST, Mailbox, MailboxStore

EVERY = 1_000_000
"""More mailboxes than an organisation has."""
BATCH = 500
"""Appointments that are put back for a new decision in one commit."""

_ACTIONS = {
    "enable": "send to the mailbox; what was held back is decided on anew",
    "disable": "send nothing to the mailbox; its events stay as they are",
    "test": "try sign-in, settings and a listing of one mailbox or of all; writes nothing",
    "hold": "make no call to the mailbox until it is released; changes stay pending",
    "release": "end any hold of the mailbox, and try again now",
}

_HEADINGS = (
    "ADDRESS", "PROFILE", "STATE", "SINCE", "HOLD UNTIL", "OUTBOUND", "PENDING", "LAST SUCCESS", "REASON",
)  # fmt: skip


def _arguments(parser: ArgumentParser) -> None:
    examples(parser, "graph-publisher mailboxes", "graph-publisher mailboxes disable alice@contoso.example")
    _list_options(parser, limit=1000, as_json=False)
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action")
    listing = actions.add_parser("list", help="show all mailboxes, or one (default)")
    examples(listing, "graph-publisher mailboxes list --json")
    listing.add_argument("address", nargs="?", type=mailbox_address, metavar="ADDRESS")
    _list_options(listing, limit=SUPPRESS, as_json=SUPPRESS)
    for name, about in _ACTIONS.items():
        action = actions.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        examples(action, f"graph-publisher mailboxes {name} alice@contoso.example")
        one_or_all = "?" if name == "test" else None
        action.add_argument("address", nargs=one_or_all, type=mailbox_address, metavar="ADDRESS")
    parser.set_defaults(action="list", address=None)


def _amend(words: list[str]) -> list[str]:
    """An address without an action is to be listed."""
    action = next((number for number, word in enumerate(words) if word in {"list", *_ACTIONS}), len(words))
    address = next((number for number, word in enumerate(words) if "@" in word), len(words))
    return [*words[:address], "list", *words[address:]] if address < action else words


def _list_options(parser: ArgumentParser, *, limit: object, as_json: object) -> None:
    """The same options before and after the word `list`; only the former have defaults."""
    parser.add_argument("--json", action="store_true", default=as_json, help="for scripts")
    parser.add_argument(
        "--limit", type=positive, default=limit, metavar="N", help="show at most N (default 1000)"
    )


async def _run(settings: Settings, arguments: Namespace) -> int:
    address: str | None = arguments.address
    if arguments.action == "test":
        return await _test([address] if address else await _all(settings), settings)
    async with state(settings) as pool:
        store = MailboxStore(pool, who())
        if arguments.action == "list" or address is None:
            return await show(store, address, arguments.limit, as_json=arguments.json)
        return await _act(arguments.action, address, store, settings)


async def _all(settings: Settings) -> list[str]:
    async with state(settings) as pool:
        return [mailbox.address for mailbox in await MailboxStore(pool, who()).read(None, EVERY)]


async def _test(addresses: Sequence[str], settings: Settings) -> int:
    """Try mailboxes one after the other; failed where one fails."""
    status = DONE
    async with graph.client(settings.profiles, timeout=settings.publisher.call_timeout_s) as calendars:
        for address in addresses:
            if len(addresses) > 1:
                say(address)
            status = max(status, await try_mailbox(address, settings.profile_of, calendars))
    return status


async def _act(action: str, address: str, store: MailboxStore, settings: Settings) -> int:
    match action:
        case "hold":
            await store.hold(address, settings.profile_of(address))
            say(f"{address} is held; a turn that has begun still ends")
            return DONE
        case "release":
            return await release(store, address, settings)
    return await switch(store, address, settings.profile_of(address), on=action == "enable")


async def show(store: MailboxStore, address: str | None, limit: int, *, as_json: bool) -> int:
    """List mailboxes; an address that is not known is a fault."""
    mailboxes = await store.read(address, limit + 1)
    if address and not mailboxes:
        return _unknown(address)
    if as_json:
        dump([asdict(mailbox) | {"reason": sentence(mailbox.code)} for mailbox in mailboxes[:limit]])
    else:
        table(_HEADINGS, (_row(mailbox) for mailbox in mailboxes[:limit]))
    if len(mailboxes) > limit:
        complain(f"there are more than {limit} mailboxes; see --limit")
    return DONE


def _row(mailbox: Mailbox) -> Sequence[object]:
    until = "released" if mailbox.held else mailbox.hold_until
    reason = f"{mailbox.code}: {sentence(mailbox.code)}" if mailbox.code else None
    return (
        mailbox.address, mailbox.profile, mailbox.state, mailbox.since, until, mailbox.outbound, mailbox.pending,
        mailbox.last_success, reason,
    )  # fmt: skip


def _unknown(address: str) -> int:
    complain(f"the mailbox {address} is not known: no appointment was ever planned for it")
    return FAILED


async def switch(store: MailboxStore, address: str, profile: str | None, *, on: bool) -> int:
    """Switch a mailbox and have its appointments decided on anew. Interrupted, it is simply run again."""
    await store.switch(address, profile, on=on)
    last, count, batch = FIRST, 0, BATCH
    while batch == BATCH:
        batch, last = await store.reconsider(address, last, BATCH)
        count += batch
    say(f"{address} is switched {'on' if on else 'off'}; {count} appointments are decided on anew")
    return DONE


async def release(store: MailboxStore, address: str, settings: Settings) -> int:
    """Release a mailbox and wake the publisher."""
    if not await store.release(address):
        return _unknown(address)
    woken = await wake(settings, [address])
    say(
        f"{address} is released"
        + ("" if woken else "; no publisher could be told, so it is found by the next sweep")
    )
    return DONE


MAILBOXES = Command("mailboxes", "The switches of a mailbox.", _arguments, _run, amend=_amend)
