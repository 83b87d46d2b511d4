"""Which transactions can be tried again, and what is said of the others."""

from dataclasses import replace

import pytest

from graph_publisher.retrying import Told, refusal, sends_all

FAILED = Told("out", "failed", "EXC-REFUSED", link_id=1)
SUCCEEDED = Told("out", "succeeded", None, link_id=1)


@pytest.mark.parametrize(
    ("told", "resend"),
    [
        (FAILED, False),
        (FAILED, True),
        (SUCCEEDED, True),
        (replace(SUCCEEDED, status="skipped", code="EXC-NO-CHANGE"), True),
        (replace(FAILED, vanished=True), False),
    ],
)
def test_it_is_wanted_again(told, resend):
    assert refusal(told, resend=resend) is None


@pytest.mark.parametrize(
    ("told", "resend", "words"),
    [
        (replace(FAILED, status="pending"), False, "pending"),
        (replace(FAILED, status="pending", open_call=True), False, "outcome"),
        (replace(FAILED, successor=9), False, "transaction 9 replaced it"),
        (SUCCEEDED, False, "succeeded"),
        (replace(SUCCEEDED, successor=9), True, "transaction 9 replaced it"),
        (replace(SUCCEEDED, status="skipped", code="EXC-NO-CHANGE"), False, "already shows"),
        (replace(SUCCEEDED, status="skipped", code="EXC-DIRECTION-OFF", frozen="EXC-DIRECTION-OFF"), True, "switched off"),
        (replace(FAILED, open_call=True), False, "looked at again by itself"),
        (replace(SUCCEEDED, vanished=True), True, "gone"),
    ],
)  # fmt: skip
def test_nothing_is_needed(told, resend, words):
    found = refusal(told, resend=resend)

    assert words in found.reason
    assert not found.needed


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (None, "no such transaction"),
        (replace(FAILED, direction="in"), "way back"),
        (replace(FAILED, link_id=None, code="EXC-UNREADABLE"), "correct the row"),
        (replace(FAILED, code="EXC-END-BEFORE-START", frozen="EXC-END-BEFORE-START"), "Correct its times"),
    ],
)
def test_somebody_must_do_something_else_first(told, words):
    found = refusal(told, resend=False)

    assert words in found.reason
    assert found.needed


def test_values_that_the_calendar_did_not_keep_are_sent_again_by_a_retry():
    assert sends_all(replace(FAILED, code="EXC-NOT-AS-SENT"), resend=False)
    assert not sends_all(FAILED, resend=False)
