"""The pages as a browser without script sees them, and what a stranger or a prankster gets."""

import json
import re
import time
from contextlib import closing

import httpx
import pytest
from bs4 import BeautifulSoup
from portal_support import NASTY, RIGHT_TO_LEFT, SECRET, hidden


def soup(response) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


def fill(page: BeautifulSoup, form: str, **changes) -> dict:
    """What a browser would send of a form as it stands."""
    sent: dict[str, list[str]] = {}
    for field in page.select(f"{form} input[name], {form} select[name]"):
        if field.name == "select":
            chosen = field.select_one("option[selected]") or field.select_one("option")
            sent.setdefault(field["name"], []).append(chosen["value"])
        elif field.get("type") not in ("radio", "checkbox") or field.has_attr("checked"):
            sent.setdefault(field["name"], []).append(field.get("value", ""))
    return sent | changes


def post(client, site, form, path="new", **headers):
    return client.post(site.url + path, data=form, headers={"Origin": site.origin} | headers)


def wait_ready(client, site, user, count=1):
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if sum(server["ready"] for server in site.sessions(user).values()) == count:
            return
        time.sleep(0.1)
    raise AssertionError(site.sessions(user))


@pytest.fixture(scope="module")
def alice(site):
    with closing(site.client("alice")) as client:
        yield client


def test_two_steps_without_script(fresh, alice):
    page = soup(alice.get(fresh.url + "new"))
    listed = [box["value"] for box in page.select('#results input[type="checkbox"]')]
    assert listed == ["ma-3", "ma-2", "ma-1"]
    page = soup(alice.get(fresh.url + "new", params=fill(page, "#find", experiment="ma-1")))
    form = fill(page, "#go")
    assert form["profile"] == ["tomography"]
    assert form["plan-tomography"] == ["small"]  # the first has no room
    assert (form["interface"], form["keyboard"]) == (["desktop"], ["fr"])
    response = post(alice, fresh, form)
    assert response.status_code == 200
    assert "/sessions/tomography-" in str(response.url)
    wait_ready(alice, fresh, "alice")
    (server,) = fresh.sessions("alice").values()
    assert server["user_options"]["experiments"] == ["ma-1"]
    assert server["display_name"].startswith("Microstructure")
    ready = soup(alice.get(str(response.url)))
    assert ready.select_one("#start")["data-ready"] == server["url"] + "desktop/"
    tile = soup(alice.get(fresh.url)).select_one(".tile")
    assert tile["data-state"] == "running"
    links = [link["href"] for link in tile.select("a[data-do=desktop], a[data-do=lab]")]
    assert links == [server["url"] + "desktop/", server["url"] + "lab"]
    assert alice.get(links[1]).status_code == 200


