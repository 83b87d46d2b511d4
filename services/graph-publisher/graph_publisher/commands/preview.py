"""graph-publisher preview: what a first sync would create, adopt, ask."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from typing import Any

from common.graph import client as graph
from common.service import Command
from graph_publisher.adoption import Adoptable
from graph_publisher.commands.arguments import mailbox_address
from graph_publisher.commands.opening import examples, state
from graph_publisher.commands.tables import DONE, FAILED, cell, dump, explained, say, sentence, table
from graph_publisher.previewing import Outlook, Previewer
from graph_publisher.settings import Settings
from graph_publisher.store.previews import PreviewStore

_COUNTS = ("create", "adopt", "ask", "before cut-off", "under way", "failed", "not looked at", "left behind")


def _arguments(parser: ArgumentParser) -> None:
    parser.description = (
        "What a first sync would create, adopt and ask an administrator about, mailbox by mailbox.\n"
        "Plan with EXCONN_OUTBOUND=off, look at the preview, then switch outbound on. Nothing is written."
    )
    examples(parser, "graph-publisher preview", "graph-publisher preview alice@contoso.example --details")
    parser.add_argument("address", nargs="?", type=mailbox_address, metavar="ADDRESS")
    parser.add_argument("--details", action="store_true", help="name every appointment")
    parser.add_argument("--json", action="store_true", help="for scripts")


async def _run(settings: Settings, arguments: Namespace) -> int:
    timeout = settings.publisher.call_timeout_s
    async with state(settings) as pool, graph.client(settings.profiles, timeout=timeout) as calendars:
        previewer = Previewer(PreviewStore(pool, settings.publisher.cut_off), calendars, settings)
        outlooks = await previewer.preview(arguments.address)
    return show(outlooks, details=arguments.details, as_json=arguments.json)


def show(outlooks: Sequence[Outlook], *, details: bool, as_json: bool) -> int:
    """Show what was seen; exit status 1 where a calendar could not be looked into."""
    if as_json:
        _dump(outlooks, details=details)
    elif not outlooks:
        say("nothing waits for a first sync: every link has its event, or wants none")
    else:
        _tables(outlooks, details=details)
    return FAILED if any(outlook.fault for outlook in outlooks) else DONE


def _counts(outlook: Outlook) -> dict[str, int]:
    waiting = outlook.waiting
    untold = waiting.open if outlook.fault else outlook.unseen
    numbers = (
        len(outlook.create), len(outlook.adopt), len(outlook.ask), waiting.before_cut_off, waiting.under_way,
        waiting.failed, untold, outlook.left_behind,
    )  # fmt: skip
    return dict(zip(_COUNTS, numbers, strict=True))


def _totals(outlooks: Iterable[Outlook]) -> dict[str, int]:
    counts = [_counts(outlook) for outlook in outlooks]
    return {name: sum(count[name] for count in counts) for name in _COUNTS}


def _tables(outlooks: Sequence[Outlook], *, details: bool) -> None:
    rows: list[Sequence[Any]] = [
        (outlook.waiting.address, *_counts(outlook).values(), outlook.fault and outlook.fault.code)
        for outlook in outlooks
    ]
    total = ("total", *_totals(outlooks).values(), None)
    table(("MAILBOX", *(name.upper() for name in _COUNTS), "FAULT"), [*rows, total])
    for outlook in outlooks:
        if outlook.fault:
            say(f"{outlook.waiting.address}: {explained(outlook.fault)}")
    if details:
        say("")
        headings = ("MAILBOX", "WOULD", "APPOINTMENT", "RESOURCE", "START", "END", "SUBJECT", "EVENTS")
        table(headings, (list(row.values()) for outlook in outlooks for row in _details(outlook)))


def _details(outlook: Outlook) -> Iterable[dict[str, Any]]:
    decided: list[tuple[str, Adoptable, int | None]] = [
        *(("create", link, None) for link in outlook.create),
        *(("adopt", link, 1) for link in outlook.adopt),
        *(("ask", link, events) for link, events in outlook.ask),
    ]
    for would, link, events in decided:
        yield {
            "mailbox": outlook.waiting.address, "would": would, "appointment": link.appointment_id,
            "resource": link.resource_no, "start": link.wanted["start"], "end": link.wanted["end"],
            "subject": cell(link.wanted["subject"]), "events": events,
        }  # fmt: skip


def _dump(outlooks: Sequence[Outlook], *, details: bool) -> None:
    mailboxes = []
    for outlook in outlooks:
        code = outlook.fault and outlook.fault.code
        fault = {"code": code, "sentence": sentence(code)} if code else None
        mailbox: dict[str, Any] = {"address": outlook.waiting.address, "fault": fault}
        mailbox |= _keys(_counts(outlook))
        if details:
            mailbox["appointments"] = list(_details(outlook))
        mailboxes.append(mailbox)
    dump({"mailboxes": mailboxes, "totals": _keys(_totals(outlooks))})


def _keys(counts: dict[str, int]) -> dict[str, int]:
    return {name.replace(" ", "_").replace("-", "_"): count for name, count in counts.items()}


PREVIEW = Command("preview", "What a first sync would create, adopt, ask.", _arguments, _run)
