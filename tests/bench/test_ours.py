"""What our side is measured with."""

from __future__ import annotations

import yaml

from bench import ours
from bench.hub import Hub
from visa_spawner.profiles.model import Profile


def test_containers_wait_for_one_plan_alone_that_is_the_other_measured_one(tmp_path):
    ours.write_profiles(tmp_path)
    profiles = [Profile.model_validate(yaml.safe_load(file.read_text())) for file in tmp_path.glob("*.yaml")]
    assert len(profiles) > 1
    waits = {(it.name, name) for it in profiles for name, plan in it.plans.items() if plan.warm}
    assert waits == {(ours.PROFILE, ours.WAITING_PLAN)}
    (measured,) = [it for it in profiles if it.name == ours.PROFILE]
    none, one = measured.plans[ours.PLAN], measured.plans[ours.WAITING_PLAN]
    assert (none.resources, none.backend) == (one.resources, one.backend)


def test_the_other_side_differs_in_nothing_but_the_plan():
    hub = Hub("ours", "http://a", "alice", "p", "t", options={"profile": ours.PROFILE, "plan": ours.PLAN})
    other = ours.waiting(hub)
    assert other.options == {**hub.options, "plan": ours.WAITING_PLAN}
    assert (other.kind, other.user, other.token) == ("warm", hub.user, hub.token)
