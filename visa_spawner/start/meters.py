"""What the hub's /hub/metrics tells of starts; docs/operators/runbook.md reads it."""

from __future__ import annotations

from prometheus_client import Histogram

#: JupyterHub's own figure counts what a session waits in a queue as well.
READY = Histogram(
    "visa_start_seconds",
    "From when a session had its place, or was asked for where there is no queue, until it answered",
    ["backend"],
    buckets=(0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300),
)
