import json

import pytest

from common.codes import CODES
from common.errors import Configuration, Permanent, Throttled, Transient
from common.graph.failures import retry_after
from common.graph.protocol import Changed, DuplicateTransaction, Expired, Gone, failure


def body(code, message="Something with a Subject in it", **more):
    inner = {"date": "2026-11-22T08:00:00", "request-id": "inner-1", "client-request-id": "c-1"}
    return json.dumps({"error": {"code": code, "message": message, "innerError": inner, **more}}).encode()


def decided(status, content=b"", headers=None, *, write=True, item=True):
    return failure(status, headers or {}, content, write=write, item=item)


@pytest.mark.parametrize(
    ("status", "code", "kind", "ours", "scope"),
    [
        (400, "ErrorInvalidIdMalformed", Permanent, "EXC-REFUSED", "item"),
        (400, "ErrorInvalidRequest", Permanent, "EXC-REFUSED", "item"),
        (400, "ErrorPropertyValidationFailure", Permanent, "EXC-REFUSED", "item"),
        (400, "TimeZoneNotSupportedException", Permanent, "EXC-REFUSED", "item"),
        (400, "ErrorDuplicateTransactionId", DuplicateTransaction, "EXC-REFUSED", "item"),
        (409, "ErrorDuplicateTransactionId", DuplicateTransaction, "EXC-REFUSED", "item"),
        (400, "ErrorOccurrenceCrossingBoundary", Permanent, "EXC-REFUSED", "item"),
        (400, "ErrorIncorrectRoutingHint", Permanent, "EXC-REFUSED", "item"),
        (401, "InvalidAuthenticationToken", Configuration, "EXC-SIGN-IN-REFUSED", "tenant"),
        (403, "ErrorAccessDenied", Configuration, "EXC-MAILBOX-NO-ACCESS", "mailbox"),
        (403, "Authorization_RequestDenied", Configuration, "EXC-MAILBOX-NO-ACCESS", "mailbox"),
        (403, "", Configuration, "EXC-MAILBOX-NO-ACCESS", "mailbox"),
        (403, "ErrorQuotaExceeded", Configuration, "EXC-MAILBOX-FULL", "mailbox"),
        (404, "ErrorItemNotFound", Gone, "EXC-EVENT-GONE", "item"),
        (404, "ErrorInvalidUser", Configuration, "EXC-MAILBOX-NOT-FOUND", "mailbox"),
        (404, "MailboxNotEnabledForRESTAPI", Configuration, "EXC-MAILBOX-NO-LICENCE", "mailbox"),
        (404, "ResourceNotFound", Configuration, "EXC-MAILBOX-NOT-FOUND", "mailbox"),
        (404, "Request_ResourceNotFound", Configuration, "EXC-MAILBOX-NOT-FOUND", "mailbox"),
        (404, "", Transient, "EXC-GRAPH-ANSWER", "item"),
        (409, "ErrorConcurrentItemSave", Changed, "EXC-CONFLICT", "item"),
        (409, "Conflict", Changed, "EXC-CONFLICT", "item"),
        (410, "SyncStateNotFound", Expired, "EXC-GRAPH-ANSWER", "mailbox"),
        (412, "ErrorIrresolvableConflict", Changed, "EXC-CONFLICT", "item"),
        (412, "", Changed, "EXC-CONFLICT", "item"),
        (413, "RequestEntityTooLarge", Permanent, "EXC-REFUSED", "item"),
        (423, "", Configuration, "EXC-MAILBOX-FULL", "mailbox"),
        (429, "ApplicationThrottled", Throttled, "EXC-THROTTLED", "mailbox"),
        (429, "TooManyRequests", Throttled, "EXC-THROTTLED", "mailbox"),
        (429, "activityLimitReached", Throttled, "EXC-THROTTLED", "mailbox"),
        (429, "UnknownError", Throttled, "EXC-THROTTLED", "mailbox"),
        (500, "ErrorInternalServerError", Transient, "EXC-GRAPH-UNAVAILABLE", "item"),
        (502, "", Transient, "EXC-GRAPH-UNAVAILABLE", "mailbox"),
        (503, "ServiceUnavailable", Transient, "EXC-GRAPH-UNAVAILABLE", "mailbox"),
        (503, "ConcurrentItemSave", Transient, "EXC-GRAPH-UNAVAILABLE", "mailbox"),
        (503, "MailboxStoreUnavailable", Transient, "EXC-GRAPH-UNAVAILABLE", "mailbox"),
        (504, "UnknownError", Transient, "EXC-GRAPH-UNAVAILABLE", "mailbox"),
        (507, "ErrorQuotaExceeded", Configuration, "EXC-MAILBOX-FULL", "mailbox"),
        (302, "", Transient, "EXC-GRAPH-ANSWER", "item"),
    ],
)
def test_every_answer_has_one_consequence(status, code, kind, ours, scope):
    error = decided(status, body(code))

    assert type(error) is kind
    assert (error.code, error.scope, error.status) == (ours, scope, status)
    assert ours in CODES


