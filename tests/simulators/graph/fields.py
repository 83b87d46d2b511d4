"""What a $filter or $orderby may name of an event, as values that can be compared."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import errors
from .events import Event
from .filters import Folded, Instant, Resolve
from .odata import Preferences
from .reading import property_id
from .views import SHOWN


def values_of(event: Event) -> Resolve:
    """The names that a $filter or $orderby may use, as comparable values."""

    def value_of(name: str) -> Any:
        match name:
            case "lastModifiedDateTime":
                return Instant(event.modified)
            case "createdDateTime":
                return Instant(event.created)
            case "start/dateTime":
                return Instant(_seconds(event.starts))
            case "end/dateTime":
                return Instant(_seconds(event.ends))
            case "subject" | "iCalUId":
                return Folded(SHOWN[name](event, Preferences()))
            case (
                "type" | "isAllDay" | "showAs" | "importance" | "sensitivity" | "isOrganizer" | "isCancelled"
            ):
                return SHOWN[name](event, Preferences())
        raise _not_filterable(name)

    return value_of


def members_of(event: Event) -> Callable[[str], list[Resolve]]:
    """The elements that an any() runs over."""

    def members(collection: str) -> list[Resolve]:
        if collection == "singleValueExtendedProperties":
            return [_property(name, value) for name, (_, value) in event.properties.items()]
        if collection == "categories":
            return [lambda _, each=each: Folded(each) for each in event.categories]  # type: ignore[misc]
        raise _not_filterable(collection)

    return members


def _property(name: str, value: str) -> Resolve:
    return lambda asked: _PropertyId(name) if asked == "id" else Folded(value)


class _PropertyId(Folded):
    """Ids compare by their normalised form: the GUID without, the name with regard to case."""

    def against(self, other: str) -> tuple[str, str]:
        return str(self), property_id(other)


def _seconds(utc: datetime) -> float:
    return utc.replace(tzinfo=UTC).timestamp()


def _not_filterable(name: str) -> Exception:
    return errors.invalid_filter(f"The property '{name}' does not support filtering.")
