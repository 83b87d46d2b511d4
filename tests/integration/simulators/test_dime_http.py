"""The HTTP side of the simulated Dime.Scheduler, as its own clients see it."""

import asyncio
import json
import subprocess
import sys
from types import SimpleNamespace

import aiohttp
import dimescheduler
import pytest

import stack

SIGN_IN = {"grant_type": "password", "username": "connector", "password": "simulated-secret"}
KEY = {"X-API-KEY": "simulated-key"}
START, END = "2026-11-23 08:00:00Z", "2026-11-23 09:00:00Z"


@pytest.fixture(scope="module")
def address():
    """A kind simulator with a database of its own."""
    try:
        dsn = stack.fresh_database(stack.postgres(install=False))
    except stack.Missing as missing:
        pytest.skip(str(missing))
    command = [sys.executable, "-m", "simulators.dime", "--dsn", dsn, "--port", "0", "--seed", "1", "--kind"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "seed 1\n"
        word, address = process.stdout.readline().split()
        assert word == "listening"
        yield address
        process.terminate()
    assert process.returncode == 0
    stack.drop_database(dsn)


@pytest.fixture
async def http(address):
    """An HTTP client; the planning holds Alice (A1) and Bob (B1)."""
    async with aiohttp.ClientSession(address) as session:
        await session.post("/_sim/reset")
        for no, email in (("A1", "alice@contoso.example"), ("B1", "bob@contoso.example")):
            await insert(session, "mboc_upsertResource", ResourceNo=no, Email=email, DisplayName=no)
        yield session


def request(procedure, **parameters):
    names, values = list(parameters), list(parameters.values())
    return {"StoredProcedureName": procedure, "ParameterNames": names, "ParameterValues": values}


async def answer_to(http, procedure, **parameters):
    return await http.post("/api/Import/Insert", json=request(procedure, **parameters), headers=KEY)


async def insert(http, procedure, **parameters):
    """The ids that the import answers; an assertion where it fails."""
    answer = await answer_to(http, procedure, **parameters)
    assert answer.status == 200, await answer.text()
    import_set = await answer.json()
    assert import_set["Success"] is True
    return [appointment["Id"] for appointment in import_set["Appointments"]]


async def refusal(http, procedure, **parameters):
    """The text of a refused import, whatever the shape it came in."""
    answer = await answer_to(http, procedure, **parameters)
    text = await answer.text()
    assert answer.status == 500, text
    return text if answer.content_type == "text/plain" else json.loads(text)["Description"]


async def planned(http, **more):
    parameters = {"AppointmentId": "0", "Start": START, "End": END, "Subject": "Visit"} | more
    parameters.setdefault("ResourceEmail", "ALICE@contoso.example")
    (number,) = await insert(http, "mboc_upsertExchangeAppointment", **parameters)
    return str(number)


async def appointments(http):
    return {
        str(appointment["id"]): appointment
        for appointment in await (await http.get("/_sim/appointments")).json()
    }


async def fault(http, name, **order):
    answer = await http.post("/_sim/faults", json={"fault": name, **order})
    assert answer.status == 200


async def token(http):
    return (await (await http.post("/token", data=SIGN_IN)).json())["access_token"]


def bearer(text):
    return {"Authorization": f"Bearer {text}"}


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


async def test_an_event_from_outlook_becomes_an_appointment_of_its_resource(http):
    number = await planned(
        http, ShowAs="3", Sensitivity="0", Importance="2", ExchangeId="AAMk", ICalUId="0400"
    )
    appointment = (await appointments(http))[number]

    assert (appointment["subject"], appointment["start"]) == ("Visit", "2026-11-23T08:00:00Z")
    assert (appointment["show_as"], appointment["sensitivity"], appointment["importance"]) == (3, None, 2)
    assert (appointment["exchange_id"], appointment["ical_uid"]) == ("AAMk", "0400")
    assert [assignment["resource_no"] for assignment in appointment["assignments"]] == ["A1"]


async def test_an_update_keeps_what_is_left_out(http):
    number = await planned(http, Body="Bring keys")
    await insert(http, "mboc_upsertExchangeAppointment", AppointmentId=number, Subject="Later")
    appointment = (await appointments(http))[number]

    assert (appointment["subject"], appointment["body"]) == ("Later", "Bring keys")


async def test_a_repeated_create_is_a_second_appointment(http):
    assert await planned(http, ExchangeId="AAMk") != await planned(http, ExchangeId="AAMk")


async def test_id_and_guid_must_name_the_same_appointment(http):
    number = await planned(http)
    guid = "6f9619ff-8b86-d011-b42d-00c04fc964ff"

    text = await refusal(http, "mboc_upsertExchangeAppointment", AppointmentId=number, AppointmentGuid=guid)

    assert text == f"Appointment {number} does not exist."


async def test_the_exchange_deletion_takes_the_whole_appointment(http):
    number = await planned(http)
    await insert(http, "mboc_addAppointmentResource", AppointmentId=number, ResourceNo="B1")

    assert await insert(http, "mboc_deleteExchangeAppointment", AppointmentId=number) == [int(number)]
    assert await insert(http, "mboc_deleteExchangeAppointment", AppointmentId=number) == []
    assert await appointments(http) == {}


async def test_a_deletion_with_a_resource_takes_the_appointment_with_its_last_assignment(http):
    number = await planned(http)
    await insert(http, "mboc_addAppointmentResource", AppointmentId=number, ResourceNo="B1")

    await insert(http, "mboc_deleteAppointment", AppointmentId=number, ResourceNo="A1")
    left = (await appointments(http))[number]["assignments"]
    await insert(http, "mboc_deleteAppointment", AppointmentId=number, ResourceNo="B1")

    assert [assignment["resource_no"] for assignment in left] == ["B1"]
    assert await appointments(http) == {}


async def test_partial_updates_write_their_field(http):
    number = await planned(http)
    await insert(http, "mboc_upsertCategory", CategoryName="Service", CategoryHexColor="#6e62b5")
    await insert(http, "mboc_upsertTimeMarker", TimeMarker="Confirmed", HexColor="#00ff00")
    for what, value in (("Category", "Service"), ("TimeMarker", "Confirmed"), ("Importance", "1")):
        await insert(http, f"mboc_updateAppointment{what}", AppointmentId=number, **{what: value})
    await insert(http, "mboc_updateAppointmentContent", AppointmentId=number, Subject="S", Body="B")
    appointment = (await appointments(http))[number]

    assert (appointment["category"], appointment["time_marker"], appointment["importance"]) == (
        "Service",
        "Confirmed",
        1,
    )
    assert (appointment["subject"], appointment["body"]) == ("S", "B")


async def test_a_locked_appointment_refuses_changes_until_it_is_unlocked(http):
    number = await planned(http)
    await insert(http, "mboc_updateAppointmentLocked", AppointmentId=number, Locked="True")

    for procedure in (
        "mboc_upsertExchangeAppointment",
        "mboc_deleteExchangeAppointment",
        "mboc_deleteAppointment",
    ):
        text = await refusal(http, procedure, AppointmentId=number)
        assert text == f"Appointment {number} is locked and cannot be changed."
    await insert(http, "mboc_updateAppointmentLocked", AppointmentId=number, Locked="False")
    assert await insert(http, "mboc_deleteAppointment", AppointmentId=number) == [int(number)]


@pytest.mark.parametrize(
    ("procedure", "parameters", "text"),
    [
        ("mboc_noSuch", {}, "Could not find stored procedure 'mboc_noSuch'."),
        ("sp_who", {}, "Could not find stored procedure 'sp_who'."),
        (
            "mboc_upsertExchangeAppointment",
            {"CreatedByExchange": "True"},
            "@CreatedByExchange is not a parameter for procedure mboc_upsertExchangeAppointment.",
        ),
        (
            "mboc_upsertExchangeAppointment",
            {"Start": "soon"},
            "Error converting data type nvarchar to datetime.",
        ),
        (
            "mboc_upsertExchangeAppointment",
            {"ResourceEmail": "carol@x.example"},
            "Resource carol@x.example does not exist.",
        ),
        ("mboc_upsertExchangeAppointment", {"AppointmentId": "999999"}, "Appointment 999999 does not exist."),
    ],
)
async def test_what_the_database_refuses_is_told_in_its_words(http, procedure, parameters, text):
    assert await refusal(http, procedure, **parameters) == text


async def test_an_appointment_without_start_is_refused_and_nothing_is_written(http):
    text = await refusal(
        http, "mboc_upsertExchangeAppointment", Subject="X", ResourceEmail="alice@contoso.example"
    )

    assert text.startswith("Cannot insert the value NULL into column 'StartDate'")
    assert await appointments(http) == {}


async def test_refusals_take_turns_in_their_shape_unless_one_is_ordered(http):
    await fault(http, "error-json")
    answers = [await answer_to(http, "mboc_noSuch") for _ in range(3)]

    assert answers[0].headers["Content-Type"] == "application/json; charset=utf-8"
    assert set(await answers[0].json()) == {"Error", "Description"}
    assert {answer.content_type for answer in answers[1:]} == {"text/plain", "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        [],
        {
            "StoredProcedureName": "mboc_upsertCategory",
            "ParameterNames": ["CategoryName"],
            "ParameterValues": [1],
        },
        {"ParameterNames": []},
        "text",
    ],
)
async def test_what_is_no_import_request_is_a_bad_request(http, body):
    assert (await http.post("/api/Import/Insert", json=body, headers=KEY)).status == 400


