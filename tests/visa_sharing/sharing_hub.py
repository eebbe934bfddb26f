"""A real hub with sharing, on the processes of tests/visa_spawner; a session's line, read by raw HTTP."""

import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "visa_spawner"))

import local_hub  # noqa: E402
from spawner_support import GOOD_OPTIONS, write_site  # noqa: E402

ACCOUNTS = {
    "alice": {"uid": 20001, "gid": 20001, "roles": ["scientist"], "teams": ["A-1", "B-2"], "name": "Alice A"},
    "bob": {"uid": 20002, "gid": 20002, "roles": ["scientist"], "teams": ["A-1"], "name": "Bob B"},
    "carol": {"uid": 20003, "gid": 20003, "roles": ["scientist"], "name": "Carol C"},
    # On the team of A-1 by the catalogue's list alone.
    "dave": {"uid": 20004, "gid": 20004, "roles": ["scientist"], "name": "Dave D"},
    "erin": {"uid": 20005, "gid": 20005, "roles": ["scientist"], "teams": ["A-1"], "name": "Erin E"},
    "frank": {"uid": 20006, "gid": 20006, "roles": ["scientist"], "teams": ["A-1", "B-2"], "name": "Frank F"},
    "heidi": {"uid": 20007, "gid": 20007, "roles": ["helpdesk"], "name": "Heidi H"},
    "ivan": {
        "uid": 20008,
        "gid": 20008,
        "roles": ["instrument-scientist"],
        "instruments": ["id19"],
        "name": "Ivan I",
    },
    "adam": {"uid": 20009, "gid": 20009, "roles": ["administrator"], "name": "Adam A"},
}

#: Follows the one of tests/visa_spawner. Its accounts are read anew each time, as a provider would be asked.
MORE_CONFIG = """
import pathlib
from visa_session.contract import CONTROL_SCOPE, VIEW_SCOPE
import visa_sharing.hub

class ChangingFacility(Facility):
    def _told(self, name):
        file = pathlib.Path(SETTINGS["marks"]).parent / "accounts.json"
        return json.loads(file.read_text()).get(name)

    def _model(self, told):
        no_start = told.pop("no_start", "")
        account = Account(**told)
        return {{"name": account.username, "groups": account.groups,
                 "admin": "administrator" in account.roles,
                 "auth_state": {{"account": account.model_dump(mode="json"), "no_start": no_start}}}}

    async def authenticate(self, handler, data):
        told = self._told(data["username"])
        return self._model(told) if told else None

    async def refresh_user(self, user, handler=None):
        told = self._told(user.name)
        if told is None:
            await user.save_auth_state(None)
            return False
        state = await user.get_auth_state()
        if state is None:
            return False
        same = set(state["account"]["teams"]) == set(told.get("teams", []))
        return True if same else self._model(told)

c.JupyterHub.authenticator_class = ChangingFacility
c.Authenticator.auth_refresh_age = SETTINGS["spawner"].get("refresh_age", 300)
c.Authenticator.auth_refresh_strict = True
c.JupyterHub.custom_scopes = {{
    VIEW_SCOPE: {{"description": "Watch"}},
    CONTROL_SCOPE: {{"description": "Work", "subscopes": [VIEW_SCOPE]}},
}}
# Somebody who may share by the hub's own API: nobody may but who is given that on purpose.
c.JupyterHub.load_roles.append({{"name": "sharer", "services": ["admin"], "scopes": [
    "shares", "access:servers", VIEW_SCOPE, CONTROL_SCOPE]}})
for name, value in SETTINGS["sharing"].items():
    setattr(c.VisaSharing, name, value)
visa_sharing.hub.prepare(c)
"""


