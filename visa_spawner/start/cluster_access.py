"""The cluster from inside sessions: what the operator binds in for profiles with `cluster: true`.

Nothing here comes from a person or the catalogue. Inside, Slurm's own commands speak to the controller as the
session's account, by the site's own authentication; what they may do there is Slurm's to say.
"""

from __future__ import annotations

import logging
import os
import re
import shlex
from collections.abc import Iterable
from dataclasses import replace

from traitlets import Dict, Integer, List, TraitError, Unicode, validate
from traitlets.config import Config, SingletonConfigurable

from visa_session.contract import CLUSTER_VARIABLE, IN_IMAGE_VARIABLE, INFO_VARIABLE

from ..profiles.model import Profile
from ..session import Bind, SessionPlan

log = logging.getLogger(__name__)

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
#: Set by the hub itself, session by session.
_OURS = ("HOME", "USER", "LOGNAME", INFO_VARIABLE, CLUSTER_VARIABLE, IN_IMAGE_VARIABLE)
#: What no path of the operator's may replace inside.
_TAKEN = ("/", "/dev", "/etc", "/home", "/opt", "/proc", "/run", "/sys", "/tmp", "/usr", "/var")


class ClusterAccess(SingletonConfigurable):
    """What sessions need to reach the cluster."""

    binds = List(
        Unicode(),
        help="""Files and directories that stand at the same path inside, read-only: slurm.conf's directory,
        the directory of munge's socket (not the socket, which munge makes anew when it restarts), and the
        site's own Slurm commands and libraries where the image's are of another version. Each must be there
        on every node where sessions run; a session does not start without.""",
    ).tag(config=True)
    environment = Dict(
        Unicode(),
        help="""Variables of sessions that reach the cluster, such as SLURM_CONF. Jobs that are submitted from
        a session get them too, unless Slurm's own `SBATCH_EXPORT` says otherwise.""",
    ).tag(config=True)
    accounts = Dict(
        Integer(min=1),
        help="""System accounts, name to uid, that Slurm's files name and that must be known inside. With
        `SlurmUser=slurm` no command of Slurm's works without `{"slurm": UID}`.""",
    ).tag(config=True)
    in_image = List(
        Unicode(),
        help="""Words that, put before a command in a job, run it in the session's image on the cluster's
        nodes, such as `["/usr/bin/apptainer", "exec", "/opt/visa/images/{recipe}.sif"]`. The examples and
        Dask's workers run so. Empty: on the node's own software, which then must have the same versions.""",
    ).tag(config=True)

    @validate("binds")
    def _check_binds(self, proposal):
        for path in proposal.value:
            if os.path.normpath(path) != path or not path.startswith("/") or re.search(r'[,:"\s\x00]', path):
                raise TraitError(f"ClusterAccess.binds: {path!r} is not a plain absolute path")
            if path in _TAKEN:
                raise TraitError(f"ClusterAccess.binds: {path} would replace too much; name what is in it")
        return proposal.value

    @validate("environment")
    def _check_environment(self, proposal):
        for name, value in proposal.value.items():
            if not _VARIABLE.fullmatch(name) or "\x00" in value:
                raise TraitError(f"ClusterAccess.environment: {name!r} cannot be a variable")
            if name in _OURS or name.startswith("JUPYTERHUB_"):
                raise TraitError(f"ClusterAccess.environment: {name} is the hub's own to set")
        return proposal.value

    @validate("accounts")
    def _check_accounts(self, proposal):
        for name in proposal.value:
            if not _ACCOUNT.fullmatch(name) or name == "root":
                raise TraitError(f"ClusterAccess.accounts: {name!r} cannot be a system account")
        return proposal.value

    @validate("in_image")
    def _check_in_image(self, proposal):
        if proposal.value and not proposal.value[0].startswith("/"):
            raise TraitError("ClusterAccess.in_image: the first word must be the absolute path of a program")
        for word in proposal.value:
            if re.search(r"[\x00-\x1f]", word) or re.search(r"[{}]", word.replace("{recipe}", "")):
                raise TraitError(f"ClusterAccess.in_image: {word!r} may have no braces but {{recipe}}")
        return proposal.value

    @classmethod
    def of(cls, config: Config) -> ClusterAccess:
        """The one of this hub, made at first use; raises TraitError for a setting that cannot be."""
        return cls.instance(config=config)

    def check(self, profiles: Iterable[Profile]) -> None:
        """Raise ValueError when a profile promises a cluster that nothing here leads to.

        A path that is missing now is told in the log alone: munge may come up after the hub.
        """
        names = [profile.name for profile in profiles if profile.cluster]
        if not names:
            return
        if not (self.binds or self.environment):
            raise ValueError(
                f"profile {names[0]} has `cluster: true`, but neither c.ClusterAccess.binds nor "
                "c.ClusterAccess.environment says how its sessions reach the cluster"
            )
        for path in self.binds:
            if not os.path.exists(path):
                log.warning("ClusterAccess.binds: %s is not there; sessions on this machine need it", path)

    def binds_for(self, profile: Profile) -> tuple[Bind, ...]:
        """What is bound in all sessions of a profile."""
        if not profile.cluster:
            return ()
        return tuple(Bind(path, path, read_only=True, path=path) for path in self.binds)

    def given(self, plan: SessionPlan, profile: Profile) -> SessionPlan:
        """The plan with what leads to the cluster, where its profile has that; else as it is."""
        if not profile.cluster:
            return plan
        environment = {
            **plan.environment,
            **self.environment,
            CLUSTER_VARIABLE: "1",
            IN_IMAGE_VARIABLE: shlex.join(word.replace("{recipe}", plan.image) for word in self.in_image),
        }
        binds = self.binds_for(profile)
        accounts = tuple(sorted(self.accounts.items()))
        return replace(plan, environment=environment, binds=plan.binds + binds, accounts=accounts)
