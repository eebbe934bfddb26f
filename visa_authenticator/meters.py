"""What the hub's /hub/metrics tells of the identity provider; docs/operators/runbook.md reads it."""

from __future__ import annotations

from prometheus_client import Counter

ANSWERED = Counter("visa_provider_answered", "Questions that the identity provider answered, also with a no")
SILENT = Counter("visa_provider_silent", "Questions that the identity provider did not answer")
