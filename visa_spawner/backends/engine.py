"""One container engine, with its own clients and its own few threads: a dead one holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import docker
import requests
from docker.errors import APIError, DockerException

from .nodes import Node
from .tunnel import Tunnel

T = TypeVar("T")

#: Calls on one engine at once, besides its watch.
THREADS = 6


class EngineSilent(Exception):
    """An engine gave no answer: nothing is known, neither good nor bad."""


class EngineRefused(Exception):
    """An engine answered with an error: `status` is its HTTP code; the text is for the operator."""

    def __init__(self, status: int, text: str):
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


class _Client(docker.APIClient):
    # The hub's environment must not choose the way to an engine nor whom to trust there: with
    # REQUESTS_CA_BUNDLE set, requests would let any public authority vouch for it.
    trust_env = property(lambda self: False, lambda self, value: None)


class Engine:
    """A node's engine, spoken to in the Docker API (Docker Engine, or Podman's service).

    `timeout` bounds each call, `watch_timeout` each call of the watch, in seconds.
    """

    def __init__(self, node: Node, *, timeout: float = 60, watch_timeout: float = 5):
        self.node = node
        self._timeout, self._watch_timeout = timeout, watch_timeout
        self._tunnel = Tunnel(node.engine, watch_timeout) if node.engine.startswith("ssh://") else None
        self._work = ThreadPoolExecutor(THREADS, thread_name_prefix=f"engine-{node.name}")
        # The watch has a thread of its own: it must see that an engine hangs while all others wait on it.
        self._watch = ThreadPoolExecutor(1, thread_name_prefix=f"watch-{node.name}")
        self._mine = threading.local()

    async def call(self, ask: Callable[[docker.APIClient], T]) -> T:
        """Ask the engine something, in a thread.

        A call once begun runs to its end, also when the asker is cancelled. Raises EngineSilent,
        EngineRefused.
        """
        return await asyncio.shield(self.begin(ask))

    def begin(self, ask: Callable[[docker.APIClient], T]) -> asyncio.Future[T]:
        """As `call`, but gives the call itself, for whoever must know later how it ended."""
        future = asyncio.wrap_future(self._work.submit(self._ask, ask, self._timeout))
        future.add_done_callback(lambda done: done.cancelled() or done.exception())
        return future

    async def list_sessions(self, label: str) -> list[dict]:
        """All containers that carry a label, running or not."""

        def ask(client: docker.APIClient) -> list[dict]:
            return client.containers(all=True, filters={"label": [label]})

        return await asyncio.wrap_future(self._watch.submit(self._ask, ask, self._watch_timeout))

    def close(self) -> None:
        """Let the threads go; calls under way end by themselves."""
        self._work.shutdown(wait=False, cancel_futures=True)
        self._watch.shutdown(wait=False, cancel_futures=True)
        if self._tunnel:
            self._tunnel.close()

    def _client(self, timeout: float) -> docker.APIClient:
        # A client a thread: requests' sessions are not made to be shared.
        client = getattr(self._mine, "client", None)
        address = self._tunnel.open() if self._tunnel else self.node.engine
        if client is None:
            tls = self.node.tls
            client = _Client(
                base_url=address,
                version="auto",
                timeout=timeout,
                tls=docker.tls.TLSConfig(client_cert=(tls.cert, tls.key), ca_cert=tls.ca, verify=True)
                if tls
                else False,
            )
            self._mine.client = client
        return client

    def _ask(self, ask: Callable[[docker.APIClient], T], timeout: float) -> T:
        try:
            return ask(self._client(timeout))
        except APIError as error:
            text = str(error.explanation or error)
            raise EngineRefused(error.response.status_code, text) from error
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            raise EngineSilent(f"node {self.node.name}: {error}") from error
