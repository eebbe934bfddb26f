"""What `LocalBackend` runs in place of a container: a small server that behaves like a session.

Arguments: the directory it keeps its marks in, its key, its image. The image says how it behaves.
"""

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

marks, key, image = Path(sys.argv[1]), sys.argv[2], sys.argv[3]


def leave(code):
    (marks / f"{key}.exit").write_text(str(code))
    os._exit(code)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if "/leave" in self.path:
            threading.Timer(0.1, leave, [7]).start()
        answer = {
            "environment": dict(os.environ),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "gids": os.getgroups(),
        }
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *args):
        pass


def report(port):
    url = os.environ["JUPYTERHUB_API_URL"] + "/visa/ready"
    headers = {
        "Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"],
        "Content-Type": "application/json",
    }
    request = urllib.request.Request(url, json.dumps({"port": port}).encode(), headers)
    for _ in range(300):
        try:
            urllib.request.urlopen(request, timeout=5)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                print("the hub refuses:", error.code, error.read().decode(), flush=True)
                return
        except OSError:
            pass
        time.sleep(0.2)


(marks / f"{key}.pid").write_text(str(os.getpid()))
print("a line of the session's log with", os.environ["JUPYTERHUB_API_TOKEN"], flush=True)
if image.startswith("dies"):
    leave(int(image.removeprefix("dies")))
server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while (marks / "hold-ready").exists():
    time.sleep(0.05)
if image != "never":
    report(1 if image == "lies" else server.server_port)
while True:
    time.sleep(1)
