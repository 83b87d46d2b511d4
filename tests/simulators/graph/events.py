"""One event as Exchange keeps it, and the two ids, keys and links derived from it."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from . import bodies

NEVER = "0001-01-01T00:00:00Z"


class Moment(NamedTuple):
    """A start or end: naive UTC time, and the naive local time and zone it was written in."""

    utc: datetime
    local: datetime
    zone: str


@dataclass(slots=True, eq=False)
class Event:
    """The content of one event; everything that differs per request (ids, zones) is made when it is shown."""

    key: int
    calendar: str
    created: float
    created_by: str
    ical_uid: str
    organizer: dict[str, str]
    start: Moment
    end: Moment
    modified: float = 0.0
    change: int = 0
    content_version: int = 0
    rest_id: str = ""
    immutable_id: str = ""
    is_organizer: bool = True
    subject: str = ""
    body: bodies.Body = bodies.EMPTY
    is_all_day: bool = False
    show_as: str = "busy"
    sensitivity: str = "normal"
    importance: str = "normal"
    categories: list[str] = field(default_factory=list)
    locations: list[dict[str, Any]] = field(default_factory=list)
    attendees: list[dict[str, Any]] = field(default_factory=list)
    recurrence: dict[str, Any] | None = None
    is_reminder_on: bool = True
    reminder_minutes: int = 15
    transaction_id: str | None = None
    response_requested: bool = True
    allow_proposals: bool = True
    hide_attendees: bool = False
    properties: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Single-value extended properties: normalised id to (id as written, value)."""

    @property
    def starts(self) -> datetime:
        """Naive UTC; an all-day event floats, and is matched to windows as UTC midnights."""
        return self.start.local if self.is_all_day else self.start.utc

    @property
    def ends(self) -> datetime:
        """Naive UTC, exclusive; see `starts`."""
        return self.end.local if self.is_all_day else self.end.utc

    @property
    def type(self) -> str:
        """Occurrences and exceptions are not simulated: a series is its master only."""
        return "seriesMaster" if self.recurrence else "singleInstance"

    @property
    def change_key(self) -> str:
        """Another one after every write, also after those Exchange makes by itself."""
        return change_key(self.key, self.change)

    @property
    def etag(self) -> str:
        """The change key as a weak entity tag."""
        return f'W/"{self.change_key}"'

    def id(self, immutable: bool) -> str:
        """The id of the kind that the request prefers."""
        return self.immutable_id if immutable else self.rest_id

    @property
    def web_link(self) -> str:
        """The page of Outlook that would show it."""
        item = self.rest_id.replace("=", "%3D")
        return f"https://outlook.office365.com/owa/?itemid={item}&exvsurl=1&path=/calendar/item"


def change_key(key: int, change: int) -> str:
    """44 characters, like those of the service."""
    head = b"\x0f\0\0\0\x16\0\0\0"
    return base64.b64encode(head + key.to_bytes(8, "big") + b"\0" * 8 + change.to_bytes(8, "big")).decode()


def make_id(prefix: str, owner: str, key: int, generation: int = 0) -> str:
    """A url-safe id; those of neighbouring events differ in the case of one letter, or only by - and _."""
    digest = hashlib.sha512(f"{prefix}:{owner}:{key // 2}:{generation}".encode()).digest()
    twin = (("q", "Q"), ("-", "_"))[key // 2 % 2][key % 2]
    return f"{prefix}{base64.urlsafe_b64encode(digest[:60]).decode()}{twin}AAA="


def make_ical_uid(owner: str, key: int, created: float) -> str:
    """The server's choice; nobody can set it."""
    ticks = int((created + 11_644_473_600) * 10_000_000)
    tail = hashlib.sha256(f"uid:{owner}:{key}".encode()).hexdigest()[:32].upper()
    head = "040000008200E00074C5B7101A82E00800000000"
    return f"{head}{ticks.to_bytes(8, 'little').hex().upper()}000000000000000010000000{tail}"
