"""Passports: kept at a start, told to whom they concern, good for the same start years later."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from local_images import PACKAGES, digest_of
from sharing_hub import a_sharing_hub, write_teams
from spawner_support import GOOD_OPTIONS
from sqlalchemy.orm import Session

from visa_session.contract import SessionInfo
from visa_sharing import passports
from visa_sharing.database import Software
from visa_spawner.start.shelf import FRESH


@pytest.fixture(scope="module")
def hub():
    site = {"facility": "Test facility", "passport_in_processed": True}
    with a_sharing_hub({"refresh_seconds": 3600}, **site) as hub:
        for name in ("alice", "bob", "carol", "dave", "heidi"):
            hub.token(name)
        yield hub


@pytest.fixture(autouse=True)
def images(hub):
    """Says which images there are; afterwards the first one of each recipe alone."""

    def say(**versions):
        (hub.marks / "images.json").write_text(json.dumps(versions))

    yield say
    for name in ("images.json", "silent"):
        (hub.marks / name).unlink(missing_ok=True)


def passport_of(hub, name="tooth", owner="alice", who="alice"):
    return hub.api("GET", f"visa/sessions/{owner}/{name}/passport", who)


def run(hub, name, who="alice", **options):
    hub.run_session(name, GOOD_OPTIONS | options, who)


def used(hub, *experiments, who="alice"):
    answer = hub.api("GET", "visa/used", who, params={"experiment": experiments})
    assert answer.status_code == 200, answer.text
    return [(one["experiment"], one["profile"], one["plan"], one["by"]) for one in answer.json()["used"]]


def test_what_a_session_was_started_with(hub):
    run(hub, "tooth", datasets=["A-1-scan"], lifetime_hours=1.0)
    answer = passport_of(hub)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {name: told[name] for name in ("visa_passport", "session", "owner", "facility")} == {
        "visa_passport": 1,
        "session": "tooth",
        "owner": "alice",
        "facility": "Test facility",
    }
    assert told["image"] == {
        "recipe": "general",
        "digest": digest_of("general"),
        "revision": "revision-1",
        "created": "2026-01-01T10:00:00+00:00",
    }
    assert told["packages"] == list(PACKAGES)
    assert told["profile"]["name"] == "general" and len(told["profile"]["revision"]) == 12
    assert told["plan"]["name"] == "small" and told["plan"]["memory"] == 2**30
    (experiment,) = told["experiments"]
    assert (experiment["id"], experiment["datasets"]) == ("A-1", [{"id": "A-1-scan", "name": "scan"}])
    assert told["options"]["lifetime_hours"] == 1 and "image" not in told["options"]
    # The file inside says the same.
    given = json.loads((hub.marks / "alice+tooth.plan").read_text())
    assert json.loads(given["passport"]) == told
    # And it is told whether to leave it beside the results, and the short ways to what was chosen.
    assert SessionInfo.from_environment(given["plan"]["environment"]).passport_in_processed
    ways = given["plan"]["short_ways"]
    assert ways["/experiments/A-1/datasets/scan"] == f"{hub.root}/visitor/a1/RAW_DATA/scan"


def test_who_may_see_it(hub):
    run(hub, "mine")
    assert passport_of(hub, "mine").status_code == 200
    assert passport_of(hub, "mine", who="heidi").status_code == 200
    for stranger in ("bob", "carol"):
        assert passport_of(hub, "mine", who=stranger).status_code == 404
    # As if there were none: nobody learns what others call their sessions.
    assert passport_of(hub, "mine", who="bob").text == passport_of(hub, "none", who="bob").text
    assert passport_of(hub, "none").status_code == 404
    # A session's own token is in the hands of whoever works in it.
    assert passport_of(hub, "mine", who=hub.session_token("mine")).status_code == 403
    hub.stop_session("mine")


def test_a_session_that_is_gone_has_one_still(hub):
    run(hub, "gone")
    hub.stop_session("gone", remove=True)
    assert hub.session("gone") is None
    assert passport_of(hub, "gone").json()["session"] == "gone"
    hub.kill()
    hub.start()
    assert passport_of(hub, "gone").json()["session"] == "gone"


def test_the_last_start_counts(hub, images):
    run(hub, "twice")
    hub.stop_session("twice", remove=False)
    images(general=["1", "2"])
    run(hub, "twice", plan="short")
    told = passport_of(hub, "twice").json()
    assert (told["plan"]["name"], told["image"]["digest"]) == ("short", digest_of("general", "2"))
    hub.stop_session("twice")


def test_a_refused_start_has_none(hub):
    answer = hub.start_session("refused", GOOD_OPTIONS | {"plan": "gpu"})
    assert answer.status_code == 503
    assert passport_of(hub, "refused").status_code == 404


def test_exactly_that_software(hub, images):
    run(hub, "first")
    hub.stop_session("first")
    images(general=["1", "2"])
    run(hub, "again", image=digest_of("general"))
    told = passport_of(hub, "again").json()
    assert told["image"]["digest"] == told["options"]["image"] == digest_of("general")
    plan = json.loads((hub.marks / "alice+again.plan").read_text())["plan"]
    assert plan["digest"] == digest_of("general")
    hub.stop_session("again")


@pytest.mark.parametrize(
    ("there", "asked", "status", "words"),
    [
        ({"general": ["2"]}, digest_of("general"), 409, "not on this machine any more"),
        ({"general": ["1"]}, digest_of("general", "7"), 400, "no session of this profile"),
        # There, and of another recipe, which another profile may be for others than you.
        ({"general": ["1"], "staffonly": ["1"]}, digest_of("staffonly"), 400, "no session of this profile"),
        ({"general": ["1"]}, "sha256:abc", 400, "must be the digest"),
    ],
)
def test_software_that_cannot_be_had(hub, images, there, asked, status, words):
    run(hub, "known")
    hub.stop_session("known")
    images(**there)
    answer = hub.start_session("wanted", GOOD_OPTIONS | {"image": asked})
    assert answer.status_code == status, answer.text
    assert answer.json()["message"].startswith("image: ") and words in answer.json()["message"]
    assert hub.session("wanted") is None


def test_an_engine_that_does_not_answer_says_nothing_about_images(hub):
    run(hub, "before")
    hub.stop_session("before")
    (hub.marks / "silent").touch()
    answer = hub.start_session("silent", GOOD_OPTIONS | {"image": digest_of("general")})
    assert answer.status_code == 503
    assert answer.json()["message"].startswith("image: ")


def test_an_image_that_only_the_engine_knows_is_good_by_its_recipe(hub, images):
    """As after the hub's database was lost, or for a passport from a colleague's facility account."""
    images(general=["8", "9"])
    run(hub, "unknown", image=digest_of("general", "8"))
    hub.stop_session("unknown")


def test_what_was_used_before(hub):
    for name in ("alice", "dave"):
        home = {"experiments": ["A-1"]}
        run(hub, f"use-{name}", who=name, **home)
        hub.stop_session(f"use-{name}", name)
    mine, team = ("A-1", "general", "small", "you"), ("A-1", "general", "small", "team")
    assert set(used(hub, "A-1", who="dave")) == {mine, team}
    # bob is of the team and has used nothing himself.
    assert used(hub, "A-1", who="bob") == [team]
    assert hub.api("GET", "visa/used", "carol", params={"experiment": "A-1"}).status_code == 404
    assert hub.api("GET", "visa/used", "alice", params={"experiment": "../x"}).status_code == 404
    assert hub.api("GET", "visa/used", "alice").status_code == 400


def status(hub, who):
    return hub.api("GET", "visa/used", who, params={"experiment": "A-1"}).status_code


def test_open_data_do_not_tell_what_the_team_does(hub):
    mine, team = ("A-1", "general", "small", "you"), ("A-1", "general", "small", "team")
    run(hub, "team", who="dave")
    hub.stop_session("team", "dave")
    file = hub.root / "experiments.yaml"
    before = file.read_text()
    try:
        file.write_text(yaml.safe_dump([one | {"open_date": "2026-06-01"} for one in yaml.safe_load(before)]))
        hub.until(lambda: status(hub, "carol") == 200, 10, "the data are open")
        assert used(hub, "A-1", who="carol") == []
        run(hub, "own", who="carol")
        hub.stop_session("own", "carol")
        assert used(hub, "A-1", who="carol") == [mine]
        assert used(hub, "A-1", who="bob") == [team]
        run(hub, "team", who="alice")
        hub.stop_session("team", "alice")
        assert set(used(hub, "A-1", who="dave")) == {mine, team}
        write_teams(hub.root, {"A-1": ["alice"], "B-2": ["alice"]})
        hub.until(lambda: used(hub, "A-1", who="dave") == [mine], 10, "who has left the team is a stranger")
    finally:
        file.write_text(before)
        hub.until(lambda: status(hub, "carol") == 404, 10, "the data are not open any more")


def software(hub, who="alice", **query):
    return hub.api("GET", "visa/software", who, params={"profile": "general", "plan": "small"} | query)


def test_what_a_start_would_get_now(hub, images):
    run(hub, "asked")
    hub.stop_session("asked")
    images(general=["1", "2"])
    told = software(hub, image=digest_of("general")).json()
    assert (told["now"]["digest"], told["was"]["digest"]) == (digest_of("general", "2"), digest_of("general"))
    assert told["words"] == ""
    images(general=["2"])
    assert software(hub, image=digest_of("general")).json() == told, "for some seconds"

    def gone():
        told = software(hub, image=digest_of("general")).json()
        return told["was"] is None and "not on this machine" in told["words"]

    hub.until(gone, 2 * FRESH, "an image that is gone is told to be")
    assert "no session of this profile" in software(hub, image=digest_of("general", "7")).json()["words"]
    assert software(hub).json()["now"]["digest"] == digest_of("general", "2")
    assert software(hub, image="sha256:x").status_code == 400
    assert software(hub, profile="staffonly").status_code == 404
    assert software(hub, plan="none").status_code == 404


def passport(digest, packages=(), owner="alice", experiments=("A-1", "A-1")):
    return {
        "owner": owner,
        "session": "s",
        "started": "2026-11-29T10:00:00+00:00",
        "profile": {"name": "general"},
        "plan": {"name": "small"},
        "image": {"recipe": "general", "digest": digest},
        "packages": list(packages),
        "experiments": [{"id": one} for one in experiments],
    }


def test_the_packages_of_an_image_are_kept_once(our_engine):
    kept = passports.KeptPassports()
    with Session(our_engine) as db:
        kept.keep(db, passport("sha256:a"))
        kept.keep(db, passport("sha256:a", PACKAGES))
        kept.keep(db, passport("", PACKAGES))
        kept.keep(db, passport("", PACKAGES, owner="bob"))
        assert {row.key[:8]: len(row.packages) for row in db.query(Software)} == {
            "sha256:a": 2,
            "list:" + row_key(db): 2,
        }
        assert passports.last(db, "alice", "s")["packages"] == list(PACKAGES)
        assert passports.last(db, "carol", "s") is None
        assert (kept.recipe_of(db, "sha256:a"), kept.recipe_of(db, "sha256:b")) == ("general", "")
        told = passports.used(db, "A-1", "alice", {"bob"}, ["general"])
        assert [(one["by"], one["profile"]) for one in told] == [("team", "general"), ("you", "general")]
        assert passports.used(db, "A-1", "alice", {"bob"}, ["tomography"]) == []
        assert passports.used(db, "A-1", "carol", set(), ["general"]) == []
        # And when it was: what tells how many containers should wait.
        (when,) = {start.when for start in kept.starts(db, datetime(2026, 1, 1, tzinfo=UTC))}
        starts = kept.starts(db, when)
        assert [(one.profile, one.plan, one.when) for one in starts] == [("general", "small", when)] * 4
        assert list(kept.starts(db, when + timedelta(seconds=1))) == []


def row_key(db):
    return next(row.key[5:8] for row in db.query(Software) if row.key.startswith("list:"))
