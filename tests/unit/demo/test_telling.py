"""What the demo says, and the numbers it leaves."""

import io
import json

import pytest

from demo import summary
from demo.cast import ALICE, BOB, CAST
from demo.compare import ZONES, Comparison
from demo.processes import last_words
from demo.stage import Played
from demo.steps import Create, When
from demo.story import BEFORE, CHAPTERS
from demo.table import Table

STEP = Create("valve", "Replace the valve of the second boiler in hall 4", (ALICE, BOB), When(0, 8))
PLAYED = Played(STEP, "shown", 0.25, {"503": 2, "cut": 1})


def told(columns: int, monkeypatch: pytest.MonkeyPatch, played: Played = PLAYED) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = io.StringIO()
    table = Table(out)
    table.head()
    table.played(played)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_no_line_is_wider_than_the_terminal(columns, monkeypatch):
    lines = told(columns, monkeypatch)

    assert max(map(len, lines)) <= columns
    assert "250 ms" in "".join(lines)
    assert "shown" in "".join(lines)


def test_colours_are_for_terminals_only(monkeypatch):
    assert "\x1b" not in "".join(told(80, monkeypatch))


def test_the_names_of_resources_are_told_where_there_is_room(monkeypatch):
    assert "Alice, Bob" in "".join(told(100, monkeypatch))
    assert "Alice" not in "".join(told(50, monkeypatch))


@pytest.mark.parametrize(
    ("lags_s", "p50", "p95"),
    [([], 0, 0), ([0.1], 100, 100), ([n / 100 for n in range(1, 101)], 500, 950), ([0.3, 0.1], 100, 300)],
)
def test_percentiles_are_lags_that_were_measured(lags_s, p50, p95):
    assert [summary.percentile(lags_s, share) for share in (50, 95)] == [p50, p95]


def test_the_summary_has_every_key(tmp_path):
    requests = [{"status": 201}, {"status": 429}, {"status": None}]
    path = summary.write(
        tmp_path, summary.summarise(Comparison(3, 2, 1, 1, ["differs"], []), [0.2], requests)
    )

    assert json.loads(path.read_text()) == {
        "appointments": 3, "events": 2, "differences": 1, "duplicates": 0, "adopted": 1,
        "lag_ms": {"p50": 200, "p95": 200}, "graph_requests": 3, "throttled": 1,
        "back": {"changes": 0, "echoes": 0, "refused": 0, "lag_ms": {"p50": 0, "p95": 0}},
    }  # fmt: skip


def test_last_words_are_for_a_person(tmp_path):
    log = tmp_path / "log"
    entry = {"event": "service.failed", "level": "error", "reason": "no port", "service": "scheduler"}
    log.write_text(f"not JSON\n{json.dumps(entry)}\n")

    assert last_words(log) == ["not JSON", "error service.failed reason=no port"]
    assert last_words(tmp_path / "absent") == ["(nothing)"]


def test_the_story_has_what_it_must_have():
    steps = [step for chapter in CHAPTERS for step in chapter.steps]
    created = [step for step in (*BEFORE, *steps) if isinstance(step, Create)]

    assert len(created) >= 25
    assert len({step.name for step in created}) == len(created)
    assert len({who for step in steps for who in step.who}) >= 8
    assert len({who.address.partition("@")[2] for who in CAST}) == 2
    assert {who.time_zone for who in CAST} <= ZONES.keys()
    assert {step.verb for step in steps} >= {
        "create",
        "move",
        "change",
        "assign",
        "burst",
        "delete",
        "backfill",
    }
