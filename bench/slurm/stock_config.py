"""A stock hub with stock batchspawner's SlurmSpawner; only what it cannot run without is set."""

import json
import os

import batchspawner  # noqa: F401 - adds the call by which a session says its port

c = get_config()  # noqa: F821
settings = json.loads(os.environ["BENCH_SETTINGS"])
port = settings["port"]

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{port + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.allow_named_servers = True
c.JupyterHub.services = [{"name": "bench", "api_token": settings["token"], "admin": True}]

c.JupyterHub.spawner_class = "batchspawner.SlurmSpawner"
# The same plan on both sides.
for name, value in settings["asked"].items():
    setattr(c.SlurmSpawner, f"req_{name}", value)
# The cluster's nodes are addresses of this machine, whose names nothing resolves.
c.SlurmSpawner.state_exechost_re = r"\s+n([0-9]+)$"
c.SlurmSpawner.state_exechost_exp = r"127.0.21.\1"
# sudo gives jobs a PATH of its own.
c.SlurmSpawner.batchspawner_singleuser_cmd = f"{settings['venv']}/bin/batchspawner-singleuser"
c.Spawner.cmd = settings["cmd"]
# Where a cluster's machines have this file in /etc/slurm, nobody has to say so.
c.Spawner.environment = {"SLURM_CONF": os.environ["SLURM_CONF"]}
