"""Time zones that Graph accepts: every Windows zone and a fixed list of IANA names, nothing else.

The list is that of https://learn.microsoft.com/graph/api/resources/datetimetimezone; names such as
Europe/Brussels or Europe/Amsterdam are not in it and are refused, as the service refuses them.
"""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from tzlocal import windows_tz

from . import errors

_LISTED = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Africa/Nairobi",
    "Africa/Windhoek",
    "America/Anchorage",
    "America/Argentina/Buenos_Aires",
    "America/Asuncion",
    "America/Bahia",
    "America/Bogota",
    "America/Caracas",
    "America/Cayenne",
    "America/Chicago",
    "America/Chihuahua",
    "America/Cuiaba",
    "America/Denver",
    "America/Godthab",
    "America/Guatemala",
    "America/Halifax",
    "America/Indiana/Indianapolis",
    "America/La_Paz",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/Montevideo",
    "America/New_York",
    "America/Phoenix",
    "America/Regina",
    "America/Santa_Isabel",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Asia/Amman",
    "Asia/Baghdad",
    "Asia/Baku",
    "Asia/Bangkok",
    "Asia/Beirut",
    "Asia/Colombo",
    "Asia/Damascus",
    "Asia/Dhaka",
    "Asia/Dubai",
    "Asia/Irkutsk",
    "Asia/Jerusalem",
    "Asia/Kabul",
    "Asia/Karachi",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Krasnoyarsk",
    "Asia/Magadan",
    "Asia/Novosibirsk",
    "Asia/Riyadh",
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Singapore",
    "Asia/Taipei",
    "Asia/Tashkent",
    "Asia/Tbilisi",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Asia/Ulaanbaatar",
    "Asia/Vladivostok",
    "Asia/Yakutsk",
    "Asia/Yangon",
    "Asia/Yekaterinburg",
    "Asia/Yerevan",
    "Atlantic/Azores",
    "Atlantic/Cape_Verde",
    "Atlantic/Reykjavik",
    "Australia/Adelaide",
    "Australia/Brisbane",
    "Australia/Darwin",
    "Australia/Hobart",
    "Australia/Perth",
    "Australia/Sydney",
    "Etc/GMT",
    "Etc/GMT+11",
    "Etc/GMT+12",
    "Etc/GMT+2",
    "Etc/GMT-12",
    "Europe/Berlin",
    "Europe/Bucharest",
    "Europe/Budapest",
    "Europe/Istanbul",
    "Europe/Kaliningrad",
    "Europe/Kiev",
    "Europe/London",
    "Europe/Moscow",
    "Europe/Paris",
    "Europe/Warsaw",
    "Indian/Mauritius",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Fiji",
    "Pacific/Guadalcanal",
    "Pacific/Honolulu",
    "Pacific/Kiritimati",
    "Pacific/Port_Moresby",
    "Pacific/Tongatapu",
    "UTC",
]

_IANA = {name: name for name in _LISTED} | windows_tz.win_tz | {"tzone://Microsoft/Utc": "UTC"}


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that exact name; GraphError `TimeZoneNotSupportedException` for any other."""
    if name.upper() == "UTC":
        return ZoneInfo("UTC")
    if name not in _IANA:
        raise errors.unsupported_zone(name)
    return ZoneInfo(_IANA[name])


def to_utc(local: datetime, name: str) -> datetime:
    """The naive UTC time of a naive local time in the named zone."""
    return local.replace(tzinfo=zone(name)).astimezone(UTC).replace(tzinfo=None)


def to_local(utc: datetime, name: str) -> datetime:
    """The naive local time in the named zone of a naive UTC time."""
    return utc.replace(tzinfo=UTC).astimezone(zone(name)).replace(tzinfo=None)
