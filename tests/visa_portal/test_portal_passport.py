"""Passports on the pages: read, kept as a file, and brought back to start the same once more."""

import json
from contextlib import closing, contextmanager

import pytest
from portal_support import hidden
from test_portal_http import fill, post, soup, wait_ready

from tests.visa_spawner.local_images import digest_of
from visa_portal.again import compare
from visa_portal.handlers.passport import again
from visa_portal.models import FormError, Profile
from visa_portal.models_passport import Image, Passport, Software, brought

OLD, NEW = digest_of("tomography"), digest_of("tomography", "2")


@pytest.fixture(scope="module")
def alice(site):
    with closing(site.client("alice")) as client:
        yield client


@contextmanager
def images(site, **versions):
    """While inside, these are the images there are."""
    file = site.folder / "marks" / "images.json"
    file.write_text(json.dumps(versions))
    try:
        yield
    finally:
        file.unlink()


@pytest.fixture
def run(fresh, alice):
    """A session of alice's on ma-1 with a dataset; gives its name."""
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1&dataset=ma-1-s2")), "#go")
    assert form["dataset"] == ["ma-1-s2"]
    post(alice, fresh, form)
    wait_ready(alice, fresh, "alice")
    return form["name"][0]


def page_of(client, site, name, owner="alice"):
    return client.get(f"{site.url}passports/{owner}/{name}")


def test_a_passport_is_read_and_kept(fresh, alice, run):
    tile = soup(alice.get(fresh.url)).select_one(".tile")
    page = alice.get(fresh.origin + tile.select_one("a[data-do=passport]")["href"])
    assert page.status_code == 200
    text = soup(page).select_one(".passport").text
    for said in (
        "Tomography reconstruction",
        "4 cores, 16 GB",
        OLD,
        "ma-1-s2",
        "1 Debian package",
        "silx 3.1.3",
    ):
        assert said in " ".join(text.split()), said
    file = alice.get(f"{fresh.url}passports/alice/{run}/file")
    assert file.headers["Content-Disposition"] == f'attachment; filename="passport-{run}.json"'
    kept = file.json()
    assert (kept["visa_passport"], kept["session"], kept["image"]["digest"]) == (1, run, OLD)


def test_whose_passports_are_seen(fresh, alice, run):
    with closing(fresh.client("bob")) as bob, closing(fresh.client("heidi")) as heidi:
        for path in (f"passports/alice/{run}", f"passports/alice/{run}/file"):
            assert bob.get(fresh.url + path).status_code == 404
            assert heidi.get(fresh.url + path).status_code == 200
        # Staff read it; the session is not theirs to start again.
        assert "Start again like this" not in page_of(heidi, fresh, run).text
    assert page_of(alice, fresh, "nothing").status_code == 404


def again_form(client, site, page):
    """The form that "Start again like this" leads to, and what it says of changes."""
    link = soup(page).find("a", string="Start again like this")["href"]
    filled = soup(client.get(site.origin + link))
    return fill(filled, "#go"), [one.text for one in filled.select(".from-passport li")], filled


def test_the_same_once_more_where_nothing_has_changed(fresh, alice, run):
    form, said, page = again_form(alice, fresh, page_of(alice, fresh, run))
    assert said == ["The software is the same as then."]
    assert (form["profile"], form["plan-tomography"], form["dataset"]) == (
        ["tomography"],
        ["small"],
        ["ma-1-s2"],
    )
    assert not page.select(".software")
    post(alice, fresh, form)
    wait_ready(alice, fresh, "alice", 2)
    options = fresh.sessions("alice")[form["name"][0]]["user_options"]
    assert "image" not in options and options["datasets"] == ["ma-1-s2"]


