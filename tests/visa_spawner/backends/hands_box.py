"""A container to reach into, as the tests of hands look at it from outside."""

import os
import shutil
from pathlib import Path

from engines import HUB, IMAGE


class Box:
    """A container whose first process is root with the engine's default capabilities."""

    def __init__(self, engine, command=("sleep", "300"), mounts=()):
        host = {"Mounts": list(mounts)}
        body = {"Image": IMAGE, "Cmd": list(command), "Labels": {"visa.hub": HUB}, "HostConfig": host}
        self.engine = engine
        self.id = engine.client.create_container_from_config(body)["Id"]
        engine.client.start(self.id)
        self.pid = engine.client.inspect_container(self.id)["State"]["Pid"]
        #: Its files, looked at from outside.
        self.root = Path(f"/proc/{self.pid}/root")

    def sh(self, text):
        """As root inside; an engine's exec takes its time, so only where that matters."""
        return self.engine.run_inside(self.id, ["sh", "-c", text], user="0")

    def mounts(self):
        lines = Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines()
        return {line.split()[4]: line.split()[5] for line in lines}

    def files(self):
        """What stands where these tests put things, and at the top."""
        found = {path.name for path in self.root.iterdir()}
        for name in ("data", "experiments", "tmp"):
            # Seen from outside, an absolute link would lead into this machine's own files.
            if (self.root / name).is_symlink():
                continue
            for above, folders, names in os.walk(self.root / name):
                found |= {f"{above}/{one}" for one in folders + names}
        return found

    def plant(self, text):
        """`PATH -> TARGET`, `PATH/` or `PATH`: a link, a directory or a file of root's inside."""
        place, _, target = text.partition(" -> ")
        path = self.root / place.strip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if target:
            path.symlink_to(target)
        elif place.endswith("/"):
            path.mkdir()
        else:
            path.touch()

    def clear(self):
        for name in ("data", "experiments"):
            path = self.root / name
            path.unlink() if path.is_symlink() else shutil.rmtree(path, ignore_errors=True)
