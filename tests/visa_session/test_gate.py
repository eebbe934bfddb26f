"""Who gets past the gate: every handler of the running server, by every role."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from types import SimpleNamespace

import httpx
import pytest
from hypothesis import strategies as st
from hypothesis.errors import NonInteractiveExampleWarning
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, FallbackHandler, RequestHandler

from visa_session.connections import Connections
from visa_session.gate import Gate, SessionAuthorizer, check_targets, guard
from visa_session.members import Members, Table
from visa_session.roles import may, workspace_of

from .hubside import TREE, wait_until

BASE = "/user/alice/x/"
ALPHABET = st.characters(codec="ascii", categories=("L", "N"), include_characters="/-_.:@")

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """Class and pattern of every handler that the running server has."""
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
    # Jupyter registers robots.txt and the like without the directory they need: they fail before any gate.
    rules = json.loads(done.stdout.splitlines()[-1])
    return [(n, pattern) for n, pattern in rules if "robots" not in pattern and "favicon" not in pattern]


def addresses(rules, tries: int) -> list[tuple[str, str]]:
    """So many addresses for each rule, each with the handler's class."""
    found = []
    for name, pattern in rules:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NonInteractiveExampleWarning)
            examples = st.from_regex(pattern, fullmatch=True, alphabet=ALPHABET)
            drawn = [examples.example() for _ in range(tries)]
        # A few are for any address, like `.*/favicon.ico`.
        found += [(one.removeprefix(BASE.rstrip("/")).lstrip("/"), name) for one in drawn]
    assert len({name for _, name in found}) > 50
    return found


@pytest.fixture(scope="module")
def paths(rules):
    """An address below the session's own for each handler of its server, with the handler's class."""
    return dict(addresses(rules, 1))


def refused(session, token, paths, role, person="") -> list[str]:
    """What was not refused although the table does not allow it to `role`."""
    through = []
    headers = {"Authorization": f"token {token}"} if token else {}
    with httpx.Client(headers=headers, timeout=10, follow_redirects=False) as client:
        # Straight to the session, so that the proxy's own manners do not help.
        for path, name, method in ((p, n, m) for p, n in paths.items() for m in METHODS):
            if may(role, method, "/" + path, person):
                continue
            try:
                answer = client.request(method, session.direct + path)
            except httpx.HTTPError as error:
                through.append(f"{method} {path} ({name}): {error}")
                continue
            login = answer.status_code == 302 and "/oauth2/authorize" in answer.headers["Location"]
            # 405: Tornado refuses methods that a handler does not have before it asks anybody.
            if role == "viewer" and not path and answer.headers.get("Location", "").endswith("/desktop/"):
                continue
            if answer.status_code not in (403, 405) and (token or not login):
                through.append(f"{method} {path} ({name}): {answer.status_code}")
    return through


