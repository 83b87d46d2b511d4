"""Transactions as a table, and those of one appointment as a story."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graph_publisher.commands.tables import cell, meaning, say, sentence, table
from graph_publisher.store.transactions import Row

LONGEST = 60
"""Characters of a value that a story shows."""

_HEADINGS = (
    "ID", "CREATED", "APPOINTMENT", "RESOURCE", "MAILBOX", "ACTION", "STATUS", "SOURCE", "REPLACED BY", "REASON",
)  # fmt: skip


def listed(rows: Sequence[Row]) -> None:
    """Show transactions one per line."""
    table(_HEADINGS, (_line(row) for row in rows))


def _line(row: Row) -> Sequence[Any]:
    reason = f"{row['code']}: {sentence(row['code'])}" if row["code"] else None
    return (
        row["id"], row["created_at"], row["appointment_id"], row["resource_no"], row["mailbox"], row["action"],
        row["status"], row["source"], row["superseded_by"], reason,
    )  # fmt: skip


def tell(rows: Iterable[Row], attempts: Mapping[int, Sequence[Row]]) -> None:
    """Show transactions in the order in which they happened, each with its calls."""
    for row in rows:
        where = f"{cell(row['resource_no'])} ({cell(row['mailbox'])})"
        say(f"{cell(row['created_at'])}  {row['id']}: {row['action']} for {where}: {row['status']}")
        for line in _facts(row):
            say(f"    {line}")
        for attempt in attempts.get(row["id"], ()):
            say(f"    {_call(attempt)}")


def _facts(row: Row) -> Iterable[str]:
    yield (
        f"appointment {row['appointment_id']}/{row['appointment_guid']}, epoch {cell(row['epoch'])}, "
        f"version {cell(row['version'])}, cause {cell(row['cause'])}, source {row['source']}"
    )
    for name, change in (row["changes"] or {}).items():
        before, after = change.get("from"), _short(change.get("to"))
        yield f"{name}: {after}" if before is None else f"{name}: {_short(before)} -> {after}"
    yield from row["notes"]
    if row["code"]:
        yield meaning(row["code"]) + (f" ({row['reason']})" if row["reason"] else "")
    if row["superseded_by"]:
        yield f"replaced by {row['superseded_by']}"
    if row["archived_at"]:
        yield f"archived {cell(row['archived_at'])}"


def _short(value: Any) -> str:
    text = cell(value) if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _call(attempt: Row) -> str:
    outcome = attempt["outcome"] or "under way"
    facts = [f"{cell(attempt['opened_at'])}  call {attempt['operation']}: {outcome}"]
    if attempt["closed_at"]:
        facts.append(f"{(attempt['closed_at'] - attempt['opened_at']).total_seconds():.1f} s")
    facts += [f"{name} {attempt[key]}" for name, key in _CALL_FACTS.items() if attempt[key] is not None]
    return ", ".join(facts)


_CALL_FACTS = {"HTTP": "status", "code": "code", "reason": "reason", "request": "request_id"}
