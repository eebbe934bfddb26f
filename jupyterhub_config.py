"""VISA on JupyterHub: the deployment, wired.

What holds at every facility stands here, one heading a concern; a facility's own settings go to files in
`jupyterhub_config.d/`, read last and in order of their names. Secrets come by environment or by file, never
from here. docs/operators says what each setting does.
"""

import os
from pathlib import Path

import visa_portal
from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE

c = get_config()  # noqa: F821
here = Path(__file__).resolve().parent
env = os.environ

# ---- Addresses: one origin a person, so that nobody's session reaches another's cookies
url = env.get("VISA_URL", "http://localhost:8000")
c.JupyterHub.bind_url = url
c.JupyterHub.subdomain_host = url
c.JupyterHub.cookie_host_prefix_enabled = url.startswith("https:")
c.JupyterHub.default_url = "/services/visa/"

# ---- Proxy: a process of its own, so that a hub's restart leaves every route up
c.JupyterHub.proxy_class = "visa_spawner.proxy.WatchedProxy"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.cleanup_servers = False
c.JupyterHub.cleanup_proxy = False

# ---- Who people are
c.JupyterHub.authenticator_class = "visa_authenticator.authenticator.VisaAuthenticator"
c.VisaAuthenticator.issuer = env.get("VISA_ISSUER", "")

# ---- What there is: experiments and profiles
c.VisaSite.facility = env.get("VISA_FACILITY", "VISA")
c.VisaSite.catalogue_address = env.get("VISA_CATALOGUE", "")
c.VisaSite.profiles_dir = str(here / "profiles")
c.VisaSite.portal_url = "/services/visa/"

# ---- Where sessions run
c.JupyterHub.spawner_class = "visa_spawner.spawner.VisaSpawner"
c.JupyterHub.allow_named_servers = True

# ---- The pages people see
c.JupyterHub.template_paths = [str(Path(visa_portal.__file__).parent / "hub_templates")]

# ---- Who may do what
c.JupyterHub.custom_scopes = {
    VIEW_SCOPE: {"description": "Watch a session's desktop"},
    CONTROL_SCOPE: {"description": "Work in a session", "subscopes": [VIEW_SCOPE]},
}

# ---- The facility's own settings
for path in sorted(Path(env.get("VISA_CONFIG_D", here / "jupyterhub_config.d")).glob("*.py")):
    load_subconfig(str(path))  # noqa: F821
