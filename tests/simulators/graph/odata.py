"""The parts of OData that the calendar endpoints answer: Prefer, paging, $select, $expand, $orderby."""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from . import errors, timezones
from .filters import Expression, parse_filter
from .reading import property_id

PAGE = 10
LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the `Prefer` headers ask for, and what `Preference-Applied` answers."""

    zone: str = "UTC"
    text: bool = False
    immutable: bool = False
    page: int | None = None
    applied: str = ""


@lru_cache(maxsize=4096)
def preferences(header: str) -> Preferences:
    """All Prefer headers of a request joined by comma; unknown preferences are ignored, unknown zones refused."""
    found: dict[str, Any] = {}
    applied = []
    for name, quoted, bare in re.findall(r'\s*([\w.-]+)\s*(?:=\s*(?:"([^"]*)"|([^,;\s]*)))?[,;]?', header):
        value = quoted or bare
        match name.lower():
            case "outlook.timezone":
                timezones.zone(value)
                found["zone"] = value
                applied.append(f'outlook.timezone="{value}"')
            case "outlook.body-content-type" if value.lower() in ("text", "html"):
                found["text"] = value.lower() == "text"
                applied.append(f'outlook.body-content-type="{value.lower()}"')
            case "idtype" if value == "ImmutableId":
                found["immutable"] = True
                applied.append('IdType="ImmutableId"')
            case "odata.maxpagesize" if value.isdigit() and int(value) > 0:
                found["page"] = min(int(value), LARGEST_PAGE)
                applied.append(f"odata.maxpagesize={value}")
    return Preferences(**found, applied=", ".join(applied))


@dataclass(slots=True)
class Options:
    """The query options of one request; `filter` and `order` are expressions over the names of Graph."""

    top: int = PAGE
    skip: int = 0
    select: frozenset[str] | None = None
    expand: frozenset[str] = frozenset()
    """Normalised ids of the extended properties to show."""
    filter: Expression | None = None
    order: list[tuple[str, bool]] = field(default_factory=list)
    count: bool = False


def options(query: dict[str, str], known: frozenset[str], page: int | None = None) -> Options:
    """The options in a query string; GraphError 400 for values that cannot be answered."""
    found = Options(top=page or PAGE)
    if "$top" in query:
        found.top = _number("$top", query["$top"], 1, LARGEST_PAGE)
    if "$skip" in query:
        found.skip = _number("$skip", query["$skip"], 0, 10**9)
    if query.get("$select"):
        found.select = _selected(query["$select"], known)
    if query.get("$expand"):
        found.expand = _expanded(query["$expand"])
    if query.get("$filter"):
        found.filter = parse_filter(query["$filter"])
    if query.get("$orderby"):
        found.order = _ordered(query["$orderby"])
    found.count = query.get("$count") == "true"
    return found


def _number(name: str, text: str, least: int, most: int) -> int:
    if not text.isdigit() or not least <= int(text) <= most:
        raise errors.bad_request(
            f"The value of the parameter '{name}' must be between {least} and {most}, inclusive.",
            "ErrorInvalidUrlQuery",
        )
    return int(text)


@lru_cache(maxsize=1024)
def _selected(text: str, known: frozenset[str]) -> frozenset[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise errors.bad_request(
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type "
                "'microsoft.graph.event'.",
                "RequestBroker--ParseUri",
            )
    return frozenset(names)


@lru_cache(maxsize=1024)
def _expanded(text: str) -> frozenset[str]:
    match = re.fullmatch(r"\s*singleValueExtendedProperties\s*\(\s*\$filter\s*=(.*)\)\s*", text, re.DOTALL)
    if match is None:
        raise errors.bad_request(
            f"Parsing OData Select and Expand failed: '{text}' cannot be expanded here; "
            "singleValueExtendedProperties need a $filter on their id.",
            "RequestBroker--ParseUri",
        )
    return frozenset(_ids(parse_filter(match[1])))


def _ids(expression: Expression) -> list[str]:
    match expression:
        case ("or", left, right):
            return _ids(left) + _ids(right)
        case ("eq", ("name", "id"), ("value", str(written))):
            return [property_id(written)]
    raise errors.invalid_filter("The $filter of an expanded extended property must be on its id.")


def _ordered(text: str) -> list[tuple[str, bool]]:
    order = []
    for part in text.split(","):
        name, _, direction = part.strip().partition(" ")
        if name not in ORDERABLE or direction.strip().lower() not in ("", "asc", "desc"):
            raise errors.bad_request(
                f"The property '{name}' cannot be used in $orderby.", "ErrorInvalidUrlQuery"
            )
        order.append((name, direction.strip().lower() == "desc"))
    return order


ORDERABLE = frozenset(
    ("start/dateTime", "end/dateTime", "lastModifiedDateTime", "createdDateTime", "subject", "importance")
)
