import json
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from common.messages import Snapshot
from common.planning.snapshots import Reading, Unreadable, parse, utc

GUID = "a2b0c7de-0000-4000-8000-000000000001"
BRUSSELS = ZoneInfo("Europe/Brussels")


def text(**fields):
    row = {
        "id": 5,
        "guid": GUID,
        "subject": "Répair 🔧",
        "body": "",
        "start": "2026-11-22T08:00:00.000",
        "end": "2026-11-22T09:00:00.123",
        "importance": 0,
        "assignments": [{"resource_no": "R1", "email": None, "exchange_integration_enabled": True}],
    }
    return json.dumps({**row, **fields})


def test_a_row_is_read_in_utc():
    snapshot = parse(text(), BRUSSELS)

    assert isinstance(snapshot, Snapshot)
    assert (snapshot.id, snapshot.guid, snapshot.subject) == (5, UUID(GUID), "Répair 🔧")
    assert snapshot.start == datetime(2026, 11, 22, 7, tzinfo=UTC)
    assert snapshot.end == datetime(2026, 11, 22, 8, 0, 0, 123_000, tzinfo=UTC)
    assert snapshot.assignments[0].resource_no == "R1"


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-07-01T12:00:00.000", "2026-07-01T10:00:00"),
        ("2026-10-25T02:30:00.000", "2026-10-25T00:30:00"),  # twice: the first
        ("2026-03-29T02:30:00.000", "2026-03-29T01:30:00"),  # never: 03:30 of the new time
    ],
)
def test_local_times_at_the_turns_of_the_clock(local, expected):
    assert utc(local, BRUSSELS) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("no json", "the snapshot is no JSON"),
        (None, "the snapshot is no JSON"),
        ("[1]", "the snapshot is no JSON object"),
        (text(start="noon"), "start: no local time"),
        (text(end=None), "end: no local time"),
        (text(start="2026-11-22T08:00:00+01:00"), "start: no local time"),
        (text(start="0001-01-01T00:00:00.000"), "start: no local time"),
        (text(importance="secret text"), "importance: int_parsing"),
        (text(guid="secret text"), "guid: uuid_parsing"),
        (text(assignments=[{}]), "assignments.0.resource_no: missing"),
    ],
)
def test_what_is_no_snapshot_says_which_field_and_not_its_value(row, reason):
    found = parse(row, BRUSSELS)

    assert found == Unreadable(reason)


def test_equal_snapshots_have_equal_hashes_however_they_were_written():
    shuffled = json.dumps(dict(reversed(json.loads(text(show_as=None)).items())))

    assert parse(text(), UTC).digest() == parse(shuffled, UTC).digest()
    assert parse(text(), UTC).digest() != parse(text(subject="other"), UTC).digest()


def test_a_reading_knows_rows_by_id_where_their_guid_could_not_be_read():
    bad = Unreadable("broken")
    reading = Reading({(1, None): bad, (2, UUID(GUID)): parse(text(), UTC)})

    assert reading.of(1, UUID(GUID)) is bad
    assert reading.of(2, UUID(int=9)) is None
    assert reading.of(3, UUID(GUID)) is None
    assert reading.guids(2) == [UUID(GUID)]
