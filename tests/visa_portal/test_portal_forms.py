import pytest
from jupyterhub.slugs import is_valid_display_name, is_valid_safe_slug

from visa_portal.forms import display_name, read_query, read_start, read_wanted, session_name, write_query
from visa_portal.models import FormError

GOOD = {
    "_xsrf": ["x"],
    "name": ["general-ab2c"],
    "title": ["My title"],
    "experiment": ["ma-1", "ma-2", "ma-1"],
    "profile": ["general"],
    "plan-general": ["small"],
    "plan-other": ["huge"],
    "lifetime-general": ["8"],
    "lifetime-other": ["99"],
    "interface": ["desktop"],
    "screen": ["1366x768"],
    "keyboard": ["fr"],
}


def test_form_becomes_user_options():
    form = read_start(GOOD)
    assert form.user_options() == {
        "experiments": ["ma-1", "ma-2"],
        "datasets": [],
        "profile": "general",
        "plan": "small",
        "interface": "desktop",
        "screen": "1366x768",
        "keyboard": "fr",
        "lifetime_hours": 8.0,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"image": ["evil"]}, "image"),
        ({"user_options": ["{}"]}, "user_options"),
        ({"profile": ["general", "other"]}, "profile"),
        ({"profile": []}, "profile"),
        ({"profile": [""]}, "profile"),
        ({"profile": ["../x"]}, "profile"),
        ({"profile": ["unknown"]}, "plan"),
        ({"plan-general": ["a b"]}, "plan"),
        ({"experiment": []}, "experiments"),
        ({"experiment": ["../x"]}, "experiments"),
        ({"experiment": ["a\n"]}, "experiments"),
        ({"experiment": [f"e{n}" for n in range(21)]}, "experiments"),
        ({"interface": ["vnc"]}, "interface"),
        ({"screen": ["0x0"]}, "screen"),
        ({"screen": ["1920x1080\n<b>"]}, "screen"),
        ({"keyboard": ["us; id"]}, "keyboard"),
        ({"lifetime-general": ["0"]}, "lifetime_hours"),
        ({"lifetime-general": ["inf"]}, "lifetime_hours"),
        ({"lifetime-general": ["tomorrow"]}, "lifetime_hours"),
        ({"name": ["../admin"]}, "name"),
        ({"name": ["a--b"]}, "name"),
        ({"name": ["9a"]}, "name"),
        ({"name": ["a" * 31]}, "name"),
        ({"name-general": ["../admin"]}, "name"),
        ({"title": ["x" * 256]}, "title"),
    ],
)
def test_a_bad_form_is_refused_by_its_field(change, field):
    with pytest.raises(FormError) as refused:
        read_start(GOOD | change)
    assert refused.value.field == field


def test_home_only_must_be_said():
    without = {key: value for key, value in GOOD.items() if key != "experiment"}
    with pytest.raises(FormError):
        read_start(without)
    assert read_start(without | {"home": ["1"]}).user_options()["experiments"] == []


def test_search_reads_what_it_writes():
    arguments = {"q": [" bone "], "instrument": ["id19", ""], "since": ["2026-01-01"], "scope": ["open"]}
    query = read_query(arguments, 50)
    assert (query.text, query.instruments, str(query.since)) == ("bone", {"id19"}, "2026-01-01")
    written = write_query(query, ["ma-1", "ma-2"], offset=50)
    assert written == (
        "q=bone&since=2026-01-01&scope=open&offset=50&instrument=id19&experiment=ma-1&experiment=ma-2"
    )
    assert read_query({}, 50).scope == "mine"


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"since": ["yesterday"]}, "since"),
        ({"until": ["2026-13-01"]}, "until"),
        ({"scope": ["everybody"]}, "scope"),
        ({"offset": ["-1"]}, "offset"),
        ({"q": ["x" * 201]}, "text"),
    ],
)
def test_a_bad_search_names_its_field(arguments, field):
    with pytest.raises(FormError) as refused:
        read_query(arguments, 50)
    assert refused.value.field == field


def test_a_link_never_fails():
    said = read_wanted({"profile": ["Your account is blocked, call 0123"], "was": ["ab"], "plan": ["a b"]})
    assert (said.profile, said.plan, said.was) == ("", "", "")
    wanted = read_wanted({"profile": ["a"], "plan-a": ["p"], "lifetime-a": ["4"], "screen": ["<script>"]})
    assert (wanted.profile, wanted.plan, wanted.lifetime_hours, wanted.screen) == ("a", "p", "4", "")


@pytest.mark.parametrize("profile", ["tomography", "9lives", "A B", "-", "", "x" * 64, "ümlaut", "a--b"])
def test_names_are_taken_by_the_hub(profile):
    assert is_valid_safe_slug(session_name(profile, set()))


def test_names_are_new():
    taken = {session_name("a", set()) for _ in range(500)}
    assert session_name("a", taken) not in taken


@pytest.mark.parametrize(
    ("title", "kept"),
    [
        ("Bone scan", "Bone scan"),
        ("  two   spaces\n and a line ", "two spaces and a line"),
        ("مسح ضوئي", "مسح ضوئي"),
        ('"><script>', '"><script>'),
        ("left\u202eright\u200b\x00", "leftright"),
        ("\u200b\x00 ", ""),
        ("e\u0301", "é"),
        ("x" * 300, "x" * 255),
    ],
)
def test_titles_are_taken_by_the_hub(title, kept):
    assert display_name(title) == kept
    assert kept == "" or is_valid_display_name(kept)
