"""What graph-publisher tells Prometheus. No address is ever a label."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from common.graph.connection import Call

LANES_AT_WORK = Gauge("exconn_lanes_at_work", "Mailboxes that this process is writing to.")
SWEPT = Counter("exconn_mailboxes_swept_total", "Mailboxes with due work that no message had told of.")
PLANNED = Counter(
    "exconn_appointments_planned_total", "Appointments planned, by what became of them.", ["outcome"]
)
GRAPH_REQUESTS = Counter(
    "exconn_graph_requests_total", "Requests to Microsoft Graph.", ["profile", "operation", "status"]
)
GRAPH_SECONDS = Histogram(
    "exconn_graph_request_seconds",
    "How long Microsoft Graph took to answer.",
    ["operation"],
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20),
)
LAG = Histogram(
    "exconn_outbound_lag_seconds",
    "From the commit in the planning to the event in the calendar.",
    buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 3600),
)


def observe(call: Call) -> None:
    """Count a request to Graph."""
    GRAPH_REQUESTS.labels(call.profile, call.operation, call.status or "none").inc()
    GRAPH_SECONDS.labels(call.operation).observe(call.seconds)


def observe_lag(seconds: float | None) -> None:
    """Note how long a planner's change took to its event; the clocks of two databases may disagree a little."""
    if seconds is not None:
        LAG.observe(max(0.0, seconds))
