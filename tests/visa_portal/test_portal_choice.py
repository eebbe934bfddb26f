import pytest

from visa_portal.choice import KEYBOARDS, Wanted, choose, keyboard_for, lifetimes
from visa_portal.models import Options, Profile
from visa_spawner.asked.request import KEYBOARDS as ACCEPTED


def profile(default, longest, **more):
    lifetime = {"default_hours": default, "max_hours": longest}
    return Profile.model_validate({"name": "a", "plans": [{"name": "p"}], "lifetime": lifetime} | more)


@pytest.mark.parametrize(
    ("languages", "keyboard"),
    [
        ("fr-FR,fr;q=0.9,en;q=0.5", "fr"),
        ("en-US,en", "us"),
        ("en-GB,en;q=0.9", "gb"),
        ("de-CH", "ch"),
        ("pt-BR", "br"),
        ("sv", "se"),
        ("en;q=0.1, it;q=0.8", "it"),
        ("xx, yy;q=0.5", "us"),
        ("", "us"),
        ("fr;q=nonsense, es", "es"),
        ("a" * 10000, "us"),
    ],
)
def test_keyboard_from_language(languages, keyboard):
    assert keyboard_for(languages) == keyboard


def test_every_keyboard_is_accepted_by_the_spawner():
    assert set(KEYBOARDS) <= set(ACCEPTED)


@pytest.mark.parametrize(
    ("default", "longest", "expected"),
    [
        (8, 24, (1, 2, 4, 8, 12, 24)),
        (10, 30, (1, 2, 4, 8, 10, 12, 24, 30)),
        (0.5, 0.5, (0.5,)),
        (99, 4, (1, 2, 4)),
    ],
)
def test_lifetimes_within_the_profile(default, longest, expected):
    assert lifetimes(profile(default, longest)) == expected


def test_defaults():
    options = Options(profiles=(profile(8, 24),))
    choice = choose([], options, Wanted(), "fr")
    assert (choice.chosen.plan.name, choice.chosen.lifetime) == ("p", 8)
    assert (choice.interface, choice.screen, choice.keyboard) == ("lab", "1920x1080", "fr")
    with_desktop = Options(profiles=(profile(8, 24, applications=["silx-view"]),))
    assert choose([], with_desktop, Wanted()).interface == "desktop"


def test_what_was_wanted_stays_or_falls_back():
    options = Options(profiles=(profile(8, 24), profile(2, 4, name="b")))
    wanted = Wanted(profile="b", lifetime_hours="3", interface="desktop", screen="1366x768", keyboard="ua")
    choice = choose([], options, wanted)
    assert (choice.chosen.profile.name, choice.chosen.lifetime) == ("b", 3)
    assert (choice.interface, choice.screen, choice.keyboard) == ("desktop", "1366x768", "ua")
    assert "1366x768" in choice.screens
    assert "ua" in choice.keyboards
    nonsense = Wanted(profile="z", plan="z", lifetime_hours="nan", interface="<b>", keyboard='"x')
    choice = choose([], options, nonsense)
    assert (choice.chosen.profile.name, choice.chosen.lifetime, choice.interface) == ("a", 8, "lab")
    assert choice.keyboard == "us"
    assert choose([], options, Wanted(profile="b", lifetime_hours="99")).chosen.lifetime == 2


def test_a_profile_without_plans_is_not_offered():
    assert choose([], Options(profiles=(profile(8, 24, plans=[]),)), Wanted()).offers == ()
