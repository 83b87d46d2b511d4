"""What a benchmark found: as JSON with the machine, and as a table."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import aiormq
import asyncpg

import stack
from stack import processes

PACKAGES = ("aio-pika", "aiohttp", "aioodbc", "asyncpg", "pydantic", "pyodbc")


@dataclass
class Report:
    """`rows` are flat; what is a list in them goes to the file, not to the table. `notes` stand below the table."""

    name: str
    about: str
    goal: str
    rows: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def middle(values: Sequence[float], digits: int = 1) -> float:
    """The median, rounded."""
    return round(median(values), digits)


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Of the medians of what was measured in turns; 1.0 is as fast as the baseline."""
    return round(median(ours) / median(theirs), 2)


def write(report: Report, size: str, folder: Path) -> Path:
    path = folder / f"{report.name}.json"
    document = {
        "benchmark": report.name,
        "about": report.about,
        "goal": report.goal,
        "size": size,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": report.seconds,
        "machine": machine(),
        "rows": report.rows,
        "notes": report.notes,
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return path


def table(report: Report) -> str:
    """Columns as wide as they must be, and the notes."""
    shown = [
        {name: _text(value) for name, value in row.items() if not isinstance(value, list)}
        for row in report.rows
    ]
    names = list(dict.fromkeys(name for row in shown for name in row))
    wide = {name: max(len(name), *(len(row.get(name, "")) for row in shown)) for name in names}
    lines = ["  ".join(name.ljust(wide[name]) for name in names)]
    lines += ["  ".join(row.get(name, "").rjust(wide[name]) for name in names) for row in shown]
    return "\n".join([*lines, *(f"\n{note}" for note in report.notes)])


@processes.once
def machine() -> dict[str, str]:
    """What the numbers depend on."""
    return {
        "cores": str(os.cpu_count()),
        "cpu": _cpu(),
        "load": f"{os.getloadavg()[0]:.1f} in the last minute",
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "postgresql": str(_postgresql()),
        "rabbitmq": _rabbitmq(),
        **{name: version(name) for name in PACKAGES},
    }


def _text(value: object) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int | float) else str(value)


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown"
    )


def _postgresql() -> object:
    return processes.run(_fetch(stack.postgres().dsn, "SELECT current_setting('server_version')"))


async def _fetch(dsn: str, statement: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def _rabbitmq() -> str:
    """As the broker says at the beginning of a connection."""
    return str(processes.run(_greeting(stack.broker().url)))


async def _greeting(url: str) -> object:
    connection = await aiormq.connect(url)
    try:
        version = connection.server_properties["version"]
        return version.decode() if isinstance(version, bytes) else version
    finally:
        await connection.close()
