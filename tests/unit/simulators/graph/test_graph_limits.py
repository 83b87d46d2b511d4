"""Throttling, faults, batches and the doors."""

import asyncio

import pytest

from simulators.graph import throttle
from simulators.graph.doors import open_door
from simulators.graph.faults import NAMES, RANDOM, Cut

DOOR = "mailboxes/anna@contoso.example/events"


async def test_four_requests_at_a_time_the_fifth_is_refused(make_graph):
    graph = make_graph(latency_ms=20)

    answers = await graph.together(*(graph.prepare("GET", "events") for _ in range(5)))

    refused = next(each for each in answers if each.status == 429)
    assert sorted(each.status for each in answers) == [200, 200, 200, 200, 429]
    assert refused.body["error"]["code"] == "ApplicationThrottled"
    assert "MailboxConcurrency" in refused.body["error"]["message"]
    assert refused.headers["Retry-After"] == "1"
    total = graph.door("GET", "throttling")["total"]
    assert (total["max_in_flight"], total["throttled"], total["injected_429"]) == (5, 1, 0)


async def test_four_requests_in_each_of_two_mailboxes_pass(make_graph):
    graph = make_graph(latency_ms=20)
    targets = [f"/users/{name}@contoso.example/events" for name in ("anna", "bob")] * 4

    answers = await graph.together(*(graph.prepare("GET", target) for target in targets))

    assert {each.status for each in answers} == {200}


async def test_ten_thousand_requests_in_ten_minutes(graph, monkeypatch):
    monkeypatch.setattr(throttle, "REQUESTS", 3)

    assert [(await graph.call("GET", "events")).status for _ in range(4)] == [200, 200, 200, 429]
    graph.advance(601)
    assert (await graph.call("GET", "events")).status == 200
    assert graph.door("GET", "throttling")["mailboxes"]["anna@contoso.example"]["max_in_10_minutes"] == 4


@pytest.mark.parametrize(
    ("fault", "status", "code", "done"),
    [
        ("503", 503, "ServiceUnavailable", False),
        ("503-after-commit", 503, "ServiceUnavailable", True),
        ("504", 504, "UnknownError", True),
        ("500", 500, "ErrorInternalServerError", False),
        ("429", 429, "ApplicationThrottled", False),
        ("412", 412, "ErrorIrresolvableConflict", False),
        ("409", 409, "ErrorConcurrentItemSave", False),
        ("401", 401, "InvalidAuthenticationToken", False),
        ("403", 403, "ErrorAccessDenied", False),
        ("404", 404, "MailboxNotEnabledForRESTAPI", False),
        ("404-item", 404, "ErrorItemNotFound", False),
    ],
)
async def test_a_forced_fault_happens_once_and_says_whether_it_was_done(
    graph, make_event, fault, status, code, done
):
    graph.door("POST", "faults", {"fault": fault, "mailbox": "Anna@contoso.example"})

    assert await graph.refusal("POST", "events", make_event()) == (status, code)
    assert len(graph.events()) == done
    assert (await graph.call("GET", "events")).status == 200


@pytest.mark.parametrize(("when", "done"), [("before", False), ("after", True)])
async def test_an_empty_503(graph, make_event, when, done):
    graph.door("POST", "faults", {"fault": "503-empty", "when": when})

    answer = await graph.call("POST", "events", make_event())

    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (503, None, "text/plain")
    assert len(graph.events()) == done


@pytest.mark.parametrize(("fault", "done"), [("cut-before", False), ("cut-after", True)])
async def test_a_cut_connection_is_logged_without_a_status(graph, make_event, fault, done):
    graph.door("POST", "faults", {"fault": fault})

    with pytest.raises(Cut):
        await graph.call("POST", "events", make_event())

    assert len(graph.events()) == done
    assert graph.door("GET", "requests")["requests"][-1]["status"] is None


async def test_a_fault_waits_for_its_mailbox_method_and_turn(graph, make_event):
    graph.door(
        "POST", "faults", {"fault": "503", "method": "POST", "skip": 1, "mailbox": "anna@contoso.example"}
    )

    assert (await graph.call("GET", "events")).status == 200
    assert (await graph.call("POST", "/users/bob@contoso.example/events", make_event())).status == 201
    assert (await graph.call("POST", "events", make_event())).status == 201
    assert (await graph.call("POST", "events", make_event())).status == 503
    assert graph.door("GET", "faults") == {"pending": [], "injected": {"503-before": 1}}


async def test_an_injected_429_is_no_breach(graph):
    graph.door("POST", "faults", {"fault": "429", "retry_after": 7})

    answer = await graph.call("GET", "events")

    total = graph.door("GET", "throttling")["total"]
    assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
    assert (total["throttled"], total["injected_429"]) == (0, 1)


def test_every_random_fault_happens_and_a_kind_simulator_has_none(make_graph):
    rough, kind = make_graph(kind=False), make_graph()
    for _ in range(3000):
        rough.gateway.faults.draw("anna@contoso.example", "POST")
        kind.gateway.faults.draw("anna@contoso.example", "POST")

    injected = rough.door("GET", "faults")["injected"]
    assert len(injected) == len(RANDOM)
    assert all(20 < count < 120 for count in injected.values())
    assert kind.door("GET", "faults")["injected"] == {}


