"""What the doctor finds on a real cluster: partitions, plans, the controller's version, the launcher."""

import shutil

import pytest
import yaml

from visa_doctor.checks import slurm as check
from visa_doctor.finding import Verdict
from visa_doctor.installation import Installation

PLAN = {"title": "x", "backend": "slurm", "cpus": 1, "memory": "100M"}


@pytest.fixture
def installation(slurm, tmp_path):
    """A configuration with these plans and settings; the launcher is made for a place of its own."""

    def make(settings="", **plans):
        (tmp_path / "profiles").mkdir(exist_ok=True)
        profile = {"name": "light", "title": "Light", "image": "base"}
        profile |= {"lifetime": {"default_hours": 1, "max_hours": 2}, "plans": plans}
        (tmp_path / "profiles/light.yaml").write_text(yaml.safe_dump(profile))
        config = tmp_path / "jupyterhub_config.py"
        config.write_text(
            f"c.VisaSite.profiles_dir = '{tmp_path}/profiles'\n"
            "c.SlurmBackend.hub_id = 'test'\nc.SlurmBackend.runtime = 'plain'\n"
            f"c.SlurmBackend.slurm_conf = '{slurm.slurm_conf}'\n"
            f"c.SlurmBackend.launcher = {launcher(slurm, tmp_path)!r}\n{settings}"
        )
        return Installation(config)

    return make


def launcher(slurm, folder):
    """The program for a configuration in the test's folder, as an operator installs it."""
    import json

    from visa_spawner.backends.slurm import programs

    place = folder / "slurm.json"
    place.write_text(json.dumps(programs.EXAMPLE | {"spool": f"{folder}/spool/{{uid}}"}))
    place.chmod(0o644)
    program = folder / "visa-slurm-launch"
    program.write_bytes(programs.launch_program(str(place)))
    program.chmod(0o755)
    return [str(program)]


async def told(here, verdict=Verdict.WRONG):
    return [one.what async for one in check.look(here) if one.verdict is verdict]


async def test_all_is_well(installation):
    here = installation(small=PLAN, gpu=PLAN | {"partition": "gpu", "gpus": 1, "gpu_type": "a100"})
    found = [one async for one in check.look(here)]
    assert [one.verdict for one in found] == [Verdict.OK], found
    assert "answers with 4 nodes" in found[0].what


async def test_partitions_and_plans(installation):
    here = installation(moon=PLAN | {"partition": "moon"}, large=PLAN | {"cpus": 640})
    moon, large = sorted(await told(here), reverse=True)
    assert moon == "The plan moon names the partition 'moon', which this account sees none of."
    assert large.startswith("The plan large is larger than every node of the partition ")


async def test_commands_that_are_newer_than_the_controller():
    """No other release of Slurm is at hand: the comparison alone."""
    newer = [one.what for one in check._versions("25.11.1", "22.05.8")]
    assert newer == [
        "Slurm's commands here (25.11.1) are newer than the controller (22.05.8), which Slurm does not allow."
    ]
    assert [one.verdict for one in check._versions("20.02.1", "25.11.8")] == [Verdict.WARNING]
    assert list(check._versions("22.05.8", "22.05.3")) == list(check._versions("22.05.8", "23.11.1")) == []


async def test_a_launcher_that_may_not_run(installation, tmp_path):
    here = installation(small=PLAN)
    (tmp_path / "slurm.json").chmod(0o666)
    (refused,) = await told(here)
    assert "slurm.json may be written by others than root" in refused
    shutil.rmtree(tmp_path / "profiles")
