"""What goes wrong on purpose: at random in about 2 % of requests each, and what a test orders."""

import random
from dataclasses import dataclass
from typing import Any

SHARE = 0.02
RANDOM = (("500", "before"), ("500", "after"), ("cut", "after"), ("429", "before"), ("401", "before"))
NAMES = frozenset(
    {
        "500",  # a page of the web server, not a documented error; before or after the commit
        "503",  # likewise, empty
        "cut",  # the connection ends without an answer; before or after the commit
        "429",  # with Retry-After
        "401",  # the token that was used has expired
        "refused",  # the procedure raises `message`; documented error body
        "unsuccessful",  # HTTP 200, Success false
        "error-text",  # the next documented error comes as text/plain ...
        "error-json",  # ... or as {Error, Description}; else they alternate
        "expire-tokens",  # every token given so far expires at once
    }
)
ON_ERRORS = frozenset({"error-text", "error-json"})


@dataclass
class Fault:
    """One fault that was ordered or drawn. ``at``: import, token, read or any."""

    name: str
    when: str = "before"
    times: int = 1
    at: str = "import"
    mailbox: str | None = None
    message: str = "The procedure refused."
    retry_after: int = 1

    def fits(self, at: str, body: str) -> bool:
        return self.at in (at, "any") and (not self.mailbox or self.mailbox.lower() in body.lower())


class Faults:
    """Ordered faults come first, in their order; random ones only where a share is given."""

    def __init__(self, seed: int, share: float) -> None:
        self.seed = seed
        self.share = share
        self.clear()

    def clear(self) -> None:
        self._random = random.Random(self.seed)
        self._ordered: list[Fault] = []

    def order(self, wanted: dict[str, Any]) -> Fault:
        """Take an order of the door; ValueError says what is wrong with it."""
        fields = dict(wanted)
        fault = Fault(name=str(fields.pop("fault", "")), **fields)
        if fault.name not in NAMES:
            raise ValueError(f"unknown fault {fault.name!r}; there are: {', '.join(sorted(NAMES))}")
        if fault.when not in ("before", "after"):
            raise ValueError("when is before or after")
        if fault.name != "expire-tokens":
            self._ordered.append(fault)
        return fault

    def draw(self, at: str, body: str) -> Fault | None:
        """The fault of this request, if any. One number is drawn per request, so a seed repeats a run."""
        number = self._random.random()
        return self._take(lambda fault: fault.name not in ON_ERRORS and fault.fits(at, body)) or self._drawn(
            number, at
        )

    def error_shape(self) -> str | None:
        fault = self._take(lambda fault: fault.name in ON_ERRORS)
        return fault.name if fault else None

    def _drawn(self, number: float, at: str) -> Fault | None:
        if not self.share or number >= self.share * len(RANDOM):
            return None
        name, when = RANDOM[int(number / self.share)]
        if at == "token" and name == "401":
            return None
        return Fault(name, when)

    def _take(self, fits: Any) -> Fault | None:
        fault = next((fault for fault in self._ordered if fits(fault)), None)
        if fault is not None:
            fault.times -= 1
            if fault.times <= 0:
                self._ordered.remove(fault)
        return fault
