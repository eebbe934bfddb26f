"""People at the hub's API, and sessions started there, for the tests of the pages for staff."""

from __future__ import annotations

import time
from contextlib import closing

import httpx
from bs4 import BeautifulSoup
from portal_support import TestSite

OPTIONS = {"experiments": ["ma-1"], "profile": "tomography", "plan": "small", "interface": "desktop"}


class Person:
    """Somebody at the hub's API, with a token of their own; logs in once, so that the facility knows them."""

    def __init__(self, site: TestSite, name: str):
        self.site, self.name = site, name
        with closing(site.client(name)) as browser:
            browser.get(site.url)
        token = site.rest("POST", f"users/{name}/tokens", json={"note": "test"}).json()["token"]
        self.http = httpx.Client(
            base_url=f"{site.hub}api/", headers={"Authorization": f"token {token}"}, timeout=60
        )

    def call(self, method: str, path: str, body=None, status: int | None = None):
        """The answer's JSON, or None; fails where the status is another."""
        answer = self.http.request(method, path, json=body)
        good = answer.is_success if status is None else answer.status_code == status
        assert good, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.text.strip() else None

    def start(self, name: str, title: str = "", wait: bool = True, **options) -> str:
        """Start a session, and wait until it runs or has failed."""
        body = {"display_name": title or name, "user_options": OPTIONS | options}
        self.http.post(f"users/{self.name}/servers/{name}", json=body)
        until(lambda: not wait or self.state(name) in ("running", "failed"), 40)
        return name

    def state(self, name: str) -> str:
        found = self.call("GET", "visa/sessions")["sessions"]
        return next((one["state"] for one in found if one["name"] == name), "")


def until(condition, seconds: float = 20):
    """Wait for what `condition()` gives; fails when that stays empty."""
    limit = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < limit, "it did not come about in time"
        time.sleep(0.1)
    return found


class Pages:
    """The pages in a browser without script."""

    def __init__(self, site: TestSite, name: str):
        self.site, self.browser = site, site.client(name)

    def get(self, path: str, **values) -> httpx.Response:
        return self.browser.get(self.site.url + path, **values)

    def post(self, path: str, **form) -> httpx.Response:
        form["_xsrf"] = BeautifulSoup(self.get("support").text, "html.parser").body["data-xsrf"]
        return self.browser.post(self.site.url + path, data=form, headers={"Origin": self.site.origin})

    def close(self) -> None:
        self.browser.close()
