"""Lists, views, filters, expansions, pages, and their lag."""

from urllib.parse import quote

import pytest

PROPERTY = "String {66F5A359-4659-4830-9070-00047EC6AC6E} Name Dime"
DAY = "startDateTime=2026-11-23T00:00:00Z&endDateTime=2026-11-24T00:00:00Z"
EXPAND = f"$expand={quote('singleValueExtendedProperties($filter=id eq ' + repr(PROPERTY) + ')')}"


def by_property(value, operator="eq", name=PROPERTY):
    condition = f"ep/id eq '{name}' and ep/value {operator} '{value}'"
    return "events?$filter=" + quote(f"singleValueExtendedProperties/Any(ep: {condition})")


def keyed(value):
    return [{"id": PROPERTY, "value": value}]


def at(moment, zone="UTC"):
    return {"dateTime": moment, "timeZone": zone}


async def subjects(graph, target, **headers):
    answer = await graph.call("GET", target, **headers)
    assert answer.status == 200, answer.body
    return [each["subject"] for each in answer.body["value"]]


async def test_an_event_is_found_by_its_extended_property(graph):
    await graph.create(subject="Mine", singleValueExtendedProperties=keyed("Key-1"))
    await graph.create(subject="Other", singleValueExtendedProperties=keyed("Key-2"))
    await graph.create(subject="Private")

    assert await subjects(graph, by_property("Key-1")) == ["Mine"]
    assert await subjects(graph, by_property("KEY-1")) == ["Mine"]
    assert await subjects(graph, by_property("Key-1", name=PROPERTY.replace("Dime", "dime"))) == []
    assert await subjects(graph, by_property("Key-1", "ne")) == ["Other"]


async def test_a_filter_does_not_show_the_property_an_expansion_does(graph):
    await graph.create(singleValueExtendedProperties=keyed("Key-1"))

    plain = (await graph.call("GET", by_property("Key-1"))).body["value"][0]
    expanded = (await graph.call("GET", f"{by_property('Key-1')}&{EXPAND}&$select=id")).body["value"][0]

    assert "singleValueExtendedProperties" not in plain
    assert expanded.keys() == {"@odata.etag", "id", "singleValueExtendedProperties"}
    assert expanded["singleValueExtendedProperties"] == [
        {"id": "String {66f5a359-4659-4830-9070-00047ec6ac6e} Name Dime", "value": "Key-1"}
    ]


async def test_a_patch_adds_a_property(graph):
    made = await graph.create()
    await graph.call("PATCH", f"events/{made['id']}", {"singleValueExtendedProperties": keyed("Late")})

    read = await graph.call("GET", f"events/{made['id']}?{EXPAND}")

    assert read.body["singleValueExtendedProperties"][0]["value"] == "Late"


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("lastModifiedDateTime gt 2026-01-01T00:00:00Z", 2),
        ("lastModifiedDateTime gt 2999-01-01T00:00:00Z", 0),
        ("subject eq 'PUMP'", 1),
        ("startswith(subject,'pu') or contains(subject,'alv')", 2),
        ("not (subject eq 'pump') and start/dateTime ge '2026-11-23T00:00'", 1),
        ("categories/any(c:c eq 'Blue')", 1),
        ("isAllDay eq false", 2),
        ("subject eq 'it''s'", 0),
    ],
)
async def test_filters(graph, condition, found):
    await graph.create(subject="Pump", categories=["Blue"])
    await graph.create(subject="Valve")

    assert len(await subjects(graph, f"events?$filter={quote(condition)}")) == found


@pytest.mark.parametrize(
    "condition",
    ["subject", "subject eq", "transactionId eq 'x'", "subject gt 5", "(subject eq 'x'", "nonsense/any(x:x)"],
)
async def test_filters_that_graph_cannot_answer(graph, condition):
    await graph.create()

    refused = await graph.refusal("GET", f"events?$filter={quote(condition)}")

    assert refused == (400, "ErrorInvalidUrlQueryFilter")


async def test_pages_of_ten_with_links(graph):
    for number in range(23):
        await graph.create(subject=str(number))

    found, target = [], f"calendarView?{DAY}&$select=subject"
    pages = 0
    while target:
        page = (await graph.call("GET", target)).body
        found += [each["subject"] for each in page["value"]]
        target = page.get("@odata.nextLink", "").removeprefix("https://graph.test/v1.0")
        pages += 1

    assert pages == 3
    assert sorted(map(int, found)) == list(range(23))


async def test_the_size_of_a_page_can_be_chosen_up_to_a_thousand(graph):
    for _ in range(12):
        await graph.create()

    assert len(await subjects(graph, "events?$top=12")) == 12
    assert len(await subjects(graph, "events", Prefer="odata.maxpagesize=11")) == 11
    assert (await graph.refusal("GET", "events?$top=1001"))[0] == 400


async def test_a_view_shows_what_overlaps_the_window(graph):
    hours = [
        ("22T23", "23T00"),
        ("22T23", "23T01"),
        ("23T12", "23T12"),
        ("23T23", "24T01"),
        ("24T00", "24T01"),
    ]
    for number, (start, end) in enumerate(hours):
        await graph.create(subject=str(number), start=at(f"2026-11-{start}:00"), end=at(f"2026-11-{end}:00"))

    assert await subjects(graph, f"calendarView?{DAY}") == ["1", "2", "3"]


