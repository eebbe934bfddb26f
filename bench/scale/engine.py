"""A stand-in for the container engines of many nodes, in one process with all their sessions.

It speaks as much of the Docker API as `ContainerBackend` asks for, one unix socket a node, so that placing,
watching and starting are the product's own. A container here is a line in a table; its process is a session
of `sessions.py`. Its own commands are below /bench: how all stands, and containers that are simply there.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from .sessions import Sessions

IMAGE = "sha256:" + hashlib.sha256(b"a stand-in").hexdigest()


@dataclass
class Container:
    """A container; `body` is what it was made with."""

    name: str
    node: str
    body: dict
    state: str = "created"
    session: object = None
    id: str = field(default="")

    def __post_init__(self):
        self.id = hashlib.sha256(f"{self.node}/{self.name}".encode()).hexdigest()

    @property
    def environment(self) -> dict[str, str]:
        return dict(one.split("=", 1) for one in self.body["Env"])

    def listed(self) -> dict:
        """As in an engine's list; about as long as there."""
        mounts = [{"Type": "bind", "Destination": one["Target"]} for one in self.body["HostConfig"]["Mounts"]]
        return {
            "Id": self.id,
            "Names": ["/" + self.name],
            "Image": self.body["Image"],
            "ImageID": IMAGE,
            "Command": " ".join(self.body["Cmd"]),
            "Created": 1_700_000_000,
            "Ports": [],
            "Labels": self.body["Labels"],
            "State": self.state,
            "Status": "Up 2 hours",
            "HostConfig": {"NetworkMode": "host"},
            "NetworkSettings": {"Networks": {"host": {"NetworkID": "", "Gateway": "", "IPAddress": ""}}},
            "Mounts": mounts,
        }

    def inspected(self) -> dict:
        state = {"Status": self.state, "Running": self.state == "running", "ExitCode": 0, "OOMKilled": False}
        return {
            "Id": self.id,
            "Name": "/" + self.name,
            "State": state | {"Error": "", "FinishedAt": "2026-01-01T00:00:00Z"},
            "HostConfig": self.body["HostConfig"],
            "NetworkSettings": {"Networks": {}, "Ports": {}},
            "Config": {"Env": self.body["Env"], "Labels": self.body["Labels"]},
        }


class Engine:
    """One node's."""

    def __init__(self, node: str, sessions: Sessions):
        self.node, self.sessions = node, sessions
        self.containers: dict[str, Container] = {}
        self.calls: dict[str, int] = {}
        self.bytes_listed = 0

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._counted], client_max_size=1 << 24)
        at = "/{version:v[0-9.]+}"
        app.add_routes(
            [
                web.get("/version", self._version),
                web.get(at + "/version", self._version),
                web.get(at + "/containers/json", self._list),
                web.get(at + "/images/{name:.+}/json", self._image),
                web.post(at + "/containers/create", self._create),
                web.put(at + "/containers/{name}/archive", self._ok),
                web.get(at + "/containers/{name}/archive", self._nothing),
                web.get(at + "/containers/{name}/logs", self._ok),
                web.get(at + "/containers/{name}/json", self._inspect),
                web.post(at + "/containers/{name}/start", self._start),
                web.post(at + "/containers/{name}/stop", self._stop),
                web.delete(at + "/containers/{name}", self._remove),
            ]
        )
        return app

    def put(self, name: str, body: dict, **how) -> Container:
        """A container that is there and runs."""
        container = self.containers[name] = Container(name, self.node, body, "running")
        container.session = self.sessions.begin(container.environment, **how)
        return container

    @web.middleware
    async def _counted(self, request: web.Request, handler) -> web.StreamResponse:
        last = request.path.rpartition("/")[2]
        counted = last in ("json", "create", "archive", "start", "stop", "logs")
        what = f"{request.method} {last}" if counted else request.method
        self.calls[what] = self.calls.get(what, 0) + 1
        return await handler(request)

    def _found(self, request: web.Request) -> Container:
        name = request.match_info["name"]
        found = self.containers.get(name) or next((c for c in self.containers.values() if c.id == name), None)
        if found is None:
            raise web.HTTPNotFound(text='{"message": "no such container"}', content_type="application/json")
        return found

    async def _version(self, request):
        return web.json_response({"ApiVersion": "1.41", "Version": "stand-in"})

    async def _list(self, request):
        answer = web.json_response([one.listed() for one in self.containers.values()])
        self.bytes_listed += len(answer.body)
        return answer

    async def _image(self, request):
        recipe = request.match_info["name"].rpartition("/")[2].partition(":")[0]
        labels = {"org.opencontainers.image.title": f"visa/{recipe}"}
        return web.json_response({"Id": IMAGE, "Config": {"Labels": labels}})

    async def _create(self, request):
        container = Container(request.query["name"], self.node, await request.json())
        self.containers[container.name] = container
        return web.json_response({"Id": container.id, "Warnings": []}, status=201)

    async def _inspect(self, request):
        return web.json_response(self._found(request).inspected())

    async def _start(self, request):
        container = self._found(request)
        container.state = "running"
        container.session = self.sessions.begin(container.environment)
        return web.Response(status=204)

    async def _stop(self, request):
        self._end(self._found(request))
        return web.Response(status=204)

    async def _remove(self, request):
        container = self._found(request)
        self._end(container)
        del self.containers[container.name]
        return web.Response(status=204)

    def _end(self, container: Container) -> None:
        container.state = "exited"
        if container.session is not None:
            container.session.end()
            if self.sessions.by_key.get(container.session.key) is container.session:
                del self.sessions.by_key[container.session.key]

    async def _ok(self, request):
        await request.read()
        return web.Response(status=200)

    async def _nothing(self, request):
        raise web.HTTPNotFound(text='{"message": "no such file"}', content_type="application/json")


async def serve(folder: Path, nodes: int, port: int) -> None:
    """All nodes' engines, on `folder`/NAME.sock, and their sessions on a port; for ever."""
    sessions = Sessions(port)
    await sessions.serve()
    engines = {f"n{number:03}": Engine(f"n{number:03}", sessions) for number in range(nodes)}

    async def facts(request):
        calls: dict[str, int] = {}
        for engine in engines.values():
            for what, count in engine.calls.items():
                calls[what] = calls.get(what, 0) + count
        listed = sum(engine.bytes_listed for engine in engines.values())
        return web.json_response(sessions.facts() | {"calls": calls, "bytes listed": listed})

    async def put(request):
        """Containers that are simply there: `[{"node", "name", "body"}]`, said over `within` seconds."""
        within = float(request.query.get("within", 0))
        for one in await request.json():
            engines[one["node"]].put(one["name"], one["body"], is_new=False, within=within)
        return web.json_response(sessions.facts())

    async def bodies(request):
        found = [
            {"node": one.node, "name": one.name, "body": one.body}
            for engine in engines.values()
            for one in engine.containers.values()
        ]
        return web.json_response(found)

    apps = {name: engine.app() for name, engine in engines.items()}
    apps["bench"] = web.Application(client_max_size=1 << 30)
    apps["bench"].add_routes(
        [web.get("/bench", facts), web.post("/bench/put", put), web.get("/bench/containers", bodies)]
    )
    for name, app in apps.items():
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.UnixSite(runner, str(folder / f"{name}.sock")).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    asyncio.run(serve(Path(settings["folder"]), settings["nodes"], settings["port"]))
