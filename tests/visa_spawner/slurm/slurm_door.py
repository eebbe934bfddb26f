"""The calls of the hub's that a session needs, answered for one person who owns it."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: What the person comes to the session with.
PERSONS_TOKEN = "the-owners-own-token-at-the-hub"


class Door:
    """`heard` are the sessions' own words: port, and token."""

    def __init__(self, owner: str, name: str):
        self.heard: list[dict] = []
        self.prefix = f"/user/{owner}/{name}/"
        scopes = [f"access:servers!server={owner}/{name}"]
        person = {"kind": "user", "name": owner, "admin": False, "groups": [], "roles": [], "scopes": scopes}
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path.endswith("/visa/ready"):
                    door.heard.append(body | {"token": self.headers["Authorization"].split()[1]})
                self.answer(204)

            def do_GET(self):
                known = self.headers.get("Authorization", "").endswith(PERSONS_TOKEN)
                self.answer(200 if known else 404, person if known else {})

            def answer(self, code, values=None):
                content = b"" if values is None else json.dumps(values).encode()
                self.send_response(code)
                self.send_header("X-JupyterHub-Version", "6.1.1")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{self.server.server_port}/hub/api"
        self.environment = {
            "JUPYTERHUB_API_URL": base,
            "JUPYTERHUB_ACTIVITY_URL": f"{base}/users/{owner}/activity",
            "JUPYTERHUB_SERVICE_PREFIX": self.prefix,
            "JUPYTERHUB_USER": owner,
            "JUPYTERHUB_SERVER_NAME": name,
            "JUPYTERHUB_CLIENT_ID": name,
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps(scopes),
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
