"""Ways to lose, double, overwrite, leak or stall a change, each of which must fail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import replica
from replica import Publisher

from builders import ALICE, BOB, assignment, changed, deleted, guid, snapshot
from common.errors import Configuration, Permanent, Throttled, Transient
from common.graph.protocol import Changed, DuplicateTransaction, Event, Gone, key
from fakes import FakeCalendar
from graph_publisher import adopting, lane, writing
from graph_publisher.adopting import Adopter
from graph_publisher.adoption import transaction_key
from graph_publisher.deciding import Policy
from graph_publisher.settings import Tuning
from graph_publisher.store.attempts import Outcome
from graph_publisher.store.lanes import LaneStore

LOOK = {
    "subject": "Visit 1",
    "start": "2027-03-01T08:00:00Z",
    "end": "2027-03-01T09:00:00Z",
    "isAllDay": False,
}
INVALID = {"end": datetime(2027, 3, 1, 7, tzinfo=UTC)}


def server_error() -> Transient:
    return Transient("Graph answered 500", code="EXC-GRAPH-UNAVAILABLE", maybe_applied=True, status=500)


def unknown() -> Transient:
    return Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox", maybe_applied=True)


async def link(publisher: Publisher, appointment: int = 1) -> Any:
    return await publisher.pool.fetchrow(
        "SELECT * FROM link WHERE appointment_id = $1 AND surplus_event = '' ORDER BY id", appointment
    )


async def forget(publisher: Publisher) -> None:
    """The state database is lost."""
    await publisher.pool.execute(
        "TRUNCATE appointment, link, mailbox, transaction, attempt, once_ours, stray CASCADE"
    )


# What a message may hold.


async def test_a_nul_character_is_not_the_end_of_a_change(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="Boi\x00ler", body="a\x00b\x07", category="U\x00rgent")))
    await publisher.drain()

    (event,) = publisher.calendars.events(ALICE)
    assert (event.values["subject"], event.values["body"]) == ("Boiler", "ab")
    assert event.values["categories"] == ["Urgent"]


async def test_a_hash_is_that_of_the_planning_whatever_can_be_stored(publisher: Publisher) -> None:
    odd = snapshot(1, subject="Boi\x00ler")
    await publisher.plan(changed(odd))

    assert await publisher.pool.fetchval("SELECT hash FROM appointment") == odd.digest()


@pytest.mark.parametrize("end", [datetime(9999, 12, 31, 23, 59, tzinfo=UTC), INVALID["end"]])
async def test_times_that_no_calendar_shows_fail_one_item(publisher: Publisher, end: datetime) -> None:
    await publisher.plan(changed(snapshot(1, end=end, all_day=True)), changed(snapshot(2)))
    await publisher.drain()

    assert (await publisher.transactions(1))[0][1] == "failed"
    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_a_stored_snapshot_that_nobody_can_read_stops_no_recomputation(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2)))
    await publisher.drain()
    await publisher.pool.execute("""UPDATE appointment SET snapshot = '{"id": "odd"}' WHERE id = 1""")
    publisher.policy, publisher.generation = Policy(outbound=False), 2
    while await publisher.planner.recompute(2):
        pass

    assert (await link(publisher, 1))["frozen"] is None
    assert (await link(publisher, 2))["frozen"] == "EXC-DIRECTION-OFF"


async def test_a_body_of_megabytes_is_cut_and_told(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, body="x" * 5_000_000)))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)[0].values["body"]) == 250_000
    assert "body cut" in (await link(publisher))["notes"][0]


# Plans and lanes at the same moment.


async def test_a_plan_sees_the_call_that_a_lane_began_while_it_waited(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    (due,) = await publisher.lanes.due(lease, 10)
    async with publisher.pool.acquire() as connection:
        lane_commits = connection.transaction()
        await lane_commits.start()
        await connection.execute("SELECT 1 FROM link FOR UPDATE")
        await connection.execute(
            """INSERT INTO attempt (link_id, operation, want_seq, lease_token, settled_after)
               VALUES ($1, 'create', 1, $2, now())""",
            due.id, lease.token,
        )  # fmt: skip
        plan = asyncio.create_task(publisher.plan(deleted(snapshot(1), 2)))
        await _until_somebody_waits(publisher)
        await lane_commits.commit()
        await plan

    now = await link(publisher)
    assert now["want_seq"] > now["done_seq"]
    assert (await publisher.transactions())[-1] == ("delete", "pending", None)


async def _until_somebody_waits(publisher: Publisher) -> None:
    while not await publisher.pool.fetchval(
        """SELECT count(*) FROM pg_stat_activity
           WHERE datname = current_database() AND wait_event_type = 'Lock'"""
    ):
        await asyncio.sleep(0.01)


async def test_a_change_that_is_planned_while_its_lane_leaves_is_not_forgotten(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await lane._work_off(turn, Adopter(publisher.adoptions))
    async with publisher.pool.acquire() as connection:
        planned = connection.transaction()
        await planned.start()
        await connection.execute("UPDATE mailbox SET wakes = wakes + 1, work_bulk = false")
        leaving = asyncio.create_task(turn.release())
        await _until_somebody_waits(publisher)
        await planned.commit()
        await leaving

    told = await publisher.pool.fetchrow("SELECT work_at <= now() AS due, work_bulk FROM mailbox")
    assert tuple(told) == (True, False)


async def test_plans_lanes_and_sweeps_at_once_lose_nothing(publisher: Publisher) -> None:
    replicas = [publisher, publisher.replica("two")]

    async def planning(which: Publisher, first: int) -> None:
        for version in range(1, 6):
            await which.plan(
                *(
                    changed(snapshot(n, ALICE, BOB, subject=f"{n}.{version}"), version)
                    for n in range(first, first + 6)
                )
            )

    async def working(which: Publisher) -> None:
        for _ in range(15):
            await which.step()
            await which.lanes.sweep()
            await asyncio.sleep(0)

    await asyncio.gather(
        planning(publisher, 1),
        planning(publisher, 4),
        planning(publisher, 4),
        *(working(one) for one in replicas),
    )
    await publisher.drain()

    assert publisher.subjects(ALICE) == publisher.subjects(BOB) == [f"{n}.5" for n in range(1, 10)]


# Switches, faults and deletions while a call is of unknown outcome.


async def _create_of_unknown_outcome(publisher: Publisher, *, applied: bool) -> None:
    await publisher.plan(changed(snapshot(1)))
    publisher.calendars.fail_next("create", unknown(), applied=applied)
    await publisher.step()


@pytest.mark.parametrize("applied", [True, False])
async def test_a_call_is_settled_also_where_its_appointment_is_invalid_by_now(
    publisher: Publisher, applied: bool
) -> None:
    await _create_of_unknown_outcome(publisher, applied=applied)
    await publisher.plan(changed(snapshot(1, **INVALID), 2))
    await publisher.drain()
    open_calls = await publisher.pool.fetchval(
        "SELECT count(*) FROM attempt WHERE outcome IS NULL OR outcome = 'unknown'"
    )
    told = await publisher.transactions()
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.drain()

    assert open_calls == 0
    assert {status for _, status, _ in told} == {"succeeded", "failed"}
    assert publisher.subjects(ALICE) == []


@pytest.mark.parametrize("applied", [True, False])
async def test_a_deletion_waits_for_the_create_that_nobody_knows_of(
    publisher: Publisher, applied: bool
) -> None:
    await _create_of_unknown_outcome(publisher, applied=applied)
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == []
    assert await publisher.pool.fetchval("SELECT count(*) FROM transaction WHERE status = 'pending'") == 0


async def test_a_disabled_mailbox_gets_no_further_call(publisher: Publisher) -> None:
    await publisher.plan(*(changed(snapshot(n)) for n in range(1, 4)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await publisher.pool.execute("UPDATE mailbox SET outbound = false")
    for due in await publisher.lanes.due(lease, 10):
        await writing.work(due, turn)

    assert publisher.calendars.events(ALICE) == []


async def test_a_call_that_holds_the_mailbox_stops_the_one_beside_it(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    (due,) = await publisher.lanes.due(lease, 10)
    await turn.trouble(Throttled("429", retry_after=60, code="EXC-THROTTLED"))
    await writing.work(due, turn)

    assert [call for call in publisher.calendars.calls if call[0] == "create"] == []


async def test_success_beside_a_throttled_call_does_not_end_the_hold(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    await turn.trouble(Throttled("429", retry_after=60, code="EXC-THROTTLED"))
    await turn.paid(turn.calendar.settings)

    assert await publisher.pool.fetchval("SELECT hold_until > now() FROM mailbox")


async def test_three_calls_that_fail_at_once_grow_a_hold_by_one_step(publisher: Publisher) -> None:
    await publisher.plan(*(changed(snapshot(n)) for n in range(1, 4)))
    for _ in range(3):
        publisher.calendars.fail_next("create", unknown())
    await publisher.step()

    told = await publisher.pool.fetchrow(
        "SELECT hold_count, extract(epoch FROM hold_until - now()) AS seconds FROM mailbox"
    )
    assert told["hold_count"] == 1
    assert told["seconds"] < 2


async def test_holds_grow_and_begin_anew_after_a_write(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    counts = []
    for _ in range(4):
        publisher.calendars.fail_next("create", Throttled("429", retry_after=0, code="EXC-THROTTLED"))
        await publisher.step()
        counts.append(await publisher.pool.fetchval("SELECT hold_count FROM mailbox"))
        await publisher.elapse()
    await publisher.drain()

    assert counts == [1, 2, 3, 4]
    assert await publisher.pool.fetchval("SELECT hold_count FROM mailbox") == 0


async def test_a_persons_hold_is_not_hidden_by_trouble(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    (lease,) = await publisher.take()
    await publisher.pool.execute("UPDATE mailbox SET state = 'held', hold_until = 'infinity'")
    await publisher.turn(lease).trouble(Throttled("429", retry_after=9, code="EXC-THROTTLED"))

    assert await publisher.pool.fetchval("SELECT state FROM mailbox") == "held"


# Items that never succeed.


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


# Lanes that lost their mailbox.


async def test_a_lane_of_before_does_not_unlink_the_event_that_replaced_its_own(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    (lease,) = await publisher.take()
    (stale,) = await publisher.lanes.due(lease, 10)
    publisher.calendars.remove(ALICE, publisher.calendars.events(ALICE)[0].id)
    await publisher.elapse()
    await publisher.replica("two").drain()
    await publisher.attempts.gone(stale, lease)
    await publisher.plan(changed(snapshot(1, subject="newest"), 3))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["newest"]


async def test_a_late_answer_of_another_event_is_removed(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (lease,) = await _lease_again(publisher)
    (due,) = await publisher.lanes.due(lease, 10)
    second = publisher.calendars.put(ALICE, LOOK)
    await publisher.attempts.once_ours(due, lease, second.id)
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 1
    assert (await publisher.transactions())[-1] == ("delete", "succeeded", None)


async def _lease_again(publisher: Publisher) -> list[Any]:
    await publisher.pool.execute("UPDATE link SET want_seq = want_seq + 1, due_at = now()")
    await publisher.lanes.sweep()
    return await publisher.take()


async def test_an_event_that_was_only_out_of_sight_is_not_there_twice(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)
    publisher.calendars.remove(ALICE, event.id)
    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    for _ in range(3):
        await publisher.step()
        await publisher.pool.execute("UPDATE link SET missing_since = missing_since - interval '1 minute'")
        await publisher.pool.execute("UPDATE link SET due_at = now() WHERE surplus_event = ''")
        await publisher.lanes.sweep()
    publisher.calendars._mailbox(ALICE).events[event.id] = event
    both = len(publisher.calendars.events(ALICE))
    await publisher.drain()

    assert both == 2
    assert publisher.subjects(ALICE) == ["new"]


async def test_a_duplicate_that_the_listing_does_not_show_yet_makes_no_second_event(
    publisher: Publisher,
) -> None:
    await publisher.plan(changed(snapshot(1)))
    told = DuplicateTransaction("400", event_id=None, code="EXC-REFUSED", status=400)
    publisher.calendars.fail_next("create", told)
    await publisher.step()

    assert (await link(publisher))["incarnation"] == 0
    await publisher.drain()
    assert publisher.subjects(ALICE) == ["Visit 1"]


async def test_trouble_with_our_database_after_a_write_is_not_taken_for_trouble_with_the_write(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.plan(changed(snapshot(1)))

    async def away(*_: object) -> None:
        raise Transient("away", code="EXC-STATE-UNAVAILABLE", scope="tenant")

    monkeypatch.setattr(LaneStore, "recovered", away)
    await publisher.step()

    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_the_database_going_away_while_a_call_is_closed_leaves_it_open(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await publisher.plan(changed(snapshot(1)))
    with monkeypatch.context() as broken:

        async def away(*_: object, **__: object) -> bool:
            raise Transient("away", code="EXC-STATE-UNAVAILABLE", scope="tenant")

        broken.setattr(type(publisher.attempts), "succeeded", away)
        with pytest.raises(Transient):
            await publisher.step()
    open_calls = await publisher.pool.fetchval("SELECT count(*) FROM attempt WHERE outcome IS NULL")
    await publisher.drain()

    assert open_calls == 1
    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [("create", "succeeded", None)]


async def test_a_lane_that_is_cancelled_in_a_call_leaves_it_to_be_settled(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    calling = asyncio.Event()

    class Slow(FakeCalendar):
        async def create(self, *arguments: Any) -> Event:
            await super().create(*arguments)
            calling.set()
            return await asyncio.Future()

    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    turn.calendar = Slow(publisher.calendars, ALICE)
    working = asyncio.create_task(lane.run(turn, Adopter(publisher.adoptions)))
    await calling.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1"]
    assert await publisher.transactions() == [("create", "succeeded", None)]


# Profiles.


async def test_a_mailbox_that_no_profile_serves_says_so_and_follows_the_settings(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = "dora@fabrikam.example"
    await publisher.plan(changed(snapshot(1, stranger)))
    await publisher.drain()
    lost = await publisher.pool.fetchrow("SELECT state, state_code FROM mailbox")
    told = await publisher.transactions()
    monkeypatch.setattr(replica, "profile_of", lambda _mailbox: replica.PROFILE)
    publisher.generation = 2
    while await publisher.planner.recompute(2):
        pass
    await publisher.drain()

    assert tuple(lost) == ("no profile", "EXC-NO-PROFILE")
    assert told == [("create", "pending", "EXC-NO-PROFILE")]
    assert publisher.subjects(stranger) == ["Visit 1"]
    assert await publisher.pool.fetchval("SELECT state FROM mailbox") == "active"
    assert await publisher.transactions() == [("create", "succeeded", None)]


# Adoption.


async def test_a_listing_that_ends_early_decides_nothing(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    publisher.calendars.fail_next(
        "view", Transient("503", code="EXC-GRAPH-UNAVAILABLE", scope="mailbox"), applied=True
    )
    await publisher.step()
    undecided = (await link(publisher))["adopt"]
    await publisher.drain()

    assert undecided
    assert len(publisher.calendars.events(ALICE)) == 1


@pytest.mark.parametrize("operation", ["read", "mark"])
@pytest.mark.parametrize("fault", [server_error, lambda: Permanent("400", code="EXC-REFUSED", status=400)])
async def test_one_event_that_cannot_be_adopted_stops_nobody_else(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, operation: str, fault: Any
) -> None:
    odd = publisher.calendars.put(ALICE, LOOK)
    publisher.calendars.put(ALICE, LOOK | {"subject": "Visit 2"})
    whole = getattr(FakeCalendar, operation)

    async def refuse(self: FakeCalendar, event_id: str, *rest: Any) -> Event:
        if event_id == odd.id:
            raise fault()
        return await whole(self, event_id, *rest)

    monkeypatch.setattr(FakeCalendar, operation, refuse)
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2, 3)))
    for _ in range(4):
        await publisher.step()

    states = [(await publisher.transactions(n))[-1][1] for n in (2, 3)]
    assert states == ["succeeded", "succeeded"]
    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2", "Visit 3"]


async def test_a_stored_id_that_graph_chokes_on_stops_nobody_else(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = FakeCalendar.read

    async def choke(self: FakeCalendar, event_id: str) -> Event:
        if event_id == "garbage":
            raise server_error()
        return await whole(self, event_id)

    monkeypatch.setattr(FakeCalendar, "read", choke)
    await publisher.plan(
        changed(snapshot(1, exchange_id="garbage"), cause="backfill"), changed(snapshot(2), cause="backfill")
    )
    for _ in range(3):
        await publisher.step()

    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_an_event_with_attendees_that_dime_names_is_not_even_marked(publisher: Publisher) -> None:
    event = publisher.calendars.put(ALICE, LOOK | {"subject": "Meeting"}, has_attendees=True)
    await publisher.plan(changed(snapshot(1, exchange_id=event.id), cause="backfill"))
    await publisher.drain()

    assert publisher.calendars.events(ALICE) == [event]
    assert (await publisher.transactions())[-1][1:] == ("failed", "EXC-HAS-ATTENDEES")


async def test_an_appointment_far_in_the_past_does_not_hide_earlier_events(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    long_ago = datetime(1990, 1, 1, 8, tzinfo=UTC)
    await publisher.plan(
        changed(snapshot(1), cause="backfill"),
        changed(snapshot(2, start=long_ago, end=long_ago + timedelta(hours=1)), cause="backfill"),
    )
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1", "Visit 2"]


async def test_more_links_than_one_listing_serves_are_adopted_in_turns(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "AT_ONCE", 5)
    publisher.tuning = Tuning(yield_after=4)
    for n in range(1, 13):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in range(1, 13)))
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 12
    assert [call[0] for call in publisher.calendars.calls].count("create") == 0


async def test_questions_to_an_administrator_do_not_keep_others_from_adoption(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adopting, "AT_ONCE", 2)
    for n in (1, 2, 3):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    publisher.calendars.put(ALICE, LOOK | {"subject": "Visit 4"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2, 3, 4)))
    await publisher.drain()

    assert [(await publisher.transactions(n))[-1][1] for n in (1, 2, 3, 4)] == ["failed"] * 3 + ["succeeded"]
    assert len(publisher.calendars.events(ALICE)) == 7


async def test_a_fresh_change_does_not_wait_for_the_adoption_of_others(publisher: Publisher) -> None:
    publisher.tuning = Tuning(yield_after=5)
    for n in range(1, 21):
        publisher.calendars.put(ALICE, LOOK | {"subject": f"Visit {n}"})
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in range(1, 21)))
    await publisher.step()
    await publisher.plan(changed(snapshot(99, subject="fresh")))
    await publisher.step()

    assert "fresh" in publisher.subjects(ALICE)


async def test_a_lane_that_lost_its_mailbox_adopts_nothing(publisher: Publisher) -> None:
    publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(changed(snapshot(1), cause="backfill"))
    (lease,) = await publisher.take()
    (event,) = publisher.calendars.events(ALICE)
    lease.token = uuid4()
    await publisher.adoptions.adopt(lease, (await link(publisher))["id"], event, {})

    assert (await link(publisher))["event_id"] is None


async def test_two_links_never_share_an_event(publisher: Publisher) -> None:
    event = publisher.calendars.put(ALICE, LOOK)
    await publisher.plan(*(changed(snapshot(n), cause="backfill") for n in (1, 2)))
    (lease,) = await publisher.take()
    for n in (1, 2):
        await publisher.adoptions.adopt(lease, (await link(publisher, n))["id"], event, {})

    assert (await link(publisher, 2))["event_id"] is None


async def test_what_a_lost_database_knew_is_removed_where_the_appointment_is_deleted_before_it_is_found(
    publisher: Publisher,
) -> None:
    await publisher.plan(changed(snapshot(1)), changed(snapshot(2)))
    await publisher.drain()
    await forget(publisher)
    await publisher.plan(changed(snapshot(1), 5, cause="replay"), changed(snapshot(2), 6, cause="replay"))
    await publisher.plan(deleted(snapshot(1), 7))
    await publisher.drain()
    while await publisher.planner.recompute(publisher.generation):
        await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 2"]


async def test_of_a_lost_databases_event_and_its_copy_the_copy_is_left_alone(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    mark = key("test", str(guid(1)), "ALICE")
    copy = publisher.calendars.put(ALICE, LOOK, id="AA-first", key=mark, transaction_id="localevent:7")
    await forget(publisher)
    await publisher.plan(changed(snapshot(1, subject="moved on"), 9, cause="replay"))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["Visit 1", "moved on"]
    assert copy in publisher.calendars.events(ALICE)


def test_the_transaction_id_of_a_create_never_changes() -> None:
    made = transaction_key("test", guid(1), "ALICE", ALICE, 0)

    assert str(made) == "7032474e-9d8e-53e1-8d31-e6cd099b87bd"
    assert made != transaction_key("test", guid(1), "ALICE", ALICE, 1)


# Many links.


async def test_a_mailbox_with_many_links_is_worked_on_by_index(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.pool.execute(
        """INSERT INTO link (appointment_id, appointment_guid, resource_no, mailbox, wanted, want_seq, due_at, bulk)
           SELECT n, gen_random_uuid(), 'R', $1, '{}', 1, CASE WHEN n % 2 = 0 THEN now() END, true
           FROM generate_series(10, 10010) n""",
        ALICE,
    )
    await publisher.pool.execute(
        "UPDATE link SET done_seq = 1 WHERE appointment_id % 10 <> 0 AND appointment_id > 1"
    )
    await publisher.pool.execute("ANALYZE link")
    rows = await publisher.pool.fetch(
        """EXPLAIN SELECT * FROM link l WHERE l.mailbox = $1 AND l.want_seq > l.done_seq AND l.due_at <= now()
           ORDER BY l.bulk, l.due_at, l.id LIMIT 50""",
        ALICE,
    )

    plan = "\n".join(row[0] for row in rows)
    assert "link_due" in plan
    assert "Seq Scan" not in plan


async def test_a_fresh_change_passes_thousands_of_bulk_links(publisher: Publisher) -> None:
    publisher.tuning = Tuning(yield_after=3)
    await publisher.plan(*(changed(snapshot(n, ALICE), cause="backfill") for n in range(1, 101)))
    await publisher.step()
    await publisher.plan(changed(snapshot(500, ALICE, BOB, subject="fresh")))
    await publisher.step()

    assert publisher.subjects(BOB) == ["fresh"]
    assert "fresh" in publisher.subjects(ALICE)
    assert len(publisher.subjects(ALICE)) < 10


async def test_a_tenants_trouble_counts_once_for_many_lanes(publisher: Publisher) -> None:
    boxes = [f"m{n}@contoso.example" for n in range(12)]
    await publisher.plan(changed(snapshot(1, *boxes)))
    leases = await publisher.take(12)
    trouble = Configuration("AADSTS", code="EXC-SIGN-IN-SECRET", scope="tenant")
    await asyncio.gather(*(publisher.turn(lease).trouble(trouble) for lease in leases))

    assert await publisher.pool.fetchval("SELECT hold_count FROM tenant") == 1


async def test_an_event_that_vanishes_under_a_delete_is_deleted(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    await publisher.plan(deleted(snapshot(1), 2))
    publisher.calendars.fail_next("delete", Gone("404", code="EXC-EVENT-GONE", status=404))
    await publisher.step()

    assert (await publisher.transactions())[-1] == ("delete", "succeeded", None)


async def test_the_same_id_with_another_guid_is_another_appointment(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1, subject="first")))
    await publisher.drain()
    await publisher.plan(changed(snapshot(1, subject="second", guid=guid(1, 1)), 3))
    await publisher.plan(deleted(snapshot(1), 2))
    await publisher.drain()

    assert publisher.subjects(ALICE) == ["second"]


async def test_a_snapshot_that_was_not_found_changes_nothing(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.plan(changed(snapshot(1), 2, snapshot=None))
    await publisher.drain()
    kept = publisher.subjects(ALICE)
    await publisher.plan(deleted(snapshot(1), 3))
    await publisher.drain()

    assert (kept, publisher.subjects(ALICE)) == (["Visit 1"], [])


async def test_a_resource_with_an_odd_number_finds_its_event_again(publisher: Publisher) -> None:
    odd = snapshot(1, assignments=(assignment(ALICE, resource_no="R|1 'ü%"),))
    await publisher.plan(changed(odd))
    publisher.calendars.fail_next("create", unknown(), applied=True)
    await publisher.drain()

    assert len(publisher.calendars.events(ALICE)) == 1


async def test_an_answer_of_other_values_fails_the_transaction_once(publisher: Publisher) -> None:
    await publisher.plan(changed(snapshot(1)))
    await publisher.drain()
    (event,) = publisher.calendars.events(ALICE)

    class Stubborn(FakeCalendar):
        async def update(self, event_id: str, *rest: Any) -> Event:
            await super().update(event_id, *rest)
            return self._calendars.change(self._name, event_id, subject="always this")

    await publisher.plan(changed(snapshot(1, subject="new"), 2))
    (lease,) = await publisher.take()
    turn = publisher.turn(lease)
    turn.calendar = Stubborn(publisher.calendars, ALICE)
    await lane.run(turn, Adopter(publisher.adoptions))

    assert (await publisher.transactions())[-1] == ("update", "failed", "EXC-NOT-AS-SENT")
    assert publisher.calendars.events(ALICE)[0].id == event.id
    assert await publisher.step() == 0


async def test_a_late_failure_of_a_settled_call_changes_nothing(publisher: Publisher) -> None:
    await _create_of_unknown_outcome(publisher, applied=True)
    attempt = await publisher.pool.fetchval("SELECT id FROM attempt")
    await publisher.drain()
    await publisher.attempts.unapplied(attempt, Outcome(400))

    assert await publisher.pool.fetchval("SELECT outcome FROM attempt WHERE id = $1", attempt) == "ok"
    assert publisher.subjects(ALICE) == ["Visit 1"]
