"""The smallest thing a hub takes for a session: says that it listens, and answers with a page.

Its arguments are the file that a slow one waits for to disappear, and how it behaves.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"<!doctype html><title>session</title><h1>{urlsplit(self.path).path}</h1>".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *values):
        pass


def main(hold: str, image: str) -> None:
    if image == "broken":
        print("ImportError: no module named <script>alert(1)</script>", flush=True)
        sys.exit(3)
    while os.path.exists(hold):
        time.sleep(0.05)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever).start()
    call = urllib.request.Request(
        os.environ["JUPYTERHUB_API_URL"] + "/visa/ready",
        json.dumps({"port": server.server_port}).encode(),
        {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"], "Content-Type": "application/json"},
    )
    urllib.request.urlopen(call, timeout=10).close()


if __name__ == "__main__":
    main(*sys.argv[1:])
