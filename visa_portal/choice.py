"""What "New session" offers once experiments are chosen: profiles, plans, and a default for everything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from visa_catalogue import Kinds
from visa_catalogue.model import Experiment

from .models import Options, Plan, Profile, Used
from .ranking import Ranked, best, best_plan, rank

#: Lifetimes people ask for, in hours; a profile's own default and longest join them.
LIFETIMES = (1, 2, 4, 8, 12, 24, 48, 72, 168, 336, 720)
#: Screens people have; the browser's own joins them.
SCREENS = ("1280x720", "1600x900", "1920x1080", "2560x1440", "3840x2160")
#: Keyboard layouts by their X name, in the order of the list.
KEYBOARDS = {
    "us": "English (US)",
    "gb": "English (UK)",
    "fr": "French",
    "de": "German",
    "ch": "Swiss",
    "be": "Belgian",
    "br": "Portuguese (Brazil)",
    "cz": "Czech",
    "dk": "Danish",
    "es": "Spanish",
    "fi": "Finnish",
    "gr": "Greek",
    "hu": "Hungarian",
    "il": "Hebrew",
    "it": "Italian",
    "jp": "Japanese",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "se": "Swedish",
    "tr": "Turkish",
}
#: Languages whose layout is called otherwise than the language.
_LANGUAGES = {
    "en": "us",
    "en-gb": "gb",
    "en-ie": "gb",
    "cs": "cz",
    "da": "dk",
    "el": "gr",
    "he": "il",
    "ja": "jp",
    "nb": "no",
    "nn": "no",
    "sv": "se",
    "nl": "us",
    "nl-be": "be",
    "fr-be": "be",
    "fr-ch": "ch",
    "de-ch": "ch",
    "it-ch": "ch",
    "pt-br": "br",
}


@dataclass(frozen=True)
class Wanted:
    """What was asked for already, by a link or by a form that was refused; empty means the default.

    `image` and `was` are the digest and the profile's revision of a passport; `software` is "today" where its
    image is not wanted.
    """

    profile: str = ""
    plan: str = ""
    interface: str = ""
    screen: str = ""
    keyboard: str = ""
    lifetime_hours: str = ""
    title: str = ""
    image: str = ""
    was: str = ""
    software: str = ""


@dataclass(frozen=True)
class Offer:
    """One profile of the choice, with what is set below it."""

    ranked: Ranked
    chosen: bool
    plan: Plan
    lifetime: float
    lifetimes: tuple[float, ...]

    @property
    def profile(self) -> Profile:
        return self.ranked.profile


@dataclass(frozen=True)
class Choice:
    """All that stands beside the list once there is something to start."""

    experiments: tuple[Experiment, ...]
    offers: tuple[Offer, ...]
    interface: str
    screen: str
    keyboard: str
    title: str
    screens: tuple[str, ...] = SCREENS
    keyboards: Mapping[str, str] = field(default_factory=lambda: KEYBOARDS)

    @property
    def chosen(self) -> Offer | None:
        return next((offer for offer in self.offers if offer.chosen), None)


def choose(
    experiments: Sequence[Experiment],
    options: Options,
    wanted: Wanted,
    languages: str = "",
    kinds: Mapping[str, Kinds] | None = None,
    used: Sequence[Used] = (),
) -> Choice:
    """Rank the profiles and settle every default.

    `languages` is the browser's `Accept-Language`; `kinds` and `used` are as `rank` has them. A profile
    without a plan cannot start and is left out.
    """
    ranked = [one for one in rank(experiments, options.profiles, kinds, used) if one.profile.plans]
    first = next((one for one in ranked if one.profile.name == wanted.profile), None) or best(ranked)
    offers = tuple(_offer(one, one is first, wanted) for one in ranked)
    screen = wanted.screen or "1920x1080"
    asked_keyboard = wanted.keyboard if re.fullmatch(r"[a-z]{2,8}", wanted.keyboard) else ""
    keyboard = asked_keyboard or keyboard_for(languages)
    interface = wanted.interface
    if interface not in ("desktop", "lab"):
        interface = "desktop" if first is not None and first.profile.applications else "lab"
    return Choice(
        experiments=tuple(experiments),
        offers=offers,
        interface=interface,
        screen=screen,
        keyboard=keyboard,
        title=wanted.title,
        screens=SCREENS if screen in SCREENS else (screen, *SCREENS),
        keyboards=KEYBOARDS if keyboard in KEYBOARDS else {keyboard: keyboard.upper(), **KEYBOARDS},
    )


def lifetimes(profile: Profile) -> tuple[float, ...]:
    """The lifetimes to choose from, in hours, shortest first, none longer than the profile allows."""
    longest = profile.lifetime.max_hours
    usual = min(profile.lifetime.default_hours, longest)
    return tuple(sorted({float(hours) for hours in LIFETIMES if hours <= longest} | {usual, longest}))


def keyboard_for(languages: str) -> str:
    """The layout for an `Accept-Language` header; `us` where none of its languages has one."""
    weighted = []
    for index, entry in enumerate(languages.split(",")[:20]):
        tag, _, quality = entry.partition(";q=")
        try:
            weight = float(quality or 1)
        except ValueError:
            weight = 0.0
        weighted.append((-weight, index, tag.strip().lower()))
    for _, _, tag in sorted(weighted):
        language = tag.partition("-")[0]
        for name in (_LANGUAGES.get(tag), _LANGUAGES.get(language), language):
            if name in KEYBOARDS:
                return name
    return "us"


def _offer(ranked: Ranked, chosen: bool, wanted: Wanted) -> Offer:
    profile = ranked.profile
    plan = None
    choices = lifetimes(profile)
    lifetime = min(profile.lifetime.default_hours, choices[-1])
    if chosen:
        plan = next((one for one in profile.plans if one.name == wanted.plan), None)
        asked = _hours(wanted.lifetime_hours)
        if asked is not None and asked <= choices[-1]:
            lifetime, choices = asked, tuple(sorted({*choices, asked}))
    plan = plan or best_plan(profile, ranked.used.plan if ranked.used else "")
    if plan.hours is not None and lifetime > plan.hours:
        lifetime, choices = plan.hours, tuple(sorted({*choices, plan.hours}))
    return Offer(ranked, chosen, plan, lifetime, choices)


def _hours(text: str) -> float | None:
    """A number of hours above zero; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
