"""The server of a session that a restarted hub finds again."""

from __future__ import annotations

from types import SimpleNamespace

from jupyterhub import __version__
from jupyterhub.objects import Server


class RestoredServer(Server):
    """A server whose life the backend has vouched for, or not.

    A restarted hub asks every server for an answer and ends those that are silent for `http_timeout`. A
    session that is busy, swapped out, or on a node that is cut off for a while must not be lost to that.
    """

    def __init__(self, *, alive: bool, **kwargs):
        super().__init__(**kwargs)
        self._alive = alive

    async def wait_up(self, **kwargs):
        """At once, as the backend said; raises TimeoutError for a session that has ended."""
        if not self._alive:
            raise TimeoutError("the session has ended")
        return SimpleNamespace(headers={"X-JupyterHub-Version": __version__})
