"""The HTTP side of the simulated Dime.Scheduler: signing in, routes, reading, and what goes wrong when told to."""

import json

import aiohttp
import pytest
from integration.simulators.dime_requests import (
    END,
    KEY,
    SIGN_IN,
    START,
    answer_to,
    appointments,
    bearer,
    fault,
    request,
    token,
)


async def test_a_form_signs_in_on_premises(http):
    answer = await http.post("/Token", data=SIGN_IN)
    given = await answer.json()

    assert given["token_type"] == "bearer"
    assert given["expires_in"] == "172799"
    assert (await http.get("/api/Resources/Get", headers=bearer(given["access_token"]))).status == 200


@pytest.mark.parametrize(
    ("user", "password", "name"),
    [("UserName", "Password", "access_token"), ("username", "password", "token")],
)
async def test_json_signs_in_by_the_names_of_its_generation(http, user, password, name):
    answer = await http.post("/token", json={user: "connector", password: "simulated-secret"})

    assert name in await answer.json()


async def test_a_wrong_password_is_an_invalid_grant(http):
    answer = await http.post("/token", data=SIGN_IN | {"password": "wrong&+%"})

    assert (answer.status, (await answer.json())["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize("headers", [{}, bearer("made-up"), {"X-API-KEY": "wrong"}])
async def test_who_is_not_signed_in_may_do_nothing(http, headers):
    answer = await http.post("/api/Import/Insert", json=request("mboc_upsertCategory"), headers=headers)

    assert answer.status == 401


async def test_tokens_expire_at_once_when_told_to(http):
    given = bearer(await token(http))
    await fault(http, "expire-tokens")

    assert (await http.get("/api/Resources/Get", headers=given)).status == 401
    assert (await http.get("/api/Resources/Get", headers=bearer(await token(http)))).status == 200


async def test_routes_ignore_case(http):
    answer = await http.post(
        "/API/import/INSERT", json=request("mboc_upsertCategory", CategoryName="X"), headers=KEY
    )

    assert answer.status == 200


async def test_resources_are_read_in_pages_sorted_and_filtered(http):
    sort = json.dumps([{"property": "ResourceNo", "direction": "DESC"}])
    last = await http.get("/api/Resources/Get", params={"sort": sort, "limit": "1"}, headers=KEY)
    filter_ = json.dumps([{"property": "email", "value": "Alice@contoso.example"}])
    alice = await http.get(
        "/api/Resources/Get", params={"filter": filter_, "page": "1", "start": "0"}, headers=KEY
    )

    assert [resource["ResourceNo"] for resource in (await last.json())["Data"]] == ["B1"]
    assert [resource["ResourceNo"] for resource in (await alice.json())["Data"]] == ["A1"]


async def test_a_fault_after_the_commit_leaves_the_change(http):
    await fault(http, "500", when="after")
    parameters = {"Start": START, "End": END, "ResourceEmail": "alice@contoso.example"}
    answer = await answer_to(http, "mboc_upsertExchangeAppointment", **parameters)

    assert (answer.status, answer.content_type) == (500, "text/html")
    assert len(await appointments(http)) == 1


@pytest.mark.parametrize(("when", "left"), [("before", 0), ("after", 1)])
async def test_a_cut_ends_the_connection_without_an_answer(http, when, left):
    await fault(http, "cut", when=when)
    parameters = {"Start": START, "End": END, "ResourceEmail": "alice@contoso.example"}

    with pytest.raises(aiohttp.ClientError):
        await answer_to(http, "mboc_upsertExchangeAppointment", **parameters)
    assert len(await appointments(http)) == left


async def test_too_many_requests_say_when_to_come_again(http):
    await fault(http, "429", retry_after=3)
    answer = await answer_to(http, "mboc_upsertCategory", CategoryName="X")

    assert (answer.status, answer.headers["Retry-After"]) == (429, "3")


async def test_an_expired_token_stays_expired(http):
    given = bearer(await token(http))
    await fault(http, "401", at="any")
    statuses = [(await http.get("/api/Resources/Get", headers=given)).status for _ in range(2)]

    assert statuses == [401, 401]


async def test_an_import_may_fail_with_success_false(http):
    await fault(http, "unsuccessful", message="No luck.")
    import_set = await (await answer_to(http, "mboc_upsertCategory", CategoryName="X")).json()

    assert (import_set["Success"], import_set["Message"]) == (False, "No luck.")
