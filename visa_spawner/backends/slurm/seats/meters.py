"""What the hub's /hub/metrics tells of seats; docs/operators/slurm.md says how to read it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

#: `how`: `room` needed none, `seat` was given one, `none` found none and waits as any job.
STARTS = Counter("visa_slurm_seat_starts", "Starts on plans that have seats", ["profile", "plan", "how"])
SEATS = Gauge("visa_slurm_seats", "Seats that hold room now", ["profile", "plan"])
