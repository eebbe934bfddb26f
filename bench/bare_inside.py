"""Runs inside the plain image: start the server, wait for its first answer, print the seconds, stop it."""

import http.client
import os
import subprocess
import sys
import time

prefix = os.environ["JUPYTERHUB_SERVICE_PREFIX"]
with open("/tmp/bare.log", "wb") as log:
    began = time.perf_counter()
    server = subprocess.Popen(["jupyterhub-singleuser"], stdout=log, stderr=log)
    try:
        while True:
            if server.poll() is not None or time.perf_counter() - began > 60:
                sys.exit("no answer: " + open("/tmp/bare.log").read()[-400:])
            try:
                connection = http.client.HTTPConnection("127.0.0.1", 8888, timeout=10)
                connection.request("GET", prefix + "lab")
                if connection.getresponse().status < 500:
                    print(time.perf_counter() - began)
                    break
            except OSError:
                time.sleep(0.005)
    finally:
        server.terminate()
        server.wait()