@pytest.mark.parametrize(("choice", "digest"), [("exactly", OLD), ("today", None)])
def test_that_software_or_todays(fresh, alice, run, choice, digest):
    with images(fresh, tomography=["1", "2"]):
        form, said, page = again_form(alice, fresh, page_of(alice, fresh, run))
        assert said == ["The software has been updated since."]
        assert form["software-tomography"] == ["exactly"]
        assert "built 1 Feb 2026" in " ".join(page.select_one(".software").text.split())
        post(alice, fresh, form | {"software-tomography": [choice]})
        wait_ready(alice, fresh, "alice", 2)
        name = form["name"][0]
        assert fresh.sessions("alice")[name]["user_options"].get("image") == digest
        kept = alice.get(f"{fresh.url}passports/alice/{name}/file").json()
        assert kept["image"]["digest"] == (digest or NEW)


def test_software_that_is_gone_is_said_and_todays_is_used(fresh, alice, run):
    with images(fresh, tomography=["2"]):
        form, said, page = again_form(alice, fresh, page_of(alice, fresh, run))
        (only,) = said
        assert only.startswith("That software is not on this machine any more")
        assert not page.select(".software")
        # Who asks for it all the same, as an old page would, is told beside the form, and loses nothing.
        refused = post(alice, fresh, form | {"software-tomography": ["exactly"], "title": ["Mine"]})
        assert refused.status_code == 409
        told = soup(refused)
        assert told.select_one("#refused").text.startswith("Software: that software is not on this machine")
        assert fill(told, "#go")["title"] == ["Mine"]


def test_a_profile_that_was_changed_or_taken_away(fresh, alice, run):
    was = f"profile=tomography&plan=small&image={OLD}&was=0123456789ab"
    changed = soup(alice.get(f"{fresh.url}new?experiment=ma-1&{was}"))
    said = [one.text for one in changed.select(".from-passport li")]
    assert said == ["The profile has been changed since.", "The software is the same as then."]
    gone = soup(alice.get(f"{fresh.url}new?experiment=ma-1&profile=none&plan=small&image={OLD}"))
    assert "The profile none is not there any more" in gone.select_one(".from-passport").text
    assert fill(gone, "#go")["profile"] == ["tomography"]


def bring(client, site, **sent):
    page = client.get(f"{site.url}again")
    form = {"_xsrf": hidden(page.text, "_xsrf")} | sent.pop("data", {})
    headers = {"Origin": site.origin}
    return client.post(f"{site.url}again", data=form, headers=headers, follow_redirects=False, **sent)


def test_a_passport_is_brought_as_a_file_or_as_text(fresh, alice, run):
    text = alice.get(f"{fresh.url}passports/alice/{run}/file").text
    for sent in ({"files": {"file": ("passport.json", text)}}, {"data": {"passport": text}}):
        answer = bring(alice, fresh, **sent)
        assert answer.status_code == 303
        form = fill(soup(alice.get(fresh.origin + answer.headers["Location"])), "#go")
        assert (form["experiment"], form["dataset"]) == (["ma-1"], ["ma-1-s2"])
        assert (form["profile"], form["interface"]) == (["tomography"], ["desktop"])
    assert len(fresh.sessions("alice")) == 1, "it starts nothing"


def test_what_somebody_may_not_see_is_not_started_by_a_passport(fresh, alice, run):
    """bob, who is not on ma-1, was given alice's passport."""
    text = alice.get(f"{fresh.url}passports/alice/{run}/file").text
    with closing(fresh.client("bob")) as bob:
        answer = bring(bob, fresh, data={"passport": text})
        page = soup(bob.get(fresh.origin + answer.headers["Location"]))
        assert "You cannot see ma-1" in page.select_one("#choice").text
        assert not page.select("#go")


