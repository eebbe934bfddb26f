"""A nova of plain values in place of a connection: what it is told to answer, and what it was asked."""

import json
from types import SimpleNamespace
from urllib.parse import urlsplit
from uuid import UUID

from visa_spawner.backends.vm.openstack import servers
from visa_spawner.backends.vm.openstack.claims import SHOWN, Kept
from visa_spawner.backends.vm.openstack.connection import Api
from visa_spawner.backends.vm.openstack.provider import OpenStackProvider
from visa_spawner.backends.vm.provider import Silent


class Nova:
    """`pages` are ids of what is listed; `down` what is in a cell without an answer, and listed by nobody."""

    def __init__(self):
        self.servers, self.listed, self.down, self.answers, self.asked = {}, [], set(), {}, []
        self.compute = self.network = self.image = self
        self.ports = []
        #: Servers of one page of a list; 0: all.
        self.page = 0

    def add(self, number, **says):
        id = str(UUID(int=number))
        said = servers.metadata({"session": f"alice/{number}"}, "here")
        kept = Kept(f"digest {number}".replace(" ", ""), 2**40, SHOWN).text()
        self.servers[id] = {
            "id": id,
            "name": f"visa-here-{number:016x}",
            "status": "ACTIVE",
            "metadata": said | {"visa-claim": kept},
        } | says
        self.listed.append(id)
        return self.servers[id]["name"]

    def request(self, path, method, **options):
        self.asked.append(f"{method} {path}")
        key = next((one for one in self.answers if f"{method} {path}".startswith(one)), None)
        if key is not None:
            status, said = self.answers[key]
            if status is None:
                raise Silent("nothing")
            return answer(status, said)
        if urlsplit(path).path == "/servers/detail":
            return self._list(int(options["params"].get("marker", 0)))
        if path == "/ports":
            return answer(200, {"ports": self.ports})
        id = path.split("/")[2]
        if id in self.down:
            return answer(200, {"server": {"id": id, "status": "UNKNOWN"}})
        if id not in self.servers:
            said = f"Instance {id} could not be found."
            return answer(404, {"itemNotFound": {"code": 404, "message": said}})
        if method == "DELETE":
            del self.servers[id]
            return answer(204, None)
        if method == "GET":
            return answer(200, {"server": dict(self.servers[id])})
        return answer(200, {})

    def _list(self, begin):
        listed = [dict(self.servers[id]) for id in self.listed if id in self.servers]
        end = begin + self.page if self.page else len(listed) + 1
        following = [{"rel": "next", "href": f"http://elsewhere/servers/detail?marker={end}"}]
        more = following if end <= len(listed) else []
        return answer(200, {"servers": listed[begin:end], "servers_links": more})


def answer(status, said):
    text = said if isinstance(said, str) else json.dumps(said)
    return SimpleNamespace(status_code=status, text=text, content=text, json=lambda: json.loads(text))


class Straight:
    """A lane without threads."""

    def __init__(self, connection):
        self.connection = connection

    async def call(self, ask, timeout=None):
        return ask(Api(self.connection))

    def close(self):
        pass


class Provider(OpenStackProvider):
    """As it is, but for the port and the connection."""

    def __init__(self, nova, folder, **settings):
        paths = {name: folder / name for name in ("clouds_file", "claim_certificate", "claim_key")}
        for path in paths.values():
            path.touch(mode=0o600)
        given = {name: str(path) for name, path in paths.items()} | {"claim_address": "hub.example:8443"}
        super().__init__("here", **given | settings)
        self._listing = self._calls = Straight(nova)

    def _listen(self):
        pass
