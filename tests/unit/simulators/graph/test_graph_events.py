"""Events: what is accepted, what comes back, ids, change keys, transaction ids."""

import pytest

LONG_ENOUGH = 3.0
IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}
TEXT = {"Prefer": 'outlook.body-content-type="text"'}


def at(moment, zone="UTC"):
    return {"dateTime": moment, "timeZone": zone}


async def test_times_come_back_in_utc_with_seven_digits(graph):
    made = await graph.create(
        start=at("2026-11-23T09:00:00", "Romance Standard Time"),
        end=at("2026-11-23T10:30:00", "Europe/Paris"),
    )

    assert made["start"] == at("2026-11-23T08:00:00.0000000")
    assert made["end"] == at("2026-11-23T09:30:00.0000000")
    assert made["originalStartTimeZone"] == "Romance Standard Time"


async def test_times_come_back_in_the_preferred_zone(graph):
    made = await graph.create()

    read = await graph.call("GET", f"events/{made['id']}", Prefer='outlook.timezone="Eastern Standard Time"')

    assert read.body["start"] == at("2026-11-23T04:00:00.0000000", "Eastern Standard Time")
    assert read.headers["Preference-Applied"] == 'outlook.timezone="Eastern Standard Time"'


async def test_defaults_are_those_of_the_service(graph):
    made = await graph.create()

    assert made["@odata.etag"] == f'W/"{made["changeKey"]}"'
    assert made["iCalUId"].startswith("040000008200E00074C5B7101A82E008")
    assert (made["isReminderOn"], made["reminderMinutesBeforeStart"]) == (True, 15)
    assert (made["type"], made["isOrganizer"], made["showAs"]) == ("singleInstance", True, "busy")
    assert made["organizer"]["emailAddress"]["address"] == "anna@contoso.example"
    assert made["location"]["displayName"] == ""
    assert made["locations"] == []
    assert "transactionId" not in made
    assert "singleValueExtendedProperties" not in made


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"end": at("2026-11-23T08:00:00")}, "ErrorPropertyValidationFailure"),
        ({"subject": "x" * 256}, "ErrorPropertyValidationFailure"),
        ({"start": at("2026-11-23T09:00:00", "Europe/Brussels")}, "TimeZoneNotSupportedException"),
        ({"start": at("2026-11-23T09:00:00", "")}, "TimeZoneNotSupportedException"),
        ({"start": at("tomorrow")}, "RequestBodyRead"),
        ({"start": at("2026-11-31T09:00:00")}, "RequestBodyRead"),
        ({"start": None}, "ErrorPropertyValidationFailure"),
        ({"showAs": "away"}, "RequestBodyRead"),
        ({"subjects": "x"}, "RequestBodyRead"),
        ({"subject": 5}, "RequestBodyRead"),
        ({"isAllDay": True}, "ErrorInvalidRequest"),
        (
            {"isAllDay": True, "start": at("2026-11-23T00:00:00"), "end": at("2026-11-23T00:00:00")},
            "ErrorInvalidRequest",
        ),
        (
            {
                "isAllDay": True,
                "start": at("2026-11-23T00:00:00"),
                "end": at("2026-11-24T00:00:00", "Romance Standard Time"),
            },
            "ErrorInvalidRequest",
        ),
        ({"singleValueExtendedProperties": [{"id": "Dime", "value": "1"}]}, "ErrorPropertyValidationFailure"),
    ],
)
async def test_refuses_what_graph_refuses(graph, make_event, changes, code):
    refused = await graph.refusal("POST", "events", make_event(**changes))

    assert refused == (400, code)
    assert graph.events() == []


async def test_needs_start_and_end(graph):
    assert await graph.refusal("POST", "events", {"subject": "x"}) == (400, "ErrorPropertyValidationFailure")


async def test_a_body_must_be_json_and_say_so(graph, make_event):
    assert await graph.refusal("POST", "events", make_event(), Content_Type="text/plain") == (
        400,
        "BadRequest",
    )