async def test_parameter_arrays_of_unequal_length_are_refused(http):
    body = {
        "StoredProcedureName": "mboc_upsertCategory",
        "ParameterNames": ["CategoryName"],
        "ParameterValues": [],
    }
    answer = await http.post("/api/Import/Insert", json=body, headers=KEY)

    assert answer.status == 500


async def test_execute_runs_several_procedures_or_none(http):
    good, bad = request("mboc_upsertCategory", CategoryName="New"), request("mboc_upsertCategory")
    number = await planned(http)
    refused = await http.post("/api/Import/Execute", json=[good, bad], headers=KEY)
    await insert(http, "mboc_updateAppointmentCategory", AppointmentId=number, Category="New")

    assert refused.status == 500
    assert (await appointments(http))[number]["category"] is None
    assert (await http.post("/api/Import/Execute", json=[good, good], headers=KEY)).status == 200


async def test_insert_data_answers_nothing(http):
    answer = await http.post(
        "/api/Import/InsertData", json=request("mboc_upsertCategory", CategoryName="X"), headers=KEY
    )

    assert (answer.status, await answer.text()) == (200, "")


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


def calls(address, run):
    """Run calls of the official (blocking) client in a thread."""

    def blocking():
        with dimescheduler.DimeSchedulerClient(
            "simulated-key", SimpleNamespace(value=address), retry=False
        ) as client:
            return run(client)

    return asyncio.to_thread(blocking)


