"""Who gets past the gate: every handler of the running server, by every role."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from tornado.web import Application, FallbackHandler

from visa_session.gate import check_targets
from visa_session.roles import role_of

from .hubside import TREE

BASE = "/user/alice/x/"
ALPHABET = st.characters(codec="ascii", categories=("L", "N"), include_characters="/-_.:@")

#: All that a member of a session other than its owner may ask for.
FOR_MEMBERS = re.compile(r"(desktop/?|desktop/socket|visa/session)")
#: What is there for somebody who is not logged in, members too: the same software as on any site.
FOR_ANYONE = re.compile(
    r"(desktop/static/[^/]+|static/.+|lab/extensions/.+|lab/api/themes/.+|api/?|oauth_callback|logout)"
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """An address below the session's own for each handler of its server, with the handler's class."""
    env = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(TREE),
        "JUPYTERHUB_API_TOKEN": "none",
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0" + BASE,
        "JUPYTERHUB_SERVICE_PREFIX": BASE,
        "JUPYTERHUB_USER": "alice",
        "JUPYTERHUB_SERVER_NAME": "x",
        "JUPYTERHUB_SINGLEUSER_EXTENSION": "1",
    }
    script = TREE / "tests/visa_session/hub/handlers.py"
    done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = {}
    for name, pattern in json.loads(done.stdout.splitlines()[-1]):
        if "robots" in pattern or "favicon" in pattern:
            continue  # Jupyter registers these without the directory they need: they fail before any gate
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonInteractiveExampleWarning)
            example = st.from_regex(pattern, fullmatch=True, alphabet=ALPHABET).example()
        # A few are for any address, like `.*/favicon.ico`.
        found[example.removeprefix(BASE).lstrip("/")] = name
    assert len(set(found.values())) > 50
    return found


def refused(session, token, paths, allowed) -> list[str]:
    """What was not refused although it is not allowed."""
    through = []
    headers = {"Authorization": f"token {token}"} if token else {}
    with httpx.Client(headers=headers, timeout=10, follow_redirects=False) as client:
        # Straight to the session, so that the proxy's own manners do not help.
        for path, name, method in ((p, n, m) for p, n in paths.items() for m in METHODS):
            named = allowed and re.fullmatch(allowed, path) and method in ("GET", "HEAD")
            if named or re.fullmatch(FOR_ANYONE, path):
                continue
            try:
                answer = client.request(method, session.direct + path)
            except httpx.HTTPError as error:
                through.append(f"{method} {path} ({name}): {error}")
                continue
            login = answer.status_code == 302 and "/oauth2/authorize" in answer.headers["Location"]
            # 405: Tornado refuses methods that a handler does not have before it asks anybody.
            if answer.status_code not in (403, 405) and (token or not login):
                through.append(f"{method} {path} ({name}): {answer.status_code}")
    return through


def test_a_viewer_and_a_collaborator_reach_the_desktop_and_nothing_else(shared_session, site, paths):
    for name, control in (("vera", False), ("carl", True)):
        token = site.person(name)
        site.share("alice", shared_session.name, name, control)
        assert refused(shared_session, token, paths, FOR_MEMBERS) == []
        assert shared_session.get("desktop/", token).status_code == 200
        about = shared_session.get("visa/session", token).json()
        assert about["role"] == ("collaborator" if control else "viewer")
        assert "home" not in about


@pytest.mark.parametrize("name", ["stranger", "boss"])
def test_nobody_else_gets_anything(shared_session, site, paths, name):
    """`boss` is an administrator whom the hub lets into every server."""
    assert refused(shared_session, site.person(name), paths, None) == []


def test_a_refusal_is_a_page_for_people_and_plain_words_for_programs(shared_session, site):
    token = site.person("boss")
    page = httpx.get(shared_session.direct + "lab", headers={"Authorization": f"token {token}"})
    assert page.status_code == 403
    assert page.headers["Content-Type"].startswith("text/html")
    assert "This session is alice's" in page.text
    assert '/hub/home">My sessions</a>' in page.text
    answer = httpx.get(shared_session.direct + "api/contents/", headers={"Authorization": f"token {token}"})
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.startswith("This session is alice's")


def test_who_is_not_logged_in_is_sent_to_the_login_or_refused(shared_session, paths):
    assert refused(shared_session, None, paths, None) == []


def test_the_owner_gets_everything(shared_session, paths):
    """The gate itself refuses the owner nothing: what is left are the handlers' own answers."""
    for path in ("api/contents", "api/kernels", "lab", "visa/session", "server-proxy/servers-info"):
        assert shared_session.get(path).status_code == 200, path


def test_a_service_with_the_owners_name_is_not_the_owner():
    user = {"kind": "user", "name": "alice", "scopes": []}
    assert role_of(user, "alice", "s") == "owner"
    assert role_of(user | {"kind": "service"}, "alice", "s") is None
    assert role_of(None, "alice", "s") is None


@pytest.mark.parametrize(
    "scope",
    [
        "custom:visa:view",
        "custom:visa:view!user=alice",
        "custom:visa:view!user=bob",
        "custom:visa:view!server=alice/other",
        "custom:visa:view!server=alice/s1",
        "custom:visa:view!server=bob/s",
        "custom:visa:view!server=alice/",
        "access:servers!server=alice/s",
    ],
)
def test_only_a_scope_for_exactly_this_server_counts(scope):
    assert role_of({"kind": "user", "name": "bob", "scopes": [scope]}, "alice", "s") is None


def test_the_unprotected_desktop_of_other_packages_is_not_there(shared_session):
    """jupyter-remote-desktop-proxy is installed here, with a VNC server that asks nobody."""
    import jupyter_remote_desktop_proxy  # noqa: F401

    assert shared_session.get("desktop-websockify").status_code == 404
    entries = shared_session.get("server-proxy/servers-info").json()["server_processes"]
    assert [entry["name"] for entry in entries] == ["visa-desktop"]
    assert entries[0]["launcher_entry"]["path_info"] == "desktop/"
    assert shared_session.get("server-proxy/icon/visa-desktop").headers["Content-Type"] == "image/svg+xml"


def test_a_rule_that_leads_past_the_gate_is_an_error():
    check_targets(Application([("/x", FallbackHandler)]))
    application = Application([])
    application.wildcard_router.add_rules([("/y", lambda request: None)])
    with pytest.raises(TypeError, match="no gate can stand before"):
        check_targets(application)
