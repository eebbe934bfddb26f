"""Whether what leads from sessions to the cluster is there: a session does not start without."""

from __future__ import annotations

import os

from traitlets import TraitError

from visa_spawner.profiles.files import ProfileError
from visa_spawner.start.cluster_access import ClusterAccess

from ..finding import CannotLook, fine, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread


async def look(here: Installation) -> Look:
    """Only where a profile has `cluster: true`."""
    try:
        profiles = [file.profile for file in here.profile_files if file.profile and file.profile.cluster]
        access = ClusterAccess(config=here.config)
    except ProfileError as error:
        raise CannotLook(f"the profiles cannot be read: {worded(error)}", because="profiles") from error
    except TraitError as error:
        raise CannotLook(f"a setting is wrong: {worded(error)}", because="configuration") from error
    if not profiles:
        return
    names = ", ".join(sorted(profile.name for profile in profiles))
    if not (access.binds or access.environment):
        yield wrong(
            f"{names} has `cluster: true`, and c.ClusterAccess does not say how sessions reach the cluster.",
            "Set c.ClusterAccess (docs/operators/cluster.md), or take `cluster: true` out.",
            stops=True,
        )
        return
    missing = await in_thread(lambda: [path for path in access.binds if not os.path.exists(path)])
    for path in missing:
        yield wrong(
            f"{path} is not there: sessions of {names} do not start on this machine.",
            "`systemctl start munge` where it is munge's; else correct c.ClusterAccess.binds.",
        )
    if not missing:
        yield fine("All that leads from sessions to the cluster is there.")
