"""A session that Slurm suspends, opened by its address: a page says so, and leads to it when it goes on."""

import time
from contextlib import closing

import httpx
import pytest
from raw_line import RawLine
from slurm_tiles import running, says

PAGE = "lab/tree/results.ipynb?factory=Editor"


@pytest.fixture
def still(slurm_hub):
    """The hub with a session that Slurm has suspended, its job, what it said before, a line to it."""
    job, found = running(slurm_hub, "tooth")
    with closing(RawLine(slurm_hub.address("tooth"))) as line:
        assert line.gives_back(b"before")
        slurm_hub.run("scontrol", "suspend", str(job))
        says(slurm_hub, "suspended", "has suspended the session", name="tooth")
        slurm_hub.until(lambda: slurm_hub.route("tooth") is None, 20, "the proxy leads to it no more")
        yield slurm_hub, job, found, line


def opened(hub, browser, more="", **headers):
    """What a browser shows that opens a page of the session, and how long that took."""
    began = time.monotonic()
    answer = browser.get(hub.address("tooth") + PAGE + more, headers=headers, follow_redirects=True)
    return answer, time.monotonic() - began


def test_its_page_says_so_at_once_and_it_comes_back_by_itself(still):
    hub, job, found, line = still
    with closing(hub.login("alice")) as browser:
        # Of a day on which it was suspended before: the hub has counted, and would have enough.
        answer, took = opened(hub, browser, "&redirects=4", Accept="text/html,*/*;q=0.8")
        assert "redirects" not in str(answer.url)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert took < 2
        for part in (
            "<h1>This session is suspended</h1>",
            "has suspended the session, since something more urgent",
            'http-equiv="refresh" content="10"',
            'href="/services/visa/#session-tooth">My sessions',
        ):
            assert part in answer.text, answer.text
        program, _ = opened(hub, browser, Accept="application/json")
        assert program.status_code == 503 and "is suspended" in program.json()["message"]
        hub.run("scontrol", "resume", str(job))
        hub.until(lambda: hub.route("tooth"), 20, "the proxy leads to it again")
        # The page asks for its own address again, which is the hub's.
        again = browser.get(answer.url, follow_redirects=True)
        assert again.status_code == 200 and again.json()["pid"] == found["pid"]
        assert PAGE.partition("?")[0] in str(again.url) and "factory=Editor" in str(again.url)
    assert line.gives_back(b"after"), "what was open before goes on"


def test_a_stranger_learns_nothing(still):
    hub, *_ = still
    hub.token("bob")
    with closing(hub.login("bob")) as browser:
        answer, _ = opened(hub, browser)
        assert answer.status_code == 404 and "is suspended" not in answer.text
    with closing(httpx.Client()) as nobody:
        answer, _ = opened(hub, nobody)
        assert "/hub/login" in str(answer.url) and "is suspended" not in answer.text


def test_a_hub_that_starts_anew_does_not_lead_into_it_either(still):
    hub, job, found, _ = still
    hub.kill()
    hub.start()
    says(hub, "suspended", "has suspended the session", name="tooth")
    hub.until(lambda: hub.route("tooth") is None, 20, "it leads nowhere still")
    with closing(hub.login("alice")) as browser:
        assert opened(hub, browser)[0].status_code == 503
    hub.run("scontrol", "resume", str(job))
    hub.until(lambda: hub.route("tooth"), 20, "the proxy leads to it again")
    assert hub.ask("tooth")["pid"] == found["pid"]


def test_a_session_that_is_stopped_while_it_stands_still_starts_again(still):
    hub, job, found, _ = still
    hub.end_session("tooth", remove=False)
    assert hub.job_state(job) == "CANCELLED"
    _, anew = running(hub, "tooth")
    assert anew["token"] != found["token"]
