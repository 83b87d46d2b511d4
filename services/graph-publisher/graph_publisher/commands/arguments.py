"""What the words of a command line may be; each raises what argparse turns into a sentence and exit status 2."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import UTC, datetime


def mailbox_address(text: str) -> str:
    """Return an address as the state database knows it."""
    name, _, domain = text.strip().lower().partition("@")
    if not name or not domain or "@" in domain:
        raise ArgumentTypeError(f"{text!r} is no mailbox address; write name@domain")
    return f"{name}@{domain}"


def positive(text: str) -> int:
    """Return a number above zero that a bigint can hold."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) < 2**63):
        raise ArgumentTypeError(f"{text!r} is no number above zero")
    return int(text)


def moment(text: str) -> datetime:
    """Return a date or time of ISO 8601; without a zone it is UTC."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no time; write 2027-03-01 or 2027-03-01T08:30Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
