"""Settings that graph-publisher refuses, since it would send to the wrong place or what must not be sent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.settings import SettingsFault, load
from graph_publisher.settings import Settings

NEEDED = {
    "EXCONN_AMQP_URL": "amqp://localhost/",
    "EXCONN_POSTGRES_DSN": "postgresql://localhost/x",
    "EXCONN_INSTALLATION": "test",
}


def profile(name: str, **fields: str) -> dict[str, str]:
    facts = {"TENANT_ID": "contoso", "CLIENT_ID": "abc", "CLIENT_SECRET": "hidden"} | fields
    return {f"EXCONN_PROFILES__{name}__{key}": value for key, value in facts.items()}


def faults(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsFault) as raised:
        load(Settings, NEEDED | environment)
    return "\n".join(raised.value.faults)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, "EXCONN_PROFILES: is missing"),
        (
            profile("A", DOMAINS="a.example,b.example") | profile("B", DOMAINS="B.example"),
            "b.example is in two",
        ),
        (profile("A") | profile("B"), "only one profile may be without DOMAINS"),
        (profile("A", TIME_ZONE="Mars/Base"), "no such time zone"),
        (profile("A", CA_FILE="/nowhere/ca.pem"), "no such file"),
        (profile("A") | {"EXCONN_INBOUND": "on"}, "INBOUND=on"),
        (profile("A") | {"EXCONN_PUBLISHER__LEASE_S": "30"}, "twice call_timeout_s"),
        (profile("A") | {"EXCONN_PUBLISHER__RATE": "12"}, "EXCONN_PUBLISHER__RATE"),
    ],
)
def test_what_cannot_be_meant_is_refused(environment: dict[str, str], told: str) -> None:
    found = faults(environment)

    assert told in found
    assert "hidden" not in found


def settings_file(folder: Path, content: Any) -> str:
    path = folder / "settings.json"
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize("rules", [{"a": "IsLocked"}, [{"Name": "x"}]])
def test_rules_are_refused_while_sending_since_they_would_not_be_kept(tmp_path: Path, rules: Any) -> None:
    environment = profile("A") | {"EXCONN_SETTINGS": settings_file(tmp_path, {"Rules": rules})}

    assert "this version evaluates none" in faults(environment)
    assert not load(Settings, NEEDED | environment | {"EXCONN_OUTBOUND": "off"}).outbound


@pytest.mark.parametrize("rules", [{}, [], None])
def test_empty_rules_hinder_nothing(tmp_path: Path, rules: Any) -> None:
    environment = profile("A") | {"EXCONN_SETTINGS": settings_file(tmp_path, {"Rules": rules})}

    assert load(Settings, NEEDED | environment).outbound


@pytest.mark.parametrize(
    ("mailbox", "name"),
    [("x@a.example", "a"), ("x@A.EXAMPLE", "a"), ("x@other.example", "rest"), ("nonsense", "rest")],
)
def test_a_mailbox_is_served_by_its_domains_profile_or_by_the_one_for_the_rest(
    mailbox: str, name: str
) -> None:
    settings = load(Settings, NEEDED | profile("A", DOMAINS="a.example") | profile("REST"))

    assert settings.profile_of(mailbox) == name
