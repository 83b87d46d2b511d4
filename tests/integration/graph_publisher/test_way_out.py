"""From an appointment's message to the event in the calendar, with everything but Graph real."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from replica import PROFILE, Publisher

from builders import ALICE, BOB, assignment, changed, deleted, guid, snapshot
from common.graph.protocol import key
from common.messages import AppointmentUnreadable
from graph_publisher.deciding import Policy
from graph_publisher.metrics import LAG


async def test_a_new_appointment_becomes_one_event(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="Boiler")))
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert event.values["subject"] == "Boiler"
    assert event.values["start"] == "2027-03-01T08:00:00Z"
    assert event.key == key("test", str(guid(1)), "ALICE")
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_move_writes_only_the_times(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, end=datetime(2027, 3, 1, 10, tzinfo=UTC)), 2))
    await publisher.drain()

    sent = await publisher.pool.fetchval("SELECT sent->'values' FROM attempt WHERE operation = 'update'")
    assert sorted(sent) == ["end", "isAllDay", "start"]
    assert publisher.calendars.events(ALICE)[0].values["end"] == "2027-03-01T10:00:00Z"


async def test_a_deletion_removes_every_event(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, ALICE, BOB)))
    await publisher.drain()
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == publisher.subjects(BOB) == []


async def test_a_reassignment_moves_the_event_to_the_other_mailbox(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, ALICE)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, BOB), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert publisher.subjects(BOB) == ["Visit 1"]


async def test_a_resource_that_does_not_take_part_gets_nothing(publisher: Publisher) -> None:
    apart = assignment(BOB, exchange_integration_enabled=False)
    await publisher.plan(changed(snapshot(1, assignments=(assignment(ALICE), apart))))
    await publisher.drain()

    assert publisher.subjects(BOB) == []
    assert publisher.subjects(ALICE) == ["Visit 1"]


async def test_a_resource_without_an_address_is_told_once(publisher: Publisher) -> None:
    lone = snapshot(1, assignments=(assignment(None),))
    await publisher.plan(changed(lone))
    await publisher.plan(changed(lone, 2))

    assert await publisher.transactions() == [("none", "skipped", "EXC-NO-ADDRESS")]


async def test_an_older_version_changes_nothing(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="new"), 5))
    await publisher.plan(changed(snapshot(1, subject="old"), 4))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["new"]


async def test_a_late_message_does_not_bring_a_deleted_appointment_back(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1), 1))
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.plan(changed(snapshot(1, subject="ghost"), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []


async def test_twenty_changes_before_a_lane_comes_are_one_call(publisher: Publisher) -> None:
    for version in range(1, 21):
        await publisher.plan(changed(snapshot(1, subject=f"take {version}"), version))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["take 20"]
    assert [call[0] for call in publisher.calendars.calls if call[0] in ("create", "update")] == ["create"]
    told = await publisher.transactions()
    assert told[-1] == ("create", "succeeded", None)
    assert set(told[:-1]) == {("create", "skipped", "EXC-SUPERSEDED")}


async def test_switched_off_means_frozen_and_switched_on_catches_up(publisher: Publisher) -> None:
    publisher.policy = Policy(outbound=False)
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    frozen = publisher.subjects(ALICE)
    publisher.policy, publisher.generation = Policy(), 2
    while await publisher.planner.recompute(2):
        pass
    await publisher.drain()

    assert frozen == []
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert [status for _, status, _ in await publisher.transactions()] == ["skipped", "succeeded"]


async def test_appointments_before_the_cut_off_are_not_created(publisher: Publisher) -> None:
    publisher.policy = Policy(cut_off=date(2027, 3, 2))
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert await publisher.transactions() == [("create", "skipped", "EXC-BEFORE-CUT-OFF")]


async def test_end_before_start_fails_and_says_so_once(publisher: Publisher) -> None:
    wrong = snapshot(1, end=datetime(2027, 3, 1, 7, tzinfo=UTC))
    await publisher.plan(changed(wrong))
    await publisher.plan(changed(wrong, 2))
    await publisher.drain()

    assert await publisher.transactions() == [("create", "failed", "EXC-END-BEFORE-START")]


async def test_midnight_to_midnight_in_the_mailboxs_zone_is_all_day(publisher: Publisher) -> None:
    publisher.calendars.set_time_zone(ALICE, "Romance Standard Time")
    day = {"start": datetime(2027, 3, 1, 23, tzinfo=UTC), "end": datetime(2027, 3, 2, 23, tzinfo=UTC)}
    await publisher.plan(changed(snapshot(1, **day)))
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert (event.values["isAllDay"], event.values["start"]) == (True, "2027-03-02")


async def test_what_can_be_read_again_replaces_what_could_not(publisher: Publisher) -> None:
    unreadable = AppointmentUnreadable(
        appointment_id=1, appointment_guid=guid(1), epoch=1, version=1, reason="StartDate is empty"
    )
    await publisher.planner.handle([unreadable, unreadable])
    before = await publisher.pool.fetch("SELECT superseded_by FROM transaction")
    await publisher.plan(changed(snapshot(1), 2))

    assert [row["superseded_by"] for row in before] == [None]
    assert await publisher.transactions() == [
        ("none", "failed", "EXC-UNREADABLE"),
        ("create", "pending", None),
    ]
    told, newer = await publisher.pool.fetch("SELECT id, superseded_by FROM transaction ORDER BY id")
    assert told["superseded_by"] == newer["id"]


async def test_what_was_read_before_does_not_replace_what_cannot_be_read_since(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1), 1))
    unreadable = AppointmentUnreadable(
        appointment_id=1, appointment_guid=guid(1), epoch=1, version=3, reason="StartDate is empty"
    )
    await publisher.planner.handle([unreadable])
    await publisher.plan(changed(snapshot(1), 2))

    codes = "SELECT superseded_by FROM transaction WHERE code = 'EXC-UNREADABLE'"
    assert [row["superseded_by"] for row in await publisher.pool.fetch(codes)] == [None]


async def test_a_tenant_with_many_mailboxes_leaves_places_to_another(publisher: Publisher) -> None:
    await publisher.pool.executemany(
        "INSERT INTO mailbox (address, profile, work_at) VALUES ($1, $2, now() - $3 * interval '1 second')",
        [(f"{number}@busy.example", "busy", 100.0 + number) for number in range(50)]
        + [("one@contoso.example", PROFILE, 1.0)],
    )
    publisher.lanes.profiles = ("busy", PROFILE)

    leases = await publisher.take(2)
    assert {lease.profile for lease in leases} == {"busy", PROFILE}


async def test_the_lag_of_a_fresh_change_is_measured(publisher: Publisher) -> None:
    before = LAG._sum.get()
    await publisher.plan(changed(snapshot(1), changed_at=datetime.now(UTC) - timedelta(seconds=30)))
    await publisher.drain()

    assert 29 < LAG._sum.get() - before < 60
