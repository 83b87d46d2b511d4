"""Names of time zones: Windows writes them in one way, everybody else in another."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from tzlocal.windows_tz import tz_win, win_tz

# Exchange writes these where an event was made by a program and not by Outlook.
_MICROSOFT = {"tzone://Microsoft/Utc": "UTC"}


def zone(name: str) -> ZoneInfo | None:
    """Give the zone of a Windows or IANA name; None for a customised or unknown one."""
    known = _MICROSOFT.get(name) or win_tz.get(name) or name
    try:
        return ZoneInfo(known)
    except (ValueError, OSError, LookupError):  # ill-formed names; folders of the zone data; unknown names
        return None


def windows(name: str) -> str | None:
    """Give the Windows name of an IANA (or Windows) name; None where there is none.

    Graph accepts every Windows name but not every IANA name.
    https://learn.microsoft.com/graph/api/resources/datetimetimezone
    """
    return name if name in win_tz else tz_win.get(name)
