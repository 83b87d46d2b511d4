"""Settings of dashboard-api."""

from __future__ import annotations

from pydantic import Field

from common.settings import CommonSettings, Port


class Settings(CommonSettings):
    """What dashboard-api needs besides what every service does."""

    ops_port: Port = Field(9105, description="port of health and metrics")
    dashboard_port: Port = Field(8080, description="public port of the API and the website")