def test_stop_start_again_delete(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-2")), "#go")
    post(alice, fresh, form)
    wait_ready(alice, fresh, "alice")
    name = form["name"][0]
    asked = soup(alice.get(f"{fresh.url}sessions/{name}/stop"))
    assert "Stop this session?" in asked.text
    assert NASTY in asked.text
    xsrf = {"_xsrf": hidden(str(asked), "_xsrf")}
    added = post(alice, fresh, xsrf | {"experiment": "ma-1"}, f"sessions/{name}/data/add")
    assert "in the session now" in added.text
    post(alice, fresh, xsrf, f"sessions/{name}/stop")
    until = time.monotonic() + 10
    while fresh.sessions("alice")[name]["pending"] and time.monotonic() < until:
        time.sleep(0.1)
    tile = soup(alice.get(fresh.url)).select_one(".tile")
    assert tile["data-state"] == "stopped"
    assert tile.select_one("button").text == "Start again"
    response = post(alice, fresh, xsrf, f"sessions/{name}/start")
    assert str(response.url).endswith(f"/sessions/{name}/starting")
    wait_ready(alice, fresh, "alice")
    # With what it had last.
    assert fresh.sessions("alice")[name]["user_options"]["experiments"] == ["ma-2", "ma-1"]
    post(alice, fresh, xsrf, f"sessions/{name}/delete")
    until = time.monotonic() + 10
    while fresh.sessions("alice") and time.monotonic() < until:
        time.sleep(0.1)
    assert "You have no session yet" in alice.get(fresh.url).text
    # Twice is no error: the second click comes too late.
    assert post(alice, fresh, xsrf, f"sessions/{name}/delete").status_code == 200


def test_a_session_is_called_after_the_profile_that_was_chosen(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go", profile=["general"])
    for _ in range(2):
        assert "/sessions/general-" in str(post(alice, fresh, form).url)
    wait_ready(alice, fresh, "alice")
    (name,) = fresh.sessions("alice")
    assert name.startswith("general-")


def test_sending_twice_starts_once(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go")
    for _ in range(3):
        assert post(alice, fresh, form).status_code == 200
    wait_ready(alice, fresh, "alice")
    assert post(alice, fresh, form).status_code == 200
    assert len(fresh.sessions("alice")) == 1


def test_no_room_is_said_beside_the_form_and_leaves_nothing(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1&profile=general")), "#go")
    response = post(alice, fresh, form | {"plan-general": "big", "title": '<i>"mine"</i>'})
    assert response.status_code == 503
    page = soup(response)
    assert page.select_one("#refused").text == "Plan: there is no room for it now"
    assert page.select_one("#title")["value"] == '<i>"mine"</i>'
    assert page.select_one('input[name="plan-general"][checked]')["value"] == "big"
    assert fresh.sessions("alice") == {}


@pytest.mark.parametrize(
    ("change", "label"),
    [
        ({"experiment": "hg-9"}, "Experiments"),
        ({"experiment": "no-such"}, "Experiments"),
        ({"experiment": "../x"}, "Experiments"),
        ({"profile": "none", "plan-none": "p"}, "Profile"),
        ({"plan-tomography": "enormous"}, "Plan"),
        ({"lifetime-tomography": "5000"}, "Time"),
        ({"screen": "100x100"}, "Screen"),
        ({"keyboard": "xx"}, "Keyboard"),
        ({"image": "evil"}, "Software"),
        ({"binds": "/etc"}, ""),
    ],
)
def test_a_refusal_names_the_field_and_starts_nothing(fresh, alice, change, label):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go")
    response = post(alice, fresh, form | change)
    assert 400 <= response.status_code < 500
    said = soup(response).select_one("#refused")
    assert said.text.startswith(f"{label}:" if label else "there is no such field")
    assert fresh.sessions("alice") == {}


def test_a_link_fills_in_and_starts_nothing(fresh, alice):
    link = "experiment=ma-1&profile=general&plan=small&interface=lab&lifetime_hours=2&title=Hello&keyboard=de"
    page = soup(alice.get(fresh.url + "new?" + link))
    form = fill(page, "#go")
    assert (form["profile"], form["lifetime-general"], form["title"]) == (["general"], ["2"], ["Hello"])
    assert (form["interface"], form["keyboard"]) == (["lab"], ["de"])
    # The hub's own address for it leads to the same page, filled in.
    spawn = alice.get(fresh.hub + "spawn?opt-experiments=ma-2&opt-profile=diffraction&opt-plan=large")
    assert str(spawn.url).startswith(fresh.url + "new?")
    form = fill(soup(spawn), "#go")
    assert (form["experiment"], form["plan-diffraction"]) == (["ma-2"], ["large"])
    assert fresh.sessions("alice") == {}


def test_nobody_sees_what_is_not_theirs(site, alice):
    for query in ("new", "new?scope=all&q=bob+keeps", "new?experiment=hg-9", "new?scope=all&instrument=id19"):
        assert SECRET not in alice.get(site.url + query).text
    assert "You cannot see hg-9" in alice.get(site.url + "new?experiment=hg-9").text
    assert "You cannot see no-such" in alice.get(site.url + "new?experiment=no-such").text
    with closing(site.client("bob")) as bob:
        assert SECRET in bob.get(site.url + "new").text
    with closing(site.client("ines")) as ines:
        assert SECRET in ines.get(site.url + "new").text  # her instrument


def test_titles_are_shown_as_text(site, alice):
    text = alice.get(site.url + "new").text
    assert "<script>alert" not in text
    shown = [title.text for title in BeautifulSoup(text, "html.parser").select(".row-title bdi")]
    assert shown[:2] == [RIGHT_TO_LEFT, NASTY]
    mirrored = alice.get(site.url + "new", params={"q": NASTY, "instrument": NASTY})
    assert "<script>alert" not in mirrored.text
    assert "<b>bold" not in mirrored.text


def test_search_filters_and_pages(site, alice):
    def listed(**query):
        page = soup(alice.get(site.url + "new", params={"scope": "all"} | query))
        return [box["value"] for box in page.select(".row input")], page

    everything, page = listed()
    assert len(everything) == 50
    assert "1999 experiments" in page.text
    second = soup(alice.get(site.url + "new" + page.select_one("[data-more]")["href"]))
    assert not set(everything) & {box["value"] for box in second.select(".row input")}
    assert listed(q="PART 1799")[0] == ["in-1799"]
    assert listed(instrument="id21", until="2015-01-10")[0] == ["in-7", "in-3"]
    assert listed(since="2026-06-01")[0] == ["ma-3"]
    assert listed(scope="mine")[0] == ["ma-3", "ma-2", "ma-1"]
    nothing, page = listed(scope="mine", q="volcanic part 5")
    assert nothing == []
    assert re.search("Show all [0-9]+ that you may see", page.text)
    for wrong, said in (("since=yesterday", "From:"), ("offset=-1", "Page:"), ("scope=x", "Which")):
        page = soup(alice.get(f"{site.url}new?{wrong}"))
        assert page.select_one("#results .notice").text.startswith(said)


def test_a_search_keeps_what_is_chosen(site, alice):
    page = soup(alice.get(site.url + "new?experiment=ma-1&q=bone"))
    assert page.select_one('#find input[type="hidden"][name="experiment"]')["value"] == "ma-1"
    assert page.select_one('#go input[name="experiment"]')["value"] == "ma-1"
    page = soup(alice.get(site.url + "new?experiment=ma-1&experiment=ma-2&without=ma-1"))
    assert [one["value"] for one in page.select('#go input[name="experiment"]')] == ["ma-2"]


def test_home_only_for_those_who_may(fresh, alice):
    assert "Work without an experiment" not in alice.get(fresh.url + "new").text
    assert not soup(alice.get(fresh.url + "new?home=1")).select("#go")
    with closing(fresh.client("ines")) as ines:
        form = fill(soup(ines.get(fresh.url + "new?home=1")), "#go")
        assert form["profile"] == ["general"]
        post(ines, fresh, form)
        wait_ready(ines, fresh, "ines")
        assert "home directory only" in ines.get(fresh.url).text


def test_a_stranger_is_sent_to_log_in(site):
    with closing(site.client(None)) as stranger:
        stranger.follow_redirects = False
        for path in ("", "new", "sessions/a/starting"):
            response = stranger.get(site.url + path)
            assert response.status_code == 302
            assert "/hub/api/oauth2/authorize?" in response.headers["Location"]
            assert "code_challenge=" in response.headers["Location"]
        for path in ("sessions", "new/experiments", "new/choice", "sessions/a/progress"):
            assert stranger.get(site.url + path).status_code == 401
        for path in ("new", "sessions/a/stop", "sessions/a/delete", "sessions/a/start"):
            assert stranger.post(site.url + path, headers={"Origin": site.origin}).status_code == 403
    assert httpx.get(site.url + "nothing").status_code == 404


def test_foreign_forms_are_refused(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go")
    foreign = [
        {"Origin": "http://evil.example.org"},
        {"Origin": f"http://alice.localhost:{fresh.public}"},
        {"Origin": f"http://localhost:{fresh.public}"},
        {"Origin": "null"},
    ]
    for headers in foreign:
        assert alice.post(fresh.url + "new", data=form, headers=headers).status_code == 403, headers
    assert alice.post(fresh.url + "new", data=form).status_code == 403
    for wrong in ({"_xsrf": "forged"}, {"_xsrf": ""}):
        assert post(alice, fresh, form | wrong).status_code == 403
    with closing(fresh.client("bob")) as bob:
        bob.get(fresh.url)
        assert post(bob, fresh, form).status_code == 403  # alice's value is no good for bob
    # A script of another page cannot read a fragment with alice's cookies either.
    read = alice.get(
        fresh.url + "sessions", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-site"}
    )
    assert read.status_code == 401
    assert fresh.sessions("alice") == {}


def test_another_persons_session_is_not_there(fresh, alice):
    form = fill(soup(alice.get(fresh.url + "new?experiment=ma-1")), "#go")
    post(alice, fresh, form)
    wait_ready(alice, fresh, "alice")
    name = form["name"][0]
    with closing(fresh.client("bob")) as bob:
        xsrf = {"_xsrf": hidden(bob.get(fresh.url + "new?experiment=hg-9").text, "_xsrf")}
        assert bob.get(f"{fresh.url}sessions/{name}/starting").status_code == 404
        assert bob.get(f"{fresh.url}sessions/{name}/stop").status_code == 404
        post(bob, fresh, xsrf, f"sessions/{name}/stop")
        post(bob, fresh, xsrf, f"sessions/{name}/delete")
    assert fresh.sessions("alice")[name]["ready"]


@pytest.mark.parametrize(
    "path",
    ["sessions/%2e%2e/stop", "sessions/a%2Fb/stop", "sessions/a%0ab/stop", "sessions/A/stop", "../x", "new/"],
)
def test_odd_addresses_are_not_found(site, alice, path):
    assert alice.get(site.url + path).status_code == 404


@pytest.mark.parametrize(
    "query", ["q=%ff", "experiment=%00", "offset=99999999999999999999", "x" * 3000, "home=1&home=2"]
)
def test_odd_queries_do_no_harm(site, alice, query):
    assert alice.get(f"{site.url}new?{query}").status_code in (200, 400)


def test_headers(site, alice):
    for path in ("", "new", "sessions", "sessions/none/stop", "nothing", "health"):
        headers = alice.get(site.url + path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Cache-Control"] == "no-store"
    timing = alice.get(site.url + "new").headers["Server-Timing"]
    assert {"auth", "hub", "catalogue", "render", "total"} <= set(re.findall(r"(\w+);dur=", timing))


def test_assets_are_kept_for_ever(site):
    page = httpx.get(site.url + "nothing").text
    address = re.search(r"/services/visa/(static/[0-9a-f]+/visa\.css)", page)[1]
    response = httpx.get(site.url + address)
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["Content-Encoding"] == "gzip"
    old = httpx.get(site.url + re.sub(r"[0-9a-f]{16}", "0" * 16, address))
    assert (old.status_code, old.headers["Cache-Control"]) == (200, "no-store")
    for odd in ("static/0/../app.py", "static/0/%2e%2e/app.py", "static/0//etc/passwd", "static/0/none.js"):
        assert httpx.get(site.url + odd).status_code == 404


def test_logs_hold_no_secret(site, alice):
    before = site.log_of("portal").count('"/services/visa/new"')
    alice.get(site.url + "new?q=confidential-search&token=abcdef")
    until = time.monotonic() + 5
    while (log := site.log_of("portal")).count('"/services/visa/new"') == before:
        assert time.monotonic() < until
    last = [line for line in log.splitlines() if '"/services/visa/new"' in line][-1]
    line = json.loads(last[last.index("{") :])
    assert (line["method"], line["status"], line["user"]) == ("GET", 200, "alice")
    secrets = [value.strip('"') for (_, _, name), value in alice.kept.items()]
    assert len(secrets) >= 3
    for secret in ("confidential-search", "abcdef", "code=", "state=", site.portal_token, *secrets):
        assert secret not in log, secret


def test_a_token_in_the_address_logs_nobody_in(site):
    token = site.rest("POST", "users/alice/tokens", json={}).json()["token"]
    with closing(site.client(None)) as stranger:
        stranger.follow_redirects = False
        for mode in ("navigate", "websocket"):
            answer = stranger.get(f"{site.url}?token={token}", headers={"Sec-Fetch-Mode": mode})
            assert answer.status_code in (302, 401)
            assert "oauth2/authorize" in answer.headers["Location"]


def test_logging_out_ends_it(fresh):
    with closing(fresh.client("bob")) as bob:
        assert "bob" in bob.get(fresh.url).text
        kept = fresh.url
        left = bob.get(kept + "logout")
        assert str(left.url).startswith(fresh.hub)
        assert "Log in" in bob.get(kept).text
        assert "bob" not in bob.get(kept).text


def server_times(site, client, path, count=60):
    """Milliseconds that the server took, as it says itself, for searches among 2,000; sorted."""
    headers = {"Sec-Fetch-Mode": "cors", "X-XSRFToken": soup(client.get(site.url)).body["data-xsrf"]}
    took = []
    for number in range(count):
        query = {"scope": "all", "q": "part " + "1234567"[number % 7], "offset": 50 * (number % 3)}
        answer = client.get(site.url + path, params=query, headers=headers)
        assert answer.text.count('class="row"') == 50
        took.append(float(re.search(r"total;dur=([\d.]+)", answer.headers["Server-Timing"])[1]))
    return sorted(took)


@pytest.mark.parametrize("path", ["new", "new/experiments"])
def test_the_list_of_2000_is_quick(site, alice, path):
    """At most 50 ms at the 95th percentile, whole page and list alone.

    The best of three rounds counts: what else the machine does is not the server's time.
    """
    rounds = [server_times(site, alice, path)]
    while rounds[-1][56] > 50 and len(rounds) < 3:
        rounds.append(server_times(site, alice, path))
    for took in rounds:
        print(f"{path}, 2,000 experiments: median {took[30]:.1f} ms, p95 {took[56]:.1f} ms")
    assert rounds[-1][56] <= 50
