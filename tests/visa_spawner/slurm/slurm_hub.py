"""A real JupyterHub with a real proxy whose sessions are jobs of a real Slurm cluster."""

import json
from pathlib import Path

import yaml
from local_backend import SESSION
from local_hub import ACCOUNTS, CONFIG, Hub

from demo.cluster.layout import NODES
from visa_spawner.backends.slurm import programs

#: Whose jobs seats are: no account of a person's, by its number.
SEATS_USER, SEATS_UID = "visa-seats", 899
IS_ALIVE = "PD,R,CF,S,CG,ST,SO,RQ,RH,SI"

CONFIG = CONFIG.replace(
    'c.LocalBackend.marks_dir = SETTINGS["marks"]\n'
    'c.VisaSite.backends = {{"container": "local_backend.LocalBackend"}}\n',
    'for name, value in SETTINGS["slurm"].items():\n    setattr(c.SlurmBackend, name, value)\n'
    'if SETTINGS["cmd"]:\n    c.VisaSpawner.cmd = SETTINGS["cmd"]\n'
    'c.JupyterHub.template_paths = SETTINGS["pages"]\n'
    'c.JupyterHub.template_vars = {{"portal_url": "/services/visa/"}}\n',
)
assert "SlurmBackend" in CONFIG
PORTAL = Path(__file__).parents[3] / "visa_portal"

LIGHT = {"experiments": [], "profile": "light", "plan": "small", "interface": "lab"}

#: Plans of the profile `light`: what each asks for beside the smallest there is.
PLANS = {
    "small": {},
    "whole": {"cpus": 4},
    "everywhere": {"cpus": 4, "nodes": 4},
    "gpu": {"gpus": 1, "gpu_type": "a100", "partition": "gpu"},
    "spare": {"cpus": 4, "nodes": 1, "partition": "spare"},
    "no-such-partition": {"partition": "moon"},
    "no-such-gpu": {"gpus": 1, "gpu_type": "h100", "partition": "gpu"},
    "too-large": {"cpus": 64},
    "no-such-account": {"account": "nobodys"},
    "tiny-memory": {"memory": "100M"},
    "minute": {"hours": 1 / 60},
    "nice": {"partition": "spare"},
}


