"""A stock hub with stock DockerSpawner on the plain image; only what it cannot run without is set."""

import json
import os

c = get_config()  # noqa: F821
port = int(os.environ["BENCH_PORT"])

c.JupyterHub.bind_url = f"http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = f"http://0.0.0.0:{port + 1}"
c.JupyterHub.hub_connect_url = f"http://127.0.0.1:{port + 1}"
c.Spawner.hub_connect_url = f"http://{os.environ['BENCH_GATEWAY']}:{port + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"
c.ConfigurableHTTPProxy.command = json.loads(os.environ["BENCH_PROXY"])
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.allow_named_servers = True

c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = os.environ["BENCH_PASSWORD"]
c.Authenticator.allow_all = True

c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = os.environ["BENCH_IMAGE"]
c.DockerSpawner.prefix = os.environ["BENCH_PREFIX"]
c.DockerSpawner.remove = True
c.DockerSpawner.network_name = os.environ["BENCH_NETWORK"]
# The same plan on both sides.
c.DockerSpawner.mem_limit = int(os.environ["BENCH_MEMORY"])
c.DockerSpawner.cpu_limit = float(os.environ["BENCH_CPUS"])

c.JupyterHub.services = [{"name": "bench", "api_token": os.environ["BENCH_TOKEN"], "admin": True}]
