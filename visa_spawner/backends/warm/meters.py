"""What the hub's /hub/metrics tells of waiting containers; docs/operators/warm.md says how to read it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

#: `how`: `waiting` found one; `none` found none and was made; `failed` found one that could not be had.
STARTS = Counter(
    "visa_warm_starts", "Starts on plans that have waiting containers", ["profile", "plan", "how"]
)
WAITING = Gauge("visa_warm_waiting", "Containers that wait for a session", ["node", "profile", "plan"])
MEMORY = Gauge("visa_warm_memory_bytes", "Memory that waiting containers take", ["node"])
