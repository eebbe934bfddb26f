"""What the monitor tells on the hub's /hub/metrics; docs/operators/slurm.md says how to read it."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

#: Seconds; a quiet controller answers in the first few, the last is where the hub gives up by default.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

QUESTION = Histogram(
    "visa_slurm_question_seconds",
    "How long Slurm took to answer, by what was asked",
    ["asked"],
    buckets=_BUCKETS,
)
UNANSWERED = Counter("visa_slurm_unanswered_questions", "Questions that Slurm did not answer", ["asked"])
ANSWERING = Gauge("visa_slurm_answering", "Whether the controller answered the last question about jobs")
ANSWERED = Gauge("visa_slurm_last_answer_timestamp_seconds", "When the controller last told of its jobs")
NEXT_LOOK = Gauge(
    "visa_slurm_next_look_timestamp_seconds", "When the controller is asked again, at the latest"
)
OWN_JOBS = Gauge("visa_slurm_own_jobs", "Jobs of this hub that have not ended")
ALL_JOBS = Gauge("visa_slurm_all_jobs", "Jobs that the controller knows, of everybody, ended ones too")
