"""Answers statements of SQL Server by running in PostgreSQL what they are paired with."""

import asyncio
import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import replace

import asyncpg
from pysqlbridge.tds.result import Bit, Column, ColumnType, Integer, NVarChar, QueryError, UniqueIdentifier

from simulators.tds.server import normal
from simulators.tds.wire import Answer, DateTime2, LongText

TYPES: dict[str, ColumnType] = {
    "int2": Integer(2),
    "int4": Integer(4),
    "int8": Integer(8),
    "numeric": Integer(8),
    "bool": Bit(),
    "uuid": UniqueIdentifier(),
    "timestamp": DateTime2(3),
    "text": LongText(),
}
SIZED = NVarChar(400)


class Paired:
    """One client's connection to PostgreSQL, made at its first statement."""

    def __init__(self, dsn: str, pairs: Mapping[str, str]) -> None:
        """`pairs` gives, for the text of each statement, its counterpart with the same parameters in order."""
        self._dsn = dsn
        self._pairs = {normal(statement): counterpart for statement, counterpart in pairs.items()}
        self._runner = asyncio.Runner()
        self._connection: asyncpg.Connection | None = None
        self._counts = True

    def answer(self, statement: str, values: list[object]) -> Answer:
        """Raises the error 208 for what has no counterpart."""
        if statement not in self._pairs:
            raise QueryError(f"The stand-in does not know this statement: {statement}", number=208)
        answer = self._runner.run(self._answer(self._pairs[statement], values))
        options = re.findall(r"\bSET NOCOUNT (ON|OFF)\b", statement)
        if options and not values:
            self._counts = (
                options[-1] == "OFF"
            )  # with parameters it is a procedure, and its options end with it
        return answer if self._counts and not options else replace(answer, count=None)

    def close(self) -> None:
        if self._connection is not None:
            self._runner.run(self._connection.close())
        self._runner.close()

    async def _answer(self, counterpart: str, values: list[object]) -> Answer:
        if self._connection is None:
            self._connection = await asyncpg.connect(self._dsn)
        if counterpart.lstrip().upper().startswith("SET "):
            await self._connection.execute(counterpart)
            return Answer()
        prepared = await self._connection.prepare(_numbered(counterpart))
        types = [parameter.name for parameter in prepared.get_parameters()]
        rows = await prepared.fetch(*map(_fitting, types, values))
        columns = [
            Column(attribute.name, TYPES.get(attribute.type.name, SIZED))
            for attribute in prepared.get_attributes()
        ]
        count = int(prepared.get_statusmsg().rsplit(" ", 1)[-1])
        return Answer(columns, [list(row.values()) for row in rows], count)


def _numbered(statement: str) -> str:
    parts = statement.split("?")
    return parts[0] + "".join(f"${number}{part}" for number, part in enumerate(parts[1:], 1))


def _fitting(type_name: str, value: object) -> object:
    """A parameter as PostgreSQL's driver wants it; SQL Server converts in the statement."""
    if value is None:
        return None
    if type_name in {"int2", "int4", "int8"}:
        return int(str(value))
    if type_name == "timestamp" and isinstance(value, str):
        return dt.datetime.fromisoformat(value)
    if type_name in {"text", "varchar", "json"}:
        return str(value)
    return value
