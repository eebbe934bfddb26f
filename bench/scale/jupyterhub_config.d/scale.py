"""The harness's site: nodes whose engines stand in, accounts without an identity provider, the probe."""

import json
import os

from jupyterhub.auth import DummyAuthenticator

from bench.scale import probe
from bench.scale.facility import account

c = get_config()  # noqa: F821
site = json.loads(os.environ["VISA_SCALE"])


class Facility(DummyAuthenticator):
    """Whoever comes is who they say: stands in for the login at the identity provider."""

    async def authenticate(self, handler, data):
        found = account(site["root"], data["username"])
        return {
            "name": found.username,
            "groups": found.groups,
            "auth_state": {"account": found.model_dump(mode="json")},
        }


c.JupyterHub.authenticator_class = Facility
c.Authenticator.enable_auth_state = True
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True
c.JupyterHub.cookie_host_prefix_enabled = False  # people here come without TLS
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_connect_url = site["hub"]
c.WatchedProxy.api_url = site["proxy_api"]
c.JupyterHub.db_url = site["database"]
c.JupyterHub.cookie_secret = bytes(32)
c.JupyterHub.services.append({"name": "bench", "api_token": site["token"], "admin": True})
c.ContainerBackend.hub_id = "scale"
c.ContainerBackend.nodes = [
    {
        "name": name,
        "engine": f"unix://{site['sockets']}/{name}.sock",
        "cpus": 256,
        "memory": "1024G",
        "network": "host",
        "address": "127.0.0.1",
    }
    for name in site["nodes"]
]
c.VisaSite.profiles_dir = f"{site['root']}/profiles"
c.VisaSite.home_roots = [f"{site['root']}/home"]
c.VisaSite.staging_dir = f"{site['root']}/staging"
for name, value in site.get("settings", {}).items():
    of, _, trait = name.partition(".")
    setattr(c[of], trait, value)
_probe = probe.join(site["probe"])
