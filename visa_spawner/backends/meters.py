"""What the hub's /hub/metrics tells of the places where sessions run; docs/operators/runbook.md reads it."""

from __future__ import annotations

from prometheus_client import Gauge

NODE_ANSWERING = Gauge(
    "visa_node_answering", "Whether a node's engine answered when it was last looked at", ["node"]
)
#: No value before there is a provider of machines to ask.
MACHINES_ANSWERING = Gauge(
    "visa_machines_answering", "Whether the provider of machines answered last", ["provider"]
)
LEFTOVERS = Gauge(
    "visa_leftovers", "What should be gone at a backend and could not be removed yet", ["backend"]
)
