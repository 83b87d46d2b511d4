"""Tokens live two days, or until they are expired."""

from datetime import UTC, datetime, timedelta

from simulators.dime.tokens import Tokens

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def test_a_token_is_valid_for_two_days():
    times = iter([MONDAY, MONDAY + timedelta(days=2, seconds=-1), MONDAY + timedelta(days=2)])
    tokens = Tokens(now=lambda: next(times))
    token, expires = tokens.issue()

    assert expires == MONDAY + timedelta(days=2)
    assert [tokens.valid(token), tokens.valid(token)] == [True, False]


def test_an_expired_token_is_refused_and_another_is_not():
    tokens = Tokens()
    (old, _), (new, _) = tokens.issue(), tokens.issue()
    tokens.expire(old)

    assert (tokens.valid(old), tokens.valid(new)) == (False, True)


def test_a_token_that_was_never_given_is_refused():
    assert not Tokens().valid("made-up")
