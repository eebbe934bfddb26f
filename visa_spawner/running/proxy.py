"""A proxy that runs by itself, and a hub that notices within seconds when it came back empty.

The stock hub looks at an external proxy's routes every five minutes and reads all of them. Here one route
that must always be there is asked for; only when it is missing are all routes written again. What the stock
hub does every five minutes in one go, during which it answers nobody, is done a few sessions at a time
(`routes.py`); set `c.JupyterHub.last_activity_interval = 0`, or it does its own as well.
"""

from __future__ import annotations

import asyncio
import time

from aiohttp import ClientError, ClientResponseError
from jupyterhub.metrics import CHECK_ROUTES_DURATION_SECONDS, PROXY_POLL_DURATION_SECONDS
from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.utils import fetch, url_path_join
from traitlets import Any, Float

from . import meters
from . import routes as sessions_routes
from .turns import in_turns


class WatchedProxy(ConfigurableHTTPProxy):
    """ConfigurableHTTPProxy that restores the routes of a proxy that was restarted."""

    watch_interval = Float(
        2.0,
        config=True,
        help="""Seconds between two looks at the proxy. Shorter brings the routes back sooner after the proxy
        was restarted; each look is one request of a few hundred bytes, whatever the number of sessions.""",
    )

    activity_interval = Float(
        300.0,
        config=True,
        help="""Seconds between two questions to the proxy when each session was last used, at which all
        routes are compared too. Shorter ends idle sessions more exactly; each question is answered with a few
        hundred bytes for every session.""",
    )

    _watch = Any(None)
    _down_since = Float(0)
    _mending = Any(None)

    async def get_all_routes(self) -> sessions_routes.Routes:
        """As in the stock proxy, but that others have their turn while the answer is read."""
        began = time.perf_counter()
        answer = await (await self.api_request("")).json()
        found = {}
        async for path, data in in_turns(answer.items()):
            if "jupyterhub" in data:
                spec = self._routespec_from_chp_path(path)
                found[spec] = self._reformat_routespec(spec, data)
        PROXY_POLL_DURATION_SECONDS.observe(time.perf_counter() - began)
        return found

    async def check_routes(self, user_dict, service_dict, routes=None):
        """As in the stock proxy, a few at a time; the first call, at the hub's start, begins the watch."""
        if self._watch is None:
            self._mending = asyncio.Lock()
            self._watch = asyncio.create_task(self._watch_forever())
        async with self._mending:
            began = time.perf_counter()
            await sessions_routes.mend(self, self.app, routes or await self.get_all_routes())
            CHECK_ROUTES_DURATION_SECONDS.observe(time.perf_counter() - began)

    async def _watch_forever(self) -> None:
        asked = time.monotonic()
        while True:
            await asyncio.sleep(self.watch_interval)
            try:
                if time.monotonic() - asked >= self.activity_interval:
                    asked = time.monotonic()
                    found = await self.get_all_routes()
                    await sessions_routes.note_activity(self.app, found)
                    await self.check_routes(self.app.users, self.app._service_map, found)
                if await self._is_empty():
                    self.log.warning("The proxy has lost its routes; writing them again")
                    await self.check_routes(self.app.users, self.app._service_map)
                meters.PROXY_ANSWERING.set(1)
                if self._down_since:
                    self.log.warning("The proxy is back after %.0f s", time.monotonic() - self._down_since)
                    self._down_since = 0
            except (ClientError, TimeoutError, OSError) as error:
                meters.PROXY_ANSWERING.set(0)
                if not self._down_since:
                    self._down_since = time.monotonic()
                    self.log.error("The proxy does not answer: %s", error)
            except Exception:
                # Whatever went wrong with one look must not end the watch.
                self.log.exception("Looking at the proxy failed")

    async def _is_empty(self) -> bool:
        """Whether the route that must be there is missing.

        Raises aiohttp's ClientError when the proxy does not answer.
        """
        path = self._routespec_to_chp_path(self._landmark())
        try:
            await fetch(
                url_path_join(self.api_url, "api/routes", path),
                headers={"Authorization": f"token {self.auth_token}"},
            )
        except ClientResponseError as error:
            if error.status == 404:
                return True
            raise
        return False

    def _landmark(self) -> str:
        """A route that is always there and is not the root, which the proxy answers with all routes."""
        for service in self.app._service_map.values():
            if service.server is not None:
                return service.proxy_spec
        return self.app.hub.routespec
