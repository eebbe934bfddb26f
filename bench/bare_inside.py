"""Runs inside an image: start the server, wait for its first answer, print both times, stop it when told.

python -c SCRIPT COMMAND    told by the end of its input
"""

import http.client
import os
import subprocess
import sys
import time

prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
with open("/tmp/bare.log", "wb") as log:
    began = time.time()
    server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        while True:
            if server.poll() is not None or time.time() - began > 60:
                sys.exit("no answer: " + open("/tmp/bare.log").read()[-400:])
            try:
                connection = http.client.HTTPConnection("127.0.0.1", 8888, timeout=10)
                connection.request("GET", prefix + "lab")
                if connection.getresponse().status < 500:
                    print(began, time.time(), flush=True)
                    break
            except OSError:
                time.sleep(0.005)
        sys.stdin.read()
    finally:
        server.terminate()
        server.wait()
