"""Settings of webhook-ingest."""

from __future__ import annotations

from pydantic import Field

from common.settings import CommonSettings, Port


class Settings(CommonSettings):
    """What webhook-ingest needs besides what every service does."""

    ops_port: Port = Field(9103, description="port of health and metrics")
    intake_port: Port = Field(8081, description="public port that Microsoft Graph posts notifications to")
    notification_url: str | None = Field(None, description="public address of the intake")