GOOD = {
    "visa_passport": 1,
    "profile": {"name": "tomography", "revision": "abc", "title": "x"},
    "plan": {"name": "small"},
    "image": {"digest": OLD},
    "experiments": [{"id": "ma-1", "datasets": [{"id": "d"}], "title": "<b>"}],
    "packages": [{"anything": 1}],
    "options": {"interface": "desktop", "image": "evil", "binds": ["/etc"]},
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("no JSON", "only a part of one"),
        ("[" * 100_000, "only a part of one"),
        ("[]", "no passport of a session"),
        ("{}", "no passport of a session"),
        ("x" * 600_001, "larger than 600 kB"),
        ({"visa_passport": 2}, "of a form that is not known"),
        ({"visa_passport": True}, "visa_passport"),
        ({"profile": {"name": "../x"}}, "profile.name"),
        ({"profile": {"name": "a&plan=b"}}, "profile.name"),
        ({"plan": None}, "plan"),
        ({"image": {"digest": "sha256:x"}}, "image.digest"),
        ({"image": {"digest": "localhost/evil:latest"}}, "image.digest"),
        ({"experiments": [{"id": "a b"}]}, "experiments.0.id"),
        ({"experiments": [{"id": f"a{n}"} for n in range(21)]}, "experiments"),
        ({"experiments": [{"id": "a", "datasets": [{"id": 7}]}]}, "experiments.0.datasets.0.id"),
        ({"options": {"interface": "vnc"}}, "options.interface"),
    ],
)
def test_what_is_no_passport_is_refused_in_words(change, words):
    text = change if isinstance(change, str) else json.dumps(GOOD | change)
    with pytest.raises(FormError, match=words):
        brought(text)


def test_only_what_is_needed_is_taken_of_a_passport():
    asked = brought(json.dumps(GOOD)).query
    assert asked == [
        ("experiment", "ma-1"),
        ("dataset", "d"),
        ("profile", "tomography"),
        ("plan", "small"),
        ("interface", "desktop"),
        ("image", OLD),
        ("was", "abc"),
    ]


def test_a_refused_passport_is_told_on_its_page(fresh, alice):
    for sent in ({"data": {"passport": "{}"}}, {"data": {}}, {"files": {"file": ("x.json", b"\xff\xfe")}}):
        answer = bring(alice, fresh, **sent)
        assert answer.status_code == 400
        assert soup(answer).select_one("[role=alert]").text
    huge = soup(bring(alice, fresh, files={"file": ("x.json", b"x" * 700_000)}))
    assert "larger than 600 kB" in huge.select_one("[role=alert]").text


SMALL = Profile.model_validate({"name": "p", "revision": "r1", "plans": [{"name": "small"}]})
NOW, THEN = Image(digest=NEW), Image(digest=OLD)


@pytest.mark.parametrize(
    ("plan", "digest", "was", "profile", "software", "changes", "exact"),
    [
        (
            "small",
            OLD,
            "r1",
            SMALL,
            Software(now=THEN, was=THEN),
            ["The software is the same as then."],
            None,
        ),
        (
            "small",
            OLD,
            "r1",
            SMALL,
            Software(now=NOW, was=THEN),
            ["The software has been updated since."],
            THEN,
        ),
        (
            "small",
            OLD,
            "r0",
            SMALL,
            Software(now=NOW, was=THEN),
            ["The profile has been changed since.", ...],
            THEN,
        ),
        (
            "gone",
            OLD,
            "",
            SMALL,
            Software(now=NOW, was=THEN),
            ["The plan gone is not there any more. ...", ...],
            THEN,
        ),
        ("small", OLD, "", SMALL, Software(now=NOW, words="that is gone"), ["That is gone."], None),
        (
            "small",
            OLD,
            "",
            SMALL,
            None,
            ["Whether that software is still there is not known at the moment."],
            None,
        ),
        ("small", "", "r1", SMALL, None, ["Which software it was is not known exactly. ..."], None),
        ("small", OLD, "", None, None, ["The profile p is not there any more, or not for you. ..."], None),
        # What would be started now is not known: the very one is there all the same.
        ("small", OLD, "", SMALL, Software(was=THEN), ["The software has been updated since."], THEN),
    ],
)
def test_what_has_changed_is_said(plan, digest, was, profile, software, changes, exact):
    made = compare("p", plan, digest, was, profile, software)
    assert made.exact == exact
    for said, wanted in zip(made.changes, changes, strict=True):
        assert wanted is ... or said.startswith(wanted.removesuffix("..."))


def test_a_link_of_a_passport_without_experiments_asks_for_the_home():
    told = {"session": "s", "owner": "o", "started": "2026-01-01T00:00:00Z"}
    passport = Passport.model_validate(told | {"profile": {"name": "p"}, "plan": {"name": "q"}})
    assert again(passport) == "profile=p&plan=q&home=1"
