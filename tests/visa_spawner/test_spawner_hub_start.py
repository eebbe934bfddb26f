"""Starts on a real hub, with processes of this machine for sessions."""

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from spawner_support import GOOD_OPTIONS

from visa_session.contract import TRUSTED_VARIABLE


@pytest.fixture(autouse=True)
def nothing_left(hub):
    """Each test ends its sessions; then no process, no mount and no row may be left."""
    yield
    for who in ("alice", "bob", "heidi"):
        for name in hub.names(who) if who in hub.tokens else ():
            hub.stop_session(name, who)
    assert hub.processes() == set()
    assert hub.mounts() == []


def environment_of(hub, name, who="alice"):
    """What a session sees of itself, asked through the proxy as a browser would."""
    return hub.http.get(hub.address(name, who)).json()


def test_a_session_from_start_to_end(hub):
    session = hub.run_session("tooth", GOOD_OPTIONS)
    assert (session["state"], session["ready"], session["words"]) == ("running", True, "Running here")
    assert (session["experiments"], session["profile_title"], session["plan_title"]) == (
        ["A-1"],
        "General",
        "1 core",
    )
    assert session["ends"] > session["started"]
    assert "log" not in session
    figures = hub.http.get(
        f"{hub.hub_url}/hub/metrics", headers={"Authorization": f"token {hub.admin_token}"}
    )
    (count,) = re.findall(r'visa_start_seconds_count\{backend="container"\} (\S+)', figures.text)
    assert float(count) > 0

    hub.stop_session("tooth", remove=False)
    session = hub.session("tooth")
    assert (session["state"], session["words"], session["ready"]) == ("stopped", "Stopped.", False)
    assert (session["started"], session["experiments"]) == (None, ["A-1"])
    assert hub.processes() == set()

    # Start again, as it was: no options given.
    assert hub.api("POST", "users/alice/servers/tooth", "alice").status_code in (201, 202)
    assert hub.session("tooth")["keyboard"] == "fr"
    hub.stop_session("tooth")
    assert hub.session("tooth") is None


def test_who_it_runs_as_and_what_it_is_told(hub):
    hub.run_session("tooth", GOOD_OPTIONS | {"datasets": ["A-1-scan"]})
    seen = environment_of(hub, "tooth")
    assert (seen["uid"], seen["gid"], seen["gids"]) == (20001, 20001, [30001])
    environment = seen["environment"]
    allowed = {"HOME", "USER", "LOGNAME", "LANG", "SITE_SAYS", "VISA_SESSION_INFO", "LC_CTYPE"}
    allowed.add(TRUSTED_VARIABLE)
    assert {name for name in environment if not name.startswith("JUPYTERHUB_")} <= allowed
    assert environment["HOME"] == f"{hub.root}/home/alice"
    assert environment["SITE_SAYS"] == "hello tooth"
    assert environment[TRUSTED_VARIABLE] == "192.0.2.1"  # else the audit log had the web server's address
    assert environment["JUPYTERHUB_SERVICE_URL"] == hub.address("tooth").replace(
        hub.url, "http://127.0.0.1:0"
    )
    assert "must not leak" not in json.dumps(environment)
    assert hub.proxy_token not in json.dumps(environment)
    info = json.loads(environment["VISA_SESSION_INFO"])
    assert (info["owner"], info["name"], info["title"]) == ("alice", "tooth", "Tooth")
    assert (info["interface"], info["keyboard"], info["facility"]) == ("desktop", "fr", "Test facility")
    assert info["experiments"][0]["raw"] == f"{hub.root}/visitor/a1/RAW_DATA"
    assert info["experiments"][0]["datasets"] == [{"id": "A-1-scan", "name": "scan", "path": "scan"}]
    assert info["memory"] == 2**30
    assert info["ends"].endswith("+00:00")


