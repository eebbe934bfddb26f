"""Settings and plans for the container tests."""

import asyncio
import time

import engines
from traitlets.config import Config

from visa_session.contract import INFO_VARIABLE, SessionInfo
from visa_spawner.session import Person, Resources, SessionPlan

MB = 1 << 20

#: In a session's script: nothing more until the test says `go`.
WAIT_FOR_GO = "while [ ! -e /tmp/go ]; do sleep 0.05; done"


def go(engine, container):
    engine.run_inside(container, ["touch", "/tmp/go"])


def node(engine, **fields):
    return {
        "name": engine.kind,
        "engine": engine.address,
        "network": engine.network,
        "cpus": 8,
        "memory": "8G",
        **fields,
    }


def settings(nodes, hub=engines.HUB, **others):
    config = Config()
    config.ContainerBackend.hub_id = hub
    config.ContainerBackend.nodes = nodes
    config.ContainerBackend.image_template = "localhost/visa/{recipe}:latest"
    config.ContainerBackend.watch_interval = 0.5
    config.ContainerBackend.stop_grace = 2
    for name, value in others.items():
        setattr(config.ContainerBackend, name, value)
    return config


def plan(key="alice/first", command=("sleep", "300"), binds=(), **fields):
    resources = {"cpus": 0.5, "memory": 200 * MB, "gpus": 0, "gpu_type": ""}
    resources.update({name: fields.pop(name) for name in list(fields) if name in resources})
    owner, _, name = key.partition("/")
    environment = {
        INFO_VARIABLE: SessionInfo(owner, name).to_json(),
        "JUPYTERHUB_SERVICE_PREFIX": f"/user/{key}/",
        "JUPYTERHUB_USER": owner,
    }
    return SessionPlan(
        key=key,
        person=fields.pop("person", Person(owner, 5001, 5001, (6001, 6002), f"/data/home/{owner}")),
        image=fields.pop("image", engines.RECIPE),
        resources=Resources(**resources),
        binds=tuple(binds),
        short_ways=fields.pop("short_ways", {}),
        environment={**environment, **fields.pop("environment", {})},
        labels={"visa.profile": "general"},
        command=tuple(command),
        **fields,
    )


async def until(condition, seconds=15):
    """Wait until a condition holds; fails the test when it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.05)


async def logged(backend, text, seconds=10):
    """The session's log once it holds a text."""
    end = time.monotonic() + seconds
    while True:
        lines = await backend.last_lines(200)
        if text in lines:
            return lines
        assert time.monotonic() < end, lines
        await asyncio.sleep(0.05)
