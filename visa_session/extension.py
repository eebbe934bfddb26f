"""VISA's part of the session's server: its pages, its launcher tile, and the gate before all handlers."""

from __future__ import annotations

from pathlib import Path

from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import url_path_join

from . import bootscript
from .applications import ApplicationCall, ApplicationIcon, ApplicationsCall
from .cluster import ExamplesCall
from .desktop import Desktop
from .gate import Gate, guard
from .identity import SessionAuth
from .live import LiveInfo
from .pages import DesktopPage, KeyboardCall, PageFiles, SessionCall, WithSlash
from .passportpage import PassportFile, PassportPage
from .people import People
from .relay import DesktopSocket
from .stream import calls as stream_calls
from .stream.process import StreamProcess
from .welcome import WelcomeCall

ICON = Path(__file__).parent / "icons" / "desktop.svg"


def launcher_entries() -> dict[str, dict]:
    """What jupyter-server-proxy shows in JupyterLab's launcher: a tile that opens our page as a tab.

    No command and no port: the tile is all it is asked for, so it adds no way into anything.
    """
    tile = {
        "title": "Desktop",
        "path_info": "desktop/",
        "icon_path": str(ICON),
        "category": "Notebook",
        "enabled": True,
    }
    return {"visa-desktop": {"launcher_entry": tile, "new_browser_tab": False}}


def load(
    serverapp: ServerApp, info: LiveInfo, desktop: Desktop, stream: StreamProcess, auth: SessionAuth
) -> People:
    """Add the handlers and put the gate before every handler of the server; the people it asks about."""
    people = People(info, desktop, auth)
    base = serverapp.web_app.settings["base_url"]
    told = {"info": info, "desktop": desktop}
    boot = bootscript.BootScript.read()
    begins = []
    if bootscript.use(serverapp.web_app.settings["lab_jinja2_env"], boot):
        begins = [(url_path_join(base, r"visa/boot/(.+)\.js"), bootscript.BootFile, {"boot": boot})]
    and_until_when = told | {"members": people.members}
    serverapp.web_app.add_handlers(
        ".*",
        [
            (url_path_join(base, "desktop"), WithSlash),
            (url_path_join(base, "desktop/"), DesktopPage, and_until_when),
            (url_path_join(base, r"desktop/static/([A-Za-z0-9._-]+)"), PageFiles),
            (url_path_join(base, "desktop/socket"), DesktopSocket, {"desktop": desktop}),
            (url_path_join(base, "desktop/keyboard"), KeyboardCall, told),
            (url_path_join(base, "visa/applications"), ApplicationsCall, {"info": info}),
            (url_path_join(base, r"visa/applications/([^/.][^/]*)"), ApplicationCall, told),
            (url_path_join(base, r"visa/applications/([^/.][^/]*)/icon"), ApplicationIcon, {"info": info}),
            (url_path_join(base, "visa/cluster/examples"), ExamplesCall, {"info": info}),
            (url_path_join(base, "visa/welcome"), WelcomeCall, {"info": info}),
            (url_path_join(base, "visa/passport"), PassportPage),
            (url_path_join(base, r"visa/passport\.json"), PassportFile),
            (url_path_join(base, "visa/session"), SessionCall, and_until_when),
            *begins,
            *stream_calls.handlers(base, stream),
            *people.handlers(base),
        ],
    )
    gate = Gate(serverapp.identity_provider, base, people.members, people.connections)
    guard(serverapp.web_app, gate, serverapp.authorizer)
    return people
