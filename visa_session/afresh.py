"""What packages look up while they are imported, looked up once more when it is known whose session this is.

A session that waits for its person has done its imports before, as root and without the hub's variables.
What is missing here would silently be root's: tests/visa_session/test_afresh.py finds out.
"""

from __future__ import annotations

from collections.abc import Mapping

from jupyterhub.utils import _bool_env
from jupyterlab.commands import get_user_settings_dir, get_workspaces_dir
from traitlets.config import Config


def of_the_hub(environment: Mapping[str, str]) -> dict[str, str | bool]:
    """For JupyterHub's `HubOAuth`: the address that its cookies are for, and what a site may have chosen."""
    found: dict[str, str | bool] = {"base_url": environment.get("JUPYTERHUB_SERVICE_PREFIX") or "/"}
    for name in ("allow_token_in_url", "allow_websocket_cookie_auth"):
        variable = f"JUPYTERHUB_{name.upper()}"
        if variable in environment:
            found[name] = _bool_env(variable)
    return found


def of_the_person(environment: Mapping[str, str]) -> Config:
    """For JupyterLab and kernels: where a person's settings and open tabs are kept, and who they are."""
    config = Config()
    config.LabApp.user_settings_dir = get_user_settings_dir()
    config.LabApp.workspaces_dir = get_workspaces_dir()
    config.Session.username = environment.get("USER", "username")
    return config
