"""Our hub as small as one can be: no portal, a login that asks for no password, one backend."""

import json
import os

from jupyterhub.auth import DummyAuthenticator

from visa_catalogue.account import Account
from visa_spawner.site import prepare

c = get_config()  # noqa: F821
settings = json.loads(os.environ["BENCH_SETTINGS"])
port, host, account = settings["port"], settings["host"], Account(**settings["account"])


class Facility(DummyAuthenticator):
    """Everybody is the one account."""

    async def authenticate(self, handler, data):
        state = {"account": account.model_dump(mode="json")}
        return {"name": account.username, "groups": account.groups, "auth_state": state}


c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://{host}:{port + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.authenticator_class = Facility
c.Authenticator.enable_auth_state = True
c.Authenticator.manage_groups = True
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.spawner_class = "visa_spawner.spawner.VisaSpawner"
c.JupyterHub.services = [{"name": "bench", "api_token": settings["token"], "admin": True}]

c.VisaSite.backends = settings["backends"]
for section, values in settings["sections"].items():
    for name, value in values.items():
        setattr(c[section], name, value)
prepare(c)
