#!/usr/bin/python3
"""A session that is there at once, for a crowd: it speaks the protocol, and is no JupyterLab.

With `VISA_TOKEN_STDIN` it takes its token from standard input and says by itself where it listens; without,
`batchspawner-singleuser` has said so for it.
"""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = b"a light session"
        self.send_response(200)
        self.send_header("X-JupyterHub-Version", "6.1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments):
        pass


def say_where(port, token):
    """As `visa-session` does; ends this process when the hub refuses."""
    url = os.environ["JUPYTERHUB_API_URL"] + "/visa/ready"
    headers = {"Authorization": "token " + token, "Content-Type": "application/json"}
    while True:
        try:
            urllib.request.urlopen(
                urllib.request.Request(url, json.dumps({"port": port}).encode(), headers), timeout=30
            )
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                sys.exit(f"the hub refuses: {error.code}")
        except OSError:
            pass
        time.sleep(0.2)


def main():
    # The node program leaves them blocked until whoever they are for is ready.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.valid_signals())
    wanted = urllib.parse.urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"])
    server = ThreadingHTTPServer(("0.0.0.0", wanted.port or 0), Handler)
    if os.environ.get("VISA_TOKEN_STDIN"):
        Thread(target=server.serve_forever, daemon=True).start()
        say_where(server.server_port, sys.stdin.read().strip())
        while True:
            signal.pause()
    server.serve_forever()


if __name__ == "__main__":
    main()
