"""A person's directories, served to one machine by 9p: run as that person, in a root of nothing else.

Started by `share.py` as a file of its own with Python's standard library alone; standard input is a socket
that listens on the machine's own line. Each connection is one mount of the guest's, and one diod, which has
it as its own and ends with it. Which directories there are is looked at for each: the hub may add some and
take some away. The first argument is there to find it by; a byte on standard output says that it serves.
"""

import os
import resource
import signal
import socket
import sys

#: Where the directories are.
PLACE = "/share"
#: Connections at a time; a guest has one for each directory.
MOST = 64
#: Milliseconds for which what was sent may wait for its answer: a machine that is suspended answers later.
#: The most that the kernel takes, 24 days; its own is a quarter of an hour.
SILENCE = (1 << 31) - 1
#: What one diod may take, whatever a guest says to it: bytes of addresses, open files.
BOUNDS = {resource.RLIMIT_AS: 4 << 30, resource.RLIMIT_NOFILE: 16384, resource.RLIMIT_CORE: 0}


def serve(listening: socket.socket, diod: str) -> None:
    """Let one diod serve each connection, until killed."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    running = set()
    for what, most in BOUNDS.items():
        hard = resource.getrlimit(what)[1]
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    os.write(1, b"\n")
    # The hub, which reads that, may be gone when something is said later.
    nothing = os.open("/dev/null", os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    while True:
        connection, _ = listening.accept()
        running = {pid for pid in running if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        if len(running) >= MOST:
            connection.close()
            continue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE)
        there = os.listdir(PLACE) if os.path.isdir(PLACE) else []  # when the last has been taken away
        options = [word for name in there for word in ("-e", f"{PLACE}/{name}")]
        child = os.fork()
        if child == 0:
            os.dup2(connection.fileno(), 3)
            os.set_inheritable(3, True)
            how = ["-f", "-n", "-c", "/dev/null", "-L", "stderr", "-u", str(os.getuid())]
            os.execv(diod, [diod, *how, "--rfdno", "3", "--wfdno", "3", *options])
        running.add(child)
        connection.close()


if __name__ == "__main__":
    serve(socket.socket(fileno=0), sys.argv[2])