#: Handlers that a collaborator reaches, by what they are for; written down here once more, on purpose: a rule
#: that opens more than is meant shows in the difference.
WITH_COLLABORATORS = {
    *("FileIDHandler", "FilePathHandler", "RemoteProxyHandler", "LocalProxyHandler", "ServersInfoHandler"),
    *("IconHandler", "TermSocket", "TerminalRootHandler", "TerminalHandler", "DocForkHandler"),
    *("SessionRoom", "DocSessionHandler", "TimelineHandler", "UndoRedoHandler", "LabHandler"),
    *("BuildHandler", "ExtensionHandler", "PluginHandler", "SettingsHandler", "TranslationsHandler"),
    *("WorkspacesHandler", "ListingsHandler", "LicensesHandler", "APISpecHandler", "APIStatusHandler"),
    *("IdentityHandler", "PathResolverHandler", "ConfigHandler", "CheckpointsHandler", "ContentsHandler"),
    *("ModifyCheckpointsHandler", "TrustNotebooksHandler", "NotebooksRedirectHandler", "MainKernelHandler"),
    *("KernelHandler", "KernelActionHandler", "KernelWebsocketHandler", "KernelSpecResourceHandler"),
    *("MainKernelSpecHandler", "KernelSpecHandler", "NbconvertPostHandler", "NbconvertFileHandler"),
    *("NbconvertRootHandler", "SessionHandler", "SessionRootHandler", "ViewHandler", "SubscribeWebsocket"),
    *("AuthenticatedFileHandler", "RedirectWithParams", "WithSlash", "DesktopPage", "DesktopSocket"),
    *("SessionCall", "NewsCall", "ExamplesCall", "ApplicationsCall", "ApplicationIcon", "ApplicationCall"),
    *("WelcomeCall", "PassportPage", "PassportFile", "StreamCall", "StreamSocket", "LineCall"),
}
WITH_VIEWERS = {"WithSlash", "DesktopPage", "DesktopSocket", "SessionCall", "NewsCall"}
WITH_VIEWERS |= {"StreamCall", "StreamSocket", "LineCall"}
WITH_ANYONE = {"PageFiles", "FileFindHandler", "ThemesHandler", "APIVersionHandler"}
WITH_ANYONE |= {"JupyterHubLogoutHandler", "JupyterHubOAuthCallbackHandler"}
#: What may change something, and is yet a collaborator's.
CHANGED_BY_COLLABORATORS = {
    *("RemoteProxyHandler", "LocalProxyHandler", "TerminalRootHandler", "TerminalHandler", "DocForkHandler"),
    *("DocSessionHandler", "UndoRedoHandler", "CheckpointsHandler", "ModifyCheckpointsHandler"),
    *("TrustNotebooksHandler", "ContentsHandler", "MainKernelHandler", "KernelHandler"),
    *("KernelActionHandler", "KernelWebsocketHandler", "NbconvertPostHandler", "NbconvertFileHandler"),
    *("NbconvertRootHandler", "SessionHandler", "SessionRootHandler"),
    *("ExamplesCall", "ApplicationCall", "WelcomeCall"),
}


def test_the_table_opens_to_each_role_what_is_meant_and_nothing_more(rules):
    # Some rules speak of a part of what a handler's pattern covers: one address of each is not enough.
    paths = addresses(rules, 12)

    def reached(role, methods=METHODS) -> set[str]:
        open_to = {n for p, n in paths for m in methods if may(role, m, "/" + p, "carl")}
        return {name.rpartition(".")[2] for name in open_to}

    # Paths of rules that lead to several handlers by their examples: what any path leads to is no handler's.
    vague = {"TrailingSlashHandler", "NotFoundHandler", "Template404"}
    assert reached(None) - vague == WITH_ANYONE
    assert reached("viewer") - vague == WITH_VIEWERS | WITH_ANYONE
    assert reached("collaborator") - vague == WITH_COLLABORATORS | WITH_ANYONE
    assert reached("collaborator", METHODS[1:5]) - vague == CHANGED_BY_COLLABORATORS
    assert reached("owner") == {name.rpartition(".")[2] for _, name in paths}


@pytest.mark.parametrize("role", ["owner", "collaborator", "viewer", None])
def test_nobody_gets_to_selkies_by_the_way_that_it_offers_itself(role):
    """There it asks for no login and has everybody in control."""
    for path in ("/selkies", "/selkies/", "/selkies/api/websockets"):
        assert [method for method in METHODS if may(role, method, path, "alice")] == []
    assert may("owner", "GET", "/selkies-notes") and not may("collaborator", "GET", "/selkies-notes")


@pytest.mark.parametrize(("name", "role"), [("vera", "viewer"), ("carl", "collaborator")])
def test_a_member_gets_no_further_than_the_table(shared_session, site, paths, name, role):
    token = site.person(name)
    site.share("alice", shared_session.name, name, role == "collaborator")
    let_in(shared_session, token)
    assert refused(shared_session, token, paths, role, name) == []
    assert shared_session.get("desktop/", token).status_code == 200
    about = shared_session.get("visa/session", token).json()
    assert about["role"] == role
    assert "home" not in about


def let_in(session, token) -> None:
    """Wait until the session knows it."""
    wait_until(lambda: session.get("visa/session", token).status_code == 200, 5, "was not let in")


