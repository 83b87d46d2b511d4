"""Calendars that answer when it pleases."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from fakes import FakeCalendar, FakeCalendars


class SlowCalendars(FakeCalendars):
    """Calendars whose next answer can be kept back, for as long as a lane's lease and longer."""

    def __init__(self) -> None:
        super().__init__()
        self.slow: list[str] = []
        self.kept_back = asyncio.Event()
        self.answers = asyncio.Event()

    def calendar(self, profile: str, mailbox: str, *, request_id: str | None = None) -> SlowCalendar:
        return SlowCalendar(self, mailbox)

    async def answer(self, operation: str) -> None:
        if operation in self.slow:
            self.slow.remove(operation)
            self.kept_back.set()
            await self.answers.wait()


class SlowCalendar(FakeCalendar):
    """One mailbox of SlowCalendars: each call takes effect at once, and is answered when it pleases."""

    _calendars: SlowCalendars

    async def read(self, *arguments: Any) -> Any:
        return await self._late("read", super().read(*arguments))

    async def create(self, *arguments: Any) -> Any:
        return await self._late("create", super().create(*arguments))

    async def update(self, *arguments: Any) -> Any:
        return await self._late("update", super().update(*arguments))

    async def delete(self, *arguments: Any) -> Any:
        return await self._late("delete", super().delete(*arguments))

    async def _late(self, operation: str, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        finally:
            await self._calendars.answer(operation)
