"""The environment of the demo's services: as an installation would have it, but in more of a hurry."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import stack

INSTALLATION = "demo"
TENANTS = {
    "contoso": "00000000-0000-4000-8000-000000000001",
    "fabrikam": "00000000-0000-4000-8000-000000000003",
}
CLIENT_ID = "00000000-0000-4000-8000-000000000002"

HURRIED = {
    "EXCONN_READER__POLL_MAX_S": "0.2",
    "EXCONN_PUBLISHER__CALL_TIMEOUT_S": "5",
    "EXCONN_PUBLISHER__LEASE_S": "10",
    "EXCONN_PUBLISHER__SETTLE_S": "1",
    "EXCONN_PUBLISHER__LOOK_APART_S": "1",
    "EXCONN_PUBLISHER__SWEEP_S": "0.5",
    "EXCONN_PUBLISHER__HOLD_FIRST_S": "0.2",
    "EXCONN_PUBLISHER__HOLD_CONFIGURATION_S": "1",
}
"""The defaults are made for a day of work, where nobody sits and watches; a story has a minute."""


def of_services(
    *,
    amqp_url: str,
    state_dsn: str,
    planning_dsn: str,
    graph: str,
    certificates: Path,
    tuned: Mapping[str, str],
) -> dict[str, str]:
    """What every service is started with, besides the ports of its own; nothing of the caller's EXCONN_ settings."""
    return {
        **plain(),
        **stack.odbc_environment(),
        "EXCONN_INSTALLATION": INSTALLATION,
        "EXCONN_AMQP_URL": amqp_url,
        "EXCONN_POSTGRES_DSN": state_dsn,
        "EXCONN_PLANNING_ODBC": stack.planning_odbc(planning_dsn),
        "EXCONN_PLANNING_DIALECT": "postgresql",
        "EXCONN_PLANNING_TIMEZONE": "UTC",
        **_profile("contoso", graph, certificates, {"CLIENT_SECRET": "simulated-secret"}),
        **_profile("fabrikam", graph, certificates, {"CERTIFICATE_FILE": str(certificates / "client.pem")}),
        "EXCONN_OUTBOUND": "on",
        "EXCONN_INBOUND": "off",
        "EXCONN_OPS_HOST": "127.0.0.1",
        "EXCONN_LOG_FORMAT": "json",
        **HURRIED,
        **tuned,
    }


def plain() -> dict[str, str]:
    """The caller's environment without any setting of a connector."""
    return {name: value for name, value in os.environ.items() if not _ours(name)}


def ports() -> dict[str, str]:
    """Ports of its own for one process: nobody knows what else runs on this machine."""
    names = ("EXCONN_OPS_PORT", "EXCONN_INTAKE_PORT", "EXCONN_DASHBOARD_PORT")
    return {name: str(stack.free_port()) for name in names}


def _ours(name: str) -> bool:
    return bool(re.match(r"EXCONN_|RetryJobCron|RenewSubscriptionCron", name))


def _profile(name: str, graph: str, certificates: Path, credential: Mapping[str, str]) -> dict[str, str]:
    values = {
        "TENANT_ID": TENANTS[name],
        "CLIENT_ID": CLIENT_ID,
        "LOGIN_URL": graph,
        "GRAPH_URL": f"{graph}/v1.0",
        "CA_FILE": str(certificates / "ca.pem"),
        "DOMAINS": f"{name}.example",
        **credential,
    }
    return {f"EXCONN_PROFILES__{name.upper()}__{key}": value for key, value in values.items()}
