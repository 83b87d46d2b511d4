"""One call at a time through real TLS, msal and the simulator: what became of it, and what the caller is told."""

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trustme

from common.errors import Configuration, Throttled, Transient
from common.graph.client import client
from common.graph.protocol import Changed

KEY = "main|0b7e4d1c-5f7c-4e0a-9f52-0d3a2f6b8c11|R1"
VALUES = {
    "subject": "Pump",
    "start": "2026-11-23T08:00:00Z",
    "end": "2026-11-23T09:30:00Z",
    "isAllDay": False,
}


@pytest.fixture
def calendar(graph, address):
    return graph.calendar("contoso", address)


@pytest.fixture
def fail(simulator, address):
    """Let the next calls on the mailbox fail; nothing is left for other tests."""

    def force(fault, **more):
        simulator.door("POST", "/_sim/faults", {"fault": fault, "mailbox": address, **more})

    yield force
    simulator.door("DELETE", "/_sim/faults")


async def created(calendar):
    return await calendar.create(VALUES, str(uuid.uuid4()), KEY, "UTC")


@pytest.mark.parametrize(
    ("mailbox", "code"),
    [
        ("unlicensed@contoso.example", "EXC-MAILBOX-NO-LICENCE"),
        ("denied@contoso.example", "EXC-MAILBOX-NO-ACCESS"),
        ("alice@nowhere.example", "EXC-MAILBOX-NOT-FOUND"),
        ("alice@fabrikam.example", "EXC-MAILBOX-NOT-FOUND"),
    ],
)
async def test_a_mailbox_that_cannot_be_used_is_told_by_every_call(graph, mailbox, code):
    calendar = graph.calendar("contoso", mailbox)
    calls = [calendar.settings(), calendar.find(KEY), created(calendar)]

    told = await asyncio.gather(*calls, return_exceptions=True)

    assert {(type(error), error.code, error.scope) for error in told} == {(Configuration, code, "mailbox")}
    assert all(error.request_id for error in told)


@pytest.mark.parametrize(("fault", "applied"), [
    ("503-before", 0), ("503-after-commit", 1), ("504-after-commit", 1), ("503-empty", 0), ("500", 0),
    ("cut-before", 0), ("cut-after", 1),
])  # fmt: skip
async def test_a_create_that_graph_does_not_confirm_may_have_been_applied(calendar, fail, fault, applied):
    fail(fault, method="POST")

    with pytest.raises(Transient) as caught:
        await created(calendar)

    assert (caught.value.code, caught.value.maybe_applied) == ("EXC-GRAPH-UNAVAILABLE", True)
    assert len(await calendar.find(KEY)) == applied


@pytest.mark.parametrize("fault", ["503", "504", "500"])
async def test_a_read_that_fails_has_applied_nothing(calendar, fail, fault):
    event = await created(calendar)
    fail(fault, method="GET")

    with pytest.raises(Transient) as caught:
        await calendar.read(event.id)

    assert not caught.value.maybe_applied


async def test_throttling_says_how_long(calendar, fail):
    fail("429", retry_after=7)

    with pytest.raises(Throttled) as caught:
        await created(calendar)

    assert (caught.value.retry_after, caught.value.maybe_applied) == (7.0, False)
    assert await calendar.find(KEY) == []


async def test_a_conflict_without_reason_is_transient(calendar, fail):
    event = await created(calendar)
    fail("412")

    with pytest.raises(Changed):
        await calendar.read(event.id)


async def test_a_refused_token_is_replaced_once(calendar, fail, calls):
    fail("401")

    event = await created(calendar)

    assert event.values["subject"] == "Pump"
    assert [call.status for call in calls] == [401, 201]


async def test_tokens_that_are_refused_again_hold_the_tenant(calendar, fail):
    fail("401", times=2)

    with pytest.raises(Configuration) as caught:
        await created(calendar)

    assert (caught.value.code, caught.value.scope) == ("EXC-SIGN-IN-REFUSED", "tenant")


async def test_a_write_that_takes_too_long_may_have_been_applied(profile, address, fail):
    fail("slow", seconds=2, method="POST")

    async with client({"contoso": profile}, timeout=1) as graph:
        calendar = graph.calendar("contoso", address)
        await calendar.settings()
        with pytest.raises(Transient) as caught:
            await created(calendar)

    assert caught.value.maybe_applied


async def test_a_write_to_nobody_has_applied_nothing(profile, address, nobody):
    elsewhere = replace(profile, graph_url=nobody)

    async with client({"contoso": elsewhere}) as graph:
        connection = graph._connections["contoso"]
        connection._tokens._ask = lambda _: {"access_token": "x", "expires_in": 3599}
        with pytest.raises(Transient) as caught:
            await created(graph.calendar("contoso", address))

    assert (caught.value.code, caught.value.maybe_applied) == ("EXC-GRAPH-UNAVAILABLE", False)


async def test_every_request_is_told_to_the_observer(graph, address, simulator, calls):
    request_id = str(uuid.uuid4())
    await created(graph.calendar("contoso", address, request_id=request_id))
    seen = simulator.door("GET", "/_sim/requests")["requests"][-1]

    (call,) = calls
    assert (call.profile, call.mailbox, call.operation, call.method) == ("contoso", address, "create", "POST")
    assert (call.status, call.client_request_id, call.request_id) == (201, request_id, seen["request_id"])
    assert seen["client_request_id"] == request_id


async def test_a_view_goes_on_to_the_last_page(calendar, address, simulator, calls):
    for number in range(101):
        body = {"subject": f"{number}", "start": _utc("08:00"), "end": _utc("09:00")}
        simulator.door("POST", f"/_sim/mailboxes/{address}/events", body)
    day = (datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC))

    events = [event async for event in calendar.view(*day)]
    listed = [event async for event in calendar.view(*day, bodies=False)]

    assert len({event.id for event in events}) == len({event.id for event in listed}) == 101
    assert [call.operation for call in calls] == ["view"] * 3


def _utc(time):
    return {"dateTime": f"2026-11-23T{time}:00", "timeZone": "UTC"}


async def test_ids_are_immutable_and_survive_a_move(calendar, address, simulator):
    event = await created(calendar)
    simulator.door("PATCH", f"/_sim/mailboxes/{address}/events/{event.id}", {"calendar": "Other"})

    moved = await calendar.read(event.id)

    assert (moved.id, moved.key) == (event.id, KEY)


async def test_html_of_a_person_is_read_as_text(calendar, address, simulator):
    event = await created(calendar)
    html = {"contentType": "html", "content": "<p>Bring <b>two</b> seals</p><p>Ring first</p>"}
    simulator.door("PATCH", f"/_sim/mailboxes/{address}/events/{event.id}", {"body": html})

    read = await calendar.read(event.id)

    assert [line for line in read.values["body"].splitlines() if line] == ["Bring two seals", "Ring first"]


async def test_a_customised_zone_is_told_as_it_is(calendar, address, simulator):
    simulator.door("PATCH", f"/_sim/mailboxes/{address}/settings", {"timeZone": "Customized Time Zone"})

    assert (await calendar.settings()).time_zone == "Customized Time Zone"


async def test_the_environments_proxies_and_authorities_are_not_used(profile, address, monkeypatch, tmp_path):
    authority = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(authority))
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, str(authority))

    async with client({"contoso": profile}) as graph:
        assert (await graph.calendar("contoso", address).settings()).time_zone == "UTC"
