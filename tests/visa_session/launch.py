"""A session started by hand, without a hub's spawner: its command, its environment, its exit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from visa_session.contract import INFO_VARIABLE, SessionInfo

from .hub.session_spawner import UID
from .hubside import TREE


class HubDoor:
    """The one call of the hub's that a starting session makes, answered as a test wants it."""

    def __init__(self, port: int = 0):
        self.answers: list[int] = []
        #: What it says to a session that asks for a certificate, made of its request.
        self.sign: Callable[[str], str] = lambda request: ""
        self.heard: list[dict] = []
        #: Whom the hub knows each token as.
        self.people: dict[str, str] = {}
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if not self.path.endswith("/visa/ready"):
                    self.send_response(200)
                    self.end_headers()
                    return
                door.heard.append(body | {"token": self.headers["Authorization"]})
                text = door.sign(body["request"]).encode() if "request" in body else b""
                self.send_response(door.answers.pop(0) if door.answers else 200 if text else 204)
                self.send_header("X-JupyterHub-Version", "6.1.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_GET(self):
                name = door.people.get(self.headers["Authorization"].removeprefix("token "))
                known = self.path.endswith("/api/user") and name
                scopes = ["access:servers", f"access:servers!user={name}"]
                model = {"name": name, "kind": "user", "admin": False, "groups": [], "scopes": scopes}
                answer = json.dumps(model if known else {"message": "unknown"}).encode()
                self.send_response(200 if known else 404)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Launched:
    """A running `visa-session` of an ordinary account."""

    def __init__(
        self, hub_port: int, info: dict | str | None = None, before: tuple[str, ...] = (), **env: str
    ):
        self.home = Path(tempfile.mkdtemp(prefix="visa-home-"))
        os.chown(self.home, UID, UID)
        about = {"owner": "alice", "name": "byhand"} | (info if isinstance(info, dict) else {})
        text = info if isinstance(info, str) else SessionInfo.from_json(json.dumps(about)).to_json()
        base = f"http://127.0.0.1:{hub_port}/hub/api"
        self.env = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(TREE),
            INFO_VARIABLE: text,
            "JUPYTERHUB_API_TOKEN": "the-token",
            "JUPYTERHUB_API_URL": base,
            "JUPYTERHUB_ACTIVITY_URL": base + "/users/alice/activity",
            "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:0/user/alice/byhand/",
            "JUPYTERHUB_SERVICE_PREFIX": "/user/alice/byhand/",
            "JUPYTERHUB_USER": "alice",
            "JUPYTERHUB_SERVER_NAME": "byhand",
            "JUPYTERHUB_CLIENT_ID": "byhand",
        } | env
        self.before = before
        #: Where this is set, the token comes there and not in the environment.
        self.standard_input: str | None = None
        self.output = tempfile.TemporaryFile()

    def start(self, uid: int = UID) -> Launched:
        # setpriv, not Popen's `user`: what is put before it may need root.
        person = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid else []
        self.before = [shutil.which(self.before[0]), *self.before[1:]] if self.before else []
        person = [shutil.which("setpriv"), *person[1:]] if person else []
        command = [*self.before, *person, sys.executable, "-m", "visa_session.start"]
        given = None
        if self.standard_input is not None:
            del self.env["JUPYTERHUB_API_TOKEN"]
            given, writing = os.pipe()
            os.write(writing, self.standard_input.encode())
            os.close(writing)
        self.process = subprocess.Popen(
            command,
            env=self.env,
            cwd="/",
            stdin=given,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if given is not None:
            os.close(given)
        return self

    def run(self, uid: int = UID) -> tuple[int, str]:
        """Start it and wait for its end: exit code and what it said."""
        self.start(uid)
        try:
            self.process.wait(30)
        finally:
            self.close()
        return self.process.returncode, self.said

    @property
    def said(self) -> str:
        self.output.seek(0)
        return self.output.read().decode()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)
