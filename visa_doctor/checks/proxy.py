"""Whether the proxy answers, takes the hub's token, and leads to hub and portal."""

from __future__ import annotations

from jupyterhub.proxy import ConfigurableHTTPProxy

from ..finding import CannotLook, counted, fine, warning, worded, wrong
from ..http import NoAnswer, ask
from ..installation import Installation
from ..looking import Look

_BACK = "the hub writes its routes again within seconds, and pages come back by themselves"


async def look(here: Installation) -> Look:
    """By its API, as the hub asks it; its public port is seen by the check `address`."""
    proxy = _settings(here)
    if proxy.should_start:
        yield warning(
            "The hub starts the proxy itself, so a restart of the hub cuts every session's connection.",
            "Run configurable-http-proxy as a service of its own, and set c.WatchedProxy.should_start ="
            " False.",
        )
    routes = f"{proxy.api_url.rstrip('/')}/api/routes"
    headers = {"Authorization": f"token {proxy.auth_token}"}
    try:
        answer = await ask(routes, here.limit * 0.5, headers, trust=False)
    except NoAnswer as error:
        yield wrong(
            f"The proxy does not answer ({error}, {proxy.api_url}): no page opens for anybody; sessions run"
            " on.",
            f"`systemctl restart visa-proxy`; {_BACK}.",
        )
        return
    if answer.status in (401, 403):
        yield wrong(
            "The proxy does not take the hub's token, so no new session gets its address.",
            "Give CONFIGPROXY_AUTH_TOKEN the same value for both, and restart the proxy, then the hub.",
        )
        return
    if answer.status != 200:
        yield wrong(f"The proxy answers {answer.status} to the hub.", "`journalctl -u visa-proxy -n 50`.")
        return
    async for finding in _routes(here, answer.json()):
        yield finding


async def _routes(here: Installation, routes: dict) -> Look:
    targets = {str(route.get("target", "")).rstrip("/") for route in routes.values()}
    missing = []
    if not any(route.get("hub") for route in routes.values()):
        missing.append("the hub")
    portal = here.services.get("visa", {}).get("url", "").rstrip("/")
    if portal and portal not in targets:
        missing.append("the portal")
    if missing:
        yield wrong(
            f"The proxy has no route to {' and '.join(missing)}, though it answers.",
            "The hub writes it within seconds while it runs; see the check hub, then its log for `proxy`.",
        )
        return
    sessions = sum("user" in route for route in routes.values())
    yield fine(f"It answers, and has routes to hub, portal and {counted(sessions, 'session')}.")


def _settings(here: Installation) -> ConfigurableHTTPProxy:
    if not issubclass(here.app.proxy_class, ConfigurableHTTPProxy):
        raise CannotLook("the proxy is of another kind than configurable-http-proxy")
    try:
        return here.app.proxy_class(app=here.app, parent=here.app)
    except ValueError as error:
        raise CannotLook(worded(error), because="secrets") from error
