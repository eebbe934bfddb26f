"""A small server that behaves like a session, for tests of what is around it.

It takes its token from standard input as `visa-session` does, says where it listens, answers with what it
knows of itself, and does as it is told: `/leave?7` ends it with code 7, `/eat?300` takes 300 MB.
Its only argument is a directory of marks: while `hold-ready` is there it does not say that it listens, while
`hold-answer` is it answers nobody.
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

marks = Path(sys.argv[1])
token = sys.stdin.read().strip() if os.environ.get("VISA_TOKEN_STDIN") else ""
eaten = []
# The node program leaves these blocked until whoever they are for is ready.
signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        while (marks / "hold-answer").exists():
            time.sleep(0.05)  # held by the test, which has the limit
        path, _, number = self.path.partition("?")
        if path.endswith("/leave"):
            threading.Timer(0.1, os._exit, [int(number)]).start()
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

    def log_message(self, *args):
        pass


def report(port):
    url = os.environ["JUPYTERHUB_API_URL"] + "/visa/ready"
    headers = {"Authorization": "token " + token, "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps({"port": port}).encode(), headers)
    while True:
        try:
            urllib.request.urlopen(request, timeout=5)
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                print("the hub refuses:", error.code, error.read().decode(), flush=True)
                os._exit(9)
        except OSError:
            pass
        time.sleep(0.2)  # before it tells the hub again, as visa-session does


print("a line of the session's log with", token, "\x1b[31mred", flush=True)
listen = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
server = ThreadingHTTPServer((listen.hostname, listen.port or 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while (marks / "hold-ready").exists():
    time.sleep(0.05)  # held by the test, which has the limit
report(server.server_port)
while True:
    time.sleep(1)  # lives until its job is ended
