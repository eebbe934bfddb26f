"""VISA on JupyterHub: the deployment, wired.

What holds at every facility stands here, one heading a concern; a facility's own settings go to files in
`jupyterhub_config.d/`, read last and in the order of their names. Secrets come by environment or by file,
never from here. docs/operators says what each setting does.
"""

import os
from pathlib import Path
from urllib.parse import urlsplit

import visa_logs.hub
import visa_portal
import visa_sharing.hub
from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE
from visa_spawner.site import prepare

c = get_config()  # noqa: F821
here = Path(__file__).resolve().parent
portal_package = Path(visa_portal.__file__).parent
env = os.environ

# ---- Addresses: one origin a person, so that no page of one session reaches another's cookies
url = env.get("VISA_URL", "http://localhost:8000")
portal_url = f"{urlsplit(url).scheme}://visa--service.{urlsplit(url).netloc}/services/visa/"
c.JupyterHub.bind_url = url
c.JupyterHub.subdomain_host = url
c.JupyterHub.cookie_host_prefix_enabled = True
c.JupyterHub.default_url = portal_url

# ---- Proxy: a process of its own, so that a hub's restart leaves every route up
c.JupyterHub.proxy_class = "visa_spawner.running.proxy.WatchedProxy"
c.WatchedProxy.should_start = False
c.JupyterHub.last_activity_interval = 0  # the proxy asks by itself, without stopping the hub meanwhile
c.JupyterHub.cleanup_servers = False

# ---- Who people are
c.JupyterHub.authenticator_class = "visa_authenticator.authenticator.VisaAuthenticator"
c.VisaAuthenticator.issuer = env.get("VISA_ISSUER", "")
c.VisaAuthenticator.allow_all = True  # whoever the facility's provider lets in
c.VisaAuthenticator.refresh_pre_spawn = True

# ---- What there is: experiments and profiles
c.VisaSite.facility = env.get("VISA_FACILITY", "VISA")
c.VisaSite.catalogue_address = env.get("VISA_CATALOGUE", "")
c.VisaSite.profiles_dir = str(here / "profiles")
c.VisaSite.portal_url = portal_url

# ---- Where sessions run
c.JupyterHub.spawner_class = "visa_spawner.spawner.VisaSpawner"
c.JupyterHub.allow_named_servers = True
c.JupyterHub.init_spawners_timeout = 1  # a backend that does not answer does not hold the hub up
# To JupyterHub a session that waits in a cluster's queue is one that starts, and of those it allows 100. A
# thousand may wait; who else starts one must not be turned away for that. Backends have limits of their own.
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 2}  # long enough for a refusal, short for a person

# ---- The pages people see
c.JupyterHub.services = [
    {
        "name": "visa",
        "url": env.get("VISA_PORTAL_ADDRESS", "http://127.0.0.1:8090"),
        "api_token": env.get("VISA_PORTAL_TOKEN", ""),
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": ["read:users:groups!user", "servers!user"],
        "display": False,
    }
]
c.JupyterHub.template_paths = [str(portal_package / "hub_templates"), str(portal_package / "static")]
c.JupyterHub.template_vars = {
    "facility": c.VisaSite.facility,
    "facility_logo": env.get("VISA_FACILITY_LOGO") or c.VisaSite.facility,
    "portal_url": portal_url,
    "support": env.get("VISA_SUPPORT", ""),
}

# ---- Who may do what: nobody enters another's session by being an administrator
c.JupyterHub.custom_scopes = {
    VIEW_SCOPE: {"description": "Watch a session's desktop"},
    CONTROL_SCOPE: {"description": "Work in a session", "subscopes": [VIEW_SCOPE]},
}
c.JupyterHub.load_roles = [
    {"name": "user", "scopes": ["self", "access:services!service=visa"]},
    {
        # Not JupyterHub's own admin role: that one may make tokens of anybody, share anybody's server with
        # itself and read what the login keeps. Nobody needs it for running the place. Sessions are stopped by
        # the portal's Admin page, whose call is in the audit log; the hub's own is not.
        "name": "facility-administrator",
        "description": "The facility's administrators: see users, groups and servers",
        "groups": ["role-administrator"],
        "scopes": [
            *("admin-ui", "list:users", "read:users", "delete:users", "list:groups", "read:groups"),
            *("read:servers", "list:services", "read:services", "read:hub", "read:metrics"),
        ],
    },
]

# ---- The facility's own settings
for path in sorted(Path(env.get("VISA_CONFIG_D", here / "jupyterhub_config.d")).glob("*.py")):
    load_subconfig(str(path))  # noqa: F821

visa_logs.hub.prepare(c)  # first, so that what the others find wrong is a record in the journal
prepare(c)
visa_sharing.hub.prepare(c)
