"""The demo's own settings: what a facility would write into its jupyterhub_config.d/."""

import os

import psutil

from demo import computing, gpus, machines
from demo.cluster import inside
from demo.site import Site

c = get_config()  # noqa: F821
site = Site.from_environment()

# ---- Addresses, all on this machine. The hub listens on podman's bridge alone: each session has a network
# namespace of its own and reaches the hub there.
c.JupyterHub.hub_bind_url = f"http://{site.bridge}:{site.hub_port}"
c.JupyterHub.hub_connect_url = f"http://{site.bridge}:{site.hub_port}"
c.WatchedProxy.api_url = f"http://127.0.0.1:{site.proxy_api_port}"

# ---- Sessions serve TLS. They reach the hub without: that way does not leave this machine.
c.VisaSite.authority_dir = str(site.inside)

# ---- Other profiles than the project's, for who measures
c.VisaSite.profiles_dir = os.environ["VISA_DEMO_PROFILES"]

# ---- What must outlive a restart
c.JupyterHub.db_url = f"sqlite:///{site.run}/hub.sqlite"
c.JupyterHub.cookie_secret = bytes.fromhex(os.environ["VISA_COOKIE_SECRET"])
c.VisaAuthenticator.uid_register = str(site.run / "uids.sqlite")

# ---- Login
c.VisaAuthenticator.client_id = "visa"
c.VisaAuthenticator.scope = ["openid", "profile", "email", "facility"]
c.VisaAuthenticator.home_roots = [str(site.homes)]
c.VisaAuthenticator.logout_of_provider = True  # several people of the demo share one browser
c.VisaAuthenticator.login_service = os.environ["VISA_FACILITY"]

# ---- One node: this machine, with two made-up GPUs. Its cores are promised several times over, since a
# demo's sessions mostly wait for their person.
c.ContainerBackend.hub_id = site.hub_id
c.ContainerBackend.nodes = [
    {
        "name": "node1",
        "engine": f"unix://{site.engine_socket}",
        "cpus": 4 * psutil.cpu_count(),
        "memory": int(psutil.virtual_memory().total * 0.8),
        "gpus": {
            str(number): {"type": "demo", "devices": [str(path)]}
            for number, path in enumerate(gpus.paths(site.gpus))
        },
        "network": "podman",
    }
]

# ---- What people here mostly take is ready before they ask, in a part of the memory that nobody misses.
c.ContainerBackend.warm_memory = "512M"

# ---- The cluster. The hub is root, so that its launcher needs no sudo.
cluster = computing.cluster(site)
c.SlurmBackend.hub_id = site.hub_id
c.SlurmBackend.slurm_conf = str(cluster.slurm_conf)
c.SlurmBackend.launcher = [str(site.launcher)]
c.SlurmBackend.image_template = f"{site.images}/{{recipe}}"
c.SlurmBackend.gpu_device = cluster.gpu_device
c.SlurmBackend.gpu_common = []

# ---- The cluster from inside sessions
c.ClusterAccess.binds = inside.binds(cluster)
c.ClusterAccess.environment = inside.environment(cluster)
c.ClusterAccess.in_image = inside.in_image(
    f"{site.images}/{{recipe}}", str(site.data), str(site.homes), str(site.cluster)
)

# ---- Virtual machines, where this machine has libvirt
if machines.offered():
    c.merge(machines.settings(site))

# ---- Data
c.VisaSite.home_roots = [str(site.homes)]
c.VisaSite.staging_dir = str(site.staging)

# ---- Sharing and support
c.VisaSharing.events_file = str(site.run / "events.jsonl")

# ---- The demo itself: knows the accounts' tokens, stops the sessions at Ctrl-C
c.JupyterHub.services.append({"name": "demo", "api_token": os.environ["VISA_DEMO_TOKEN"], "admin": True})
