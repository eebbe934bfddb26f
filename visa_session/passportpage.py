"""The page "This session": what the passport says, for people; and as it is, for programs."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from jupyter_server.base.handlers import JupyterHandler

from .pages import template
from .passport import NoPassport, read

#: A page that does nothing; its style is JupyterLab's extension's, a file of this server.
POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"


class PassportPage(JupyterHandler):
    """`GET /visa/passport`: the session's passport as a page; 404 in words where there is none."""

    async def get(self):
        """The page."""
        values, words = {}, ""
        try:
            _, values = await asyncio.to_thread(read)
        except NoPassport as reason:
            self.set_status(404)
            words = str(reason)
        self.set_header("Content-Security-Policy", POLICY)
        self.set_header("Cache-Control", "no-store")
        page = template("passport.html")
        self.finish(page.render(passport=values, words=words, base=self.base_url, moment=moment))


class PassportFile(JupyterHandler):
    """`GET /visa/passport.json`: the same as it was written."""

    async def get(self):
        """The file; 404 in words where there is none."""
        try:
            content, _ = await asyncio.to_thread(read)
        except NoPassport as reason:
            self.set_status(404)
            content = f"{reason}\n".encode()
            self.set_header("Content-Type", "text/plain; charset=utf-8")
        else:
            self.set_header("Content-Type", "application/json")
            self.set_header("Content-Disposition", 'inline; filename="passport.json"')
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cache-Control", "no-store")
        self.finish(content)


def moment(text: str) -> str:
    """A time of the passport as the pages write it, in UTC, for this one has no script; else as it stands."""
    try:
        when = datetime.fromisoformat(text).astimezone(UTC)
    except (TypeError, ValueError):
        return text
    return f"{when.day} {when:%b %Y, %H:%M} UTC"
