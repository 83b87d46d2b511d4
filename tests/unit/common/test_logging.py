"""Logs: one JSON object per line, and no secret in any of them."""

import io
import json
import logging

import pytest
import structlog

from common.logging import configure, masked


@pytest.fixture
def stream():
    yield io.StringIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.basicConfig(handlers=[], level=logging.WARNING, force=True)


def lines(stream: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_who_what_and_how_grave(stream) -> None:
    configure("scheduler", "info", "json", stream)

    structlog.get_logger("x").info("tick.sent", job="retry")

    (line,) = lines(stream)
    assert line | {"time": ""} == {
        "event": "tick.sent",
        "job": "retry",
        "level": "info",
        "service": "scheduler",
        "time": "",
    }
    assert line["time"].endswith("Z")


def test_below_the_level_nothing_is_logged(stream) -> None:
    configure("scheduler", "warning", "json", stream)

    structlog.get_logger().info("tick.sent")
    logging.getLogger("other").info("chatter")

    assert lines(stream) == []


def test_what_libraries_log_comes_the_same_way(stream) -> None:
    configure("scheduler", "info", "json", stream)

    logging.getLogger("library").warning("lost %s", "amqp://guest:hush@host/")

    (line,) = lines(stream)
    assert (line["event"], line["level"], line["service"]) == (
        "lost amqp://guest:***@host/",
        "warning",
        "scheduler",
    )


def test_bound_context_is_on_every_line(stream) -> None:
    configure("scheduler", "info", "json", stream)

    with structlog.contextvars.bound_contextvars(message_id="m1"):
        structlog.get_logger().info("a.b")

    assert lines(stream)[0]["message_id"] == "m1"


def test_a_traceback_stays_on_its_line_and_shows_no_secret(stream) -> None:
    configure("scheduler", "info", "json", stream)

    try:
        int("postgresql://alice:hush@db/x")
    except ValueError:
        structlog.get_logger().exception("it.failed", token="hush")

    (line,) = lines(stream)
    assert "ValueError" in line["exception"]
    assert "hush" not in stream.getvalue()


def test_values_that_json_does_not_know_are_written_as_text(stream) -> None:
    configure("scheduler", "info", "json", stream)

    structlog.get_logger().info("a.b", path=ValueError("x"))

    assert lines(stream)[0]["path"] == "x"


def test_the_console_format_is_for_people(stream) -> None:
    configure("scheduler", "info", "console", stream)

    structlog.get_logger().info("tick.sent", job="retry", password="hush")

    text = stream.getvalue()
    assert "tick.sent" in text
    assert "hush" not in text
    assert not text.startswith("{")


def test_auto_is_json_where_no_terminal_is(stream) -> None:
    configure("scheduler", "info", "auto", stream)

    structlog.get_logger().info("a.b")

    assert lines(stream)[0]["event"] == "a.b"


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "client_secret",
        "access_token",
        "Authorization",
        "api_key",
        "apikey",
        "postgres_dsn",
        "PWD",
    ],
)
def test_a_telling_key_masks_its_value_at_any_depth(stream, key) -> None:
    configure("scheduler", "info", "json", stream)

    structlog.get_logger().info("a.b", **{key: "hush"}, nested={"deep": [{key: "hush"}]})

    assert "hush" not in stream.getvalue()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("amqp://guest:hush@host:5672/v", "amqp://guest:***@host:5672/v"),
        ("postgresql://alice:hu@sh@db/x", "postgresql://alice:***@db/x"),
        ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln b", "a *** b"),
        ("Driver={x};Uid=u;Pwd=hush;Server=s", "Driver={x};Uid=u;Pwd=***;Server=s"),
        ("client_secret=hush&scope=x", "client_secret=***&scope=x"),
        ("https://graph.microsoft.com/v1.0/users/a@b.c", "https://graph.microsoft.com/v1.0/users/a@b.c"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_secrets_inside_texts_are_masked(text, shown) -> None:
    assert masked(text) == shown
