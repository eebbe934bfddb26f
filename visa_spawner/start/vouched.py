"""The server of a session that JupyterHub need not ask for an answer."""

from __future__ import annotations

from types import SimpleNamespace

from jupyterhub import __version__
from jupyterhub.objects import Server


class VouchedServer(Server):
    """A server for whose life the backend has vouched, or which is still starting, or has just answered.

    JupyterHub asks each server for an answer when its start is done, and a restarted hub asks all; it ends
    those that are silent for `http_timeout`. A session that is busy, swapped out, on a node that is cut off
    for a while, or put back into its queue meanwhile, must not be lost to that.
    """

    async def wait_up(self, **kwargs):
        """At once."""
        return SimpleNamespace(headers={"X-JupyterHub-Version": __version__})
