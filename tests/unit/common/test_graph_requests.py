from datetime import UTC, datetime, timedelta, timezone

import pytest
from yarl import URL

from common.graph import requests
from common.graph.protocol import PROPERTY

BASE = "https://graph.microsoft.com/v1.0"
ALICE = "alice@contoso.example"
VALUES = {
    "subject": "Pump",
    "start": "2026-11-22T08:00:00Z",
    "end": "2026-11-22T09:00:00Z",
    "isAllDay": False,
}


def url(request):
    return URL(request.url(BASE), encoded=True)


def test_a_create_carries_transaction_id_and_key():
    request = requests.create(ALICE, VALUES, "t-1", "main|guid|R1", "UTC")

    assert (request.method, str(url(request))) == ("POST", f"{BASE}/users/{ALICE}/calendar/events")
    assert request.json["transactionId"] == "t-1"
    assert request.json["singleValueExtendedProperties"] == [{"id": PROPERTY, "value": "main|guid|R1"}]
    assert "attendees" not in request.json
    assert request.write
    assert not request.item


def test_ids_and_addresses_are_encoded_in_the_path():
    request = requests.read("o'neil+x@contoso.example", "AAk/AL=g-_")

    assert "/events/AAk%2FAL%3Dg-_?" in str(url(request))
    assert url(request).parts[3:5] == ("o'neil+x@contoso.example", "events")
    assert request.item
    assert not request.write


def test_a_query_keeps_its_dollar_and_encodes_spaces_and_braces():
    query = str(url(requests.read(ALICE, "x"))).partition("?")[2]

    assert query.startswith("$select=")
    assert "$expand=" in query
    assert not set(" {}'+").intersection(query)


def test_finding_quotes_the_key():
    condition = url(requests.find(ALICE, "main|guid|R'1 & co")).query["$filter"]

    assert condition == (
        f"singleValueExtendedProperties/Any(ep: ep/id eq '{PROPERTY}' and ep/value eq 'main|guid|R''1 & co')"
    )


@pytest.mark.parametrize(("bodies", "top"), [(True, "100"), (False, "500")])
def test_a_view_is_asked_for_in_utc_and_in_pages(bodies, top):
    start = datetime(2026, 11, 22, 1, tzinfo=timezone(timedelta(hours=1)))

    query = url(requests.view(ALICE, start, datetime(2026, 12, 1, tzinfo=UTC), bodies=bodies)).query

    assert query["startDateTime"] == "2026-11-22T00:00:00Z"
    assert query["endDateTime"] == "2026-12-01T00:00:00Z"
    assert query["$top"] == top
    assert ("body" in query["$select"].split(",")) is bodies


@pytest.mark.parametrize(
    "request_of",
    [
        lambda key: requests.update(ALICE, "x", {"subject": "Valve"}, "UTC", key),
        lambda key: requests.delete(ALICE, "x", key),
    ],
)
def test_a_change_key_becomes_if_match(request_of):
    assert request_of("key-1==").headers == {"If-Match": 'W/"key-1=="'}
    assert request_of(None).headers == {}


def test_a_next_page_is_followed_as_it_stands():
    link = f"{BASE}/users/x/calendarView?$skip=10&%24select=a%2Cb"

    following = requests.following(requests.find(ALICE, "k"), link, BASE)

    assert str(url(following)) == link


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/users",
        "http://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com:8443/v1.0/users",
        "https://graph.microsoft.com@evil.example/v1.0",
        "/v1.0/users",
        "",
    ],
)
def test_a_next_page_elsewhere_is_not_followed(link):
    assert requests.following(requests.find(ALICE, "k"), link, BASE) is None