async def test_an_all_day_event_floats(graph):
    zone = "Romance Standard Time"
    made = await graph.create(
        isAllDay=True, start=at("2026-11-23T00:00:00", zone), end=at("2026-11-24T00:00:00", zone)
    )

    read = await graph.call("GET", f"events/{made['id']}", Prefer='outlook.timezone="Tokyo Standard Time"')

    assert made["start"] == at("2026-11-23T00:00:00.0000000")
    assert read.body["start"] == at("2026-11-23T00:00:00.0000000", "Tokyo Standard Time")


async def test_an_all_day_event_can_become_a_timed_one(graph):
    zone = "Romance Standard Time"
    made = await graph.create(
        isAllDay=True, start=at("2026-11-23T00:00:00", zone), end=at("2026-11-24T00:00:00", zone)
    )

    changed = await graph.call("PATCH", f"events/{made['id']}", {"isAllDay": False})

    assert changed.body["start"] == at("2026-11-22T23:00:00.0000000")


async def test_text_becomes_html_and_returns_with_line_ends_of_its_own(graph):
    made = await graph.create(body={"contentType": "text", "content": "1 < 2\nnew pump  \n\n"})

    read = await graph.call("GET", f"events/{made['id']}", **TEXT)

    assert made["body"]["contentType"] == "html"
    assert "1 &lt; 2<br>\r\nnew pump</div>" in made["body"]["content"]
    assert read.body["body"] == {"contentType": "text", "content": "1 < 2\r\nnew pump\r\n"}
    assert made["bodyPreview"] == "1 < 2\r\nnew pump"


async def test_html_becomes_text(graph):
    html = "<style>p {}</style><p>Bring &amp; mount</p><div>the<br>pump</div>"
    made = await graph.create(body={"contentType": "html", "content": html})

    read = await graph.call("GET", f"events/{made['id']}", **TEXT)

    assert made["body"]["content"].startswith("<html>")
    assert html in made["body"]["content"]
    assert read.body["body"]["content"] == "Bring & mount\r\nthe\r\npump\r\n"


async def test_a_location_gets_the_members_of_the_service_and_replaces_locations(graph):
    made = await graph.create(locations=[{"displayName": "A"}, {"displayName": "B"}])

    changed = await graph.call("PATCH", f"events/{made['id']}", {"location": {"displayName": "C"}})

    complete = {"displayName": "C", "locationType": "default", "uniqueId": "C", "uniqueIdType": "private"}
    assert made["location"]["displayName"] == "A; B"
    assert changed.body["location"] == complete
    assert changed.body["locations"] == [complete]


async def test_both_ids_find_the_event_and_the_header_picks_which_is_shown(graph):
    made = await graph.create()
    read = await graph.call("GET", f"events/{made['id']}", **IMMUTABLE)

    again = await graph.call("GET", f"events/{read.body['id'].replace('=', '%3D')}")

    assert made["id"].startswith("AAMkA")
    assert read.body["id"].startswith("AAkALg")
    assert again.body["id"] == made["id"]


async def test_ids_of_different_events_may_differ_in_case_only(graph):
    ids = [(await graph.create())["id"] for _ in range(8)]

    assert len({each.casefold() for each in ids}) < len(set(ids)) == 8


async def test_a_move_changes_the_default_id_only(graph):
    made = await graph.create()
    immutable = graph.events()[0]["id"]

    graph.door("PATCH", f"mailboxes/anna@contoso.example/events/{immutable}", {"calendar": "Private"})

    assert await graph.refusal("GET", f"events/{made['id']}") == (404, "ErrorItemNotFound")
    moved = await graph.call("GET", f"events/{immutable}")
    assert moved.status == 200
    assert moved.body["id"] != made["id"]