class SlurmHub(Hub):
    """A hub below `root` on a cluster; `cluster` is the fixture's, `hub_id` this hub's own name there."""

    config = CONFIG
    accounts = ACCOUNTS | {"x y;$(id)": {"uid": 20912, "gid": 20912, "gids": [], "roles": ["scientist"]}}

    def __init__(
        self, root, cluster, hub_id, *, cmd=(), runtime="plain", image_template="/usr", slurm=(), **site
    ):
        super().__init__(root, **site)
        self.cluster, self.hub_id = cluster, hub_id
        self.cmd = list(cmd or ["/usr/bin/python3", "-I", str(SESSION), str(self.marks)])
        self.site["home_only_roles"] = ["scientist", "helpdesk"]
        self.slurm = {
            "hub_id": hub_id,
            "slurm_conf": str(cluster.slurm_conf),
            "launcher": install(cluster.folder / "programs", cluster),
            "launcher_timeout": 20,
            "runtime": runtime,
            "image_template": image_template,
            "gpu_device": cluster.layout.gpu_device,
            "interval": 1,
            "nodes_interval": 1,
            "query_timeout": 3,
            "settle_seconds": 6,
            "cancel_timeout": 40,
        } | dict(slurm)

    def settings(self):
        pages = [str(PORTAL / name) for name in ("hub_templates", "static")]
        return super().settings() | {"slurm": self.slurm, "cmd": self.cmd, "pages": pages}

    # What Slurm says ---------------------------------------------------------------------------------
    def run(self, *command, **options):
        """What a command of Slurm's prints, as root."""
        return self.cluster.run(*command, **options)

    def jobs(self, states=IS_ALIVE):
        """This hub's jobs that are not over: `{id: (state, owner, node)}`."""
        lines = self.run("squeue", "-h", "-t", states, "-o", "%i|%T|%u|%B|%k").splitlines()
        rows = [line.split("|", 4) for line in lines]
        return {int(row[0]): tuple(row[1:4]) for row in rows if row[4].startswith(f"visa:{self.hub_id}:")}

    def leave_the_cluster(self):
        """End whatever a hub that is gone has left there."""
        if jobs := self.jobs():
            self.run("scancel", *map(str, jobs))
        self.until(lambda: not self.jobs(), 60, "its jobs are over")

    def job(self):
        """The id of the one job there must be."""
        (job,) = self.jobs()
        return job

    def job_state(self, job):
        return self.run("squeue", "-h", "-t", "all", "-j", str(job), "-o", "%T").strip()

    def spool(self, who="alice"):
        """Names of the files that sessions of a person have now."""
        directory = self.cluster.folder / "programs/spool" / str(self.accounts[who]["uid"])
        return sorted(file.name for file in directory.iterdir()) if directory.is_dir() else []

    def address_of(self, node):
        """Where a node is reached."""
        return next(one.address for one in NODES if one.name == node)

    def end_session(self, name, who="alice", remove=True):
        """Stop one, whatever it is doing, and wait until that is done."""
        body = {"remove": remove}
        answer = self.api("DELETE", f"users/{who}/servers/{name}", who, json=body)
        assert answer.status_code in (202, 204, 404), answer.text
        self.until(lambda: self.is_over(name, who), 90, f"{name} is over: {self.session(name, who)}")

    def is_over(self, name, who="alice"):
        session = self.session(name, who)
        over = ("stopped", "failed")
        return session is None or (session["pending"] is None and session["state"] in over)

    # What a session says -----------------------------------------------------------------------------
    def ask(self, name, path="", who="alice"):
        """What the light session answers through the proxy; None while it does not."""
        answer = self.http.get(self.address(name, who) + path)
        is_json = answer.headers.get("content-type", "").startswith("text/html") is False
        return answer.json() if answer.status_code == 200 and is_json else None

    def route(self, name, who="alice"):
        """Where the proxy leads for a session: `http://HOST:PORT`; None while it leads nowhere."""
        headers = {"Authorization": f"token {self.proxy_token}"}
        routes = self.http.get(f"{self.proxy_api}/api/routes", headers=headers).json()
        return routes.get(f"/user/{who}/{name}", routes.get(f"/user/{who}/{name}/", {})).get("target")


def install(folder, cluster):
    """Launcher and node program, as an operator installs them; gives the launcher's command."""
    folder.mkdir(exist_ok=True)
    configuration = folder / "slurm.json"
    programs.write(folder, str(configuration))
    # Everybody may make a directory of their own there, and nobody may take another's away.
    (folder / "spool").mkdir(exist_ok=True)
    (folder / "spool").chmod(0o1777)
    settings = programs.EXAMPLE | {
        "slurm_conf": str(cluster.slurm_conf),
        "node_program": str(folder / programs.NODE),
        "spool": f"{folder}/spool/{{uid}}",
        "extend": True,
        "seats_user": SEATS_USER,
        "timeout": 5,
    }
    configuration.write_text(json.dumps(settings))
    configuration.chmod(0o644)
    return [str(folder / programs.LAUNCH)]


def write_profiles(root):
    lifetime = {"default_hours": 1, "max_hours": 4, "idle_hours": 3}
    plans = {
        name: {"title": name.title(), "backend": "slurm", "cpus": 1, "memory": "300M"} | changes
        for name, changes in PLANS.items()
    }
    light = {"name": "light", "title": "Light", "image": "light", "lifetime": lifetime, "plans": plans}
    for old in (root / "profiles").glob("*.yaml"):
        old.unlink()
    (root / "profiles/light.yaml").write_text(yaml.safe_dump(light))


def refusal(hub, options, name="tooth"):
    """What the owner reads: in the answer, or on the tile where the answer was given before."""
    answer = hub.start_session(name, options)
    if answer.status_code != 202:
        assert 400 <= answer.status_code < 600
        return answer.json()["message"]
    hub.until(lambda: hub.is_over(name), 60, "it is refused")
    assert hub.session(name)["state"] == "failed"
    return hub.session(name)["words"]
