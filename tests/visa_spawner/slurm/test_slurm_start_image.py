"""The real image in a real job: a desktop and JupyterLab on an experiment's data, through hub and proxy."""

import json
import os
from pathlib import Path

import psutil
import pytest
import yaml
from slurm_fixtures import a_slurm_hub
from slurm_job import IMAGES, image_as, node_has_it_all

from visa_session.contract import INFO_VARIABLE, PASSPORT, SessionInfo

__all__ = ["node_has_it_all"]

OPTIONS = {"experiments": ["A-1"], "profile": "real", "plan": "small", "interface": "desktop"}


@pytest.fixture(scope="module")
def hub(slurm_daemons, node_has_it_all):
    image = image_as("squash")
    with a_slurm_hub(
        slurm_daemons,
        "image",
        cmd=["visa-session"],
        runtime="bubblewrap",
        image_template=f"{image.parent}/{{recipe}}.squashfs",
        before=write_profile,
    ) as hub:
        yield hub


@pytest.fixture
def real_hub(hub, slurm):
    """The hub, whose session is ended before the cluster is looked at."""
    yield hub
    hub.end_session("tooth")


def write_profile(root):
    for old in (root / "profiles").glob("*.yaml"):
        old.unlink()
    plan = {"title": "1 core", "backend": "slurm", "cpus": 1, "memory": "2G"}
    lifetime = {"default_hours": 1, "max_hours": 4}
    profile = {
        "name": "real",
        "title": "Real",
        "image": "base",
        "lifetime": lifetime,
        "plans": {"small": plan},
    }
    (root / "profiles/real.yaml").write_text(yaml.safe_dump(profile))
    (root / "visitor/a1/RAW_DATA/measured").write_text("counts")


def inside(hub, name):
    """The session's own processes, as the node has them."""
    found = []
    for process in psutil.process_iter():
        try:
            info = process.environ().get(INFO_VARIABLE)
            if info and SessionInfo.from_json(info).key == f"alice/{name}":
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def is_session(process):
    """Whether a process is the session's own rather than the runtime's around it."""
    command = process.cmdline()
    return bool(command) and "bwrap" not in command[0] and any("visa-session" in part for part in command[:3])


def test_a_desktop_on_an_experiments_data(real_hub):
    hub = real_hub
    hub.run_session("tooth", OPTIONS)
    headers = {"Authorization": f"token {hub.token('alice')}"}

    def said():
        answer = hub.http.get(hub.address("tooth") + "visa/session", headers=headers)
        return answer.json() if answer.status_code == 200 else None

    session = hub.until(said, 30, "it answers its owner")
    assert (session["role"], session["plan"], session["interface"]) == ("owner", "1 core", "desktop")
    raw, processed = (hub.root / f"visitor/a1/{name}" for name in ("RAW_DATA", "PROCESSED_DATA"))
    (experiment,) = session["experiments"]
    assert (experiment["raw"], experiment["processed"]) == (str(raw), str(processed))
    hub.until(lambda: said()["desktop"]["state"] == "running", 60, f"its desktop is there: {said()}")
    # Nobody else is let in.
    answer = hub.http.get(hub.address("tooth") + "visa/session", headers={"Authorization": "token x"})
    assert answer.status_code in (302, 401, 403)

    # Not the runtime's own processes, which stand outside: whoever has the server's name.
    (server,) = [process for process in inside(hub, "tooth") if is_session(process)][:1]
    root = Path(f"/proc/{server.pid}/root")
    assert (root / f"{raw}".lstrip("/") / "measured").read_text() == "counts"
    with pytest.raises(OSError, match="Read-only"):
        (root / f"{raw}".lstrip("/") / "written").write_text("no, not even as root")
    assert os.readlink(root / "experiments/A-1/raw") == str(raw)
    # By the digest that its file has beside it, the same image can be asked for again.
    passport = json.loads((root / PASSPORT.lstrip("/")).read_text())
    known = json.loads((IMAGES / "base.squashfs.json").read_text())
    assert passport["image"]["digest"] == known["image"]
    assert len(passport["packages"]) == len(known["packages"]) > 100
    assert {20001} == {one.uids().real for one in inside(hub, "tooth")}

    hub.end_session("tooth")
    assert hub.jobs() == {}
    assert hub.spool() == []
    hub.until(lambda: not inside(hub, "tooth"), 20, "nothing of it runs")