async def test_a_view_reads_its_window_by_its_own_offset(graph):
    await graph.create()
    window = quote("2026-11-23T10:00:00+01:00"), quote("2026-11-23T10:30:00+01:00")

    target = f"calendarView?startDateTime={window[0]}&endDateTime={window[1]}"

    assert await subjects(graph, target, Prefer='outlook.timezone="Tokyo Standard Time"') == [
        "Repair the pump"
    ]


async def test_a_view_matches_all_day_events_as_midnights_in_utc(graph):
    zone = "Romance Standard Time"
    await graph.create(isAllDay=True, start=at("2026-11-22T00:00", zone), end=at("2026-11-23T00:00", zone))
    local_day = "startDateTime=2026-11-22T23:00:00Z&endDateTime=2026-11-23T23:00:00Z"

    assert await subjects(graph, f"calendarView?{local_day}") == ["Repair the pump"]
    assert await subjects(graph, f"calendarView?{DAY}") == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "ErrorInvalidParameter"),
        ("startDateTime=2026-11-23&endDateTime=soon", "ErrorInvalidParameter"),
        ("startDateTime=2026-11-23&endDateTime=2026-11-22", "ErrorInvalidParameter"),
        ("startDateTime=2020-01-01&endDateTime=2025-01-01", "ErrorInvalidRequest"),
    ],
)
async def test_a_view_needs_a_window_of_at_most_1825_days(graph, query, code):
    assert await graph.refusal("GET", f"calendarView?{query}") == (400, code)


async def test_a_view_does_not_select_time_stamps(graph):
    await graph.create()

    answer = await graph.call("GET", f"calendarView?{DAY}&$select=id,subject,lastModifiedDateTime")

    assert answer.body["value"][0].keys() == {"@odata.etag", "id", "subject"}


async def test_an_unknown_name_cannot_be_selected(graph):
    assert (await graph.refusal("GET", "events?$select=colour"))[0] == 400


async def test_series_masters_are_listed_but_not_viewed(graph, make_event):
    series = {
        "pattern": {"type": "daily", "interval": 1},
        "range": {"type": "noEnd", "startDate": "2026-11-23"},
    }
    made = graph.door("POST", "mailboxes/anna@contoso.example/events", make_event(recurrence=series))

    assert made["type"] == "seriesMaster"
    assert await subjects(graph, "events") == ["Repair the pump"]
    assert await subjects(graph, f"calendarView?{DAY}") == []


async def test_every_path_to_the_default_calendar_is_the_same(graph):
    made = await graph.create()
    calendar = (await graph.call("GET", "calendar")).body["id"]

    for place in ("", "calendar/", f"calendars/{calendar}/", f"calendarGroups/g/calendars/{calendar}/"):
        assert (await graph.call("GET", f"{place}events/{made['id']}")).status == 200
        assert await subjects(graph, f"{place}events") == ["Repair the pump"]
        assert await subjects(graph, f"{place}calendarView?{DAY}") == ["Repair the pump"]


async def test_another_calendar_has_its_own_events(graph, make_event):
    await graph.create(subject="Default")
    made = await graph.call("POST", "calendars", {"name": "Holidays"})
    other = f"calendars/{made.body['id']}"
    await graph.call("POST", f"{other}/events", make_event(subject="Beach"))

    assert await subjects(graph, f"{other}/events") == ["Beach"]
    assert await subjects(graph, "calendar/events") == ["Default"]
    assert await subjects(graph, "events") == ["Default", "Beach"]
    assert [each["name"] for each in (await graph.call("GET", "calendars")).body["value"]] == [
        "Calendar",
        "Holidays",
    ]
    assert await graph.refusal("GET", f"calendars/{made.body['id']}x/events") == (404, "ErrorItemNotFound")


@pytest.mark.parametrize(
    "target",
    ["events/delta", "calendarView/delta()", "calendarView/microsoft.graph.delta", "/subscriptions", "masks"],
)
async def test_what_is_not_simulated_is_an_unknown_segment(graph, target):
    assert await graph.refusal("GET", target) == (400, "BadRequest")


async def test_a_listing_can_lag_behind_a_create_while_the_event_is_there(graph, make_event):
    graph.door("POST", "faults", {"fault": "listing-lag", "seconds": 30})
    made = await graph.create(singleValueExtendedProperties=keyed("K"))

    assert await subjects(graph, by_property("K")) == []
    assert await subjects(graph, f"calendarView?{DAY}") == []
    assert (await graph.call("GET", f"events/{made['id']}")).status == 200
    graph.advance(31)
    assert await subjects(graph, by_property("K")) == ["Repair the pump"]


async def test_a_listing_can_lag_behind_a_change_and_a_deletion(graph):
    changed, deleted = await graph.create(subject="Old"), await graph.create(subject="Gone")
    graph.door("POST", "faults", {"fault": "listing-lag", "seconds": 30, "times": 2})
    await graph.call("PATCH", f"events/{changed['id']}", {"subject": "New"})
    await graph.call("DELETE", f"events/{deleted['id']}")

    assert await subjects(graph, "events") == ["Old", "Gone"]
    graph.advance(31)
    assert await subjects(graph, "events") == ["New"]
