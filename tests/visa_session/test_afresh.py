"""Nothing of whoever imports the server stays in it: a session that waited imported it as root."""

from __future__ import annotations

import json
import subprocess
import sys

from visa_spawner.start.compose import HUB_VARIABLES

from .hubside import TREE

#: What a session's environment has of its own, beside the image's.
OWN = ("HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR")
#: Where something of it may stay in a module, and why that does not matter.
HARMLESS = {
    "site.USER_SITE": "a virtual environment takes no packages from the home directory",
    "site.USER_BASE": "as above",
    "sysconfig._CONFIG_VARS": "as above",
    "wsgiref.handlers.BaseHandler": "serves nothing here",
    "send2trash.plat_other.XDG_DATA_HOME": "files are deleted, never put into a trash",
    "send2trash.plat_other.HOMETRASH": "as above",
    "send2trash.plat_other.HOMETRASH_B": "as above",
    "jupyter_server_fileid.manager.default_db_path": "file ids are kept in memory",
    "BaseFileIdManager.db_path": "as above",
    "ArbitraryFileIdManager.db_path": "as above",
    "LocalFileIdManager.db_path": "as above",
    # `afresh.py` looks these up again.
    "HubAuth.base_url": "of_the_hub",
    "HubOAuth.base_url": "of_the_hub",
    "SessionAuth.base_url": "of_the_hub",
    "LabApp.user_settings_dir": "of_the_person",
    "LabApp.workspaces_dir": "of_the_person",
    "Session.username": "of_the_person",
}

LOOK = """
import json, os, sys
from pathlib import Path
from visa_session.server import import_all
import_all()
found = set()

def look(value, name, depth=2):
    if isinstance(value, (str, bytes)):
        if "/of-somebody-else/" in (value if isinstance(value, str) else value.decode("latin-1")):
            found.add(name)
    elif depth and isinstance(value, type):
        for trait, default in list(getattr(value, "_static_immutable_initial_values", {}).items()):
            look(default, f"{value.__name__}.{trait}", 0)
        for attribute, one in list(vars(value).items()):
            if attribute != "_static_immutable_initial_values" and not callable(one):
                look(one, name, depth - 1)
    elif depth and isinstance(value, dict):
        for one in list(value.values()):
            look(one, name, depth - 1)
    elif depth and isinstance(value, (list, tuple, set, frozenset)):
        for one in list(value):
            look(one, name, depth - 1)
    elif isinstance(value, Path):
        look(str(value), name, 0)

for module in list(sys.modules.values()):
    for name, value in list(vars(module).items()):
        if module.__name__ not in ("os", "posix", "__main__"):
            look(value, f"{module.__name__}.{name}")

os.environ.update(HOME="/home/alice", USER="alice", JUPYTERHUB_SERVICE_PREFIX="/user/alice/x/")
os.environ.update(JUPYTERLAB_WORKSPACES_DIR="/home/alice/tabs", JUPYTERHUB_ALLOW_WEBSOCKET_COOKIE_AUTH="0")
from visa_session import afresh
from visa_session.identity import SessionAuth
auth = SessionAuth(api_token="x", **afresh.of_the_hub(os.environ))
now = [auth.base_url, auth.allow_websocket_cookie_auth, auth.allow_token_in_url]
print(json.dumps([sorted(found), now, afresh.of_the_person(os.environ)]))
"""


def test_what_is_found_while_importing_is_harmless_or_found_again():
    env = {name: f"/of-somebody-else/{name}/" for name in (*OWN, *HUB_VARIABLES)}
    env |= {"PYTHONPATH": str(TREE), "PATH": "/usr/bin:/bin", "JUPYTERHUB_SINGLEUSER_EXTENSION": "1"}
    done = subprocess.run([sys.executable, "-"], input=LOOK, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, of_the_hub, of_the_person = json.loads(done.stdout.splitlines()[-1])
    assert "LabApp.user_settings_dir" in found, "and it does find"
    assert set(found) <= set(HARMLESS), set(found) - set(HARMLESS)
    assert of_the_hub == ["/user/alice/x/", False, False]
    assert of_the_person == {
        "LabApp": {
            "user_settings_dir": "/home/alice/.jupyter/lab/user-settings",
            "workspaces_dir": "/home/alice/tabs",
        },
        "Session": {"username": "alice"},
    }