@pytest.mark.parametrize(
    ("status", "code", "unknown"),
    [
        (408, "", True),
        (500, "ErrorInternalServerError", True),
        (503, "ServiceUnavailable", True),
        (503, "ConcurrentItemSave", True),
        (504, "UnknownError", True),
        (409, "ErrorConcurrentItemSave", True),
        (302, "", True),
        (400, "ErrorInvalidRequest", False),
        (401, "InvalidAuthenticationToken", False),
        (403, "ErrorAccessDenied", False),
        (404, "ErrorItemNotFound", False),
        (412, "ErrorIrresolvableConflict", False),
        (423, "", False),
        (429, "ApplicationThrottled", False),
    ],
)
def test_only_a_write_that_may_have_been_applied_is_unknown(status, code, unknown):
    assert decided(status, body(code), write=True).maybe_applied is unknown
    assert decided(status, body(code), write=False).maybe_applied is False


def test_an_item_not_found_is_the_mailbox_where_no_item_was_named():
    error = decided(404, body("ErrorItemNotFound"), item=False)

    assert (type(error), error.code) == (Configuration, "EXC-MAILBOX-NO-LICENCE")


def test_a_missing_default_folder_is_the_mailbox_even_where_an_item_was_named():
    error = decided(404, body("ErrorItemNotFound", "Default folder Calendar not found."))

    assert (type(error), error.code) == (Configuration, "EXC-MAILBOX-NO-LICENCE")


def test_a_duplicate_transaction_names_the_event_where_graph_does():
    named = body("ErrorDuplicateTransactionId", **{"@event.existingEventId": "AAkALgOne"})

    assert decided(400, named).event_id == "AAkALgOne"
    assert decided(400, body("ErrorDuplicateTransactionId")).event_id is None


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>Subject</html>", b"[]", b'{"error": "Subject"}', b'{"error": {"code": 7}}', b"\xff"],
)
def test_odd_bodies_are_decided_by_the_status(content):
    error = decided(503, content)

    assert (type(error), str(error)) == (Transient, "Graph answered 503")


@pytest.mark.parametrize("code", ["ErrorInvalidRequest", "Subject: Pump at Alice's"])
def test_a_message_never_quotes_a_text(code):
    assert "Subject" not in str(decided(400, body(code)))


def test_the_request_id_comes_from_the_header_or_the_body():
    assert decided(400, body("X"), {"request-id": "outer-1"}).request_id == "outer-1"
    assert decided(400, body("X")).request_id == "inner-1"
    assert decided(400, body("X").replace(b"innerError", b"innererror")).request_id == "inner-1"
    assert decided(400).request_id is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": "Sun, 22 Nov 2026 08:00:30 GMT", "date": "Sun, 22 Nov 2026 08:00:00 GMT"}, 30.0),
        ({"retry-after": "Sun, 22 Nov 2026 07:00:00 GMT", "date": "Sun, 22 Nov 2026 08:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 08:00:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_reads_retry_after_in_both_forms(headers, seconds):
    assert retry_after(headers) == seconds


def test_throttling_without_a_time_waits_as_outlook_usually_asks():
    assert decided(429).retry_after == 1.0


def test_a_503_that_says_when_is_throttling_of_unknown_outcome():
    error = decided(503, headers={"retry-after": "25"})

    assert (type(error), error.retry_after, error.maybe_applied) == (Throttled, 25.0, True)
