"""Whether a session has a video stream of its desktop: by its profile, and by the site."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from visa_spawner.profiles.model import Profile
from visa_spawner.spawner import VisaSpawner


def profile(**others) -> Profile:
    plan = {"title": "2 cores", "backend": "container", "cpus": 2, "memory": "1G"}
    lifetime = {"default_hours": 8, "max_hours": 8}
    about = {"name": "base", "title": "Base", "image": "base", "lifetime": lifetime, "plans": {"small": plan}}
    return Profile.model_validate(about | others)


def rate(profile: Profile, site_streams: bool) -> int:
    """What a session of that profile is told by a spawner of that site."""
    request = SimpleNamespace(interface="desktop", screen="1920x1080", keyboard="us")
    accepted = SimpleNamespace(
        profile=profile, plan_name="small", plan=profile.plans["small"], request=request
    )
    accepted.experiments = accepted.datasets = ()
    site = SimpleNamespace(facility="", portal_url="", passport_in_processed=False, stream=site_streams)
    kept = SimpleNamespace(ends=datetime.now(UTC), lifetime=timedelta(hours=1))
    spawner = SimpleNamespace(
        site=site, _kept=kept, user=SimpleNamespace(name="alice"), name="x", display_name=""
    )
    return VisaSpawner._info(spawner, accepted).stream_rate


def test_the_profile_says_how_many_pictures_and_the_site_whether_any():
    assert rate(profile(), True) == 60
    assert rate(profile(stream_rate=30), True) == 30
    assert rate(profile(stream_rate=0), True) == 0
    assert rate(profile(stream_rate=30), False) == 0


@pytest.mark.parametrize("wrong", [-1, 61, True, "30"])
def test_no_other_rates(wrong):
    with pytest.raises(ValidationError):
        profile(stream_rate=wrong)
