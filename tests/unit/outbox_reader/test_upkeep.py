import asyncio

import pytest
from structlog.testing import capture_logs

from common.errors import Transient
from outbox_reader import upkeep


async def test_trouble_that_lasts_is_told_once_and_again_when_it_comes_back():
    outcomes = iter(["away", "away", "slow", None, "slow", asyncio.CancelledError()])

    async def work() -> None:
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome:
            raise Transient(outcome)

    with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
        await upkeep.every(0, "anything", work)

    assert [line["reason"] for line in logs] == ["away", "slow", "slow"]


class Unreachable:
    """A planning database that answers at the third question."""

    def __init__(self) -> None:
        self.answers = iter([Transient("out of reach"), ValueError("a secret value"), None])

    async def identity(self) -> None:
        answer = next(self.answers)
        if answer:
            raise answer


async def test_whatever_keeps_the_planning_from_answering_makes_the_service_not_ready(monkeypatch):
    monkeypatch.setattr(upkeep, "WATCH_SECONDS", 0)
    reports: list[str | None] = []

    with pytest.raises(RuntimeError):  # the questions are over
        await upkeep.watch(Unreachable(), until(reports))

    assert reports == ["the planning database was not reached yet", "out of reach", "ValueError", None]


def until(reports):
    def report(reason: str | None) -> None:
        reports.append(reason)
        if reason is None:
            raise RuntimeError

    return report
