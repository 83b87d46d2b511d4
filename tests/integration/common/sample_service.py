"""A service that does what its environment says, for the tests of what every service does."""

import asyncio
import os
import sys
from argparse import Namespace

import structlog

from common import service
from common.errors import Configuration, Transient
from common.service import Command, Service
from common.settings import CommonSettings

HOW = os.environ.get("EXCONN_TEST_HOW", "")
log = structlog.get_logger()


async def serve(settings, ops) -> None:
    ops.ready("nothing", None)
    match HOW:
        case "ends":
            return
        case "defect":
            raise ZeroDivisionError("hush=1 password=hush")
        case "configuration":
            raise Configuration("no such thing", code="EXC-NO-PROFILE")
        case "group":
            async with asyncio.TaskGroup() as group:
                group.create_task(say(settings, Namespace(word="transient")))
        case "port":
            raise OSError(5, "a disk of its own")
    log.info("work.started")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.info("work.ending")
        await asyncio.sleep(3600 if HOW == "stuck" else 0.2)
        log.info("work.ended")
        raise


async def check(settings) -> list[tuple[str, str | None]]:
    return [("first", None), ("second", "amqp://guest:hush@x is away" if HOW == "away" else None)]


async def say(settings, arguments) -> int:
    print(settings.installation if settings else "no settings", arguments.word)
    if arguments.word == "transient":
        raise Transient("amqp://guest:hush@x is away", code="EXC-BROKER-UNAVAILABLE")
    return len(arguments.word)


def words(parser) -> None:
    parser.add_argument("word")


SERVICE = Service(
    "sample",
    "A sample.",
    CommonSettings,
    serve,
    check,
    (
        Command("say", "say a word", words, say),
        Command("mumble", "say it to nobody", words, say, needs_settings=False),
    ),
)

if __name__ == "__main__":
    sys.exit(service.main(SERVICE))
