"""What the hub's /hub/metrics tells of what stands around it; docs/operators/runbook.md reads it."""

from __future__ import annotations

from prometheus_client import Gauge

PROXY_ANSWERING = Gauge("visa_proxy_answering", "Whether the proxy answered the hub last")
PORTAL_ANSWERING = Gauge(
    "visa_portal_answering",
    "Whether the portal said last that it is well, hub and catalogue reached",
    ["url"],
)
DISK_FREE = Gauge("visa_disk_free_ratio", "Share of a file system that is free, 0 to 1", ["place"])
CERTIFICATE_ENDS = Gauge(
    "visa_certificate_ends_timestamp_seconds",
    "When a certificate ends: the one that the site shows, by its name, and those inside, by their files",
    ["host"],
)
BACKED_UP = Gauge(
    "visa_backup_last_success_timestamp_seconds",
    "When the last backup was taken whole; 0: there is none",
    ["mark"],
)