class SharingHub(local_hub.Hub):
    """A hub below `root`; `sharing` are settings of VisaSharing."""

    config = local_hub.CONFIG + MORE_CONFIG
    accounts = ACCOUNTS

    def __init__(self, root, sharing=None, **site):
        super().__init__(root, **site)
        self.sharing = sharing or {}
        self.spawner = {"poll_interval": 1}

    def settings(self):
        return super().settings() | {"sharing": self.sharing}

    def start(self):
        if self.hub is None:
            self.tell_accounts(self.accounts)
        return super().start()

    def tell_accounts(self, accounts):
        """What the facility says of its accounts from now on; whoever is left out is blocked."""
        told = {
            name: {"username": name, "home": str(self.root / "home" / name)} | values
            for name, values in accounts.items()
        }
        scratch = self.root / "accounts.new"
        scratch.write_text(json.dumps(told))
        scratch.replace(self.root / "accounts.json")

    # A session ---------------------------------------------------------------------------------------
    def run(self, name="tooth", who="alice", **options):
        """Start a session and wait for it; gives its own token."""
        self.run_session(name, GOOD_OPTIONS | options, who)
        return self.session_token(name, who)

    def session_token(self, name="tooth", who="alice"):
        plan = json.loads((self.marks / f"{who}+{name}.plan").read_text())
        return plan["plan"]["environment"]["JUPYTERHUB_API_TOKEN"]

    def line(self, token):
        return SessionLine(self, token)

    # Sharing -----------------------------------------------------------------------------------------
    def let_in(self, name, role="viewer", session="alice/tooth", who="alice", **more):
        return self.api(
            "POST", f"visa/sharing/{session}/members", who, json={"name": name, "role": role} | more
        )

    def members(self, session="alice/tooth", who="alice"):
        answer = self.api("GET", f"visa/sharing/{session}", who)
        assert answer.status_code == 200, answer.text
        return {member["name"]: member for member in answer.json()["members"]}

    def shares(self, session="alice/tooth"):
        """What the hub itself has, by its own API."""
        items = self.api("GET", f"shares/{session}").json()["items"]
        return {(item["user"] or {"name": None})["name"]: item["scopes"] for item in items}

    def sql(self, statement, *values):
        """Read the hub's database beside the hub."""
        import sqlite3

        with sqlite3.connect(f"file:{self.root}/jupyterhub.sqlite?mode=ro", uri=True, timeout=10) as db:
            return db.execute(statement, values).fetchall()

    def events(self, **wanted):
        """Lines of the audit log, oldest first."""
        columns = ("what", "owner", "session", "who", "whom", "role", "address", "details")
        rows = self.sql(f"SELECT {', '.join(columns)} FROM visa_events ORDER BY id")
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        for event in found:
            event["details"] = json.loads(event["details"])
        return [event for event in found if all(event[key] == value for key, value in wanted.items())]


class SessionLine:
    """GET visa/line as a session holds it: each object as it came, with when."""

    def __init__(self, hub, token):
        self.tables = queue.Queue()
        self.last = None
        self.ended = threading.Event()
        self._url = f"{hub.hub_url}/hub/api/visa/line"
        self._headers = {"Authorization": f"token {token}"}
        self._client = httpx.Client(timeout=httpx.Timeout(60, connect=10))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        try:
            with self._client.stream("GET", self._url, headers=self._headers) as answer:
                self.status = answer.status_code
                for text in answer.iter_lines():
                    self.tables.put((time.monotonic(), json.loads(text)))
        except (httpx.HTTPError, RuntimeError):
            pass
        self.ended.set()

    def until(self, condition, seconds=10):
        """The first table for which this holds, and when it came; fails when there is none in time."""
        if self.last is not None and condition(self.last[1]):
            return self.last
        limit = time.monotonic() + seconds
        while True:
            try:
                self.last = self.tables.get(timeout=max(0.01, limit - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not told within {seconds} s; last: {self.last}") from None
            if condition(self.last[1]):
                return self.last

    def roles(self, **wanted):
        """Wait until the members are exactly these."""
        return self.until(lambda table: {m["name"]: m["role"] for m in table["members"]} == wanted)

    def close(self):
        self._client.close()


def entry(key, name, what="entered", role="viewer", at=None):
    """One coming or going as a session says it."""
    at = at or datetime.now(UTC).isoformat()
    return {"key": key, "name": name, "role": role, "what": what, "at": at, "address": "192.0.2.9"}


def say(hub, token, *entries):
    """Say them as the session whose token it is."""
    answer = hub.api("POST", "visa/entries", token, json={"entries": list(entries)})
    assert answer.status_code == 204, answer.text


@contextmanager
def a_sharing_hub(sharing=None, kind=SharingHub, **site):
    """One hub on a facility's tree of its own, which only root may change."""
    root = Path(tempfile.mkdtemp(prefix="visa-sharing-test-", dir="/var/lib"))
    root.chmod(0o755)
    try:
        furnish(root)
        hub = kind(root, sharing, **site)
        try:
            yield hub.start()
        finally:
            hub.close()
            if os.environ.get("VISA_TEST_HUB_LOG"):
                shutil.copy(hub.log, os.environ["VISA_TEST_HUB_LOG"])
    finally:
        for line in reversed(Path("/proc/self/mountinfo").read_text().splitlines()):
            if str(root) in line:
                subprocess.run(["umount", line.split()[4]], check=True)
        shutil.rmtree(root)


def furnish(root):
    """Profiles, two experiments with their data, the homes."""
    write_site(root)
    for place in ("a1", "b2"):
        (root / f"visitor/{place}/RAW_DATA").mkdir(parents=True)
    (root / "visitor/a1/PROCESSED_DATA").mkdir()
    for name, account in ACCOUNTS.items():
        home = root / "home" / name
        home.mkdir(parents=True)
        os.chown(home, account["uid"], account["gid"])
    write_teams(root, {"A-1": ["alice", "dave", "zoe"], "B-2": ["alice"]})


def write_teams(root, teams):
    """The teams as the catalogue lists them from now on."""
    file = root / "experiments.yaml"
    experiments = yaml.safe_load(file.read_text())
    for experiment in experiments:
        experiment["team"] = teams[experiment["id"]]
    scratch = root / "experiments.new"
    scratch.write_text(yaml.safe_dump(experiments))
    scratch.replace(file)
