"""What calls take in their query: each part checked, so that a refusal names it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from tornado import web

from visa_spawner.session import State

from ..supported import Sought

MAX_TEXT = 255


class Query:
    """Mixed into a handler."""

    def text(self, name: str) -> str:
        """A short text, "" when it is not there."""
        value = self.get_query_argument(name, "")
        if len(value) > MAX_TEXT or "\x00" in value:
            raise web.HTTPError(400, f"{name}: must be a text of at most {MAX_TEXT} characters")
        return value

    def number(self, name: str, default: int | None, most: int) -> int | None:
        """A whole number from 1 to `most`."""
        value = self.get_query_argument(name, "")
        if not value:
            return default
        if not value.isascii() or not value.isdigit() or len(value) > 18 or not 1 <= int(value) <= most:
            raise web.HTTPError(400, f"{name}: must be a whole number from 1 to {most}")
        return int(value)

    def time(self, name: str, *, end_of_day: bool = False) -> datetime | None:
        """A time, or a day, in UTC without a zone; `end_of_day`: a day means when it is over."""
        value = self.text(name)
        if not value:
            return None
        return as_time(name, value, end_of_day=end_of_day)


def as_time(name: str, value: str, *, end_of_day: bool = False) -> datetime:
    """An ISO 8601 time or day in UTC without a zone; raises a 400 that names the field."""
    try:
        if len(value) == 10:
            day = datetime.combine(date.fromisoformat(value), datetime.min.time())
            return day + timedelta(days=1 if end_of_day else 0)
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        raise web.HTTPError(400, f"{name}: must be a day or a time in ISO 8601, such as 2026-05-01") from None


class Search(Query):
    """Mixed into a handler that looks for sessions."""

    def sought(self) -> Sought:
        """What the query asks for; raises a 400 that names the field."""
        state = self.text("state")
        if state and state not in list(State):
            raise web.HTTPError(400, f"state: must be one of {', '.join(State)}")
        return Sought(
            text=self.text("q"),
            state=state,
            instrument=self.text("instrument"),
            node=self.text("node"),
            limit=self.number("limit", 50, 500),
        )
