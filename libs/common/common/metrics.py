"""Metrics that more than one service has: what crosses the broker, and which build runs."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("exconn_published_total", "Messages published, by type and outcome.", ("type", "outcome"))
PUBLISH_SECONDS = Histogram(
    "exconn_publish_seconds", "From the publishing of a message or batch to its last confirm."
)
CONSUMED = Counter("exconn_consumed_total", "Messages consumed, by queue and outcome.", ("queue", "outcome"))
HANDLE_SECONDS = Histogram("exconn_handle_seconds", "Duration of one call of a queue's handler.", ("queue",))
DEAD_LETTERS = Counter("exconn_dead_letters_total", "Messages given to the dead-letter queue.", ("queue",))
BUILD = Gauge(
    "exconn_build_info", "Always 1; the labels say which build of which service runs.", ("service", "version")
)
