import pytest

from common.errors import Malformed
from common.graph.protocol import PROPERTY, body, event, settings

TIMED = {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T09:30:00Z", "isAllDay": False}
ALL_DAY = {"start": "2026-11-22", "end": "2026-11-24", "isAllDay": True}


def moment(text, zone="UTC"):
    return {"dateTime": text, "timeZone": zone}


def document(**overrides):
    """An event as Graph answers it."""
    return {
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users('x')/events/$entity",
        "@odata.etag": 'W/"key-1=="',
        "id": "AAkALgOne",
        "changeKey": "key-1==",
        "iCalUId": "040000008200E00074C5B7101A82E008",
        "subject": "Pump",
        "body": {"contentType": "text", "content": "one\r\ntwo\r\n"},
        "start": moment("2026-11-22T08:00:00.0000000"),
        "end": moment("2026-11-22T09:30:00.0000000"),
        "isAllDay": False,
        "showAs": "busy",
        "sensitivity": "private",
        "importance": "high",
        "categories": ["b", "a"],
        "location": {"displayName": "Ghent", "locationType": "default", "uniqueIdType": "private"},
        "isReminderOn": True,
        "reminderMinutesBeforeStart": 15,
        "attendees": [],
        "isOrganizer": True,
        "isCancelled": False,
        "type": "singleInstance",
        "seriesMasterId": None,
        "transactionId": "t-1",
        "occurrenceId": None,
    } | overrides


def test_reads_every_mapped_field():
    read = event(document())

    assert read.values == {
        "subject": "Pump",
        "body": "one\ntwo",
        "start": "2026-11-22T08:00:00Z",
        "end": "2026-11-22T09:30:00Z",
        "isAllDay": False,
        "showAs": "busy",
        "sensitivity": "private",
        "importance": "high",
        "categories": ["a", "b"],
        "location": "Ghent",
        "reminder": 15,
    }
    assert (read.id, read.change_key, read.transaction_id, read.key) == ("AAkALgOne", "key-1==", "t-1", None)
    assert not read.has_attendees
    assert read.is_organizer


def test_reads_what_exchange_leaves_empty():
    empty = dict.fromkeys(
        ["subject", "body", "location", "categories", "showAs", "attendees", "isReminderOn"]
    )

    read = event(document(**empty))

    assert (read.values["subject"], read.values["body"], read.values["location"]) == ("", "", "")
    assert (read.values["categories"], read.values["showAs"], read.values["reminder"]) == (
        [],
        "unknown",
        None,
    )


def test_a_listing_without_bodies_gives_no_body():
    listed = document()
    del listed["body"]

    assert "body" not in event(listed).values


@pytest.mark.parametrize(
    ("written", "all_day", "read"),
    [
        (moment("2026-11-22T08:00:00.1234567"), False, "2026-11-22T08:00:00Z"),
        (moment("2026-11-22T08:00:00"), False, "2026-11-22T08:00:00Z"),
        (moment("2026-11-22T08:00:00Z"), False, "2026-11-22T08:00:00Z"),
        (moment("0001-01-01T00:00:00.0000000"), False, "0001-01-01T00:00:00Z"),
        (moment("9999-12-31T23:59:59.9999999"), False, "9999-12-31T23:59:59Z"),
        (moment("2026-11-22T08:00:00.0000000", "Romance Standard Time"), False, "2026-11-22T07:00:00Z"),
        (moment("2026-11-22T08:00:00.0000000", "tzone://Microsoft/Utc"), False, "2026-11-22T08:00:00Z"),
        (moment("2026-11-22T00:00:00.0000000"), True, "2026-11-22"),
        (moment("2026-11-22T00:00:00.0000000", "Customized Time Zone"), True, "2026-11-22"),
    ],
)
def test_reads_moments_and_days(written, all_day, read):
    assert event(document(start=written, isAllDay=all_day)).values["start"] == read


def test_reads_our_property_in_whatever_letters():
    ours = {"id": PROPERTY.replace("b8c1a6f5", "B8C1A6F5"), "value": "main|guid|R1"}
    theirs = {"id": "String {00000000-0000-0000-0000-000000000000} Name exconn", "value": "x"}

    assert event(document(singleValueExtendedProperties=[theirs, ours])).key == "main|guid|R1"
    assert event(document(singleValueExtendedProperties=[theirs])).key is None


def test_takes_the_change_key_from_the_entity_tag():
    assert event(document(changeKey=None)).change_key == "key-1=="


@pytest.mark.parametrize(
    "broken",
    [
        None,
        [],
        "text",
        {},
        document(id=""),
        document(id=7),
        document(start=None),
        document(start={"dateTime": "soon"}),
        document(start=moment("2026-13-45T08:00:00", "Romance Standard Time")),
        document(start=moment("2026-11-22T08:00:00", "Customized Time Zone")),
        document(start=moment("0001-01-01T00:00:00", "Romance Standard Time")),
        document(categories=[1, "a"]),
        document(location="Ghent"),
        document(reminderMinutesBeforeStart="soon"),
    ],
)
def test_what_is_no_event_is_malformed_and_quotes_nothing(broken):
    with pytest.raises(Malformed) as caught:
        event(broken)

    assert "Ghent" not in str(caught.value)


def test_writes_times_in_utc():
    assert body(TIMED, "Romance Standard Time") == {
        "start": moment("2026-11-22T08:00:00"),
        "end": moment("2026-11-22T09:30:00"),
        "isAllDay": False,
    }


@pytest.mark.parametrize("zone", ["Romance Standard Time", "Europe/Brussels"])
def test_writes_days_in_the_mailboxes_zone_by_its_windows_name(zone):
    assert body(ALL_DAY, zone) == {
        "start": moment("2026-11-22T00:00:00", "Romance Standard Time"),
        "end": moment("2026-11-24T00:00:00", "Romance Standard Time"),
        "isAllDay": True,
    }


@pytest.mark.parametrize("missing", ["start", "end", "isAllDay"])
def test_times_are_written_only_together(missing):
    partly = {name: value for name, value in TIMED.items() if name != missing}

    with pytest.raises(ValueError, match="together"):
        body(partly, "UTC")


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"body": "a\nb"}, {"body": {"contentType": "text", "content": "a\nb"}}),
        ({"location": ""}, {"location": {"displayName": ""}}),
        ({"reminder": None}, {"isReminderOn": False}),
        ({"reminder": 30}, {"isReminderOn": True, "reminderMinutesBeforeStart": 30}),
        ({"categories": ["a"], "showAs": "oof"}, {"categories": ["a"], "showAs": "oof"}),
        ({}, {}),
    ],
)
def test_writes_only_the_given_fields(values, written):
    assert body(values, "UTC") == written


def test_reads_the_zone_of_a_mailbox():
    assert settings({"timeZone": "Romance Standard Time"}).time_zone == "Romance Standard Time"
    assert settings({"timeZone": None}).time_zone == ""
    with pytest.raises(Malformed):
        settings([])
