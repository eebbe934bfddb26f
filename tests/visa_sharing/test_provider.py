"""An account that is blocked at a real identity provider, while its owner is in somebody's session."""

import sys
import time
from pathlib import Path

import pytest
from sharing_hub import ACCOUNTS, SharingHub, a_sharing_hub, entry, say

sys.path.insert(0, str(Path(__file__).parents[1] / "visa_authenticator"))

from facility import Provider  # noqa: E402

from demo.login import browser, log_in  # noqa: E402

SECRET = "a-secret-of-the-tests-alone"

MORE = """
c.JupyterHub.authenticator_class = "visa_authenticator.VisaAuthenticator"
c.VisaAuthenticator.issuer = SETTINGS["issuer"]
c.VisaAuthenticator.client_id = "visa"
c.VisaAuthenticator.client_secret = SETTINGS["secret"]
c.VisaAuthenticator.oauth_callback_url = SETTINGS["url"] + "/hub/oauth_callback"
c.VisaAuthenticator.scope = ["openid", "profile", "email", "facility"]
c.VisaAuthenticator.home_roots = SETTINGS["site"]["home_roots"]
c.VisaAuthenticator.provider_timeout = 3
"""


class ProvidedHub(SharingHub):
    """A hub whose people log in at the demo's provider."""

    config = SharingHub.config + MORE
    provider = None

    def settings(self):
        return super().settings() | {"issuer": self.provider.issuer, "secret": SECRET}

    def start(self):
        if self.provider is None:
            folder = self.root / "provider"
            folder.mkdir()
            self.provider = Provider(folder, f"{self.url}/hub/oauth_callback", SECRET)
            for name in ("alice", "bob", "erin"):
                given = ACCOUNTS[name]
                claims = {"experiments": given["teams"], "homeDirectory": f"{self.root}/home/{name}"}
                self.provider.add(name, given["uid"], gidNumbers=[], **claims)
            self.provider.start()
        return super().start()

    def login(self, name):
        client = browser()
        log_in(client, self.url, name, self.provider.accounts[name]["password"])
        return client

    def close(self):
        super().close()
        self.provider.stop()


@pytest.fixture(scope="module")
def hub():
    with a_sharing_hub({"refresh_seconds": 2}, kind=ProvidedHub) as hub:
        yield hub


@pytest.fixture(scope="module")
def token(hub):
    for name in ("bob", "erin"):
        hub.token(name)
    return hub.run(experiments=["A-1"])


def test_blocked_at_the_provider(hub, token):
    line = hub.line(token)
    for name in ("bob", "erin"):
        assert hub.let_in(name).status_code == 201
    say(hub, token, entry("b", "bob"), entry("e", "erin"))
    line.roles(bob="viewer", erin="viewer")
    for _ in range(3):
        begun = time.monotonic()
        assert hub.provider.block("bob"), "the provider told the hub"
        at, _ = line.roles(erin="viewer")
        assert hub.members()["bob"]["refused"] == "has to log in again at the facility first"
        hub.provider.unblock("bob")
        hub.login("bob").close()
        line.roles(bob="viewer", erin="viewer")
        # By back-channel logout: the hub itself asks every two seconds at most.
        if at - begun < 1:
            break
    else:
        raise AssertionError(f"told after {at - begun:.2f} s")
    line.close()


def test_an_account_that_is_gone_without_a_word(hub, token):
    line = hub.line(token)
    line.roles(bob="viewer", erin="viewer")
    hub.provider.remove("erin")
    line.roles(bob="viewer")
    # A provider that is down is not the same: whoever is in stays in.
    hub.provider.stop()
    time.sleep(5)
    assert set(line.last[1]["members"][0].items()) >= {("name", "bob")}
    assert line.tables.empty() or line.tables.get()[1] == line.last[1]
    assert hub.members()["bob"]["refused"] == ""
    line.close()
