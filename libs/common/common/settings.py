"""Settings that every service has, and how any service's settings are read: every fault at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from common.settings_sources import SettingsFault, gather, validate
from common.zones import zone

__all__ = [
    "PUBLIC",
    "CommonSettings",
    "Profile",
    "Rules",
    "SettingsFault",
    "StateSettings",
    "Switch",
    "ZoneName",
    "load",
    "reveal",
]

PUBLIC = frozenset(
    {
        *("amqp_url", "postgres_dsn", "installation", "outbound", "inbound", "profiles", "rules"),
        *("planning_odbc", "planning_dialect", "planning_timezone", "planning_mapping", "dime"),
        *("notification_url", "intake_port", "dashboard_port", "ops_host", "ops_port"),
        *("log_level", "log_format", "retry_job_cron_expression", "renew_subscription_cron_expression"),
        *("reader", "publisher", "ingest", "scheduler", "dashboard"),
    }
)
"""All services share one environment: each knows these names, and reads those of its own class."""


def reveal(value: str | SecretStr) -> str:
    """The text itself, for the driver that needs it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _on_or_off(value: object) -> object:
    words = {"on": True, "true": True, "off": False, "false": False}
    if isinstance(value, str):
        if value.lower() not in words:
            raise ValueError("must be on or off")
        return words[value.lower()]
    return value


def _any_rules(value: object) -> bool:
    """Whether there are rules at all; a section that is empty is none."""
    return not re.fullmatch(r"\s*(\[\s*\]|\{\s*\}|None|)\s*", str(value))


def _words(value: object) -> object:
    if isinstance(value, str):
        listed = json.loads(value) if value.lstrip().startswith("[") else value.split(",")
        return [str(word).strip() for word in listed if str(word).strip()]
    return value


def _address(*schemes: str) -> AfterValidator:
    """Only the scheme: PostgreSQL takes several hosts, or none, where a URL has one."""

    def check(value: SecretStr) -> SecretStr:
        scheme, found, rest = value.get_secret_value().partition("://")
        if scheme not in schemes or not found or not rest:
            raise ValueError(f"must begin with {schemes[0]}://")
        return value

    return AfterValidator(check)


def _host(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query:
        raise ValueError("must be an address that begins with https://, without a password")
    return value.rstrip("/")


def known_zone(name: str) -> str:
    """Give the name back; ValueError where it is none of a time zone."""
    if zone(name) is None:
        raise ValueError("there is no such time zone; use an IANA name (Europe/Brussels) or one of Windows")
    return name


ZoneName = Annotated[str, AfterValidator(known_zone)]
"""A time zone, by its IANA name or that of Windows."""

Switch = Annotated[bool, BeforeValidator(_on_or_off)]
"""`on` or `off`."""

Rules = Annotated[bool, BeforeValidator(_any_rules)]
"""The original's section `Rules`, of which this version knows only whether there are any."""

Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
"""A list, in the environment separated by commas or as JSON."""

HttpsAddress = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]


class Section(BaseModel):
    """A part of the settings: frozen, and refusing unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Profile(Section):
    """A named connection to one Entra tenant, by a client secret or a certificate."""

    tenant_id: str = Field(pattern=r"^[0-9A-Za-z.-]+$", description="directory (tenant) id in Entra")
    client_id: str = Field(pattern=r"^[0-9A-Za-z-]+$", description="application (client) id in Entra")
    client_secret: SecretStr | None = Field(None, description="secret of the application")
    client_secret_file: Path | None = Field(
        None, description="file of the secret; read again when it changes"
    )
    certificate: SecretStr | None = Field(
        None, description="PEM with certificate and key, or the path of one"
    )
    certificate_file: Path | None = Field(None, description="file of the PEM; read again when it changes")
    login_url: HttpsAddress = Field(
        "https://login.microsoftonline.com", description="sign-in host of the cloud"
    )
    graph_url: HttpsAddress = Field("https://graph.microsoft.com/v1.0", description="Graph of the cloud")
    ca_file: Path | None = Field(None, description="authorities to trust instead of the system's")
    domains: Words = Field((), description="mail domains of the tenant, separated by commas")
    time_zone: ZoneName = Field("UTC", description="zone assumed where a mailbox has one of its own making")

    @field_validator("ca_file")
    @classmethod
    def _readable(cls, path: Path | None) -> Path | None:
        if path and not path.is_file():
            raise ValueError("there is no such file")
        return path

    @model_validator(mode="after")
    def _one_credential(self) -> Profile:
        if (self.client_secret is None) == (self.certificate is None):
            raise ValueError("needs exactly one of CLIENT_SECRET and CERTIFICATE")
        return self


class StateSettings(Section):
    """Where the state database is."""

    postgres_dsn: Annotated[SecretStr, _address("postgresql", "postgres")] = Field(
        description="state database, postgresql://user:password@host:5432/name"
    )


class AmqpSettings(Section):
    """Where the message broker is."""

    amqp_url: Annotated[SecretStr, _address("amqp", "amqps")] = Field(
        description="message broker, amqp(s)://user:password@host:5672/vhost"
    )


class CommonSettings(StateSettings, AmqpSettings):
    """What every service needs."""

    installation: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        description="name of this installation; it tells our events from another's, so it never changes",
    )
    ops_host: str = Field("0.0.0.0", description="address that health and metrics are answered on")  # noqa: S104
    ops_port: Port = Field(0, description="port of health and metrics")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level to log")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal")
    outbound: Switch = Field(True, description="whether events are written to calendars")
    inbound: Switch = Field(False, description="whether changes in calendars reach the planning")


Settings = TypeVar("Settings", bound=BaseModel)


def load(cls: type[Settings], environ: Mapping[str, str] = os.environ) -> Settings:
    """Read settings from the environment and the file that EXCONN_SETTINGS names; the environment wins.

    Raises `SettingsFault` with every fault at once. A section of another service is ignored; one's own is
    read strictly.
    """
    found = gather(cls, environ, known=PUBLIC)
    if "rules" not in cls.model_fields:
        found.values.pop("rules", None)
    return validate(cls, found)
