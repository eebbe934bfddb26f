"""The cluster from inside a session: whether it is reached, and a copy of the examples to work with."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from jupyter_server.base.handlers import APIHandler
from tornado.web import HTTPError

from .contract import CLUSTER_VARIABLE, SessionInfo
from .places import writable_directory

#: Where the image has the examples, and how their copy is called.
EXAMPLES = Path("/opt/visa/cluster")
COPY, NOTEBOOK = "cluster-examples", "cluster.ipynb"

#: The panel: the server's extension, and JupyterLab's part of it.
PANEL, PANEL_PLUGIN = "jupyterlab_slurm", "jupyterlab-slurm:plugin"


def reached(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this session was given the cluster."""
    return environment.get(CLUSTER_VARIABLE) == "1"


def copy_examples(source: Path, directory: Path) -> Path:
    """A folder with the examples in `directory`; files that are there already stay as they are.

    Raises OSError. Every name is made anew or left alone: nothing is written through a link.
    """
    folder = directory / COPY
    folder.mkdir(exist_ok=True)
    if folder.is_symlink():
        raise NotADirectoryError(f"{folder} is a link")
    for file in sorted(source.iterdir()):
        try:
            with open(file, "rb") as one, open(folder / file.name, "xb") as copy:
                shutil.copyfileobj(one, copy)
        except FileExistsError:
            continue
    return folder


class ExamplesCall(APIHandler):
    """`POST /visa/cluster/examples`: put them beside the session's data; says where the notebook is."""

    def initialize(self, info: SessionInfo):
        """Called by Tornado for each request."""
        self.info = info

    async def post(self):
        """Answer with the notebook's path; 404 without a cluster, 503 where nothing can be written."""
        if not reached() or not EXAMPLES.is_dir():
            raise HTTPError(404, "This session does not reach a cluster.")
        directory = Path(writable_directory(self.info, os.environ["HOME"]))
        try:
            folder = await asyncio.to_thread(copy_examples, EXAMPLES, directory)
        except OSError as error:
            reason = f"The examples could not be put into {directory}: {error.strerror or error}."
            raise HTTPError(503, reason) from error
        self.finish({"path": str(folder / NOTEBOOK)})
