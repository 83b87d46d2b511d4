"""What pysqlbridge does not speak of TDS: prepared statements, datetime2, and counts of changed rows.

https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/
"""

import datetime as dt
import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from pysqlbridge.tds import rpc
from pysqlbridge.tds.connection import Connection
from pysqlbridge.tds.result import Column, ColumnType, Integer, NVarChar, col_metadata, row
from pysqlbridge.tds.token import DoneStatus, done

DATETIME2 = 0x2A
GUID = 0x24
SELECT = 0xC1  # what a DONE says it ends; drivers ask it only for a count
DONE_PROC, DONE_IN_PROC, RETURN_STATUS, RETURN_VALUE = b"\xfe", b"\xff", b"\x79", b"\xac"
FIRST_DAY = dt.date(1, 1, 1)


@dataclass(frozen=True)
class DateTime2(ColumnType):
    """datetime2: a time in units of 10^-scale seconds, and a day since 0001-01-01."""

    scale: int = 3

    @property
    def time_width(self) -> int:
        return 3 if self.scale <= 2 else 4 if self.scale <= 4 else 5

    def type_info(self) -> bytes:
        return bytes([DATETIME2, self.scale])

    def encode(self, value: object) -> bytes:
        if value is None:
            return b"\x00"
        assert isinstance(value, dt.datetime)
        seconds = value.hour * 3600 + value.minute * 60 + value.second
        units = (seconds * 1_000_000 + value.microsecond) * 10**self.scale // 1_000_000
        day = (value.date() - FIRST_DAY).days
        return (
            bytes([self.time_width + 3])
            + units.to_bytes(self.time_width, "little")
            + day.to_bytes(3, "little")
        )

    def decode(self, raw: bytes) -> dt.datetime:
        units = int.from_bytes(raw[:-3], "little")
        day = FIRST_DAY + dt.timedelta(days=int.from_bytes(raw[-3:], "little"))
        midnight = dt.datetime.combine(day, dt.time())
        return midnight + dt.timedelta(microseconds=units * 1_000_000 // 10**self.scale)


class LongText(NVarChar):
    """nvarchar(max), also where the text is empty: a length of 0, and the end of its chunks."""

    def __init__(self) -> None:
        super().__init__(max_chars=None)

    def encode(self, value: object) -> bytes:
        return struct.pack("<QI", 0, 0) if value == "" else super().encode(value)


_read_known_value = rpc._read_value


def _read_value(payload: bytes, at: int, type_id: int) -> tuple[object, int]:
    """One parameter: also datetime2, a guid as such, and no value in an nvarchar(max)."""
    if type_id == DATETIME2:
        scale, length = payload[at], payload[at + 1]
        raw = payload[at + 2 : at + 2 + length]
        return DateTime2(scale).decode(raw) if length else None, at + 2 + length
    value, end = _read_known_value(payload, at, type_id)
    if type_id == GUID and isinstance(value, bytes):
        return uuid.UUID(bytes_le=value), end
    if type_id == 0xE7 and payload[at : at + 2] == b"\xff\xff" and payload[at + 7 : at + 15] == b"\xff" * 8:
        return None, end
    return value, end


rpc._read_value = _read_value


@dataclass(frozen=True)
class Answer:
    """What one statement answers; `count` is the number of changed rows, None under SET NOCOUNT ON."""

    columns: list[Column] = field(default_factory=list)
    rows: list[list[object]] = field(default_factory=list)
    count: int | None = None
    called: bool = False
    """Whether this answers a call of a procedure, such as sp_execute."""
    handle: int | None = None
    """The number under which the statement can be executed again."""

    def encode(self, tds_version: int, server: str = "") -> bytes:
        """The tokens, in the order in which SQL Server sends them."""
        parts = []
        if self.columns:
            parts.append(col_metadata(self.columns, tds_version))
            parts += [row(self.columns, values) for values in self.rows]
        if self.columns or self.count is not None or not self.called:
            parts.append(self._end(tds_version))
        if self.called:
            parts.append(RETURN_STATUS + struct.pack("<i", 0))
            if self.handle is not None:
                parts.append(_return_value(self.handle))
            parts.append(DONE_PROC + done(tds_version=tds_version)[1:])
        return b"".join(parts)

    def _end(self, tds_version: int) -> bytes:
        number = len(self.rows) if self.columns else self.count
        status = DoneStatus.FINAL if number is None else DoneStatus.COUNT
        token = done(
            status=status | (DoneStatus.MORE if self.called else DoneStatus.FINAL),
            current_command=SELECT if self.columns else 0,
            row_count=number or 0,
            tds_version=tds_version,
        )
        return DONE_IN_PROC + token[1:] if self.called else token


def _return_value(handle: int) -> bytes:
    integer = Integer(4)
    place, name, output, user_type, flags = 0, b"\x00", 1, 0, 0
    return (
        RETURN_VALUE
        + struct.pack("<H", place)
        + name
        + struct.pack("<BIH", output, user_type, flags)
        + integer.type_info()
        + integer.encode(handle)
    )


class Unanswered:
    """A statement that never gets an answer."""

    def encode(self, tds_version: int, server: str = "") -> bytes:
        return b""


class Session(Connection):
    """One connection; what has no bytes is not sent, so that a client can be kept waiting."""

    cancelled: Callable[[], None] = staticmethod(lambda: None)
    """Called where the client gave up waiting."""

    def _send(self, responses: list[bytes], payload: bytes, packet_id: int = 1) -> None:
        if payload == done(status=DoneStatus.FINAL | DoneStatus.ATTENTION, tds_version=self._tds_version):
            self.cancelled()
        if payload:
            super()._send(responses, payload, packet_id)
