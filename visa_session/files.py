"""What JupyterLab's file browser shows at the top: the person's directories, not the machine's."""

from __future__ import annotations

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from traitlets import Set, Unicode


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
