"""Files in JupyterLab: the person's directories at the top, and words where raw data stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.web import HTTPError
from traitlets import Any, Set, Unicode

from .contract import SessionInfo
from .places import raw_data_of, writable_directory

#: Said in place of an error's number.
READ_ONLY = (
    "Raw data are read-only: nothing is written, renamed or deleted among them. Write to {place} instead."
)
#: How Jupyter answers what the kernel did not let it do.
REFUSALS = (403, 500)


class SessionFiles(AsyncLargeFileManager):
    """Files from `/` on, so that a path in JupyterLab is the path in a terminal and on the cluster.

    Only the listing of `/` itself is shortened. That is for the eye, not for safety: whatever the account
    may read can be opened by its path, here as in a terminal.
    """

    shown = Set(Unicode(), help="Names listed in `/`. Empty shows every one, the system's own too.").tag(
        config=True
    )

    info = Any(SessionInfo("", ""), help="What the session is told about itself: where its raw data are.")

    async def save(self, model, path=""):
        """Save, make or upload something."""
        with self._in_words(path):
            return await super().save(model, path)

    async def delete_file(self, path):
        """Delete a file or a directory."""
        with self._in_words(path):
            await super().delete_file(path)

    async def rename_file(self, old_path, new_path):
        """Rename or move something."""
        with self._in_words(old_path, new_path):
            await super().rename_file(old_path, new_path)

    async def copy(self, from_path, to_path=None):
        """Copy a file or a directory; without a place, beside itself."""
        with self._in_words(from_path if to_path is None else to_path):
            return await super().copy(from_path, to_path)

    @contextmanager
    def _in_words(self, *paths: str) -> Iterator[None]:
        """Say what raw data are, and where to write, where one of these paths leads there and it failed."""
        try:
            yield
        except (OSError, HTTPError) as error:
            by_kernel = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
            if not by_kernel and error.status_code not in REFUSALS:
                raise
            for path in paths:
                if experiment := raw_data_of(self.info, self._get_os_path(path.strip("/"))):
                    # Beside these very data first.
                    order = SessionInfo("", "", experiments=(experiment, *self.info.experiments))
                    place = writable_directory(order, os.environ["HOME"])
                    raise HTTPError(403, READ_ONLY.format(place=place)) from error
            raise

    async def _dir_model(self, path, content=True):
        model = await super()._dir_model(path, content)
        if content and self.shown and not path.strip("/"):
            model["content"] = [entry for entry in model["content"] if entry["name"] in self.shown]
        return model
