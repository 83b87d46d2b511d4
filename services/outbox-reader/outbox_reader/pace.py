"""How often to look: at once while there is work, ever more slowly while there is none or a neighbour is away."""

from __future__ import annotations

import asyncio
from contextlib import suppress

FIRST_HOLD = 0.2  # seconds


class Pace:
    """The pauses of one loop, in seconds."""

    def __init__(self, shortest: float, longest: float, longest_hold: float) -> None:
        self.hold = 0.0
        """The pause after trouble; 0 while all is well."""
        self._shortest = shortest
        self._longest = longest
        self._longest_hold = longest_hold
        self._pause = 0.0
        self._held = False
        self._awake = asyncio.Event()

    def wake(self) -> None:
        """End the pause, unless it is one after trouble."""
        self._awake.set()

    def busy(self) -> None:
        """There was work: look again at once."""
        self._pause = -1.0

    def well(self) -> None:
        """A neighbour answered as it should."""
        self.hold = 0.0

    def hindered(self) -> None:
        """Something is in trouble: the next pause is longer than the last such."""
        self.hold, self._held = min(max(2 * self.hold, FIRST_HOLD), self._longest_hold), True

    async def wait(self) -> None:
        """Pause as long as is due."""
        if self._held:
            self._held = False
            await asyncio.sleep(self.hold)
        elif self._pause < 0:
            self._pause = 0.0
        else:
            self._pause = min(max(2 * self._pause, self._shortest), self._longest)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause):
                    await self._awake.wait()
        self._awake.clear()
