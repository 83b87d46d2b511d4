"""Who may do what in which mailbox, and how Graph says no."""

import pytest

from simulators.graph import tokens

DAY = "startDateTime=2026-11-23T00:00:00Z&endDateTime=2026-11-24T00:00:00Z"


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("unlicensed@contoso.example", (404, "MailboxNotEnabledForRESTAPI")),
        ("denied@contoso.example", (403, "ErrorAccessDenied")),
        ("anna@nowhere.example", (404, "ErrorInvalidUser")),
        ("anna@fabrikam.example", (404, "ErrorInvalidUser")),
    ],
)
async def test_mailboxes_that_refuse(graph, address, refused):
    assert await graph.refusal("GET", f"/users/{address}/calendarView?{DAY}") == refused


async def test_a_policy_is_named_in_the_refusal(graph):
    answer = await graph.call("GET", "/users/denied@contoso.example/calendar")

    assert "[RAOP]" in answer.body["error"]["message"]


async def test_a_token_opens_the_mailboxes_of_its_tenant(graph):
    graph.token = graph.sign_in(tokens.FABRIKAM)

    assert (await graph.call("GET", "/users/bob@fabrikam.example/events")).status == 200
    assert (await graph.call("GET", "/users/unwatchable@fabrikam.example/events")).status == 200
    assert await graph.refusal("GET", "events") == (404, "ErrorInvalidUser")


async def test_a_mailbox_is_known_by_object_id_and_whatever_case(graph):
    context = (await graph.call("GET", "/users/Anna@Contoso.example/events")).body["@odata.context"]
    object_id = context.partition("users('")[2].partition("'")[0]

    assert (await graph.call("GET", f"/users/{object_id}/events")).status == 200
    assert (await graph.call("GET", "/users('anna%40contoso.example')/events")).status == 200
    assert list(graph.door("GET", "mailboxes")) == ["anna@contoso.example"]


@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer nonsense", "Basic eDp5"])
async def test_no_token_no_entry(graph, authorization):
    call = graph.prepare("GET", "events")
    del call.headers["Authorization"]
    if authorization:
        call.headers["Authorization"] = authorization

    answer = await graph.gateway.answer(call)

    assert (answer.status, answer.body["error"]["code"]) == (401, "InvalidAuthenticationToken")
    assert "WWW-Authenticate" in answer.headers


async def test_a_token_expires(graph):
    graph.advance(tokens.LIFE_S + 1)

    assert (await graph.refusal("GET", "events"))[0] == 401


async def test_roles_decide(graph, make_event):
    app = {"tenant": tokens.CONTOSO, "client_id": tokens.CLIENT, "roles": ["Calendars.Read"]}
    graph.door("POST", "apps", app)
    graph.token = graph.sign_in()

    assert (await graph.call("GET", "events")).status == 200
    assert await graph.refusal("POST", "events", make_event()) == (403, "ErrorAccessDenied")
    assert await graph.refusal("GET", "mailboxSettings") == (403, "ErrorAccessDenied")


async def test_an_application_has_no_me_and_no_directory(graph):
    assert await graph.refusal("GET", "/me/events") == (400, "BadRequest")
    assert await graph.refusal("GET", "/users/anna@contoso.example") == (403, "Authorization_RequestDenied")


async def test_the_zone_of_a_mailbox(graph):
    before = (await graph.call("GET", "mailboxSettings/timeZone")).body["value"]
    graph.door("POST", "mailboxes/anna@contoso.example/settings", {"timeZone": "Customized Time Zone"})
    by_person = (await graph.call("GET", "mailboxSettings")).body["timeZone"]
    by_app = await graph.call("PATCH", "mailboxSettings", {"timeZone": "Romance Standard Time"})
    refused = await graph.refusal("PATCH", "mailboxSettings", {"timeZone": "Customized Time Zone"})

    assert (before, by_person, by_app.body["timeZone"]) == (
        "UTC",
        "Customized Time Zone",
        "Romance Standard Time",
    )
    assert refused == (400, "TimeZoneNotSupportedException")


async def test_every_answer_names_the_request(graph):
    good = await graph.call("GET", "events", client_request_id="mine")
    bad = await graph.call("GET", "events/7", client_request_id="mine")

    error = bad.body["error"]
    inner = error.get("innerError") or error.get("innererror")
    assert good.headers["client-request-id"] == bad.headers["client-request-id"] == "mine"
    assert good.headers["request-id"] != bad.headers["request-id"] == inner["request-id"]
    assert inner["client-request-id"] == "mine"


async def test_other_methods_are_not_allowed(graph):
    assert (await graph.call("PUT", "events")).status == 405
    assert (await graph.call("DELETE", "calendarView")).status == 405


async def test_a_mailbox_can_lose_and_get_its_licence(graph):
    graph.door("POST", "mailboxes/anna@contoso.example/state", {"state": "unlicensed"})
    refused = await graph.refusal("GET", "events")
    graph.door("POST", "mailboxes/anna@contoso.example/state", {"state": "ok"})

    assert refused == (404, "MailboxNotEnabledForRESTAPI")
    assert (await graph.call("GET", "events")).status == 200


async def test_revoked_tokens_are_refused(graph):
    graph.door("POST", "tokens/revoke")

    assert (await graph.refusal("GET", "events"))[0] == 401
