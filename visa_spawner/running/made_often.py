"""For what is made for each session: a restarted hub makes thousands before it answers anybody."""

from __future__ import annotations

from traitlets import TraitType
from traitlets.config import Config

#: The settings of each class, sought once: traitlets goes through all traits of each object it makes.
_settings: dict[type, dict[str, TraitType]] = {}


class MadeOften:
    """Mixed into a Configurable, before it. Its class gets no more traits once there is one of it."""

    #: Names in the configuration of this class that are not for its objects, by the section's name.
    not_for_each: dict[str, frozenset[str]] = {}

    def traits(self, **metadata) -> dict[str, TraitType]:
        """As in traitlets; the settings, which are asked for when one is made, are sought once a class."""
        if metadata != {"config": True}:
            return super().traits(**metadata)
        of = type(self)
        if of not in _settings:
            _settings[of] = super().traits(**metadata)
        return dict(_settings[of])

    def _load_config(self, cfg: Config, section_names=None, traits=None) -> None:
        section_names = section_names or self.section_names()
        if self.not_for_each:
            # Traitlets would copy and check each value for each object, or warn of it each time.
            cfg = Config(
                {
                    name: _without(cfg[name], self.not_for_each.get(name, frozenset()))
                    for name in section_names
                    if name in cfg
                }
            )
        super()._load_config(cfg, section_names, traits)


def _without(section: Config, names: frozenset[str]) -> Config:
    if names.isdisjoint(section):
        return section
    rest = Config()
    for name, value in section.items():
        if name not in names:
            rest[name] = value
    return rest
