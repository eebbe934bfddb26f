"""What is to be said of how long a certificate still holds."""

from __future__ import annotations

from datetime import UTC, datetime

from visa_spawner.running.certificate import Certificate

from .finding import Finding, warning, wrong

#: Days before its end from which somebody has to look after it.
SOON = 14


def days_left(found: Certificate, what: str, mend: str, about: str = "") -> list[Finding]:
    """Nothing, while it holds for long; `what` begins the sentence."""
    now = datetime.now(UTC)
    if found.begins > now:
        return [wrong(f"{what} holds from {found.begins:%d %b %Y %H:%M} UTC on only.", mend, about)]
    if found.ends <= now:
        return [wrong(f"{what} ended on {found.ends:%d %b %Y %H:%M} UTC.", mend, about)]
    days = (found.ends - now).days
    if days < SOON:
        left = f"in {days} days" if days > 1 else "tomorrow" if days else "today"
        return [warning(f"{what} ends {left}, on {found.ends:%d %b %Y}.", mend, about)]
    return []
