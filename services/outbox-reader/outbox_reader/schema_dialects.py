"""How SQL Server and PostgreSQL each say what our view and our triggers need."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from common.errors import Configuration

DialectName = Literal["mssql", "postgresql"]

_REGULAR = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Dialect:
    """How one database says what the view and the triggers need; `{}` is an expression."""

    name: DialectName
    quote: Callable[[str], str]
    time: str
    text: str
    number: str
    flag: str
    guid: str
    key: str
    literal: str
    field: str
    pair: str
    false: str


def _bracketed(name: str) -> str:
    return "[" + name.replace("]", "]]") + "]"


def _folded(name: str) -> str:
    """PostgreSQL folds what is not quoted, and so do the statements of the reader."""
    if not _REGULAR.fullmatch(name):
        raise Configuration(f"mapping: {name!r} is no regular identifier, which the postgresql dialect needs")
    return name


DIALECTS: dict[DialectName, Dialect] = {
    "mssql": Dialect(
        name="mssql",
        quote=_bracketed,
        time="REPLACE(CONVERT(char(23), CAST({} AS datetime2(3)), 121), ' ', 'T')",
        text="CAST({} AS nvarchar(max))",
        number="CAST({} AS int)",
        flag="CAST({} AS bit)",
        guid="LOWER(CONVERT(char(36), {}))",
        key="{}",
        literal="CAST('{}' AS varchar(128))",
        field="{value} AS [{name}]",
        pair="CONVERT(varbinary(max), CAST({} AS nvarchar(max)))",
        false="0",
    ),
    "postgresql": Dialect(
        name="postgresql",
        quote=_folded,
        time="to_char({}, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
        text="({})::text",
        number="({})::int",
        flag="({})::boolean",
        guid="lower(({})::text)",
        key="({})::varchar(128)",
        literal="'{}'::varchar(128)",
        field="'{name}', {value}",
        pair="{}",
        false="false",
    ),
}
