"""Items that never succeed must stall nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from integration.graph_publisher.dangers import server_error
from replica import Publisher

from builders import ALICE, changed, snapshot
from common.graph.protocol import Changed, Event
from fakes import FakeCalendar


class Poisoned(FakeCalendar):
    """Writes of events with a subject end with 500, always."""

    async def create(self, values: Any, *rest: Any) -> Event:
        if values["subject"] == "poison":
            self._calendars._called("create", self._name, "poison")
            raise server_error()
        return await super().create(values, *rest)

    async def update(self, event_id: str, values: Any, *rest: Any) -> Event:
        if values.get("subject") == "poison":
            raise server_error()
        return await super().update(event_id, values, *rest)


@pytest.fixture
def poisoned(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    monkeypatch.setattr(
        publisher.calendars, "calendar", lambda _profile, mailbox: Poisoned(publisher.calendars, mailbox)
    )
    return publisher


async def _others_are_written(publisher: Publisher, version: int) -> None:
    await publisher.plan(changed(snapshot(2, subject=f"fine {version}"), version))
    await publisher.step()
    await publisher.elapse()


@pytest.mark.parametrize("before", [None, "fine"])
async def test_an_item_that_graph_never_takes_is_exhausted_and_others_flow(
    poisoned: Publisher, before: str | None
) -> None:
    if before:
        await poisoned.plan(changed(snapshot(1, subject=before)))
        await poisoned.drain()
    await poisoned.plan(changed(snapshot(1, subject="poison"), 2))
    for version in range(1, 40):
        await _others_are_written(poisoned, version)
    await poisoned.drain()

    assert (await poisoned.transactions())[-1][1:] == ("failed", "EXC-EXHAUSTED")
    assert "fine 39" in poisoned.subjects(ALICE)
    assert (
        await poisoned.pool.fetchval(
            "SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'"
        )
        == 0
    )


async def test_while_no_write_succeeds_nothing_is_exhausted(poisoned: Publisher) -> None:
    await poisoned.plan(changed(snapshot(2)))
    await poisoned.drain()
    await poisoned.plan(changed(snapshot(1, subject="poison")))
    for _ in range(30):
        await poisoned.step()
        await poisoned.elapse()

    assert (await poisoned.transactions())[-1][1] == "pending"


async def test_an_event_that_always_changed_in_between_does_not_spin(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    for _ in range(10):
        publisher.calendars.fail_next("update", Changed("412", code="EXC-CONFLICT", status=412))
    await publisher.step()

    assert len([call for call in publisher.calendars.calls if call[0] == "update"]) == 2
