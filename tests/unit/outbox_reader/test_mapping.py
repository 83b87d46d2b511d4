from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from common.messages import AppointmentChanged, AppointmentUnreadable, Snapshot
from common.planning.snapshots import Reading, Unreadable
from outbox_reader.mapping import tell
from outbox_reader.records import OutboxRow

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
ONE, OTHER = UUID(int=1), UUID(int=2)


def snapshot(number=1, guid=ONE, **fields):
    return Snapshot(id=number, guid=guid, start=NOW, end=NOW, **fields)


def row(**fields):
    defaults = {
        "id": 1,
        "appointment_id": 1,
        "guid": ONE,
        "action": "U",
        "cause": "change",
        "request_id": None,
        "created_at": NOW,
        "attempts": 1,
    }
    return OutboxRow(**{**defaults, **fields})


def reading(*found):
    return Reading({(one.id, one.guid): one for one in found})


def told(rows, found):
    return tell(rows, found, epoch=7, version=9)


def test_rows_of_one_appointment_become_one_message():
    rows = [row(id=1, action="I"), row(id=2, action="U"), row(id=3, guid=None)]

    result = told(rows, reading(snapshot(subject="newest")))

    (message,) = result.messages
    assert (message.epoch, message.version, message.action) == (7, 9, "I")
    assert message.snapshot.subject == "newest"
    assert result.rows == [rows]


def test_a_deletion_is_told_only_of_what_is_gone():
    rows = [row(action="D"), row(id=2, action="I")]

    (there,) = told(rows, reading(snapshot())).messages
    (gone,) = told(rows, reading()).messages

    assert (there.action, there.snapshot) == ("I", snapshot())
    assert (gone.action, gone.snapshot) == ("D", None)


def test_what_is_gone_without_a_deletion_row_is_told_as_missing():
    (message,) = told([row()], reading()).messages

    assert (message.action, message.snapshot) == ("U", None)


def test_another_guid_is_another_appointment():
    rows = [row(id=1, action="D"), row(id=2, guid=OTHER, action="I"), row(id=3, guid=None)]

    result = told(rows, reading(snapshot(guid=OTHER)))

    assert {(m.appointment_guid, m.action) for m in result.messages} == {(ONE, "D"), (OTHER, "I")}
    assert rows[2] in result.rows[[m.appointment_guid for m in result.messages].index(OTHER)]


def test_a_row_without_guid_is_told_under_the_guid_that_was_found():
    (message,) = told([row(guid=None)], reading(snapshot())).messages

    assert (message.appointment_guid, message.action) == (ONE, "U")


def test_a_row_without_guid_of_what_is_gone_says_nothing():
    result = told([row(guid=None)], reading())

    assert not result.messages
    assert len(result.silent) == 1


def test_a_row_without_guid_folds_into_the_deletion_beside_it():
    rows = [row(id=1, guid=None), row(id=2, action="D")]

    result = told(rows, reading())

    (message,) = result.messages
    assert message.action == "D"
    assert result.rows == [rows]
    assert not result.silent


def test_the_weightiest_cause_is_told():
    causes = ["reconcile", "backfill", "replay", "change"]

    heard = [told([row(id=n, cause=c) for n, c in enumerate(causes[: upto + 1])], reading(snapshot())).messages[0].cause
             for upto in range(4)]  # fmt: skip

    assert heard == causes


def test_requests_and_the_oldest_time_are_told():
    rows = [
        row(id=1, created_at=NOW + timedelta(hours=1), request_id=OTHER),
        row(id=2, created_at=NOW, request_id=ONE),
        row(id=3, created_at=NOW + timedelta(hours=2), request_id=OTHER),
    ]

    (message,) = told(rows, reading(snapshot())).messages

    assert message.requests == (OTHER, ONE)
    assert message.changed_at == NOW


def test_an_unreadable_appointment_is_told_and_its_rows_are_parked():
    rows = [row(id=1), row(id=2), row(id=3, appointment_id=5)]

    result = told(rows, Reading({(1, None): Unreadable("importance: missing"), (5, ONE): snapshot(5)}))

    bad, good = result.messages
    assert isinstance(bad, AppointmentUnreadable)
    assert (bad.appointment_id, bad.appointment_guid, bad.reason) == (1, ONE, "importance: missing")
    assert isinstance(good, AppointmentChanged)
    assert result.unreadable == {1: "importance: missing", 2: "importance: missing"}


def test_an_unreadable_appointment_without_any_guid_is_told_too():
    result = told([row(guid=None)], Reading({(1, None): Unreadable("broken")}))

    (message,) = result.messages
    assert (message.appointment_id, message.appointment_guid) == (1, None)
    assert result.unreadable == {1: "broken"}


def test_a_locked_appointment_is_left_for_later():
    result = told(
        [row(), row(id=2, appointment_id=5)],
        Reading({(1, None): Unreadable("locked", busy=True), (5, ONE): snapshot(5)}),
    )

    assert [message.appointment_id for message in result.messages] == [5]
    assert [one.id for one in result.later] == [1]
    assert not result.unreadable


guids = st.sampled_from([None, ONE, OTHER])
rows = st.lists(
    st.builds(
        row,
        id=st.integers(1, 10_000),
        appointment_id=st.integers(1, 4),
        guid=guids,
        action=st.sampled_from("IUD"),
        cause=st.sampled_from(["change", "replay", "backfill", "reconcile"]),
        request_id=st.sampled_from([None, ONE, OTHER]),
    ),
    unique_by=lambda one: one.id,
)


def found(keys):
    return {
        (number, guid): (snapshot(number, guid) if readable else Unreadable("bad"))
        for (number, guid), readable in keys.items()
    }


readings = st.dictionaries(st.tuples(st.integers(1, 4), st.sampled_from([ONE, OTHER])), st.booleans()).map(
    lambda keys: Reading(found(keys))
)


@given(rows, readings)
def test_every_row_is_accounted_for_and_no_appointment_is_told_twice(claimed, seen):
    result = told(claimed, seen)

    stood_for = {one.id for group in result.rows for one in group}
    stood_for |= {one.id for one in [*result.later, *result.silent]}
    assert stood_for == {one.id for one in claimed}
    keys = [(m.appointment_id, m.appointment_guid) for m in result.messages]
    assert len(keys) == len(set(keys))


@given(rows, readings)
def test_nothing_that_was_found_is_told_as_deleted(claimed, seen):
    for message in told(claimed, seen).messages:
        if isinstance(message, AppointmentChanged):
            there = seen.of(message.appointment_id, message.appointment_guid)
            assert message.snapshot == there
            assert (message.action == "D") <= (there is None)


@given(rows, readings)
def test_every_named_appointment_is_told(claimed, seen):
    keys = {(m.appointment_id, m.appointment_guid) for m in told(claimed, seen).messages}

    assert {(one.appointment_id, one.guid) for one in claimed if one.guid} <= keys


@given(rows, readings)
def test_every_message_can_be_read_again(claimed, seen):
    for message in told(claimed, seen).messages:
        assert type(message).parse(message.encode()) == message
