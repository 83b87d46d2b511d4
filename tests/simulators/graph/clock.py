"""The virtual clock: real time plus what a test has added."""

import time
from datetime import UTC, datetime


class Clock:
    """Seconds since 1970; only ever moves forward."""

    def __init__(self) -> None:
        self._advanced = 0.0

    def time(self) -> float:
        """Now, in seconds since 1970."""
        return time.time() + self._advanced

    def advance(self, seconds: float) -> float:
        """Moves the clock by a positive number of seconds and returns the new time."""
        if seconds < 0:
            raise ValueError("the clock cannot go back")
        self._advanced += seconds
        return self.time()


def stamp(seconds: float) -> str:
    """A DateTimeOffset as Graph writes it: UTC with seven fraction digits."""
    return local_stamp(datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)) + "Z"


def local_stamp(moment: datetime) -> str:
    """A `dateTimeTimeZone.dateTime` as Graph writes it: no offset, seven fraction digits."""
    return moment.isoformat(timespec="microseconds") + "0"
