"""What the demo prints, as wide as the terminal: one line for each step, and what to look at."""

import os
import shutil
import sys
import textwrap
from collections.abc import Mapping
from typing import TextIO

from demo.stage import Played
from demo.wording import lag, times

WIDEST = 110
NARROWEST = 40
LAG_WIDTH = 8
VERB_WIDTH = 9

GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"


class Table:
    """Lines for a person: coloured on a terminal (unless NO_COLOR is set), plain elsewhere."""

    def __init__(self, out: TextIO = sys.stdout) -> None:
        self._out = out
        self._colours = out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    @property
    def width(self) -> int:
        return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((WIDEST, 24)).columns - 1))

    def line(self, text: str = "", colour: str | None = None, indent: str = "") -> None:
        """A paragraph, wrapped; further lines are indented."""
        wrapped = textwrap.wrap(
            text, self.width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
        self._write("\n".join(wrapped), colour)

    def title(self, text: str) -> None:
        self._write("")
        self.line(text, BOLD)

    def head(self) -> None:
        self._write(self._row("", "appointment", "for", "lag", "outcome"), DIM)

    def played(self, played: Played) -> None:
        step = played.step
        who = ", ".join(resource.name for resource in step.who)
        outcome = played.outcome + _mended(played.mended)
        colour = RED if not played.came_through else YELLOW if played.mended else None
        self._write(self._row(step.verb, step.title, who, lag(played.lag_s), outcome), colour)

    def facts(self, facts: Mapping[str, str]) -> None:
        """Names and what they are, in two columns; below each other where that does not fit."""
        name_width = max(map(len, facts)) + 2
        for name, fact in facts.items():
            if name_width + len(fact) <= self.width:
                self._write(f"  {name:<{name_width}}{fact}")
            else:
                lines = textwrap.wrap(
                    fact, max(20, self.width - 6), break_long_words=False, break_on_hyphens=False
                )
                self._write("\n      ".join([f"  {name}", *lines]))

    def command(self, text: str) -> None:
        """Something to be copied, so it is never wrapped."""
        self._write(f"  {text}")

    def _row(self, verb: str, title: str, who: str, lagged: str, outcome: str) -> str:
        """On a narrow terminal the title and the names give way first, then the outcome has a line of its own."""
        free = self.width - VERB_WIDTH - LAG_WIDTH - 4
        names = 13 if free >= 62 else 0
        wide = min(42, max(18, (free - names) // 2))
        row = f"  {verb:<{VERB_WIDTH}}{_cut(title, wide):<{wide}} "
        row += f"{_cut(who, names - 1):<{names}}" if names else ""
        row += f"{lagged:>{LAG_WIDTH}}  "
        if len(row) + len(outcome) <= self.width:
            return row + outcome
        rest, indent = self.width - len(row), " " * len(row)
        if rest < 18:
            indent = " " * (VERB_WIDTH + 2)
            row, rest = f"{row.rstrip()}\n{indent}", self.width - len(indent)
        return row + f"\n{indent}".join(textwrap.wrap(outcome, rest, break_on_hyphens=False))

    def _write(self, text: str, colour: str | None = None) -> None:
        if colour and self._colours:
            text = f"\x1b[{colour}m{text}\x1b[0m"
        print(text, file=self._out, flush=True)


def _mended(faults: Mapping[str, int]) -> str:
    return f", in spite of {times(faults)}" if faults else ""


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
