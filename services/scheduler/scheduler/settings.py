"""Settings of scheduler."""

from __future__ import annotations

from pydantic import Field

from common.settings import CommonSettings, Port


class Settings(CommonSettings):
    """What scheduler needs besides what every service does."""

    ops_port: Port = Field(9104, description="port of health and metrics")
    retry_job_cron_expression: str = Field(
        "", description="when failed transactions are retried; empty: never"
    )
    renew_subscription_cron_expression: str = Field(
        "", description="when subscriptions are renewed; empty: never"
    )
