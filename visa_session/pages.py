"""The desktop's page, its files, and the two calls it makes."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from tornado.web import HTTPError, StaticFileHandler

from .contract import SessionInfo
from .desktop import Desktop, DesktopFailed
from .keyboards import KEYBOARDS
from .members import Members
from .roles import Role

HERE = Path(__file__).parent
BUILT = HERE / "static" / "novnc"

#: Only what comes from this very server, no inline script or style, and framed by JupyterLab alone.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


@cache
def template(name: str):
    """A page's template, read once."""
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True).get_template(name)


@cache
def built_names() -> dict[str, str]:
    """Names of the built script and style, which carry a digest of their content.

    Raises FileNotFoundError where they were not built.
    """
    return json.loads((BUILT / "manifest.json").read_text())


def seconds_left(ends: str) -> int | None:
    """Whole seconds until an ISO 8601 time; None where there is no such time, 0 once it has passed."""
    try:
        moment = datetime.fromisoformat(ends)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, int((moment - datetime.now(UTC)).total_seconds()))


def about(info: SessionInfo, desktop: Desktop, role: Role, ends: str = "") -> dict:
    """What a member of the session is told of it; the person's own paths are for the owner alone.

    `ends` is when it ends by now, where that is another time than at its start.
    """
    ends = ends or info.ends
    session = {
        "owner": info.owner,
        "name": info.name,
        "title": info.title or info.name,
        "facility": info.facility,
        "profile": info.profile_title or info.profile,
        "plan": info.plan_title or info.plan,
        "interface": info.interface,
        "ends": ends,
        "seconds_left": seconds_left(ends),
        "experiments": [
            {
                "id": experiment.id,
                "title": experiment.title,
                "instrument": experiment.instrument,
                "technique": experiment.technique,
                "datasets": [
                    {"id": dataset.id, "name": dataset.name or dataset.id} for dataset in experiment.datasets
                ],
            }
            for experiment in info.experiments
        ],
        "role": role,
        "desktop": {"state": desktop.state, "words": desktop.words, "keyboard": desktop.keyboard},
    }
    if role is Role.OWNER:
        session["cpus"], session["memory"], session["gpus"] = info.cpus, info.memory, len(info.gpus)
        session["portal_url"] = info.portal_url
        session["home"] = os.environ.get("HOME", "")
        for told, experiment in zip(session["experiments"], info.experiments, strict=True):
            told["raw"], told["processed"] = experiment.raw, experiment.processed
            for chosen, dataset in zip(told["datasets"], experiment.datasets, strict=True):
                chosen["path"] = f"{experiment.raw}/{dataset.path}"
    return session


def portal_address(portal: str, hub_host: str) -> str:
    """The portal, for a browser: sessions may have an origin of their own, the portal has the hub's."""
    return hub_host + portal if portal.startswith("/") else portal


def owners_page(portal: str, name: str, what: str) -> str:
    """The portal's page `sharing` or `extend` of a session, for its owner; empty where there is no portal."""
    return f"{portal.rstrip('/')}/sessions/{quote(name, safe='')}/{what}" if portal else ""


class WithSlash(JupyterHandler):
    """`/desktop` is `/desktop/`."""

    def get(self):
        """Redirect, keeping nothing of the query: the page takes none."""
        self.redirect(self.request.path + "/", permanent=False)


class DesktopPage(JupyterHandler):
    """The page that shows the desktop; asking for it starts the desktop."""

    def initialize(self, info: SessionInfo, desktop: Desktop, members: Members):
        """Called by Tornado for each request."""
        self.info, self.desktop, self.members = info, desktop, members

    def get(self):
        """Start the desktop, and answer with the page, so that it comes up while the page loads."""
        self.desktop.start()
        try:
            names = built_names()
        except FileNotFoundError as error:
            raise HTTPError(
                500, "the desktop's page was not built: run python -m visa_session.assets"
            ) from error
        self.set_header("Content-Security-Policy", CONTENT_POLICY)
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("X-Content-Type-Options", "nosniff")
        owner = self.visa_role is Role.OWNER
        portal = portal_address(self.info.portal_url, self.identity_provider.hub_auth.hub_host)
        self.finish(
            template("desktop.html").render(
                about=about(self.info, self.desktop, self.visa_role, self.members.table.ends),
                role=self.visa_role,
                owner=owner,
                base=self.base_url,
                portal=portal,
                sharing=owners_page(portal, self.info.name, "sharing"),
                extend=owners_page(portal, self.info.name, "extend") if owner else "",
                data=owners_page(portal, self.info.name, "data") if owner else "",
                script=names["desktop.js"],
                style=names["desktop.css"],
                keyboards=KEYBOARDS if owner else {},
                xsrf=self.xsrf_token.decode(),
            )
        )


class PageFiles(JupyterHandler, StaticFileHandler):
    """The page's script and style. Their names change with their content, so they are kept for a year."""

    def initialize(self):
        """Called by Tornado for each request."""
        StaticFileHandler.initialize(self, str(BUILT))

    @allow_unauthenticated
    async def get(self, path, include_body=True):
        """One file; a module script is fetched without what proves who asks."""
        await StaticFileHandler.get(self, path, include_body)

    @allow_unauthenticated
    async def head(self, path):
        """Its headers."""
        await StaticFileHandler.get(self, path, False)

    def get_content_type(self):
        """Tornado guesses from the system's table, which a small image may lack."""
        kinds = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
        return kinds.get(Path(self.absolute_path).suffix, "application/octet-stream")

    def set_extra_headers(self, path):
        """Kept for a year where the name carries a digest."""
        self.set_header("X-Content-Type-Options", "nosniff")
        if path in built_names().values():
            self.set_header("Cache-Control", "private, max-age=31536000, immutable")


class SessionCall(APIHandler):
    """`GET /visa/session`: what this session is, how long it has left, what the caller is in it."""

    def initialize(self, info: SessionInfo, desktop: Desktop, members: Members):
        """Called by Tornado for each request."""
        self.info, self.desktop, self.members = info, desktop, members

    def get(self):
        """The session as JSON."""
        self.set_header("Cache-Control", "no-store")
        self.finish(about(self.info, self.desktop, self.visa_role, self.members.table.ends))

    def update_api_activity(self):
        """Asking for the time left is no sign that somebody works: it must not keep a session alive."""


class KeyboardCall(APIHandler):
    """`POST /desktop/keyboard` with `{"keyboard": "fr"}`: the owner switches the layout."""

    def initialize(self, info: SessionInfo, desktop: Desktop):
        """Called by Tornado for each request."""
        self.info, self.desktop = info, desktop

    async def post(self):
        """Switch it; 400 for a layout that is not offered, 503 when the desktop does not take it."""
        body = self.get_json_body()
        keyboard = body.get("keyboard") if isinstance(body, dict) else None
        if not isinstance(keyboard, str) or len(body) != 1:
            raise HTTPError(400, 'keyboard: expected {"keyboard": "<layout>"} and nothing else')
        try:
            await asyncio.to_thread(self.desktop.set_keyboard, keyboard)
        except ValueError as error:
            raise HTTPError(400, str(error)) from error
        except DesktopFailed as error:
            raise HTTPError(503, str(error)) from error
        self.finish({"keyboard": self.desktop.keyboard})
