"""The settings of outbox-reader: the shared ones, and its own in the section EXCONN_READER__*."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr

from common.settings import CommonSettings, Section, ZoneName
from common.zones import zone


def _odbc(value: SecretStr) -> SecretStr:
    if "=" not in value.get_secret_value():
        raise ValueError("must be an ODBC connection string: KEY=value;KEY=value")
    return value


Seconds = Annotated[float, Field(gt=0, le=3600)]


class Tuning(Section):
    """How the outbox is read. The defaults suit a planning of any size."""

    batch_size: int = Field(500, ge=1, le=5000, description="appointments claimed at once")
    batches: int = Field(
        3, ge=1, le=10, description="batches under way at once: one is claimed while others wait"
    )
    connections: int = Field(4, ge=2, le=20, description="connections to the planning database")
    poll_min_s: Seconds = Field(0.05, description="pause between looks at the outbox after there was work")
    poll_max_s: Seconds = Field(0.25, description="longest pause between looks at an outbox without work")
    lease_s: int = Field(60, ge=15, le=3600, description="how long the rows of a killed reader wait")
    publish_timeout_s: Seconds = Field(10.0, description="for the confirms of one batch")
    retry_max_s: Seconds = Field(5.0, description="longest pause while a neighbour is away")
    check_every_s: Seconds = Field(
        60.0, description="how often the identities of both databases are compared"
    )
    note_every_s: Seconds = Field(10.0, description="how often the highest version is noted on both sides")
    expand_first: int = Field(
        100, ge=1, le=5000, description="appointments of a shared row that go before bulk"
    )
    keep_done_days: int = Field(7, ge=1, le=365, description="how long done rows can be replayed")
    recover_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="appointments that ended so long ago are left out when a loss is made good",
    )
    missed_after_s: Seconds = Field(
        300.0,
        description="between a change that a trigger could not note and the backfill that finds it; "
        "longer than any transaction of the planning",
    )
    absent_apart_s: Seconds = Field(10.0, description="between the two reads that prove an appointment gone")


class PlanningSettings(CommonSettings):
    """Where the planning is."""

    planning_odbc: Annotated[SecretStr, AfterValidator(_odbc)] = Field(
        description="ODBC connection string of the Dime.Scheduler database"
    )
    planning_dialect: Literal["mssql", "postgresql"] = Field("mssql", description="which database that is")
    planning_timezone: ZoneName = Field("UTC", description="zone of its datetime columns")


class Settings(PlanningSettings):
    """Everything outbox-reader can be told."""

    ops_port: int = Field(9101, ge=0, le=65535, description="port of health and metrics")
    reader: Tuning = Tuning()

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the planning's datetime columns."""
        found = zone(self.planning_timezone)
        assert found is not None  # noqa: S101 - validated above
        return found
