"""The door of a session that waits in a machine: it is there when all is done that takes time, not before."""

import os
import threading

import pytest

from visa_session import waiting
from visa_session.checks import NotFit


class Child:
    """Stands for the process that imports the server: it says so by a pipe."""

    process, said = 0, b""

    def __init__(self):
        self.reads, self.writes = os.pipe()

    def fileno(self):
        return self.reads

    def hear(self):
        self.said += os.read(self.reads, 16)


@pytest.mark.parametrize("machine", [True, False])
def test_it_opens_once_the_server_is_imported(monkeypatch, machine):
    child, seen = Child(), []

    def door(selector, machine):
        seen.append(child.said)
        raise OSError(1, "enough")

    monkeypatch.setattr(waiting, "Waiting", lambda: child)
    monkeypatch.setattr(waiting, "begin_supervising", lambda: None)
    monkeypatch.setattr(waiting.os, "getpid", lambda: 1)
    monkeypatch.setattr(waiting.door, "Door", door)
    threading.Timer(0.2, os.write, (child.writes, waiting.IMPORTED)).start()
    with pytest.raises(NotFit):
        waiting.wait(machine=machine)
    assert seen == [waiting.IMPORTED if machine else b""], "a container's is there at once"
