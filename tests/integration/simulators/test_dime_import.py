"""What the import of the simulated Dime.Scheduler does to its planning, and what it refuses."""

import pytest
from integration.simulators.dime_requests import (
    KEY,
    answer_to,
    appointments,
    fault,
    insert,
    planned,
    refusal,
    request,
)


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
