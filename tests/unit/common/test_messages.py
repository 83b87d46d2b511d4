"""Messages: what was ever released can still be read, and nothing of a body leaks into an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builders import changed, snapshot
from common.errors import Malformed
from common.messages import MESSAGES, AppointmentChanged, Message, Snapshot, decode

SAMPLES = Path(__file__).parents[2] / "contracts" / "samples"


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_a_released_message_is_still_read(name: str) -> None:
    sample = (SAMPLES / f"{name}.json").read_bytes()

    message = decode(name, sample)
    assert json.loads(message.encode()) == json.loads(sample)


def test_fields_of_a_newer_version_are_ignored() -> None:
    newer = json.loads(changed(snapshot(1)).encode()) | {"colour": "green"}

    message = decode("appointment.changed.v1", json.dumps(newer).encode())
    assert isinstance(message, AppointmentChanged)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("appointment.changed.v9", b"{}"),
        (None, b"{}"),
        ("mailbox.dirty.v1", b""),
        ("mailbox.dirty.v1", b"[]"),
        ("mailbox.dirty.v1", b"\xff\xfe"),
        ("mailbox.dirty.v1", b'{"mailbox": 5}'),
    ],
)
def test_what_is_no_message_is_malformed(name: str | None, body: bytes) -> None:
    with pytest.raises(Malformed):
        decode(name, body)


def test_a_malformed_message_tells_fields_but_no_values() -> None:
    body = json.loads(changed(snapshot(1, subject="Mrs Peel")).encode()) | {"epoch": "Mrs Peel"}

    with pytest.raises(Malformed) as raised:
        decode("appointment.changed.v1", json.dumps(body).encode())
    assert "epoch" in str(raised.value)
    assert "Peel" not in str(raised.value)


def test_times_cross_the_broker_in_utc() -> None:
    local = snapshot(1).model_dump(mode="json") | {"start": "2027-03-01T09:00:00+01:00"}

    assert json.loads(Snapshot.model_validate(local).model_dump_json())["start"] == "2027-03-01T08:00:00Z"


def test_equal_snapshots_have_equal_digests() -> None:
    assert snapshot(1).digest() == snapshot(1).digest()
    assert snapshot(1).digest() != snapshot(1, subject="another").digest()


def test_every_message_is_frozen() -> None:
    message: Message = changed(snapshot(1))

    with pytest.raises(ValueError, match="frozen"):
        message.epoch = 2  # type: ignore[attr-defined]
