"""What every command opens: the state database, and the broker to wake the publisher."""

from __future__ import annotations

import getpass
import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from common import amqp, db
from common.errors import Configuration
from common.messages import MailboxDirty
from graph_publisher.settings import Settings

NAME = "graph-publisher command"
WAKE_SECONDS = 3.0
"""How long a command waits for the broker; the publisher finds rows without it, seconds later."""


@asynccontextmanager
async def state(settings: Settings) -> AsyncIterator[db.Pool]:
    """Give the state database; raises `Configuration` where it lacks migrations."""
    async with db.pool(settings.postgres_dsn, application_name=NAME, max_size=4) as pool:
        if not await db.current(pool):
            raise Configuration(
                "the state database lacks migrations: run python -m common.db", code="EXC-STATE-UNAVAILABLE"
            )
        yield pool


async def wake(settings: Settings, mailboxes: Iterable[str]) -> bool:
    """Tell running publishers that these mailboxes have work; False where only their sweep will find it."""
    messages = [MailboxDirty(mailbox=mailbox) for mailbox in sorted(set(mailboxes))]
    if not messages:
        return True
    async with amqp.connect(settings.amqp_url, name=NAME) as broker:
        hindrances = await broker.publish_all(messages, timeout=WAKE_SECONDS)
    return not any(hindrances)


def who() -> str:
    """Return the person at the keyboard, as the operating system knows them."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):  # a container's number without a name
        return f"uid {os.getuid()}"


def examples(parser: ArgumentParser, *lines: str) -> None:
    """End the parser's help with examples."""
    parser.formatter_class = RawDescriptionHelpFormatter
    parser.epilog = "\n".join(
        ["examples:" if len(lines) > 1 else "example:", *(f"  {line}" for line in lines)]
    )
