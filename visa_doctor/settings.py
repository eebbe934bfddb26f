"""Every setting of a configuration against the class it is for: unknown names, impossible values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache

from jupyter_events import EventLogger
from jupyterhub.app import JupyterHub
from jupyterhub.crypto import CryptKeeper
from traitlets import TraitError, TraitType
from traitlets.config import Config, Configurable
from traitlets.config.loader import DeferredConfig, LazyConfigValue
from traitlets.utils.importstring import import_item

from visa_sharing.settings import VisaSharing
from visa_spawner.backends.vm.settings import PROVIDERS
from visa_spawner.site import BACKENDS, VisaSite
from visa_spawner.start.cluster_access import ClusterAccess

from .finding import worded

#: JupyterHub's settings that name a class.
_CLASSES = ("authenticator_class", "spawner_class", "proxy_class")


@dataclass(frozen=True)
class Fault:
    """`name` as it stands in the file, `c.` left out; `like` is what was perhaps meant."""

    name: str
    problem: str
    like: str = ""


def faults(config: Config) -> Iterator[Fault]:
    """All that is wrong with what a configuration sets, by itself and without making anything of it."""
    classes = list(_classes(config))
    names = {name for kind in classes for name in kind.section_names()}
    for section, values in sorted(config.items()):
        if not isinstance(values, Config) or not values:
            continue
        if section not in names:
            yield Fault(section, "nothing here has such settings", _like(section, names))
            continue
        kinds = [kind for kind in classes if section in kind.section_names()]
        kinds.sort(key=lambda kind: kind.__name__ != section)
        for name, value in sorted(values.items()):
            if not isinstance(value, Config):
                yield from _fault(kinds, section, name, value)


def _fault(kinds: list[type[Configurable]], section: str, name: str, value: object) -> Iterator[Fault]:
    known = {trait for kind in kinds for trait in _traits(kind)}
    if name not in known:
        yield Fault(f"{section}.{name}", "there is no such setting", _like(name, known))
        return
    if isinstance(value, LazyConfigValue | DeferredConfig):
        return  # adds to a value that only the hub has
    kind = next(kind for kind in kinds if name in _traits(kind))
    # Made without its __init__: what holds the settings of a login or of a proxy does things there.
    holder = kind.__new__(kind)
    try:
        _traits(kind)[name]._validate(holder, value)
    except (TraitError, ValueError, ImportError) as error:
        yield Fault(f"{section}.{name}", worded(error))
    except Exception:
        return  # it looks at other settings, which only the hub has together


@cache
def _traits(kind: type[Configurable]) -> dict[str, TraitType]:
    """The settings of a class by name, those too that a method of the same name hides (`nodes`)."""
    found = {name: one for base in reversed(kind.__mro__) for name, one in vars(base).items()}
    hidden = {
        name: one
        for base in kind.__mro__
        for name, one in vars(base).items()
        if isinstance(one, TraitType) and not isinstance(found[name], TraitType)
    }
    own = {name: one for name, one in found.items() if isinstance(one, TraitType)}
    return {name: one for name, one in (hidden | own).items() if one.metadata.get("config")}


def _like(name: str, known: set[str]) -> str:
    return next(iter(get_close_matches(name, known, 1)), "")


def _classes(config: Config) -> Iterator[type[Configurable]]:
    """All whose settings may stand in this configuration."""
    stock = JupyterHub()
    yield JupyterHub
    yield from (kind for kind in stock.classes if issubclass(kind, Configurable))
    yield from (CryptKeeper, EventLogger, VisaSite, VisaSharing, ClusterAccess)
    hub = config.get("JupyterHub", {})
    for name in _CLASSES:
        yield from _imported(stock, name, hub.get(name))
    backends = config.get("VisaSite", {}).get("backends", BACKENDS)
    provider = config.get("VMSpawner", {}).get("provider", "")
    places = [*(backends.values() if isinstance(backends, dict) else ()), *PROVIDERS.values()]
    for place in [*places, provider]:
        if isinstance(place, str) and "." in place:
            try:
                yield import_item(place)
            except (ImportError, AttributeError):
                continue  # told where the class is needed


def _imported(stock: JupyterHub, name: str, value: object) -> Iterator[type[Configurable]]:
    try:
        found = stock.traits()[name]._validate(stock, value) if value else getattr(stock, name)
    except (TraitError, ImportError, AttributeError):
        return  # told as the fault of that setting
    if isinstance(found, type) and issubclass(found, Configurable):
        yield found
