"""A real JupyterHub for the tests of visa_session: sessions are plain processes of an ordinary uid."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from session_spawner import SessionSpawner, take_ready  # noqa: E402

from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE  # noqa: E402

c = get_config()  # noqa: F821
settings = json.loads(os.environ["TEST_HUB"])
take_ready()

c.JupyterHub.bind_url = f"http://127.0.0.1:{settings['port']}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings['hub_port']}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings['proxy_port']}"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "pw"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {"boss"}
c.JupyterHub.services = [{"name": "tests", "api_token": settings["token"]}]
c.JupyterHub.load_roles = [
    {
        "name": "tests",
        "services": ["tests"],
        "scopes": [
            "admin:users",
            "admin:servers",
            "tokens",
            "shares",
            "access:servers",
            VIEW_SCOPE,
            CONTROL_SCOPE,
        ],
    },
    # An administrator whom the hub lets into everything.
    {"name": "boss", "users": ["boss"], "scopes": ["admin:users", "admin:servers", "access:servers"]},
]
c.JupyterHub.custom_scopes = {
    VIEW_SCOPE: {"description": "Watch a session's desktop"},
    CONTROL_SCOPE: {"description": "Work in a session", "subscopes": [VIEW_SCOPE]},
}
# The forms that everybody holds about themselves, and that must open nobody else's session.
c.JupyterHub.extra_user_scopes = {f"{VIEW_SCOPE}!user", f"{CONTROL_SCOPE}!user", "shares!user"}
c.JupyterHub.spawner_class = SessionSpawner
c.Spawner.start_timeout = c.Spawner.http_timeout = 60
