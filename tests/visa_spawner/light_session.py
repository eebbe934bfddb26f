"""A small server that behaves like a session, for tests of what is around it.

Arguments: a directory of marks and, where a backend of these tests runs it, its key and its image, which says
how it behaves: one that is `unheard` finds no hub. It says where it listens, and answers with what it knows
of itself; `/leave?7` ends it with code 7, `/eat?300` takes 300 MB, and a line that is upgraded gives back
what comes in. Where it is given an authority it serves TLS, unless its image is `old`. While the mark
`hold-ready` is there it does not say that it listens, while `hold-answer` is it answers nobody.
"""

import json
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

marks, key, image = Path(sys.argv[1]), *(*sys.argv[2:], "", "")[:2]
# As `visa-session` takes it.
token = sys.stdin.read().strip() if "VISA_TOKEN_STDIN" in os.environ else os.environ["JUPYTERHUB_API_TOKEN"]
eaten = []
# The node program leaves these blocked until whoever they are for is ready.
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


def leave(code):
    if key:
        (marks / f"{key}.exit").write_text(str(code))
    os._exit(code)


def held(mark):
    while (marks / mark).exists():
        time.sleep(0.05)  # held by the test, which has the limit


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        held("hold-answer")
        if "Upgrade" in self.headers:
            return self.give_back()
        path, _, number = self.path.partition("?")
        if path.endswith("/leave"):
            threading.Timer(0.1, leave, [int(number or 7)]).start()
        if path.endswith("/eat"):
            eaten.append(os.urandom(1 << 20) * int(number))
        answer = {
            "environment": dict(os.environ),
            "token": token,
            "pid": os.getpid(),
            "uid": os.getuid(),
            "gid": os.getgid(),
            "gids": os.getgroups(),
            "cwd": os.getcwd(),
        }
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def give_back(self):
        self.send_response(101)
        self.send_header("Upgrade", self.headers["Upgrade"])
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        while piece := self.rfile.read1(100):
            self.wfile.write(piece)

    def log_message(self, *args):
        pass


def report(port, **also):
    """Say it until the hub has heard it; its answer."""
    url = os.environ["JUPYTERHUB_API_URL"] + "/visa/ready"
    headers = {"Authorization": "token " + token, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"port": port} | also).encode(), headers)
    while True:
        try:
            return urllib.request.urlopen(request, timeout=5).read()
        except urllib.error.HTTPError as error:
            if error.code < 500:
                print("the hub refuses:", error.code, error.read().decode(), flush=True)
                leave(9)
        except OSError:
            pass
        time.sleep(0.2)  # before it tells the hub again, as visa-session does


if key:
    (marks / f"{key}.pid").write_text(str(os.getpid()))
print(f"\x1b[31mred\na line of the session's log with {token}", flush=True)
if image.startswith("dies"):
    leave(int(image.removeprefix("dies")))
listen = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
server = ThreadingHTTPServer((listen.hostname, listen.port or 0), Handler)
if (authority := os.environ.get("VISA_AUTHORITY")) and image != "old":
    import site

    site.main()  # it is run without the environment's packages, which would take its time
    from visa_session.encryption import Encryption

    held("hold-ready")
    key = Encryption(authority)
    certificate = json.loads(report(server.server_port, request=key.request()))["certificate"]
    server.socket = key.serving(certificate).wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    image = "never"  # it has said so
else:
    threading.Thread(target=server.serve_forever, daemon=True).start()
held("hold-ready")
while image == "unheard":
    import site

    site.main()
    from visa_session.contract import UNHEARD

    print(f"{UNHEARD}, trying again: it is not there", flush=True)
    time.sleep(0.2)  # before it tries again, until it is ended
if image != "never":
    report(1 if image == "lies" else server.server_port)
while True:
    time.sleep(1)  # lives until it is ended
