"""What leads to the cluster comes from the operator's settings alone, and only to profiles that say so."""

import pytest
from spawner_support import ALICE
from traitlets import TraitError
from traitlets.config import Config

from visa_session.contract import INFO_VARIABLE
from visa_spawner.backends.accounts import passwd
from visa_spawner.profiles.model import Profile
from visa_spawner.session import Bind, Resources, SessionPlan
from visa_spawner.start.cluster_access import ClusterAccess

PLAN = SessionPlan(
    key="alice/x",
    person=ALICE,
    image="base",
    resources=Resources(1, 1 << 30),
    binds=(Bind("/staging/1", "/data/a", True, "/data/a"),),
    short_ways={},
    environment={"HOME": "/home/alice", INFO_VARIABLE: "{}"},
    labels={},
)


def profile(cluster):
    plan = {"title": "1 core", "backend": "container", "cpus": 1, "memory": "1G"}
    lifetime = {"default_hours": 1, "max_hours": 4}
    about = {"name": "work", "title": "Work", "image": "base", "cluster": cluster, "lifetime": lifetime}
    return Profile.model_validate(about | {"plans": {"small": plan}})


def access(**settings):
    return ClusterAccess(config=Config({"ClusterAccess": settings}))


FULL = {
    "binds": ["/etc/slurm", "/run/munge"],
    "environment": {"SLURM_CONF": "/etc/slurm/slurm.conf"},
    "accounts": {"slurm": 64030},
    "in_image": ["/usr/bin/apptainer", "exec", "/opt/visa images/{recipe}.sif"],
}


def test_a_profile_with_the_cluster_gets_it():
    plan = access(**FULL).given(PLAN, profile(True))
    assert plan.binds[:1] == PLAN.binds
    assert plan.binds[1:] == tuple(Bind(path, path, True, path) for path in FULL["binds"])
    assert plan.environment == PLAN.environment | {
        "SLURM_CONF": "/etc/slurm/slurm.conf",
        "VISA_CLUSTER": "1",
        "VISA_IN_IMAGE": "/usr/bin/apptainer exec '/opt/visa images/base.sif'",
    }
    assert plan.accounts == (("slurm", 64030),)


def test_a_profile_without_it_gets_nothing():
    assert access(**FULL).given(PLAN, profile(False)) is PLAN


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("binds", ["etc/slurm"], "is not a plain absolute path"),
        ("binds", ["/etc/../root"], "is not a plain absolute path"),
        ("binds", ["/run/munge/"], "is not a plain absolute path"),
        ("binds", ["/a,rw"], "is not a plain absolute path"),
        ("binds", ["/"], "would replace too much"),
        ("binds", ["/usr"], "would replace too much"),
        ("environment", {"A=B": "1"}, "cannot be a variable"),
        ("environment", {"JUPYTERHUB_USER": "bob"}, "is the hub's own"),
        ("environment", {"HOME": "/root"}, "is the hub's own"),
        ("accounts", {"root": 5}, "cannot be a system account"),
        ("accounts", {"a:b": 5}, "cannot be a system account"),
        ("accounts", {"slurm": 0}, "accounts"),
        ("in_image", ["apptainer"], "absolute path of a program"),
        ("in_image", ["/usr/bin/apptainer", "{user}"], "no braces"),
    ],
)
def test_settings_that_cannot_be(setting, value, words):
    with pytest.raises(TraitError, match=words):
        access(**{setting: value})


def test_a_profile_that_promises_what_is_not_there_stops_the_hub(caplog):
    with pytest.raises(ValueError, match=r"profile work has `cluster: true`"):
        access().check([profile(True)])
    access().check([profile(False)])
    access(binds=["/nonexistent/munge"]).check([profile(True)])
    assert "/nonexistent/munge is not there" in caplog.text


def test_slurms_account_is_known_inside_and_replaces_nobody():
    lines = passwd(ALICE, [("slurm", 64030), ("daemon", 7), ("mine", ALICE.uid)]).splitlines()
    assert "slurm:x:64030:65534::/nonexistent:/usr/sbin/nologin" in lines
    assert sum(line.startswith("daemon:") for line in lines) == 1
    assert [line for line in lines if f":{ALICE.uid}:" in line] == [
        f"alice:x:{ALICE.uid}:{ALICE.gid}::{ALICE.home}:/bin/bash"
    ]
