"""What only root on a container's own machine can do to it while it runs: data in, data out, a hand-over.

`client.py` is what backends use. It runs the rest anew for each request, as a program of its own: a process
that has entered a container's mounts cannot come back, and must not be the hub.
"""
