"""Between proxy and sessions: TLS, by a name that is one person's, whatever runs where another session is."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator

import httpx
import pytest

from .site import Account, RunningSite, patiently
from .test_withstands import own


@pytest.fixture(scope="module")
def sessions(site: RunningSite) -> Iterator[tuple[Account, Account]]:
    """One of dawid's and one of bob's, on the same node."""
    people = site.account("dawid"), site.account("bob")
    for one in people:
        experiments = [own(site, one.name)]
        one.started("inside", experiments=experiments, profile="general", plan="small")
    yield people
    for one in people:
        one.remove("inside")


class Proxy:
    """Its API, with the hub's token."""

    def __init__(self, site: RunningSite):
        token = json.loads((site.run / "secrets.json").read_text())["proxy"]
        port = int(site.url.rpartition(":")[2]) + 3
        self.http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/routes", headers={"Authorization": f"token {token}"}
        )

    def route(self, account: Account) -> dict:
        return self.http.get("").json()[self._path(account)]

    def lead(self, account: Account, target: str) -> None:
        route = self.route(account)
        told = {name: route[name] for name in ("user", "server_name", "jupyterhub") if name in route}
        assert self.http.post(self._path(account), json=told | {"target": target}).status_code == 201

    def _path(self, account: Account) -> str:
        return f"/{account.name}.localhost/user/{account.name}/inside"


def test_what_passes_is_nothing_to_who_listens(site, sessions):
    """The session's own port answers in TLS alone, with its person's name, signed by the site's authority."""
    dawid, bob = sessions
    target = httpx.URL(Proxy(site).route(dawid)["target"])
    assert target.scheme == "https"
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(target.copy_with(scheme="http"), trust_env=False)
    trusting = ssl.create_default_context(cafile=site.run / "inside/authority.pem")

    def asked_as(name: str) -> int:
        with httpx.Client(verify=trusting, trust_env=False) as http:
            page = target.join(f"/user/{dawid.name}/inside/api")
            return http.get(page, extensions={"sni_hostname": name}).status_code

    assert asked_as("dawid.localhost") == 200
    with pytest.raises(httpx.ConnectError, match="mismatch"):
        asked_as("bob.localhost")


def test_another_persons_session_cannot_stand_in_for_one(site, sessions):
    """As if bob's had taken the address of dawid's: the proxy gives it no request, no cookie, no code."""
    dawid, bob = sessions
    proxy = Proxy(site)
    right, wrong = proxy.route(dawid)["target"], proxy.route(bob)["target"]
    assert right != wrong
    proxy.lead(dawid, wrong)
    try:
        answer = dawid.in_session("inside", "api")
        assert answer.status_code in (502, 503), answer.text
        assert "ERR_TLS_CERT_ALTNAME_INVALID" in site.log("proxy") or "altnames" in site.log("proxy")
    finally:
        proxy.lead(dawid, right)
    assert dawid.in_session("inside", "api").status_code == 200


def test_a_hub_that_starts_anew_writes_the_same_routes(site, sessions):
    dawid, bob = sessions
    proxy = Proxy(site)
    before = [proxy.route(one)["target"] for one in sessions]
    site.kill("hub")
    for _ in patiently(60):
        try:
            if all(one.sessions()["inside"]["ready"] for one in sessions):
                break
        except (httpx.HTTPError, ValueError):
            pass  # it is not there yet
    assert [proxy.route(one)["target"] for one in sessions] == before
    assert all(one.in_session("inside", "api").status_code == 200 for one in sessions)
