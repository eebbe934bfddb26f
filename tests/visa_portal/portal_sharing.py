"""What the tests of sharing share: a running session, people who have been here, their calls at the hub."""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import httpx
from bs4 import BeautifulSoup
from portal_support import TestSite, hidden

_tokens: dict[tuple[str, str], str] = {}
_here: set[tuple[str, str]] = set()


def until(condition, what: str, seconds: float = 15):
    """What the condition gives as soon as that is something."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, f"not within {seconds} s: {what}"
        time.sleep(0.05)
    return found


def call(site: TestSite, user: str, method: str, path: str, **values) -> httpx.Response:
    """A call at the hub's API with a token of a person's own."""
    key = site.admin_token, user
    if key not in _tokens:
        _tokens[key] = site.rest("POST", f"users/{user}/tokens", json={}).json()["token"]
    headers = {"Authorization": f"token {_tokens[key]}"}
    return httpx.request(method, f"{site.hub}api/{path}", headers=headers, timeout=30, **values)


def here(site: TestSite, *users: str) -> None:
    """Have people log in once, so that the hub knows them."""
    for user in users:
        if (site.admin_token, user) not in _here:
            site.client(user).close()
            _here.add((site.admin_token, user))


def run(site: TestSite, name: str = "tooth", owner: str = "alice", experiments=("ma-1",), title="") -> None:
    """Start a session, if it does not run, and wait until it is there."""
    here(site, owner)
    if site.sessions(owner).get(name, {}).get("ready"):
        return
    options = {"experiments": list(experiments), "profile": "general", "plan": "small"}
    body = {"display_name": title or f"The session {name}", "user_options": options}
    answer = site.rest("POST", f"users/{owner}/servers/{name}", json=body)
    assert answer.status_code in (201, 202), answer.text
    until(lambda: site.sessions(owner)[name]["ready"], f"{name} runs", 30)


def empty(site: TestSite, session="tooth", owner="alice") -> None:
    """Nobody is in, nobody asks to be, nothing is left to come in by or to be read by the owner."""
    at = f"{owner}/{session}"
    for method, path, body in (
        ("DELETE", f"visa/sharing/{at}/members", None),
        ("PUT", f"visa/sharing/{at}/lock", {"locked": False}),
        ("DELETE", f"visa/sharing/{at}/help", None),
    ):
        assert call(site, owner, method, path, json=body).status_code in (204, 404), path
    for one in call(site, owner, "GET", f"visa/sharing/{at}").json()["requests"]:
        answer = {"request": one["id"], "answer": "decline"}
        call(site, owner, "POST", f"visa/sharing/{at}/answers", json=answer)
    for one in call(site, owner, "GET", "visa/notices").json()["notices"]:
        if one["kind"] == "message":
            call(site, owner, "POST", f"visa/notices/{one['id']}/seen")


def let_in(site: TestSite, who: str, role="viewer", session="tooth", owner="alice", **more) -> None:
    body = {"name": who, "role": role} | more
    answer = call(site, owner, "POST", f"visa/sharing/{owner}/{session}/members", json=body)
    assert answer.status_code == 201, answer.text


def members(site: TestSite, session="tooth", owner="alice") -> dict[str, dict]:
    answer = call(site, owner, "GET", f"visa/sharing/{owner}/{session}")
    return {one["name"]: one for one in answer.json()["members"]}


def comes(
    site: TestSite, who: str, role="viewer", what="entered", session="tooth", owner="alice", times=1
) -> None:
    """What a session tells the hub when somebody comes or goes."""
    process = (site.folder / "marks" / f"{owner}+{session}.pid").read_text()
    environment = Path(f"/proc/{process}/environ").read_text().split("\0")
    token = next(one for one in environment if one.startswith("JUPYTERHUB_API_TOKEN=")).partition("=")[2]
    at = datetime.now(UTC).isoformat()
    entry = {"name": who, "role": role, "what": what, "at": at, "address": "192.0.2.7"}
    entries = [entry | {"key": f"{who}-{at}-{number}"} for number in range(times)]
    headers = {"Authorization": f"token {token}"}
    answer = httpx.post(f"{site.hub}api/visa/entries", headers=headers, json={"entries": entries})
    assert answer.status_code == 204, answer.text


def soup(response: httpx.Response) -> BeautifulSoup:
    return BeautifulSoup(response.text, "html.parser")


class Page:
    """Somebody's browser without script, on one session's sharing page."""

    def __init__(self, site: TestSite, client: httpx.Client, session: str = "tooth"):
        self.site, self.client = site, client
        self.at = f"{site.url}sessions/{session}/sharing"

    def get(self) -> BeautifulSoup:
        answer = self.client.get(self.at)
        assert answer.status_code == 200, answer.text
        return soup(answer)

    def send(self, action: str, headers=None, **form) -> httpx.Response:
        xsrf = hidden(self.client.get(f"{self.site.url}join").text, "_xsrf")
        headers = {"Origin": self.site.origin} | (headers or {})
        return self.client.post(f"{self.at}/{action}", data={"_xsrf": xsrf} | form, headers=headers)

    def listed(self) -> dict[str, str]:
        """Who is let in, by name, with all that is said of them."""
        found = self.get().select("#now [data-member]")
        return {one["data-member"]: " ".join(one.select_one(".member").text.split()) for one in found}


def browser(site: TestSite, user: str):
    """A browser without script, closed at the end of the `with`."""
    return closing(site.client(user))
