"""Data added to a session in a real container, by the hub's call, and taken away."""

import os

import pytest
import yaml
from container_hub import HUB_ID, container_hub
from container_support import node, settings
from spawner_support import GOOD_OPTIONS

from visa_spawner.backends import container_data

DATA = "visa/sessions/alice/tooth/data"


@pytest.fixture
def hub(podman, site_files, monkeypatch):
    file = site_files / "experiments.yaml"
    experiments = yaml.safe_load(file.read_text())
    experiments[1] |= {"team": ["alice"], "processed": f"{site_files}/visitor/b2/PROCESSED_DATA"}
    file.write_text(yaml.safe_dump(experiments))
    (site_files / "visitor/b2/RAW_DATA/scan.h5").write_text("counts")
    results = site_files / "visitor/b2/PROCESSED_DATA"
    results.mkdir()
    os.chown(results, 20001, 20001)
    with container_hub(podman, site_files, monkeypatch) as hub:
        hub.accounts = hub.accounts | {"alice": hub.accounts["alice"] | {"teams": ["A-1", "B-2"]}}
        yield hub


def test_data_come_read_only_stay_over_a_restart_and_go(hub, podman, site_files):
    hub.run_session("tooth", GOOD_OPTIONS | {"interface": "lab"})
    (container,) = podman.containers(HUB_ID)

    def inside(text, user="20001:20001"):
        return podman.run_inside(container["Id"], ["sh", "-c", text], user)

    answer = hub.api("POST", DATA, "alice", json={"experiment": "B-2"})
    assert answer.status_code == 200, answer.text
    assert hub.mounts() == []
    code, said = inside("cat /experiments/B-2/raw/scan.h5; touch /experiments/B-2/processed/mine; exec 2>&1;"
                        " touch /experiments/B-2/raw/x")  # fmt: skip
    assert code != 0
    assert said.startswith("counts")
    assert "Read-only file system" in said
    code, said = inside("touch /experiments/B-2/raw/x 2>&1; mkdir /experiments/mine 2>&1", "0")
    assert "Read-only file system" in said
    assert os.listdir(site_files / "visitor/b2/RAW_DATA") == ["scan.h5"]
    assert (site_files / "visitor/b2/PROCESSED_DATA/mine").stat().st_uid == 20001
    hub.kill()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 30, "it is found again")
    assert hub.session("tooth")["experiments"] == ["A-1", "B-2"]
    assert inside("cat /experiments/B-2/raw/scan.h5")[1] == "counts"
    answer = hub.api("DELETE", f"{DATA}/B-2", "alice")
    assert answer.json() == {"experiments": ["A-1"], "datasets": []}
    there = inside(f"ls /experiments; ls {site_files}/visitor")[1].split()
    assert there == ["A-1", "mine", "passport.json", "a1"]
    # A directory that is not the facility's alone is refused as at a start, and nothing is left.
    (site_files / "visitor/b2").chmod(0o777)
    answer = hub.api("POST", DATA, "alice", json={"experiment": "B-2"})
    assert answer.status_code == 409
    assert "cannot be opened safely" in answer.json()["message"]
    assert hub.mounts() == []
    assert inside("ls /experiments")[1].split() == ["A-1", "mine", "passport.json"]
    hub.stop_session("tooth")


async def test_a_node_elsewhere_says_so(podman, make_backend):
    backend = make_backend(settings([node(podman, local=False)]))
    backend.node_name = podman.kind
    assert backend.fixed_data == container_data.ELSEWHERE
    with pytest.raises(container_data.StartRefused, match="cannot be added later"):
        await backend.add_data([], {}, {})