async def test_every_write_changes_the_key_and_a_while_after_a_create_it_changes_by_itself(graph):
    made = await graph.create()
    changed = (await graph.call("PATCH", f"events/{made['id']}", {"subject": "Other"})).body
    graph.advance(LONG_ENOUGH)

    later = (await graph.call("GET", f"events/{made['id']}")).body

    assert len({made["changeKey"], changed["changeKey"], later["changeKey"]}) == 3
    assert later["subject"] == "Other"


async def test_if_match_refuses_another_change_key(graph):
    made = await graph.create()
    path = f"events/{made['id']}"
    await graph.call("PATCH", path, {"subject": "Other"}, If_Match=made["@odata.etag"])

    assert await graph.refusal("PATCH", path, {"subject": "Third"}, If_Match=made["@odata.etag"]) == (
        412,
        "ErrorIrresolvableConflict",
    )
    assert (await graph.call("DELETE", path, If_Match=made["@odata.etag"])).status == 412
    assert (await graph.call("DELETE", path, If_Match="*")).status == 204


async def test_patch_changes_what_it_names_and_nothing_if_refused(graph):
    made = await graph.create(categories=["Blue"], showAs="oof")
    path = f"events/{made['id']}"

    changed = (await graph.call("PATCH", path, {"sensitivity": "private"})).body
    refused = await graph.refusal("PATCH", path, {"subject": "Other", "end": at("2020-01-01T00:00:00")})

    assert (changed["categories"], changed["showAs"], changed["sensitivity"]) == (["Blue"], "oof", "private")
    assert refused == (400, "ErrorPropertyValidationFailure")
    assert graph.events()[0]["subject"] == made["subject"]


async def test_deleted_once_not_found_afterwards(graph):
    path = f"events/{(await graph.create())['id']}"

    deleted = await graph.call("DELETE", path)

    assert (deleted.status, deleted.body) == (204, None)
    assert await graph.refusal("DELETE", path) == (404, "ErrorItemNotFound")
    assert await graph.refusal("PATCH", path, {"subject": "x"}) == (404, "ErrorItemNotFound")


async def test_what_cannot_be_an_id_is_malformed(graph):
    assert await graph.refusal("GET", "events/7") == (400, "ErrorInvalidIdMalformed")


async def test_the_same_create_twice_is_one_event(graph):
    first = await graph.create(transactionId="t1")

    second = await graph.create(transactionId="t1")

    assert second["id"] == first["id"]
    assert second["transactionId"] == "t1"
    assert len(graph.events()) == 1


@pytest.mark.parametrize("between", ["other content", "edited", "deleted"])
async def test_a_transaction_id_is_spent_on_its_content(graph, make_event, between):
    first = await graph.create(transactionId="t1")
    body = make_event(
        transactionId="t1", subject="Other" if between == "other content" else "Repair the pump"
    )
    if between == "edited":
        await graph.call("PATCH", f"events/{first['id']}", {"subject": "Moved by somebody"})
    if between == "deleted":
        await graph.call("DELETE", f"events/{first['id']}")

    refused = await graph.call("POST", "events", body)

    assert (refused.status, refused.body["error"]["code"]) == (400, "ErrorDuplicateTransactionId")
    assert refused.body["error"]["@event.existingEventId"] == first["id"]


async def test_the_background_change_does_not_spoil_the_same_create(graph):
    first = await graph.create(transactionId="t1")
    graph.advance(LONG_ENOUGH)

    second = await graph.create(transactionId="t1")

    assert second["id"] == first["id"]


async def test_ids_are_translated(graph):
    made = await graph.create()
    body = {
        "inputIds": [made["id"], "AAMk"],
        "sourceIdType": "restId",
        "targetIdType": "restImmutableEntryId",
    }

    known, unknown = (await graph.call("POST", "translateExchangeIds", body)).body["value"]

    assert known == {"sourceId": made["id"], "targetId": graph.events()[0]["id"]}
    assert "errorDetails" in unknown
