"""What JupyterLab's file browser shows at the top: the person's directories, not the machine's."""

from __future__ import annotations

import os

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets import Set, Unicode

from .contract import EXPERIMENTS_ROOT, SessionInfo


def top_directories(info: SessionInfo, home: str) -> set[str]:
    """First components of the paths that matter in this session: experiments, their data, home."""
    paths = {home}
    if info.experiments:
        paths.add(EXPERIMENTS_ROOT)
    for experiment in info.experiments:
        paths |= {experiment.raw, experiment.processed}
    return {path.split("/")[1] for path in paths if path.startswith("/") and path != "/"}


def writable_directory(info: SessionInfo, home: str, root: str = EXPERIMENTS_ROOT) -> str:
    """Where new files belong: beside an experiment's data where the person may write there, else at home."""
    for experiment in info.experiments:
        processed = f"{root}/{experiment.id}/processed"
        if experiment.processed and os.access(processed, os.R_OK | os.W_OK | os.X_OK):
            return processed
    return home


class SessionFiles(AsyncLargeFileManager):
    """Files from `/` on, so that a path in JupyterLab is the path in a terminal and on the cluster.

    Only the listing of `/` itself is shortened. That is for the eye, not for safety: whatever the account
    may read can be opened by its path, here as in a terminal.
    """

    shown = Set(Unicode(), help="Names listed in `/`. Empty shows every one, the system's own too.").tag(
        config=True
    )

    async def _dir_model(self, path, content=True):
        model = await super()._dir_model(path, content)
        if content and self.shown and not path.strip("/"):
            model["content"] = [entry for entry in model["content"] if entry["name"] in self.shown]
        return model