def test_a_collaborator_works_in_jupyterlab(shared_session, site):
    token = site.person("carl")
    site.share("alice", shared_session.name, "carl", control=True)
    let_in(shared_session, token)

    def call(method, path, **others):
        return shared_session.get(path, token, method, **others).status_code

    own = workspace_of("carl")
    layout = {"data": {}, "metadata": {"id": own}}
    where = shared_session.get("lab/tree/tmp", token, follow_redirects=False).headers["Location"]
    assert where.endswith(f"/lab/workspaces/{own}/tree/tmp")
    assert call("GET", f"lab/workspaces/{own}") == 200
    assert call("PUT", f"lab/api/workspaces/{own}", json=layout) == 204
    assert call("PUT", "lab/api/workspaces/default", json=layout) == 403
    assert call("GET", "lab/api/settings") == 200
    assert call("PUT", "lab/api/settings/@jupyterlab/apputils-extension:themes", json={"raw": "{}"}) == 403
    home = shared_session.get("visa/session").json()["home"].strip("/")
    assert (
        call("PUT", f"api/contents/{home}/x.txt", json={"type": "file", "format": "text", "content": "x"})
        == 201
    )
    opened = {"format": "text", "type": "file"}
    assert call("PUT", f"api/collaboration/session/{home}/x.txt", json=opened) == 201
    assert call("GET", f"files/{home}/x.txt") == 200
    assert call("DELETE", f"api/contents/{home}/x.txt") == 204
    assert shared_session.get("api/me", token).json()["identity"]["username"] == "carl"
    for method, path in (("POST", "api/shutdown"), ("DELETE", "visa/members"), ("POST", "visa/answers")):
        assert call(method, path, json={}) == 403, path


def test_a_handler_that_nobody_classified_is_refused(shared_session, site):
    """Registered after the gate was put up, as an extension does that is loaded later."""
    for name, control in (("vera", False), ("carl", True)):
        token = site.person(name)
        site.share("alice", shared_session.name, name, control)
        let_in(shared_session, token)
        for path in ("api/unheard-of", "new", "lab/api/new", "visa/new", "proxy/x", "api/collaboration/new"):
            for method in METHODS:
                answer = httpx.request(
                    method, shared_session.direct + path, headers={"Authorization": f"token {token}"}
                )
                assert answer.status_code in (403, 405), (method, path)
                if answer.status_code == 403:
                    assert "what you asked for is not open to you" in answer.text, (method, path)


async def test_a_handler_that_is_registered_later_is_refused_until_it_is_classified():
    class Later(RequestHandler):
        def get(self):
            self.finish("reached")

    class Known:
        hub_auth = SimpleNamespace(hub_host="", hub_prefix="/hub/")

        def get_user(self, handler):
            name = handler.request.headers["Who"]
            return SimpleNamespace(username=name, hub_user={"kind": "user", "name": name})

    members = Members("alice")
    carl = {"name": "carl", "role": "collaborator"}
    members.take(Table.read({"members": [carl], "away": "leave", "trust_seconds": 60}))
    application = Application([])
    gate = Gate(Known(), BASE, members, Connections(members.role_of))
    guard(application, gate, SessionAuthorizer())
    application.add_handlers(".*", [(BASE + "later", Later)])
    [socket] = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(application)
    server.add_socket(socket)
    url = f"http://127.0.0.1:{socket.getsockname()[1]}{BASE}later"
    async with httpx.AsyncClient() as client:
        answers = [(await client.get(url, headers={"Who": who})).status_code for who in ("alice", "carl")]
    server.stop()
    assert answers == [200, 403]


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
    gate = Gate(None, BASE, Members("alice"), None)

    def role(hub_user):
        return gate.role(SimpleNamespace(hub_user=hub_user))

    user = {"kind": "user", "name": "alice", "scopes": []}
    assert role(user) == "owner"
    assert role(user | {"kind": "service"}) is None
    assert role(None) is None
    assert gate.role(None) is None


def test_scopes_decide_nothing(shared_session, site):
    """A share that the hub has, and that the table does not: the hub knows why."""
    token = site.person("scoped")
    site.share("alice", shared_session.name, "scoped", control=True)
    let_in(shared_session, token)
    site.unshare("alice", shared_session.name, "scoped")
    wait_until(lambda: shared_session.get("desktop/", token).status_code == 403, 5)


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
