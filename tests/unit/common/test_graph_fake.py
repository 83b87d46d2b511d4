"""What only the fake can: fail when told to. The rest of it is tested beside the real adapter."""

import pytest

from common.errors import Throttled, Transient
from fakes import FakeCalendars

VALUES = {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T09:00:00Z", "isAllDay": False}
ALICE, BOB = "alice@contoso.example", "bob@contoso.example"


def unknown():
    return Transient("cut", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


@pytest.mark.parametrize("applied", [True, False])
async def test_a_write_fails_after_or_before_its_effect(applied):
    calendars = FakeCalendars()
    calendars.fail_next("create", unknown(), applied)
    calendar = calendars.calendar("contoso", ALICE)

    with pytest.raises(Transient):
        await calendar.create(VALUES, "t-1", "key", "UTC")

    assert len(calendars.events(ALICE)) == applied


@pytest.mark.parametrize("applied", [True, False])
async def test_update_and_delete_fail_alike(applied):
    calendars = FakeCalendars()
    event = calendars.put(ALICE, VALUES | {"subject": "before"})
    calendar = calendars.calendar("contoso", ALICE)
    calendars.fail_next("update", unknown(), applied)
    with pytest.raises(Transient):
        await calendar.update(event.id, {"subject": "after"}, "UTC")
    (updated,) = calendars.events(ALICE)
    calendars.fail_next("delete", unknown(), applied)
    with pytest.raises(Transient):
        await calendar.delete(event.id)

    assert updated.values["subject"] == ("after" if applied else "before")
    assert len(calendars.events(ALICE)) == (not applied)


async def test_a_failure_waits_for_its_operation_and_its_mailbox():
    calendars = FakeCalendars()
    throttled = Throttled("429", retry_after=1, code="EXC-THROTTLED")
    calendars.fail_next("find", throttled, mailbox=BOB)

    assert await calendars.calendar("contoso", ALICE).find("key") == []
    with pytest.raises(Throttled):
        await calendars.calendar("contoso", BOB).find("key")
    assert await calendars.calendar("contoso", BOB).find("key") == []
    assert calendars.calls == [("find", ALICE, "key"), ("find", BOB, "key"), ("find", BOB, "key")]
