"""What is the same for all sessions of a hub: profiles, catalogue, limits, backends, staging.

Configured as `c.VisaSite.*`. `prepare(c)` at the end of jupyterhub_config.py reads it all while the hub
starts, so that a mistake stops the hub with a message rather than the first session without one.
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import ContextVar
from pathlib import Path

from traitlets import Bool, Dict, Integer, List, TraitError, Unicode, default, validate
from traitlets.config import Config, SingletonConfigurable
from traitlets.utils.importstring import import_item

from visa_catalogue import Catalogue, open_catalogue
from visa_catalogue.account import Role

from .asked.authorise import Limits
from .backends.base import Backend
from .data.staging import Staging
from .inside.authority import Authority
from .kept.passport import Passports
from .members import Members
from .profiles.files import ProfileError, load_profiles
from .profiles.model import Profile
from .start.cluster_access import ClusterAccess

log = logging.getLogger(__name__)

#: Whether a configuration is read by somebody who starts no hub: `prepare` then does nothing.
only_read: ContextVar[bool] = ContextVar("only_read", default=False)

#: The class behind each backend name, where the site says nothing else.
BACKENDS = {
    "container": "visa_spawner.backends.container.ContainerBackend",
    "slurm": "visa_spawner.backends.slurm.SlurmBackend",
    "vm": "visa_spawner.backends.vm.VMSpawner",
}


class VisaSite(SingletonConfigurable):
    """The site's settings, and what is made from them once a hub."""

    facility = Unicode("", help="The facility's name, shown inside sessions.").tag(config=True)
    portal_url = Unicode(
        "",
        help="""Where the portal's pages stand, such as `/services/visa/`.

        `GET /hub/spawn` sends people to its `new` page, filled in from the address; it never starts
        anything. Empty: the hub shows a plain form of its own instead.""",
    ).tag(config=True)
    profiles_dir = Unicode(
        "profiles",
        help="""Directory of the profiles, one YAML file each. Read when the hub starts: restart it after a
        change.""",
    ).tag(config=True)
    catalogue_address = Unicode(
        help="Where experiments come from, such as `file:///etc/visa/experiments.jsonl`."
    ).tag(config=True)
    backends = Dict(
        BACKENDS,
        help="""The class behind each backend name that a plan may have. Removing one makes the hub refuse
        to start while a profile still names it.""",
    ).tag(config=True)
    home_only_roles = List(
        Unicode(),
        [Role.INSTRUMENT_SCIENTIST, Role.HELPDESK, Role.ADMINISTRATOR],
        help="Facility roles that may start a session without any experiment, with their home alone.",
    ).tag(config=True)
    staff_roles = List(
        Unicode(),
        [Role.HELPDESK, Role.ADMINISTRATOR],
        help="Facility roles that may list anybody's sessions and read the last lines of their logs.",
    ).tag(config=True)
    max_sessions = Integer(
        4,
        min=0,
        help="""How many sessions of one account may run at a time; 0: any number. Higher lets one person
        take more of the machines. JupyterHub's named_server_limit_per_user counts stopped ones too.""",
    ).tag(config=True)
    home_roots = List(
        Unicode(),
        ["/home"],
        help="""Directories below which home directories stand. A home elsewhere is refused, so that an
        identity provider's mistake cannot hand out another directory.""",
    ).tag(config=True)
    pin_binds = Bool(
        True,
        help="""Pin each directory as a mount of its own before it is given to an engine on this machine, so
        that a swap after the check changes nothing. Needs root. Off, paths are only checked: for hubs that
        start sessions on other machines alone.""",
    ).tag(config=True)
    staging_dir = Unicode(
        "/run/visa/staging",
        help="Where pinned directories stand until their session runs. Root's own, mode 0700.",
    ).tag(config=True)
    passport_in_processed = Bool(
        False,
        help="""Have each session leave its passport beside the results, in the processed data of each of its
        experiments, when it stops: what it was made with stays with what it made.""",
    ).tag(config=True)
    stream = Bool(
        True,
        help="""Offer the desktop as a video stream beside VNC, for thin lines, unless the profile says
        otherwise. It costs CPU while somebody watches: docs/operators/stream.md.""",
    ).tag(config=True)
    authority_dir = Unicode(
        "",
        help="""Folder of the authority by which proxy, hub and sessions know each other, as `visa inside
        make` makes it. Set, sessions that start from then on serve TLS with certificates of it, and the
        proxy needs its `authority.pem` as `--client-ssl-ca`; those that run stay as they are. Empty: sessions
        are reached by plain HTTP, and whoever listens on the network between reads along.""",
    ).tag(config=True)
    disks = List(
        Unicode(),
        ["/", "/var/lib", "/var/log", "/tmp"],
        help="""Directories of the hub's own machine whose file systems /hub/metrics tells the room of, each
        once. Local ones alone: one that hangs hides all others from then on.""",
    ).tag(config=True)
    backup_mark = Unicode(
        "",
        help="""A file that whatever takes the backup touches when one is whole, so that /hub/metrics tells
        how old the last one is. Empty: nothing is told.""",
    ).tag(config=True)
    keep_interval = Integer(
        30,
        min=1,
        help="""Seconds between two rounds of ending sessions that are over and sweeping leftovers. Longer:
        sessions live up to so much longer than they were given.""",
    ).tag(config=True)

    @default("catalogue_address")
    def _no_catalogue(self):
        raise TraitError("VisaSite.catalogue_address must be set, e.g. file:///etc/visa/experiments.jsonl")

    @validate("home_roots", "staging_dir")
    def _absolute(self, proposal):
        for path in [proposal.value] if isinstance(proposal.value, str) else proposal.value:
            if not path.startswith("/") or path.rstrip("/") == "":
                raise TraitError(f"VisaSite.{proposal.trait.name}: {path!r} is not an absolute path below /")
        return proposal.value

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._profiles: dict[str, Profile] | None = None
        self._catalogue: Catalogue | None = None
        self._classes: dict[str, type[Backend]] = {}
        self._authority: Authority | None = None
        self.keeper: asyncio.Task | None = None
        self.surroundings: asyncio.Task | None = None
        #: What the hub remembers of sessions' passports; set by who has the tables for it.
        self.passports = Passports()
        #: Whoever is let into sessions; set by who has the tables for it.
        self.members = Members()
        self.cluster = ClusterAccess.of(self.config)
        self.staging = Staging(self.staging_dir, self.home_roots, self.pin_binds)

    @classmethod
    def of(cls, config: Config) -> VisaSite:
        """The one of this hub, made at first use."""
        return cls.instance(config=config)

    @property
    def profiles(self) -> dict[str, Profile]:
        """All profiles, by name; raises ProfileError at first use when one is wrong."""
        if self._profiles is None:
            self._profiles = load_profiles(self.profiles_dir, self.backends)
        return self._profiles

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue; raises ValueError or CatalogueError at first use when it cannot be opened."""
        if self._catalogue is None:
            self._catalogue = open_catalogue(self.catalogue_address)
        return self._catalogue

    @property
    def authority(self) -> Authority | None:
        """Who signs what sessions serve TLS with; None where they do not.

        Raises ValueError at first use when there is none in its folder.
        """
        if self._authority is None and self.authority_dir:
            try:
                self._authority = Authority.read(Path(self.authority_dir))
            except (OSError, ValueError) as error:
                raise ValueError(f"VisaSite.authority_dir: {error}") from error
        return self._authority

    @property
    def limits(self) -> Limits:
        return Limits(frozenset(self.home_only_roles), self.max_sessions)

    def backend(self, name: str) -> type[Backend]:
        """The class behind a backend's name; raises LookupError or ImportError when there is none."""
        if name not in self._classes:
            self._classes[name] = import_item(self.backends[name])
        return self._classes[name]

    def used_backends(self) -> dict[str, type[Backend]]:
        """The backends that the profiles' plans name."""
        names = {plan.backend for profile in self.profiles.values() for plan in profile.plans.values()}
        return {name: self.backend(name) for name in sorted(names)}


