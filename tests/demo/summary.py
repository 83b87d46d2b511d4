"""`var/demo/summary.json`: the numbers of a run, for scripts and for CI."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demo.compare import Comparison

FILE = "summary.json"

Json = Mapping[str, Any]


def summarise(comparison: Comparison, lags_s: Sequence[float], requests: Sequence[Json]) -> dict[str, Any]:
    """The summary; `requests` are those to Graph but for tokens. The way back does not exist yet: zeros."""
    return {
        "appointments": comparison.appointments,
        "events": comparison.events,
        "differences": len(comparison.differences),
        "duplicates": len(comparison.duplicates),
        "adopted": comparison.adopted,
        "lag_ms": {"p50": percentile(lags_s, 50), "p95": percentile(lags_s, 95)},
        "graph_requests": len(requests),
        "throttled": sum(each["status"] == 429 for each in requests),
        "back": {"changes": 0, "echoes": 0, "refused": 0, "lag_ms": {"p50": 0, "p95": 0}},
    }


def percentile(lags_s: Sequence[float], share: int) -> int:
    """Milliseconds; the nearest rank, 0 where nothing was measured."""
    ordered = sorted(lags_s)
    return round(1000 * ordered[max(0, -(-len(ordered) * share // 100) - 1)]) if ordered else 0


def write(folder: Path, summary: Json) -> Path:
    """Replaces the file at once, so nobody reads half of it."""
    path = folder / FILE
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(summary, indent=2) + "\n")
    draft.replace(path)
    return path
