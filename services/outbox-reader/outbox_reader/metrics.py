"""What outbox-reader measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

ROWS = Counter("exconn_outbox_rows_total", "Outbox rows worked off, by outcome.", ("outcome",))
LAG = Histogram(
    "exconn_outbox_lag_seconds",
    "From the oldest folded change's commit to the broker's confirm; fresh changes only.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)
DEPTH = Gauge(
    "exconn_outbox_depth", "Outbox rows by state (new, claimed, parked) and priority.", ("state", "priority")
)
OLDEST = Gauge(
    "exconn_outbox_oldest_seconds", "Age of the oldest outbox row that is new, by priority.", ("priority",)
)
BATCH_SECONDS = Histogram(
    "exconn_outbox_batch_seconds", "From the claim of a batch to its rows being marked done."
)
EPOCH = Gauge("exconn_outbox_epoch", "The epoch that versions are published in.")
RECOVERING = Gauge(
    "exconn_outbox_recovering", "1 while a loss of the state or planning database is made good."
)
HELD = Gauge("exconn_outbox_deletions_held", "Deletions that the brake of the last backfill held back.")
MISSED = Gauge(
    "exconn_outbox_missed",
    "Statements of the planning since the installation whose change no trigger could note; a backfill finds it.",
)
