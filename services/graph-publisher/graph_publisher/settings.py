"""The settings of graph-publisher: the shared ones, and its own in the section EXCONN_PUBLISHER__*."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Field, field_validator, model_validator

from common.settings import CommonSettings, Port, Profile, Rules, Section, ZoneName
from common.zones import zone
from graph_publisher.deciding import Policy
from graph_publisher.mapping import Defaults

Seconds = Annotated[float, Field(gt=0)]
ShowAs = Literal["free", "tentative", "busy", "oof", "workingElsewhere"]
Sensitivity = Literal["normal", "personal", "private", "confidential"]


class Tuning(Section):
    """How graph-publisher works; every default is safe against Graph's limits."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    cut_off: date | None = None
    """Appointments that end before this day are not created in a calendar (first sync)."""
    show_as: ShowAs = "busy"
    """For appointments that say nothing themselves."""
    sensitivity: Sensitivity = "normal"
    """For appointments that say nothing themselves."""
    reminder_minutes: Annotated[int, Field(ge=0, le=40320)] | Literal["off", "calendar"] = 15
    """Reminder of a new event, before its start; `calendar` leaves it to the mailbox."""

    connections: Annotated[int, Field(ge=4, le=100)] = 16
    """Connections to the state database."""
    plan_batch: Annotated[int, Field(ge=1, le=1000)] = 200
    """Messages planned in one database transaction."""
    lanes: Annotated[int, Field(ge=1, le=1000)] = 200
    """Mailboxes worked on at once by one process."""
    slots: Annotated[int, Field(ge=1, le=3)] = 3
    """Requests in flight per mailbox: Graph allows 4, one is the read lane's."""
    rate: Annotated[float, Field(gt=0, le=11)] = 11.0
    """Requests per second per mailbox, sustained: Graph allows 10,000 in 10 minutes, 4/s are the read lane's."""
    burst: Annotated[int, Field(ge=1, le=100)] = 10
    """Requests that may be saved up while a mailbox is quiet."""
    yield_after: Annotated[int, Field(ge=1)] = 50
    """Links after which a lane gives up its place to others."""

    call_timeout_s: Seconds = 20.0
    """One call to Graph, in all."""
    lease_s: Seconds = 60.0
    """A lane's lease; a killed process's mailboxes wait as long. Must outlast two calls."""
    settle_s: Seconds = 15.0
    """How long after a call of unknown outcome the event is looked at again."""
    look_apart_s: Seconds = 30.0
    """Between the two looks that prove that an event is gone."""
    sweep_s: Seconds = 2.0
    """How often rows that are due are looked for without a message."""
    hold_first_s: Seconds = 1.0
    """First hold of a mailbox in trouble; grows by two."""
    hold_configuration_s: Seconds = 60.0
    """First hold of a mailbox or tenant that an administrator must mend; grows by two."""
    hold_max_s: Seconds = 3600.0
    """The longest hold."""
    tries: Annotated[int, Field(ge=1)] = 8
    """After so many failures of one item, while others of its mailbox succeed, it fails for good."""

    @model_validator(mode="after")
    def _lease_outlasts_calls(self) -> Tuning:
        if self.lease_s < 2 * self.call_timeout_s:
            raise ValueError(
                "lease_s must be at least twice call_timeout_s, or a lane's call outlives its lease"
            )
        return self


class Settings(CommonSettings):
    """Everything graph-publisher can be told."""

    ops_port: Port = Field(9102, description="port of health and metrics")
    profiles: dict[str, Profile] = Field(min_length=1, description="connections to Entra tenants")
    planning_timezone: ZoneName = Field("UTC", description="zone of the planning's datetime columns")
    rules: Rules = Field(
        False, description="outbound rules; this version evaluates none, and sends nothing beside them"
    )
    publisher: Tuning = Tuning()

    @model_validator(mode="after")
    def _only_outbound(self) -> Settings:
        if self.inbound:
            raise ValueError(
                "INBOUND=on: changes in calendars are not brought back by this version; set it off"
            )
        return self

    @model_validator(mode="after")
    def _rules_are_kept(self) -> Settings:
        if self.rules and self.outbound:
            raise ValueError(
                "RULES: this version evaluates none, so appointments that they keep back would be sent; remove them, "
                "or set OUTBOUND=off"
            )
        return self

    @field_validator("profiles")
    @classmethod
    def _each_mailbox_one_profile(cls, profiles: dict[str, Profile]) -> dict[str, Profile]:
        domains = Counter(domain.lower() for profile in profiles.values() for domain in profile.domains)
        if twice := sorted(domain for domain, number in domains.items() if number > 1):
            raise ValueError(f"the domain {twice[0]} is in two profiles; a mailbox can have one only")
        if sum(not profile.domains for profile in profiles.values()) > 1:
            raise ValueError("only one profile may be without DOMAINS: it serves all other mailboxes")
        return profiles

    def profile_of(self, mailbox: str) -> str | None:
        """Return the name of the profile that serves a mailbox; a single profile without domains serves all others."""
        domain = mailbox.rpartition("@")[2].lower()
        for name, profile in self.profiles.items():
            if domain in (one.lower() for one in profile.domains):
                return name
        open_ended = [name for name, profile in self.profiles.items() if not profile.domains]
        return open_ended[0] if len(open_ended) == 1 else None

    def policy(self) -> Policy:
        """Return what links are computed from, besides snapshots and the mailboxes' own switches."""
        tuning = self.publisher
        planning_zone = zone(self.planning_timezone) or ZoneInfo("UTC")
        defaults = Defaults(tuning.show_as, tuning.sensitivity, tuning.reminder_minutes, planning_zone)
        return Policy(defaults, self.outbound, tuning.cut_off)

    def fingerprint(self) -> str:
        """Return what is equal for settings that make the same links."""
        tuning = self.publisher
        domains = {name: sorted(profile.domains) for name, profile in sorted(self.profiles.items())}
        return json.dumps(
            [self.outbound, str(tuning.cut_off), tuning.show_as, tuning.sensitivity, tuning.reminder_minutes,
             self.planning_timezone, domains]
        )  # fmt: skip
