"""OData's $filter: text to expression, and whether an item satisfies it."""

import re
from collections.abc import Callable
from datetime import UTC
from functools import lru_cache
from typing import Any

from . import errors
from .reading import parse_time

Expression = tuple[Any, ...]


class Folded(str):
    """A text that Exchange compares without regard to case."""

    __slots__ = ()

    def against(self, other: str) -> tuple[str, str]:
        """Both sides, comparable."""
        return self.casefold(), other.casefold()


class Instant(float):
    """A time (seconds since 1970) that is compared with a literal, quoted or not."""

    __slots__ = ()

    def against(self, other: str) -> tuple[float, float]:
        """Both sides, comparable; a literal without offset is UTC."""
        return float(self), parse_time(other)[0].replace(tzinfo=UTC).timestamp()


_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')"
    r"|(?P<time>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d)?)?)"
    r"|(?P<number>-?\d+)|(?P<word>[A-Za-z_][\w/.]*)|(?P<sign>[(),:]))"
)


@lru_cache(maxsize=4096)
def parse_filter(text: str) -> Expression:
    """The expression tree of a `$filter`: ("and", a, b), ("eq", ("name", n), ("value", v)), ("any", n, e) ..."""
    parser = _Parser(text)
    expression = parser.either()
    if parser.tokens:
        raise errors.invalid_filter(f"Invalid filter clause: syntax error in '{text}'.")
    return expression


class _Parser:
    """Recursive descent over or, and, not, comparison."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self.refusal()
            self.tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            at = match.end()

    def refusal(self) -> errors.GraphError:
        return errors.invalid_filter(f"Invalid filter clause: syntax error in '{self.text}'.")

    def take(self, *expected: str) -> str:
        if not self.tokens or (expected and self.tokens[0][1].lower() not in expected):
            raise self.refusal()
        return self.tokens.pop(0)[1]

    def sees(self, *words: str) -> bool:
        return bool(self.tokens) and self.tokens[0][1].lower() in words

    def either(self) -> Expression:
        left = self.both()
        while self.sees("or"):
            self.take()
            left = ("or", left, self.both())
        return left

    def both(self) -> Expression:
        left = self.single()
        while self.sees("and"):
            self.take()
            left = ("and", left, self.single())
        return left

    def single(self) -> Expression:
        if self.sees("not"):
            self.take()
            return ("not", self.single())
        if self.sees("("):
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        left = self.operand()
        if self.sees("eq", "ne", "gt", "ge", "lt", "le"):
            return (self.take().lower(), left, self.operand())
        if left[0] in ("contains", "startswith", "any"):
            return left
        raise self.refusal()

    def operand(self) -> Expression:
        if not self.tokens:
            raise self.refusal()
        kind, text = self.tokens.pop(0)
        if kind == "word":
            return self.named(text)
        if kind == "text":
            return ("value", text[1:-1].replace("''", "'"))
        if kind in ("time", "number"):
            return ("value", int(text) if kind == "number" else text)
        raise self.refusal()

    def named(self, word: str) -> Expression:
        if word.lower() in ("true", "false", "null"):
            return ("value", {"true": True, "false": False, "null": None}[word.lower()])
        if word.lower() in ("contains", "startswith"):
            self.take("(")
            left = self.operand()
            self.take(",")
            right = self.operand()
            self.take(")")
            return (word.lower(), left, right)
        if word.lower().endswith("/any"):
            return self.any(word[: -len("/any")])
        return ("name", word)

    def any(self, collection: str) -> Expression:
        self.take("(")
        variable = self.take()
        self.take(":")
        inner = self.either()
        self.take(")")
        return ("any", collection, _without(variable, inner))


def _without(variable: str, expression: Any) -> Any:
    """Names inside any() lose their range variable: `ep/id` becomes `id`, a bare `c` becomes the element."""
    if not isinstance(expression, tuple):
        return expression
    if expression[0] == "name":
        return ("name", expression[1].removeprefix(variable).removeprefix("/"))
    return tuple(_without(variable, part) for part in expression)


Resolve = Callable[[str], Any]


def matches(expression: Expression, value_of: Resolve, members: Callable[[str], list[Resolve]]) -> bool:
    """Whether the named values satisfy the expression; GraphError 400 where they cannot be compared."""
    match expression:
        case ("and", left, right):
            return matches(left, value_of, members) and matches(right, value_of, members)
        case ("or", left, right):
            return matches(left, value_of, members) or matches(right, value_of, members)
        case ("not", inner):
            return not matches(inner, value_of, members)
        case ("any", collection, inner):
            return any(matches(inner, each, members) for each in members(collection))
        case (operator, left, right):
            return _compare(operator, _value(left, value_of), _value(right, value_of))
    raise errors.invalid_filter("The filter cannot be answered.")


def _value(operand: Expression, value_of: Resolve) -> Any:
    return value_of(operand[1]) if operand[0] == "name" else operand[1]


def _compare(operator: str, left: Any, right: Any) -> bool:
    try:
        if isinstance(left, Folded | Instant):
            left, right = left.against(right)
        return bool(_OPERATORS[operator](left, right))
    except (TypeError, ValueError, KeyError, AttributeError):
        raise errors.invalid_filter("The filter compares values of different types.") from None


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "contains": lambda left, right: right in left,
    "startswith": lambda left, right: left.startswith(right),
}
