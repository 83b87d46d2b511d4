"""What every process does: its command line, its settings, its logs, its ops port, its graceful end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog

from common import __version__
from common.errors import SyncError
from common.logging import configure, masked
from common.ops import Ops, answering
from common.settings import SettingsFault, load

__all__ = ["Command", "Ops", "Service", "main"]

DONE, FAILED, WRONG = 0, 1, 2
STOP_SECONDS = 30.0  # for what is under way to end

log = structlog.get_logger(__name__)

Check = Callable[[Any], Awaitable[list[tuple[str, str | None]]]]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a service besides `run` and `check`; `run(settings, arguments)` returns the exit status.

    Without `needs_settings` it gets None instead of the settings. `amend` may put right the words after its name
    before they are read, for what argparse has no means.
    """

    name: str
    about: str
    arguments: Callable[[ArgumentParser], None]
    run: Callable[[Any, Namespace], Awaitable[int]]
    needs_settings: bool = True
    amend: Callable[[list[str]], list[str]] = list


@dataclass(frozen=True, slots=True)
class Service:
    """A process: `serve` works until it is cancelled; `check` names each neighbour with None or its fault."""

    name: str
    about: str
    settings: type[Any]
    serve: Callable[[Any, Ops], Awaitable[None]]
    check: Check
    commands: tuple[Command, ...] = ()


def main(service: Service, argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 1 failed, 2 wrong usage or settings."""
    arguments = _parser(service).parse_args(_amended(service, sys.argv[1:] if argv is None else list(argv)))
    command = next((command for command in service.commands if command.name == arguments.command), None)
    settings = None
    try:
        if command is None or command.needs_settings:
            settings = load(service.settings)
    except SettingsFault as fault:
        sys.stderr.writelines(f"{line}\n" for line in fault.faults)
        return WRONG
    return _run(service, command, settings, arguments)


def _amended(service: Service, words: list[str]) -> list[str]:
    command = next((command for command in service.commands if words[:1] == [command.name]), None)
    return words if command is None else [*words[:1], *command.amend(words[1:])]


def _parser(service: Service) -> ArgumentParser:
    parser = ArgumentParser(prog=service.name, description=service.about)
    parser.add_argument("--version", action="version", version=f"{service.name} {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    commands.add_parser("run", help="work until told to stop (default)")
    commands.add_parser("check", help="try settings and connections, then exit")
    for command in service.commands:
        command.arguments(commands.add_parser(command.name, help=command.about, description=command.about))
    parser.set_defaults(command="run")
    return parser


def _run(service: Service, command: Command | None, settings: Any, arguments: Namespace) -> int:
    running = command is None and arguments.command != "check"
    stream = sys.stdout if running else sys.stderr
    if settings:
        # Who types a command wants its answer; connections that come and go are for those who debug.
        quiet = not running and settings.log_level == "info"
        configure(service.name, "warning" if quiet else settings.log_level, settings.log_format, stream)
    else:
        configure(service.name, stream=stream)
    try:
        if running:
            return asyncio.run(_serve(service, settings))
        if command is None:
            return asyncio.run(_check(service, settings))
        return asyncio.run(_command(command, settings, arguments))
    except (SyncError, BaseExceptionGroup) as error:
        cause = _cause(error)
        if not isinstance(cause, SyncError):
            raise
        sys.stderr.write(f"{service.name}: {cause.code}: {masked(str(cause))}\n")
        return FAILED
    except KeyboardInterrupt:
        return FAILED


async def _command(command: Command, settings: Any, arguments: Namespace) -> int:
    return await command.run(settings, arguments)


async def _check(service: Service, settings: Any) -> int:
    """Print one line per neighbour."""
    found = await service.check(settings)
    for name, fault in found:
        sys.stdout.write(f"{name:<12} {'ok' if fault is None else masked(fault)}\n")
    return FAILED if any(fault for _, fault in found) else DONE


async def _serve(service: Service, settings: Any) -> int:
    """Serve until `serve` ends or a signal asks to stop; a second signal ends the process at once."""
    ops = Ops(service.name)
    try:
        async with answering(ops, settings.ops_host, settings.ops_port):
            log.info("service.started", ops_port=ops.port)
            return await _until_stopped(asyncio.ensure_future(service.serve(settings, ops)), ops)
    except OSError as error:
        if ops.port:  # the port was bound, so this is no trouble with it
            raise
        address = f"{settings.ops_host}:{settings.ops_port}"
        log.error("service.failed", reason=f"cannot answer on {address}: {error.strerror}")  # noqa: TRY400
        return FAILED


async def _until_stopped(serving: asyncio.Future[Any], ops: Ops) -> int:
    asked = asyncio.Event()

    def stop(number: int) -> None:
        if asked.is_set():
            os._exit(128 + number)
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    waiting: asyncio.Future[Any] = asyncio.ensure_future(asked.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    ops.stopping = True
    return await _finish(serving, stopped=asked.is_set())


async def _finish(serving: asyncio.Future[Any], *, stopped: bool) -> int:
    """Let `serve` end its work, and say how it ended."""
    if not serving.done():
        log.info("service.stopping")
        serving.cancel()
        await asyncio.wait([serving], timeout=STOP_SECONDS)
    if not serving.done():
        log.error("service.failed", reason=f"did not stop within {STOP_SECONDS:.0f} seconds")
        os._exit(FAILED)  # whatever holds it would hold the end of the event loop too
    with suppress(asyncio.CancelledError):
        error = serving.exception()
        if error is not None:
            _tell(_cause(error))
            return FAILED
    log.info("service.stopped")
    return DONE if stopped or not serving.cancelled() else FAILED


def _cause(error: BaseException) -> BaseException:
    """The one error of a task group that only one task failed in; else the group itself."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _tell(error: BaseException) -> None:
    if isinstance(error, SyncError):
        log.error("service.failed", code=error.code, reason=str(error))
    else:
        log.error("service.failed", reason=type(error).__name__, exc_info=error)
