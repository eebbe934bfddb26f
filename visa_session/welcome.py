"""The notebook that welcomes people to a session: the image's, copied to beside the session's data."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from .contract import SessionInfo
from .places import writable_directory

#: Where the image has it.
TEMPLATE = Path("/opt/visa/welcome/welcome.ipynb")


def is_there() -> bool:
    """Whether the image brings one."""
    return TEMPLATE.is_file()


def copy_welcome(template: Path, directory: Path, owner: str) -> Path:
    """The person's copy in `directory`: made, or the one that they have there; raises OSError.

    Results are often a team's directory: a colleague's copy, or a link, is left alone.
    """
    for name in ("welcome.ipynb", f"welcome-{owner}.ipynb"):
        copy = directory / name
        try:
            with open(template, "rb") as source, open(copy, "xb") as file:
                shutil.copyfileobj(source, file)
            return copy
        except FileExistsError:
            if copy.is_file() and not copy.is_symlink() and copy.stat().st_uid == os.geteuid():
                return copy
    raise FileExistsError(0, f"{copy.name} there is something else", str(copy))


class WelcomeCall(APIHandler):
    """`POST /visa/welcome`: put it beside the session's data; says where it is."""

    def initialize(self, info: SessionInfo):
        """Called by Tornado for each request."""
        self.info = info

    async def post(self):
        """Answer with the notebook's path; 404 without one in the image, 503 where nothing can be written."""
        if not is_there():
            raise HTTPError(404, "This session's image has no welcome notebook.")
        directory = Path(writable_directory(self.info, os.environ["HOME"]))
        try:
            copy = await asyncio.to_thread(copy_welcome, TEMPLATE, directory, self.info.owner)
        except OSError as error:
            reason = f"The notebook could not be put into {directory}: {error.strerror or error}."
            raise HTTPError(503, reason) from error
        self.finish({"path": str(copy)})