async def test_unknown_faults_are_refused_with_all_names(graph):
    status, shown = open_door(graph.gateway, "POST", "faults", {"fault": "503-sometimes"})

    assert status == 400
    assert all(name in shown["error"] for name in NAMES)


async def test_a_person_changes_copies_and_deletes(graph):
    made = await graph.create(
        transactionId="t1", singleValueExtendedProperties=[{"id": "String 0x4001", "value": "key"}]
    )
    mine = graph.events()[0]
    copy = graph.door("POST", DOOR, {"copyOf": mine["id"], "subject": "Copy"})
    moved = graph.door(
        "PATCH", f"{DOOR}/{mine['id']}", {"start": {"dateTime": "2026-11-23T08:00", "timeZone": "UTC"}}
    )

    assert (mine["createdBy"], mine["extendedProperties"]) == ("app", {"String 0x4001": "key"})
    assert (copy["createdBy"], copy["extendedProperties"]) == ("person", {"String 0x4001": "key"})
    assert (copy["subject"], copy["transactionId"]) == ("Copy", None)
    assert copy["iCalUId"] != mine["iCalUId"]
    assert moved["start"]["dateTime"] == "2026-11-23T08:00:00.0000000"
    assert moved["changeKey"] != mine["changeKey"]
    graph.door("DELETE", f"{DOOR}/{mine['id']}")
    assert await graph.refusal("GET", f"events/{made['id']}") == (404, "ErrorItemNotFound")


async def test_a_person_can_be_invited(graph, make_event):
    graph.door("POST", DOOR, make_event(organizer="boss@contoso.example", iCalUId="abc"))

    seen = (await graph.call("GET", "events")).body["value"][0]

    assert (seen["isOrganizer"], seen["iCalUId"]) == (False, "abc")
    assert seen["organizer"]["emailAddress"]["address"] == "boss@contoso.example"


async def test_the_log_is_bounded_and_continues_where_one_left_off(make_graph):
    graph = make_graph(log_size=3)
    for _ in range(4):
        await graph.call("GET", "events?$top=5")

    shown = graph.door("GET", "requests?since=0")

    assert ([each["n"] for each in shown["requests"]], shown["next"]) == ([2, 3, 4], 4)
    assert graph.door("GET", "requests?since=3")["requests"][0]["n"] == 4
    assert graph.door("GET", "requests?since=4")["requests"] == []
    last = shown["requests"][-1]
    assert (last["path"], last["query"], last["status"]) == (
        "/v1.0/users/anna@contoso.example/events",
        "$top=5",
        200,
    )


async def test_reset_empties_everything_but_keeps_slots_that_are_taken(make_graph):
    graph = make_graph(latency_ms=50)
    running = asyncio.create_task(graph.call("GET", "events"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    graph.door("POST", "reset")
    await running

    answers = await graph.together(*(graph.prepare("GET", "events") for _ in range(4)))

    assert {each.status for each in answers} == {200}
    assert graph.door("GET", "throttling")["total"]["max_in_flight"] == 4


def part(number, **members):
    return {"id": str(number), "method": "GET", "url": "/users/anna@contoso.example/events"} | members


async def test_a_batch_answers_each_part(graph, make_event):
    write = {"method": "POST", "body": make_event(), "headers": {"Content-Type": "application/json"}}
    parts = [part(1, **write), part(2, dependsOn=["1"]), part(3, url="/users/denied@contoso.example/events")]
    parts.append(part(4, dependsOn=["3"]))

    answer = await graph.call("POST", "/$batch", {"requests": parts})

    by_id = {each["id"]: each for each in answer.body["responses"]}
    assert {key: each["status"] for key, each in by_id.items()} == {"1": 201, "2": 200, "3": 403, "4": 424}
    assert len(by_id["2"]["body"]["value"]) == 1


async def test_parts_of_a_batch_are_throttled_one_by_one(make_graph):
    graph = make_graph(latency_ms=20)
    busy = graph.prepare("GET", "events")
    batch = graph.prepare("POST", "/$batch", {"requests": [part(number) for number in range(4)]})

    _, answer = await graph.together(busy, batch)

    statuses = sorted(each["status"] for each in answer.body["responses"])
    refused = next(each for each in answer.body["responses"] if each["status"] == 429)
    assert (answer.status, statuses) == (200, [200, 200, 200, 429])
    assert refused["headers"]["Retry-After"] == "1"


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [part(number) for number in range(21)],
        [part("a"), part("A")],
        [part(1, dependsOn=["2"]), part(2)],
        [part(1, method="POST", body={})],
        [{"id": "1"}],
    ],
)
async def test_batches_that_make_no_sense(graph, parts):
    assert await graph.refusal("POST", "/$batch", {"requests": parts}) == (400, "BadRequest")
