"""What graph-publisher can be told, and what it refuses."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from graph_publisher.settings import Settings, Tuning


def profile(domains: str = "") -> dict[str, Any]:
    return {"tenant_id": "t", "client_id": "c", "client_secret": "s", "domains": domains}


def settings(**more: Any) -> Settings:
    needed: dict[str, Any] = {
        "amqp_url": "amqp://broker", "postgres_dsn": "postgresql://state", "installation": "test", "profiles": {"main": profile()},
    }  # fmt: skip
    return Settings(**needed | more)


@pytest.mark.parametrize(
    ("profiles", "mailbox", "name"),
    [
        ({"main": profile()}, "alice@anywhere.example", "main"),
        ({"main": profile("contoso.example")}, "alice@CONTOSO.example", "main"),
        ({"main": profile("contoso.example")}, "alice@fabrikam.example", None),
        ({"main": profile("contoso.example"), "rest": profile()}, "alice@fabrikam.example", "rest"),
        ({"main": profile("contoso.example")}, "alice@sub.contoso.example", None),
    ],
)
def test_a_domain_chooses_the_profile(profiles: Any, mailbox: str, name: str | None) -> None:
    assert settings(profiles=profiles).profile_of(mailbox) == name


def test_two_profiles_that_serve_everybody_else_are_refused() -> None:
    with pytest.raises(ValidationError, match="only one profile may be without DOMAINS"):
        settings(profiles={"one": profile(), "two": profile()})


def test_the_way_back_is_refused_rather_than_ignored() -> None:
    with pytest.raises(ValidationError, match="INBOUND=on"):
        settings(inbound=True)


def test_a_zone_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="no such time zone"):
        settings(planning_timezone="Mars/Olympus")


@pytest.mark.parametrize(
    "tuning",
    [
        {"lease_s": 30, "call_timeout_s": 20},
        {"slots": 4},
        {"rate": 12},
        {"reminder_minutes": -1},
        {"unknown": 1},
    ],
)
def test_tuning_beyond_graphs_limits_is_refused(tuning: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Tuning(**tuning)


@pytest.mark.parametrize(
    "change",
    [
        {"outbound": False},
        {"publisher": {"cut_off": date(2027, 1, 1)}},
        {"publisher": {"show_as": "free"}},
        {"publisher": {"sensitivity": "private"}},
        {"publisher": {"reminder_minutes": "off"}},
        {"planning_timezone": "Europe/Brussels"},
        {"profiles": {"main": profile("contoso.example")}},
    ],
)
def test_what_changes_links_changes_the_fingerprint(change: dict[str, Any]) -> None:
    assert settings(**change).fingerprint() != settings().fingerprint()


def test_what_changes_no_link_leaves_the_fingerprint() -> None:
    assert settings(publisher={"lanes": 8}).fingerprint() == settings().fingerprint()
