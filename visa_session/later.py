"""Extensions of JupyterLab that its launcher does not need: the page loads them once that is drawn.

All in the page waits for what its extensions begin with, and two of them are as large as half of JupyterLab.
They come later (`labextensions/visa-session/static/later.js`) where a page has nothing to open: a file that
is asked for, or a layout that was left with something in it, may be theirs to show.
"""

from __future__ import annotations

from jupyterlab_server.workspaces_handler import WorkspacesManager
from tornado.web import RequestHandler

from . import cluster

#: By their names in JupyterLab. The cluster's panel is left out where there is no cluster.
PANEL = "jupyterlab-slurm"
EXTENSIONS = ("jupyterlab-h5web", PANEL)


def put_off(handler: RequestHandler, page: dict, workspaces: str) -> None:
    """Take them out of what a page begins with, and tell it of them, where it has nothing to open.

    `page` is its configuration, changed here; `workspaces` the directory of the layouts.
    """
    page["visaLater"] = []  # one configuration serves all pages
    if not cluster.reached():
        begins = page.get("federated_extensions", [])
        page["federated_extensions"] = [one for one in begins if one["name"] != PANEL]
    asked = getattr(handler, "path_kwargs", {})
    if asked.get("mode", "lab") != "lab" or asked.get("tree") or handler.request.query not in ("", "reset"):
        return
    name = (asked.get("workspace") or "").removeprefix("/workspaces/") or "default"
    if handler.request.query != "reset" and has_open(workspaces, name):
        return
    begins = page.get("federated_extensions", [])
    later = [one for one in begins if one["name"] in EXTENSIONS and "mimeExtension" not in one]
    page["federated_extensions"] = [one for one in begins if one not in later]
    page["visaLater"] = later


def has_open(workspaces: str, name: str) -> bool:
    """Whether a layout was left with anything open in it but the file browser, or cannot be read."""
    try:
        left = WorkspacesManager(workspaces).load(name)["data"].get("layout-restorer:data", {})
        sides = [(left.get(side) or {}).get("current") for side in ("left", "right", "down")]
        return bool(_widgets(left.get("main"))) or not set(sides) <= {None, "", "filebrowser"}
    except Exception:  # noqa: BLE001 - whatever is in that file, JupyterLab then opens it as it always did
        return True


def _widgets(area) -> list:
    """What is open in a part of a layout, however it is divided."""
    parts = area.values() if isinstance(area, dict) else area if isinstance(area, list) else ()
    here = area.get("widgets", []) if isinstance(area, dict) else []
    return [*here, *(one for part in parts for one in _widgets(part))]
