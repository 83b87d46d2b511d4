"""Trying one mailbox: sign-in, its settings, a listing of its calendar. Nothing is written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.errors import SyncError
from common.graph.protocol import Calendar, Calendars
from common.zones import zone
from graph_publisher.commands.tables import DONE, FAILED, explained, meaning, say

Profiles = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """What was tried, with what was found, or the fault."""

    name: str
    found: str = "ok"
    fault: SyncError | None = None


async def try_mailbox(address: str, profile_of: Profiles, calendars: Calendars) -> int:
    """Say of each step whether it works; returns the exit status."""
    profile = profile_of(address)
    if profile is None:
        say(f"profile   {meaning('EXC-NO-PROFILE')}")
        return FAILED
    say(f"profile   {profile}")
    steps = await _steps(calendars.calendar(profile, address))
    for step in steps:
        say(f"{step.name:<9} {explained(step.fault) if step.fault else step.found}")
    return FAILED if any(step.fault for step in steps) else DONE


async def _steps(calendar: Calendar) -> list[Step]:
    """The first call signs in on its way; trouble that reaches the whole tenant is that of the sign-in."""
    settings = await _step("settings", lambda: _settings(calendar))
    if settings.fault and settings.fault.scope == "tenant":
        untried = "not tried"
        return [Step("sign-in", fault=settings.fault), Step("settings", untried), Step("listing", untried)]
    return [Step("sign-in"), settings, await _step("listing", lambda: _listing(calendar))]


async def _step(name: str, try_it: Callable[[], Awaitable[str]]) -> Step:
    try:
        return Step(name, await try_it())
    except SyncError as error:
        return Step(name, fault=error)


async def _settings(calendar: Calendar) -> str:
    name = (await calendar.settings()).time_zone
    unknown = "" if zone(name) else ", which is customised: the profile's TIME_ZONE is used instead"
    return f"ok: time zone {name!r}{unknown}"


async def _listing(calendar: Calendar) -> str:
    now = datetime.now(UTC)
    count = 0
    async for _event in calendar.view(now, now + timedelta(days=1), bodies=False):
        count += 1
    return f"ok: {count} events in the next 24 hours"