def test_what_its_backend_is_given(hub):
    (hub.root / "visitor/a1/RAW_DATA/scan.h5").write_text("data")
    hub.run_session("tooth", GOOD_OPTIONS)
    given = json.loads((hub.marks / "alice+tooth.plan").read_text())
    plan, root = given["plan"], str(hub.root)
    assert [(b["target"], b["read_only"]) for b in plan["binds"]] == [
        (f"{root}/home/alice", False),
        (f"{root}/visitor/a1/PROCESSED_DATA", False),
        (f"{root}/visitor/a1/RAW_DATA", True),
    ]
    assert all(b["source"].startswith(f"{root}/staging/alice%2Ftooth+") for b in plan["binds"])
    assert given["seen"][f"{root}/visitor/a1/RAW_DATA"] == ["scan.h5"]
    assert plan["short_ways"]["/experiments/A-1/raw"] == f"{root}/visitor/a1/RAW_DATA"
    assert plan["command"] == ["visa-session"]
    assert plan["labels"]["visa.session"] == plan["key"] == "alice/tooth"
    # Once it runs it keeps its own mounts; the pinned ones are gone.
    assert hub.mounts() == []


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ("dies71", "The raw data could not be protected from writing"),
        ("dies72", "did not find the GPU it was promised"),
        ("dies9", "ended by itself before it was ready (code 9)"),
    ],
)
def test_a_session_that_dies_at_start_says_why(hub, profile, words):
    answer = hub.start_session("short", GOOD_OPTIONS | {"profile": profile})
    assert answer.status_code == 500
    assert words in answer.json()["message"]
    session = hub.session("short")
    assert (session["state"], session["ready"]) == ("failed", False)
    assert words in session["words"]
    assert "log" not in session
    seen_by_staff = hub.session("short", "heidi", owner="alice")
    assert "a line of the session's log with …" in seen_by_staff["log"]
    assert hub.processes() == set()


def test_a_session_that_dies_later_says_so(hub):
    hub.run_session("tooth", GOOD_OPTIONS)
    hub.http.get(hub.address("tooth") + "leave")
    session = hub.until(lambda: (s := hub.session("tooth"))["state"] == "failed" and s, 20, "it is seen")
    assert session["words"].startswith("The session ended by itself (code 7)")
    assert hub.session("tooth", "heidi", owner="alice")["log"]


def test_a_session_that_never_says_that_it_listens(hub):
    assert hub.start_session("slow", GOOD_OPTIONS | {"profile": "never"}).status_code == 202
    assert hub.processes() == {"alice+slow"}
    session = hub.until(lambda: (s := hub.session("slow"))["pending"] is None and s, 30, "it is given up")
    assert session["state"] == "failed"
    assert session["words"].startswith("The session was not ready within 1 minute.")
    assert hub.processes() == set()


def test_a_session_that_does_not_reach_the_hub(hub):
    """Given up as soon as that is sure, long before its time is over; the operator has its own words."""
    begun = time.monotonic()
    assert hub.start_session("deaf", GOOD_OPTIONS | {"profile": "unheard"}).status_code == 202
    session = hub.until(lambda: (s := hub.session("deaf"))["pending"] is None and s, 30, "it is given up")
    assert time.monotonic() - begun < 12, "its time would be over after 15"
    assert session["state"] == "failed"
    assert session["words"].startswith("The session's machine does not reach this service")
    assert hub.processes() == set()
    assert "alice:deaf runs and does not reach the hub. What" in hub.log.read_text()
    assert (
        "Its own words: The hub cannot be reached from here, trying again: it is not there"
        in hub.log.read_text()
    )


def test_a_session_that_is_not_where_it_said(hub):
    hub.start_session("lost", GOOD_OPTIONS | {"profile": "lies"})
    session = hub.until(lambda: (s := hub.session("lost"))["pending"] is None and s, 15, "it is given up")
    assert session["state"] == "failed"
    assert "could not be reached" in session["words"]
    assert hub.processes() == set()


def test_stopping_while_it_starts(hub):
    assert hub.start_session("slow", GOOD_OPTIONS | {"profile": "never"}).status_code == 202
    assert hub.session("slow")["state"] == "starting"
    assert hub.processes() == {"alice+slow"}
    hub.api("DELETE", "users/alice/servers/slow", "alice")
    hub.until(lambda: hub.session("slow")["pending"] is None, 10, "stopped")
    assert hub.processes() == set()
    assert hub.session("slow")["words"] == "The start was stopped."


def test_stopping_before_its_process_is_made(hub):
    hold = hub.marks / "hold-create"
    hold.touch()
    assert hub.start_session("slow", GOOD_OPTIONS).status_code == 202
    assert hub.processes() == set()
    assert len(hub.mounts()) == 3
    hub.api("DELETE", "users/alice/servers/slow", "alice")
    hold.unlink()
    hub.until(lambda: hub.session("slow")["pending"] is None, 10, "stopped")
    assert hub.mounts() == []


