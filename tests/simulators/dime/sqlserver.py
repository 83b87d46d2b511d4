"""How SQL Server takes the strings of an import: types, conversions, and the words of its errors.

https://learn.microsoft.com/sql/t-sql/data-types/data-type-conversion-database-engine
https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID


class SqlError(Exception):
    """What SQL Server would answer: an error number and its text (50000: RAISERROR of a procedure)."""

    def __init__(self, message: str, number: int = 50000) -> None:
        super().__init__(message)
        self.message = message
        self.number = number


@dataclass(frozen=True)
class Parameter:
    """One parameter of a procedure; ``cloud``: unknown to the on-premises generation."""

    name: str
    type: str
    required: bool
    default: str | None
    cloud: bool


LINE = re.compile(r"(?P<cloud>cloud )?(?P<name>\w+) (?P<type>[\w(),]+)(?: = (?P<default>\S+))?$")


def signature(text: str) -> dict[str, Parameter]:
    """Read lines like ``AppointmentId bigint = 0``; keys are lower case, as the collation ignores case."""
    parameters = (_parameter(line.strip()) for line in text.strip().splitlines())
    return {parameter.name.lower(): parameter for parameter in parameters}


def _parameter(line: str) -> Parameter:
    match = LINE.match(line)
    assert match, line
    default = match["default"]
    return Parameter(
        match["name"],
        match["type"],
        default is None,
        None if default == "NULL" else default,
        bool(match["cloud"]),
    )


def convert(value: str | None, sql_type: str) -> Any:
    """What a parameter of that type receives for an nvarchar; error 8114 where it does not convert."""
    if value is None:
        return None
    name, _, rest = sql_type.partition("(")
    if name == "nvarchar":
        # A parameter that is too short cuts silently; only a column would complain.
        return value if rest == "max)" else value[: int(rest.rstrip(")"))]
    try:
        return CONVERSIONS[name](value.strip())
    except (ValueError, InvalidOperation):
        raise SqlError(f"Error converting data type nvarchar to {name}.", 8114) from None


def _integer(bits: int) -> Any:
    def integer(text: str) -> int:
        # Python would read 1_000; SQL Server does not. The empty string is 0.
        number = int(text or "0") if re.fullmatch(r"[+-]?\d*", text) else int("not a number")
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise ValueError(text)
        return number

    return integer


def _bit(text: str) -> bool:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return bool(_integer(64)(text))


DATETIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2})(?::(\d{2})(?:\.(\d{1,3}))?)?)?Z?$",
    re.IGNORECASE,
)


def _datetime(text: str) -> datetime:
    """At most three digits of a second, no offset but ``Z`` (which is dropped), 1753 to 9999, and 1/300 s."""
    if not text:
        return datetime(1900, 1, 1)
    match = DATETIME.match(text)
    if not match:
        raise ValueError(text)
    day, minutes, seconds, fraction = match.groups()
    value = datetime.fromisoformat(f"{day}T{minutes or '00:00'}:{seconds or '00'}")
    if value.year < 1753:
        raise ValueError(text)
    ticks = round(int((fraction or "0").ljust(3, "0")) * 3 / 10)
    return value + timedelta(milliseconds=round(ticks * 10 / 3))


CONVERSIONS: dict[str, Any] = {
    "bigint": _integer(64),
    "int": _integer(32),
    "bit": _bit,
    "datetime": _datetime,
    "uniqueidentifier": UUID,
    "decimal": Decimal,
}


def bind(
    procedure: str, parameters: dict[str, Parameter], given: list[tuple[str, str | None]], cloud: bool
) -> dict[str, Any]:
    """The arguments by declared name, defaults filled in; SqlError for what EXEC would refuse."""
    values: dict[str, str | None] = {}
    for name, value in given:
        parameter = parameters.get(name.lower())
        if parameter is None or (parameter.cloud and not cloud):
            raise SqlError(f"@{name} is not a parameter for procedure {procedure}.", 8145)
        if parameter.name in values:
            raise SqlError(f"Parameter '@{name}' was supplied multiple times.", 8143)
        values[parameter.name] = value
    for parameter in parameters.values():
        if parameter.required and parameter.name not in values:
            text = f"Procedure or function '{procedure}' expects parameter '@{parameter.name}', which was not supplied."
            raise SqlError(text, 201)
    return {p.name: convert(values.get(p.name, p.default), p.type) for p in parameters.values()}
