"""The installation as its hub would load it, and what the checks share of it: no hub is started."""

from __future__ import annotations

import os
import traceback
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.app import JupyterHub
from jupyterhub.utils import url_path_join
from traitlets import TraitError
from traitlets.config import Config, HasTraits, LoggingConfigurable
from traitlets.config.loader import ConfigFileNotFound, PyFileConfigLoader

from visa_authenticator.settings import LoginSettings
from visa_catalogue import Catalogue, CatalogueError, open_catalogue
from visa_sharing.settings import VisaSharing
from visa_spawner.backends.engine import Engine
from visa_spawner.backends.nodes import Node, read_nodes
from visa_spawner.backends.settings import ContainerSettings
from visa_spawner.backends.slurm.settings import SlurmSettings
from visa_spawner.backends.vm.settings import VMSettings
from visa_spawner.profiles.files import ProfileError, ProfileFile, read_profiles
from visa_spawner.profiles.model import Plan, Profile
from visa_spawner.site import VisaSite, only_read

from .finding import CannotLook, worded

#: What a hub's machine calls itself in settings, and people never open.
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


class Containers(ContainerSettings, LoggingConfigurable):
    """`c.ContainerBackend`, for nobody in particular."""


class Cluster(SlurmSettings, LoggingConfigurable):
    """`c.SlurmBackend`."""


class Machines(VMSettings, LoggingConfigurable):
    """`c.VMSpawner`."""


class Installation:
    """`limit` is the time of one check in seconds; `files_beside` are the environments of portal and proxy.

    `config` is all that the configuration file said, also where it ended with a `fault`.
    """

    def __init__(
        self,
        config_file: Path,
        *,
        limit: float = 15,
        environment_files: Sequence[Path] = (),
        files_beside: Sequence[Path] = (),
    ):
        self.config_file = config_file.absolute()
        self.limit = limit
        self.environment_files = tuple(environment_files)
        self.files_beside = tuple(path for path in files_beside if path not in self.environment_files)
        self.config, self.fault = _load(self.config_file)
        self._engines: dict[str, Engine] = {}

    # The hub -----------------------------------------------------------------------------------------
    @cached_property
    def app(self) -> JupyterHub:
        """JupyterHub's own settings, without a hub."""
        return self._made(lambda: JupyterHub(config=self.config))

    @cached_property
    def site(self) -> VisaSite:
        return self._made(lambda: VisaSite(config=self.config))

    @cached_property
    def sharing(self) -> VisaSharing:
        return self._made(lambda: VisaSharing(config=self.config))

    @cached_property
    def login(self) -> LoginSettings:
        """The settings of VISA's own login."""
        return self._of_section("VisaAuthenticator", LoginSettings)

    @property
    def has_own_login(self) -> bool:
        """Whether people log in by `VisaAuthenticator`."""
        return any(kind is LoginSettings for kind in self.app.authenticator_class.__mro__)

    @property
    def url(self) -> str:
        """What people open, without a slash at its end."""
        return (self.app.subdomain_host or self.app.bind_url).rstrip("/")

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def is_tls(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    @property
    def hub_url(self) -> str:
        """Where the hub is reached from its own machine, with `/hub/`."""
        listens = urlsplit(self.app.hub_bind_url or f"http://{self.app.hub_ip}:{self.app.hub_port}")
        if "unix" in listens.scheme:
            raise CannotLook("the hub listens on a unix socket")
        host = ANY_ADDRESS.get(listens.hostname or "", listens.hostname)
        host = f"[{host}]" if ":" in (host or "") else host
        return url_path_join(f"{listens.scheme}://{host}:{listens.port or 8081}", self.app.hub_prefix)

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        return {str(one.get("name")): one for one in self.app.services if isinstance(one, dict)}

    def reader_of_metrics(self) -> str:
        """The token of a service that may read `/hub/metrics`; empty where there is none."""
        admins = (one for one in self.services.values() if one.get("admin") and one.get("api_token"))
        for role in self.app.load_roles:
            if "read:metrics" in role.get("scopes", ()):
                for name in role.get("services", ()):
                    if token := self.services.get(name, {}).get("api_token"):
                        return token
        return next((one["api_token"] for one in admins), "")

    # What sessions run on ----------------------------------------------------------------------------
    @cached_property
    def containers(self) -> Containers:
        return self._of_section("ContainerBackend", Containers)

    @cached_property
    def cluster(self) -> Cluster:
        return self._of_section("SlurmBackend", Cluster)

    @cached_property
    def machines(self) -> Machines:
        return self._of_section("VMSpawner", Machines)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        return self._made(lambda: read_nodes(self.containers.nodes))

    def engine(self, node: Node) -> Engine:
        """A node's engine, shared by all checks; its calls end before a check's time does."""
        if node.name not in self._engines:
            seconds = max(1.0, self.limit * 0.6)
            self._engines[node.name] = Engine(node, timeout=seconds, watch_timeout=seconds)
        return self._engines[node.name]

    def close(self) -> None:
        """Let go of the engines, and end what leads to them."""
        for engine in self._engines.values():
            engine.close()

    # What there is to start --------------------------------------------------------------------------
    @cached_property
    def profile_files(self) -> list[ProfileFile]:
        """Each profile's file, also one with mistakes; raises ProfileError where there is none."""
        return read_profiles(self.site.profiles_dir, self.site.backends)

    def plans(self, backend: str) -> list[tuple[Profile, str, Plan]]:
        """The plans of a backend, of all profiles that can be read."""
        try:
            files = self.profile_files
        except ProfileError as error:
            raise CannotLook(f"the profiles cannot be read: {worded(error)}", because="profiles") from error
        return [
            (file.profile, name, plan)
            for file in files
            if file.profile
            for name, plan in file.profile.plans.items()
            if plan.backend == backend
        ]

    def open_catalogue(self) -> Catalogue:
        """Raises CatalogueError or ValueError; blocks while the file is read."""
        try:
            return open_catalogue(self.site.catalogue_address)
        except TraitError as error:
            raise CatalogueError("VisaSite.catalogue_address", worded(error)) from error

    # Making ------------------------------------------------------------------------------------------
    def _of_section(self, section: str, kind: type[HasTraits]):
        """An object of the settings of a section, whose own class would do more than hold them."""
        return self._made(lambda: type(section, (kind,), {})(config=self.config))

    def _made(self, make):
        try:
            return make()
        except (TraitError, ValueError, ImportError) as error:
            raise CannotLook(f"a setting is wrong: {worded(error)}", because="configuration") from error


def _load(path: Path) -> tuple[Config, str]:
    """All that a configuration file sets, as JupyterHub loads it, and why it ended before its end."""
    loader = PyFileConfigLoader(path.name, path=str(path.parent))
    reading = only_read.set(True)
    try:
        loader.load_config()
    except ConfigFileNotFound:
        return Config(), f"there is no file {path}"
    except SystemExit as error:
        return loader.config, f"it ends the program: {error}"
    except Exception as error:
        return loader.config, f"{_where(error, path)}{type(error).__name__}: {worded(error)}"
    finally:
        only_read.reset(reading)
    return loader.config, ""


def _where(error: BaseException, path: Path) -> str:
    """`FILE, line N: ` of the last line of a configuration file that led to an error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}: "
    folders = {str(path.parent), os.environ.get("VISA_CONFIG_D", "")} - {""}
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        above = Path(frame.filename).parent
        if str(above) in folders or above.name == "jupyterhub_config.d":
            return f"{frame.filename}, line {frame.lineno}: "
    return ""