def test_progress_says_each_step_in_words(hub):
    hold = hub.marks / "hold-ready"
    hold.touch()
    assert hub.start_session("tooth", GOOD_OPTIONS).status_code == 202
    headers = {"Authorization": f"token {hub.token('alice')}"}
    events = []
    who, name = "alice", "tooth"
    address = f"{hub.hub_url}/hub/api/users/{who}/servers/{name}/progress"
    with hub.http.stream("GET", address, headers=headers) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:"):
                events.append(json.loads(line[5:]))
                if events[-1]["message"] == "Waiting for the session to answer":
                    assert hub.session("tooth")["words"] == "Waiting for the session to answer"
                    hold.unlink()
    said = [event["message"] for event in events]
    assert said[1:5] == [
        "Checked the request",
        "Checking the directories",
        "Making the process",
        "Waiting for the session to answer",
    ]
    assert events[-1]["ready"]
    progress = [event["progress"] for event in events]
    assert progress == sorted(progress)


def test_as_many_sessions_as_allowed_also_at_once(hub):
    names = [f"s{n}" for n in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda name: hub.start_session(name, GOOD_OPTIONS), names))
    assert sorted(answer.status_code == 409 for answer in answers) == [False] * 3 + [True] * 2
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["message"].startswith("name: you have 3 sessions running")
    hub.until(lambda: len(hub.processes()) == 3, 20, "they run")
    assert len(hub.names()) == 3


def test_a_tokens_life_ends_with_its_session(hub):
    hub.run_session("tooth", GOOD_OPTIONS)
    token = environment_of(hub, "tooth")["environment"]["JUPYTERHUB_API_TOKEN"]
    assert hub.api("GET", "user", token).status_code == 200
    hub.stop_session("tooth")
    assert hub.api("GET", "user", token).status_code == 403


def test_home_only_where_the_role_allows_it(hub):
    options = {"profile": "staffonly", "plan": "small"}
    hub.run_session("home", options, "heidi")
    binds = json.loads((hub.marks / "heidi+home.plan").read_text())["plan"]["binds"]
    assert [bind["target"] for bind in binds] == [f"{hub.root}/home/heidi"]


class TestReady:
    """`POST visa/ready`: one port, from the session's own token, once."""

    @pytest.fixture
    def token(self, hub):
        (hub.marks / "hold-ready").touch()
        assert hub.start_session("tooth", GOOD_OPTIONS).status_code == 202
        line = (hub.marks / "alice+tooth.log").read_text()
        yield line.rpartition(" ")[2].strip()
        (hub.marks / "hold-ready").unlink(missing_ok=True)

    def say(self, hub, body, token):
        options = {"content": body} if isinstance(body, str) else {"json": body}
        return hub.api("POST", "visa/ready", token, **options)

    def test_anything_but_one_port_is_refused(self, hub, token):
        for body in (
            {}, {"port": 0}, {"port": 65536}, {"port": -1}, {"port": "8888"}, {"port": 8888.0},
            {"port": True}, {"port": None}, {"port": [8888]}, {"port": 8888, "cmd": ["id"]},
            {"port": 8888, "ip": "127.0.0.1"},
            {"exec_prefix": "id"}, [8888], 8888, "null", "", "not json", "{" * 5000, "[" * 2000,
            '{"port": 1e400}',
        ):  # fmt: skip
            answer = self.say(hub, body, token)
            assert answer.status_code == 400, body
            assert answer.json()["message"].startswith("port: "), body
        assert hub.session("tooth")["state"] == "starting"

    def test_no_other_token_speaks_for_a_session(self, hub, token):
        hub.token("bob")
        for other in ("alice", "bob", None, "f" * 32, ""):
            assert self.say(hub, {"port": 8888}, other).status_code == 403
        url = f"{hub.hub_url}/hub/api/visa/ready"
        assert hub.http.post(url, json={"port": 8888}).status_code == 403
        assert hub.session("tooth")["state"] == "starting"

    def test_another_sessions_token_speaks_for_its_own_alone(self, hub, token):
        (hub.marks / "hold-ready").unlink()
        hub.until(lambda: hub.session("tooth")["ready"], 10, "the first is ready")
        (hub.marks / "hold-ready").touch()
        assert hub.start_session("other", GOOD_OPTIONS).status_code == 202
        assert self.say(hub, {"port": 8888}, token).status_code == 409
        assert hub.session("other")["state"] == "starting"
        hub.stop_session("tooth")
        assert self.say(hub, {"port": 8888}, token).status_code == 403
        assert hub.session("other")["state"] == "starting"

    def test_a_browser_cannot_say_it(self, hub, token):
        browser = hub.login("alice")
        headers = {"X-XSRFToken": browser.cookies["_xsrf"]}
        assert browser.post("/hub/api/visa/ready", json={"port": 8888}, headers=headers).status_code == 403
        browser.close()

    def test_the_first_word_counts_and_may_be_repeated(self, hub, token):
        (hub.marks / "hold-ready").unlink()
        hub.until(lambda: hub.session("tooth")["ready"], 10, "ready")
        routes = hub.http.get(
            f"{hub.proxy_api}/api/routes", headers={"Authorization": f"token {hub.proxy_token}"}
        )
        target = routes.json()[hub.address("tooth").removeprefix(hub.url).rstrip("/")]["target"]
        assert self.say(hub, {"port": int(target.rpartition(":")[2])}, token).status_code == 204
        assert self.say(hub, {"port": 22}, token).status_code == 409
        assert environment_of(hub, "tooth")["uid"] == 20001


