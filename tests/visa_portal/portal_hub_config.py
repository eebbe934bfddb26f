"""The hub of the portal's tests: everything as in a deployment but where accounts and sessions come from."""

import json
import os
from pathlib import Path

from jupyterhub.auth import DummyAuthenticator

import visa_sharing.hub
from visa_catalogue.account import Account
from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE
from visa_spawner.site import prepare
from visa_spawner.start import shelf

# The tests change which images there are from one page to the next.
shelf.FRESH = 0.0

given = json.loads(os.environ["TEST_SITE"])
package = Path(given["package"])


class Facility(DummyAuthenticator):
    """Accounts from a table."""

    async def authenticate(self, handler, data):
        if data["username"] not in given["accounts"] or data["password"] != "secret":
            return None
        account = Account(**given["accounts"][data["username"]])
        state = {"account": account.model_dump(mode="json")}
        return {"name": account.username, "groups": account.groups, "auth_state": state}


c = get_config()  # noqa: F821
c.JupyterHub.bind_url = f"http://127.0.0.1:{given['public']}/"
c.JupyterHub.subdomain_host = f"http://localhost:{given['public']}"
c.JupyterHub.cookie_host_prefix_enabled = True
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{given['hub_port']}"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.init_spawners_timeout = 1
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{given['api']}"

c.JupyterHub.authenticator_class = Facility
c.Authenticator.enable_auth_state = True
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "visa_spawner.spawner.VisaSpawner"
c.JupyterHub.allow_named_servers = True
c.VisaSite.profiles_dir = str(Path(given["folder"]) / "profiles")
c.VisaSite.catalogue_address = f"file://{given['folder']}/experiments.jsonl"
c.VisaSite.home_roots = [f"{given['folder']}/home"]
c.VisaSite.backends = {
    "container": "portal_backend.PortalBackend",
    "slurm": "portal_queue.QueueBackend",
}
c.VisaSite.pin_binds = False
c.VisaSite.max_sessions = 4
c.VisaSite.portal_url = given["url"]
c.VisaSite.facility = "Test Synchrotron"
c.PortalBackend.folder = f"{given['folder']}/marks"

c.JupyterHub.services = [
    {
        "name": "visa",
        "url": f"http://127.0.0.1:{given['portal_port']}",
        "api_token": given["portal_token"],
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["read:users:groups!user", "servers!user"],
        "display": False,
    },
    {"name": "tester", "api_token": given["admin_token"]},
]
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=visa"]},
    {
        "name": "facility-administrator",
        "groups": ["role-administrator"],
        "scopes": [
            *("admin-ui", "list:users", "read:users", "delete:users", "list:groups", "read:groups"),
            *("read:servers", "list:services", "read:services", "read:hub", "read:metrics"),
        ],
    },
    {"name": "tester", "scopes": ["admin:users", "admin:servers", "tokens"], "services": ["tester"]},
]
c.JupyterHub.template_paths = [str(package / "hub_templates"), str(package / "static")]
c.JupyterHub.template_vars = {
    "facility": "Test Synchrotron",
    "facility_logo": "TSy",
    "portal_url": given["url"],
    "support": "user.support@example.org",
}
c.JupyterHub.default_url = given["url"]
c.JupyterHub.custom_scopes = {
    VIEW_SCOPE: {"description": "Watch a session's desktop"},
    CONTROL_SCOPE: {"description": "Work in a session", "subscopes": [VIEW_SCOPE]},
}
for name, value in given["sharing"].items():
    setattr(c.VisaSharing, name, value)
prepare(c)
visa_sharing.hub.prepare(c)