async def test_the_official_client_imports_through_the_cloud_route(http, address):
    body = request(
        "mboc_upsertExchangeAppointment",
        Start=START,
        End=END,
        ResourceEmail="bob@contoso.example",
        CreatedByExchange="True",
    )
    result = await calls(address, lambda client: client.imports.run([body]))
    content = json.loads(result.data["content"])

    assert (result.ok, result.data["statusCode"]) == (True, 200)
    assert [str(appointment["Id"]) for appointment in content["Appointments"]] == list(
        await appointments(http)
    )


async def test_a_failure_in_the_cloud_is_inside_of_http_200(http, address):
    result = await calls(address, lambda client: client.imports.run([request("mboc_noSuch")]))

    assert (result.ok, result.data["statusCode"]) == (True, 500)
    assert (
        json.loads(result.data["content"])["Description"] == "Could not find stored procedure 'mboc_noSuch'."
    )


async def test_the_official_client_tells_the_errors_apart(http, address):
    await fault(http, "429", retry_after=7)
    await fault(http, "503")
    throttled, broken = [
        (await calls(address, lambda client: client.imports.run([]))).to_error() for _ in range(2)
    ]

    assert isinstance(throttled, dimescheduler.RateLimitError)
    assert throttled.retry_after == 7
    assert isinstance(broken, dimescheduler.ServerError)
