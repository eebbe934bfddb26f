"""What the hub's /hub/metrics tells of starts; docs/operators/runbook.md reads it."""

from __future__ import annotations

from jupyterhub.metrics import SERVER_SPAWN_DURATION_SECONDS
from prometheus_client import Histogram

#: JupyterHub's own figure counts what a session waits in a queue as well.
READY = Histogram(
    "visa_start_seconds",
    "From when a session had its place, or was asked for where there is no queue, until it answered",
    ["backend"],
    buckets=(0.5, 1, 2, 3, 5, 10, 20, 30, 60, 120, 300),
)

#: Why starts fail that are the facility's to mend, as refusals name it; of the others people are told.
FACILITYS = (
    *("engine", "image", "gpu", "data", "cluster", "provider", "catalogue", "boot", "handover", "error"),
    *("died", "timeout", "unheard", "unsafe-bind"),
)
# From the first look on, at 0: Prometheus does not see what a figure counted before it was first told.
for _reason in FACILITYS:
    SERVER_SPAWN_DURATION_SECONDS.labels(status="failure", reason=_reason)
for _backend in ("container", "slurm", "vm"):
    READY.labels(_backend)
