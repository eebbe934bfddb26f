"""The hub of the portal's tests: everything as in a deployment but login, sessions, and where they run."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import portal_standin  # noqa: E402

port, api_port, hub_port, portal_port = (
    int(os.environ[f"TEST_{n}_PORT"]) for n in ("PUBLIC", "API", "HUB", "PORTAL")
)
portal = Path(os.environ["TEST_PORTAL_PACKAGE"])
portal_url = os.environ["TEST_PORTAL_URL"]

c = get_config()  # noqa: F821
c.JupyterHub.bind_url = f"http://127.0.0.1:{port}/"
c.JupyterHub.subdomain_host = f"http://localhost:{port}"
c.JupyterHub.cookie_host_prefix_enabled = True
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.JupyterHub.cleanup_servers = False
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{api_port}"

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "secret"
c.Authenticator.allow_all = True
c.JupyterHub.load_groups = {
    "experiment-ma-1": {"users": ["alice"]},
    "experiment-ma-2": {"users": ["alice"]},
    "instrument-id19": {"users": ["ines"]},
    "role-instrument-scientist": {"users": ["ines"]},
    "role-administrator": {"users": ["root"]},
}

c.JupyterHub.spawner_class = portal_standin.TinySpawner
c.JupyterHub.extra_handlers = portal_standin.HANDLERS
c.JupyterHub.allow_named_servers = True
c.Spawner.http_timeout = 20

c.JupyterHub.services = [
    {
        "name": "visa",
        "url": f"http://127.0.0.1:{portal_port}",
        "api_token": os.environ["TEST_PORTAL_TOKEN"],
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["read:users:groups!user", "servers!user"],
        "display": False,
    },
]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=visa"]},
    {"name": "tester", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["tester"]},
]
c.JupyterHub.services.append({"name": "tester", "api_token": os.environ["TEST_ADMIN_TOKEN"]})
c.JupyterHub.template_paths = [str(portal / "hub_templates"), str(portal / "static")]
c.JupyterHub.template_vars = {
    "facility": "Test Synchrotron",
    "facility_logo": "TSy",
    "portal_url": portal_url,
    "support": "user.support@example.org",
}
c.JupyterHub.default_url = portal_url
