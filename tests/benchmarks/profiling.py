"""Where the time of a piece of work goes, by package."""

import cProfile
import pstats
import re
import sysconfig
import time
from collections import Counter
from collections.abc import Awaitable
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
WAITING = ("poll' of 'select.epoll", "select.epoll.poll", "_thread.lock", "time.sleep")
SHOWN = 8
OURS = ("outbox_reader", "graph_publisher", "common", "benchmarks")

Function = tuple[str, int, str]


async def profiled(work: Awaitable[object]) -> str:
    """Do the work once more under cProfile (twice as slow, in proportion), and say what this thread was busy with."""
    profile = cProfile.Profile()
    started, busy = time.perf_counter(), time.thread_time()
    profile.enable()
    try:
        await work
    finally:
        profile.disable()
    seconds, busy = time.perf_counter() - started, time.thread_time() - busy
    shares = ", ".join(f"{part} {share:.0%}" for part, share in _shares(profile).most_common(SHOWN))
    return f"the event loop was busy for {busy / seconds:.0%} of the time; of that {shares}"


def _shares(profile: cProfile.Profile) -> "Counter[str]":
    """The share of the busy time that each part needs for itself; C functions count for who calls them."""
    spent: Counter[str] = Counter()
    for function, (_, _, own, _, callers) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if any(word in function[2] for word in WAITING):
            continue
        if function[0] != "~" or not callers:
            spent[_part(function)] += own
            continue
        for caller, (_, _, for_caller, _) in callers.items():
            spent[_part(caller if caller[0] != "~" else function)] += for_caller
    whole = sum(spent.values()) or 1.0
    return Counter({part: seconds / whole for part, seconds in spent.items()})


def _part(function: Function) -> str:
    """A package; of ours, and of the standard library, the module."""
    path = Path(function[0])
    if found := re.search(r"/site-packages/([^/.]+)", function[0]):
        return found[1]
    if function[0] == "~":
        return "C"
    if path.is_relative_to(LIBRARY):
        return ".".join(path.relative_to(LIBRARY).with_suffix("").parts[:2])
    package = next((each for each in OURS if each in path.parts), None)
    return f"{package}.{path.stem}" if package else path.stem