def prepare(config: Config) -> VisaSite | None:
    """Read the site's settings now, and have the hub look after running sessions once it is up.

    To be called in jupyterhub_config.py, after all of `c.VisaSite` is set. Raises what is wrong with the
    settings, the profiles, the catalogue, a backend's class or the staging directory, which stops the hub.
    None where the configuration is only read.
    """
    if only_read.get():
        return None
    from .kept import found_again, sqlite
    from .running import by_name, collecting, counting, read_again, surroundings
    from .running.lifetime import keep_watch
    from .start import client_secret

    VisaSite.clear_instance()
    ClusterAccess.clear_instance()
    site = VisaSite.of(config)
    try:
        site.used_backends()
    except ProfileError:
        raise
    except (LookupError, ImportError) as error:
        raise ImportError(f"a profile's plan needs a backend that cannot be loaded: {error}") from error
    site.cluster.check(site.profiles.values())
    _ = site.catalogue, site.authority
    site.staging.prepare()
    for part in (sqlite, found_again, collecting, by_name, counting, read_again, client_secret):
        part.join_hub()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return site  # the file is only being read, as by a test or `jupyterhub upgrade-db`
    site.keeper = loop.create_task(keep_watch(site))
    site.surroundings = loop.create_task(surroundings.watch(site))
    return site
