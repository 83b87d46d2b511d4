"""What the adapter makes of answers that are no answers; the usual ones are tested on the simulator."""

import json
from datetime import UTC, datetime

import pytest

from common.errors import Configuration, Transient
from common.graph.client import Graph, client
from common.graph.connection import Answer
from common.graph.protocol import PROPERTY
from fakes import FakeProfile

BASE = "https://graph.microsoft.com/v1.0"
NEXT = f"{BASE}/users/x/calendarView?$skip=1"
TIMES = {"dateTime": "2026-11-22T08:00:00.0000000", "timeZone": "UTC"}
VALUES = {"start": "2026-11-22T08:00:00Z", "end": "2026-11-22T08:00:00Z", "isAllDay": False}
DAY = (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC))


class Wire:
    """A connection that gives the answers it was made with."""

    base = BASE

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []

    async def send(self, request, mailbox, client_request_id):
        self.sent.append((request, mailbox, client_request_id))
        answer = self.answers.pop(0)
        return Answer(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def calendar(*answers, request_id=None):
    wire = Wire(*answers)
    return wire, Graph({"contoso": wire}).calendar("contoso", "alice@contoso.example", request_id=request_id)


def event(event_id="AAkALgOne", **overrides):
    return {"id": event_id, "changeKey": "k", "start": TIMES, "end": TIMES} | overrides


async def viewed(calendar):
    return [event.id async for event in calendar.view(*DAY)]


@pytest.mark.parametrize(
    "answer", [b"", b"<html>", {}, [], event(start=None), event(transactionId="another")]
)
async def test_a_create_that_is_answered_oddly_may_have_been_applied(answer):
    _, alice = calendar(answer)

    with pytest.raises(Transient) as caught:
        await alice.create(VALUES, "t-1", "key", "UTC")

    assert (caught.value.code, caught.value.maybe_applied) == ("EXC-GRAPH-ANSWER", True)


async def test_a_read_that_is_answered_oddly_has_applied_nothing():
    _, alice = calendar(b"<html>")

    with pytest.raises(Transient) as caught:
        await alice.read("AAkALgOne")

    assert (caught.value.code, caught.value.maybe_applied) == ("EXC-GRAPH-ANSWER", False)


async def test_a_transaction_id_is_compared_without_regard_to_case():
    _, alice = calendar(event(transactionId="T-1"))

    assert (await alice.create(VALUES, "t-1", "key", "UTC")).key == "key"


async def test_a_view_follows_pages_also_empty_ones():
    pages = [
        {"value": [event("one")], "@odata.nextLink": NEXT},
        {"value": [], "@odata.nextLink": NEXT + "0"},
        {"value": [event("two")]},
    ]
    wire, alice = calendar(*pages)

    assert await viewed(alice) == ["one", "two"]
    assert [request.url(BASE) for request, _, _ in wire.sent[1:]] == [NEXT, NEXT + "0"]


@pytest.mark.parametrize("link", ["https://evil.example/v1.0/users", 7, ""])
async def test_a_view_that_leads_elsewhere_ends_with_an_error(link):
    wire, alice = calendar({"value": [], "@odata.nextLink": link})

    with pytest.raises(Transient):
        await viewed(alice)

    assert len(wire.sent) == 1


async def test_a_view_that_turns_in_circles_ends_with_an_error():
    page = {"value": [event()], "@odata.nextLink": NEXT}
    _, alice = calendar(page, page, page)

    with pytest.raises(Transient):
        await viewed(alice)


@pytest.mark.parametrize("page", [{}, [], {"value": None}, {"value": [None]}])
async def test_a_page_that_is_none_ends_with_an_error(page):
    _, alice = calendar(page)

    with pytest.raises(Transient):
        await viewed(alice)


def carrying(event_id, key):
    return event(event_id, singleValueExtendedProperties=[{"id": PROPERTY, "value": key}])


async def test_our_events_are_read_one_by_one_where_a_listing_does_not_show_the_key():
    page = {"value": [event("one"), event("two"), carrying("three", "main|guid|R3")]}
    wire, alice = calendar(page, carrying("one", "main|guid|R1"), carrying("two", "Main|guid|R2"))

    assert [found.id async for found in alice.ours("main")] == ["one", "three"]
    assert [request.operation for request, _, _ in wire.sent] == ["ours", "read", "read"]


async def test_a_find_leaves_out_keys_that_only_nearly_fit():
    wanted, other = "main|guid|R1", "main|guid|r1"
    _, alice = calendar({"value": [carrying("one", wanted), carrying("two", other), event("three")]})

    assert [found.id for found in await alice.find(wanted)] == ["one", "three"]


async def test_a_call_has_the_given_request_id_or_one_of_its_own():
    wire, named = calendar(event(), request_id="c-1")
    await named.read("AAkALgOne")
    unnamed_wire, unnamed = calendar(event(), event())
    await unnamed.read("AAkALgOne")
    await unnamed.read("AAkALgOne")

    assert wire.sent[0][2] == "c-1"
    assert len({call_id for _, _, call_id in unnamed_wire.sent}) == 2


async def test_an_unknown_profile_is_the_administrators():
    async with client({"contoso": FakeProfile(client_secret="x")}) as graph:
        with pytest.raises(Configuration) as caught:
            graph.calendar("fabrikam", "alice@fabrikam.example")

    assert caught.value.code == "EXC-NO-PROFILE"