class TestOptions:
    def test_what_an_account_may_use_and_what_is_free(self, hub):
        answer = hub.api("GET", "visa/options", "bob").json()
        assert answer["home_only"] is False
        assert answer["max_sessions"] == 3
        profiles = {profile["name"]: profile for profile in answer["profiles"]}
        assert "general" in profiles
        assert "staffonly" not in profiles
        plans = {plan["name"]: plan for plan in profiles["general"]["plans"]}
        no_queue = {"queue": False, "expected": None, "prepared": True}
        assert plans["small"]["free"] == {"sessions": 3, "words": ""} | no_queue
        assert plans["gpu"]["free"] == {"sessions": 0, "words": "No GPU is free"} | no_queue
        assert plans["small"]["memory"] == 2**30
        assert profiles["general"]["lifetime"]["max_hours"] == 4
        staff = hub.api("GET", "visa/options", "heidi").json()
        assert staff["home_only"] is True
        assert "staffonly" in {profile["name"] for profile in staff["profiles"]}

    def test_a_plan_whose_image_is_not_there_says_so_and_offers_nothing(self, hub):
        def free(name: str) -> dict:
            found = {it["name"]: it for it in hub.api("GET", "visa/options", "bob").json()["profiles"]}
            return {plan["name"]: plan["free"] for plan in found[name]["plans"]}["small"]

        lacking = hub.marks / "lacks-general"
        lacking.touch()
        try:
            hub.until(lambda: free("general")["sessions"] == 0, 10, "it is seen")
            words = "The software of this profile has not been prepared here yet."
            no_start = {"sessions": 0, "queue": False, "expected": None, "prepared": False}
            assert free("general") == no_start | {"words": words}
        finally:
            lacking.unlink()
        hub.until(lambda: free("general")["sessions"] == 3, 10, "it is there")

    @pytest.mark.parametrize("path", ["visa/options", "visa/sessions"])
    def test_not_for_services_strangers_and_sessions_own_tokens(self, hub, path):
        assert hub.api("GET", path).status_code == 403
        assert hub.http.get(f"{hub.hub_url}/hub/api/{path}").status_code == 403
        hub.run_session("tooth", GOOD_OPTIONS)
        token = environment_of(hub, "tooth")["environment"]["JUPYTERHUB_API_TOKEN"]
        assert hub.api("GET", path, token).status_code == 403

    def test_anothers_sessions_are_for_staff(self, hub):
        hub.token("alice")
        assert hub.api("GET", "visa/sessions?owner=alice", "bob").status_code == 403
        assert hub.api("GET", "visa/sessions?owner=alice", "heidi").status_code == 200
        assert hub.api("GET", "visa/sessions?owner=nobody", "heidi").status_code == 404
        assert hub.api("GET", "visa/sessions?owner=bob", "bob").status_code == 200


def test_titles_are_told_as_they_are(hub):
    title = "<b>\"Ünïcode' \u05d0\u05d1</b>"
    hub.api(
        "POST",
        "users/alice/servers/tooth",
        "alice",
        json={"display_name": title, "user_options": GOOD_OPTIONS},
    )
    assert hub.session("tooth")["title"] == title
    info = json.loads(environment_of(hub, "tooth")["environment"]["VISA_SESSION_INFO"])
    assert info["title"] == title
