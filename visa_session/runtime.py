"""The session's private directory, and the environment that its server, kernels and desktop share."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import MutableMapping
from pathlib import Path


def runtime_base(uid: int) -> str:
    """Where private directories belong: the account's own below /run/user if there is one, else /tmp.

    Short on purpose, since a unix socket's path has 107 bytes at most.
    """
    own = f"/run/user/{uid}"
    try:
        found = os.stat(own)
    except OSError:
        return "/tmp"
    fits = found.st_uid == uid and stat.S_ISDIR(found.st_mode) and os.access(own, os.W_OK | os.X_OK)
    return own if fits else "/tmp"


def make_runtime() -> Path:
    """A new directory of mode 0700 for one session's sockets, cookies and keys; raises OSError."""
    directory = Path(tempfile.mkdtemp(prefix="visa-", dir=runtime_base(os.geteuid())))
    (directory / "jupyter").mkdir(mode=0o700)
    return directory


def remove_runtime(directory: Path) -> None:
    """Remove what `make_runtime` made; what cannot be removed is left to the container's end."""
    shutil.rmtree(directory, ignore_errors=True)


def prepare_imports(environment: MutableMapping[str, str]) -> None:
    """Say what JupyterHub's package goes by when it is imported, whoever's session it is."""
    # The hub's single-user server as an extension of Jupyter Server, which VISA's gate stands in front of.
    environment["JUPYTERHUB_SINGLEUSER_EXTENSION"] = "1"


def prepare_environment(environment: MutableMapping[str, str], runtime: Path, name: str) -> None:
    """Point the processes of a session at its own directory, and fill in what a bare container lacks."""
    environment["XDG_RUNTIME_DIR"] = str(runtime)
    environment["JUPYTER_RUNTIME_DIR"] = str(runtime / "jupyter")
    prepare_imports(environment)
    # JupyterLab's open tabs are the session's own: those of another would lead to another's address.
    workspaces = Path(environment["HOME"], ".jupyter/lab/workspaces/visa", name or "default")
    environment["JUPYTERLAB_WORKSPACES_DIR"] = str(workspaces)
    environment.setdefault("LANG", "C.UTF-8")
    # A terminal's login shell would begin with the system's own: /etc/profile.d/visa.sh puts it back.
    environment["VISA_PATH"] = environment.get("PATH", os.defpath)
    if not environment.get("SHELL") and os.path.exists("/bin/bash"):
        environment["SHELL"] = "/bin/bash"
    # Whatever was there belongs to who started us, not to this session.
    for name in ("DISPLAY", "XAUTHORITY", "WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS"):
        environment.pop(name, None)
