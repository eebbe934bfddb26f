"""The proxy's routes beside the hub's sessions, looked at without stopping the hub.

The stock hub asks the database about each route, and goes through all sessions in one go, every five minutes
and at each start. Here the sessions that the hub has at hand are held against the routes, a few at a time.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from sqlalchemy import bindparam, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.attributes import set_committed_value

from .turns import in_turns

log = logging.getLogger(__name__)

Routes = dict[str, dict[str, Any]]

#: Sessions whose activity is committed at once, and routes that are written at once.
COMMIT, AT_ONCE = 50, 200
#: Their statements, by kind of row.
WRITE = {
    kind: update(kind.__table__)
    .where(kind.__table__.c.id == bindparam("row"))
    .values(last_activity=bindparam("at"))
    for kind in (orm.Spawner, orm.User)
}


async def note_activity(app: JupyterHub, routes: Routes) -> int:
    """Write down when each session was last used, by the proxy's word; gives how many have been since."""
    noted, found = 0, []
    async for user in in_turns(app.users.values()):
        for spawner in list(user.spawners.values()):
            at = _moment(routes.get(spawner.proxy_spec))
            row = spawner.orm_spawner
            if at is not None and row in app.db and not (row.last_activity and row.last_activity >= at):
                found.append((row, user.orm_user, at))
        if len(found) >= COMMIT:
            noted += _note(app, found)
            found = []
    return noted + _note(app, found)


def _note(app: JupyterHub, found: list[tuple]) -> int:
    """Commit it, in one go: whatever is changed as the hub ends some answer is rolled back by it.

    Past the rows themselves, which take ten times as long for all that might depend on them: nothing does.
    """
    found = [(row, owner, at) for row, owner, at in found if row in app.db and owner in app.db]
    owners = {}
    for _, owner, at in found:
        owners[owner] = max(owners.get(owner) or owner.last_activity or at, at)
    changed = {orm.Spawner: {row: at for row, _, at in found}, orm.User: owners}
    try:
        for kind, moments in changed.items():
            if moments:
                app.db.execute(WRITE[kind], [{"row": row.id, "at": at} for row, at in moments.items()])
        app.db.commit()
    except SQLAlchemyError:
        log.exception("when sessions were last used could not be written down; it is tried again")
        app.db.rollback()
        return 0
    for moments in changed.values():
        for row, at in moments.items():
            set_committed_value(row, "last_activity", at)
    return len(found)


def _moment(route: dict[str, Any] | None) -> datetime | None:
    """When a route was last used, in UTC without a time zone, as the hub keeps it."""
    said = route and route["data"].get("last_activity")
    try:
        at = datetime.fromisoformat(said) if said else None
    except (TypeError, ValueError):
        return None
    return at.astimezone(UTC).replace(tzinfo=None) if at and at.tzinfo else at


async def mend(proxy, app: JupyterHub, routes: Routes) -> None:
    """Have the proxy lead to each session that is ready and to each service, and nowhere else.

    Not to one that stands still either: it would answer nobody, where the hub says how it stands.

    `routes` are what it says it has. Raises what the proxy's calls raise.
    """
    good, work = {app.hub.routespec}, _Writing()
    if (routes.get(app.hub.routespec) or {}).get("target") != app.hub.host:
        await proxy.add_hub_route(app.hub)
    for service in app._service_map.values():
        if service.server is not None:
            good.add(service.proxy_spec)
            if (routes.get(service.proxy_spec) or {}).get("target") != service.server.host:
                log.warning("Writing the route of %s", service.name)
                await proxy.add_service(service)
    for spec, url in proxy.extra_routes.items():
        good.add(spec)
        await proxy.add_route(spec, url, {"extra": True})
    async for user in in_turns(app.users.values()):
        for name, spawner in list(user.spawners.items()):
            if not _is_led_to(spawner):
                continue
            good.add(spawner.proxy_spec)
            known = routes.get(spawner.proxy_spec)
            if spawner.ready and (known is None or known["target"] != spawner.server.host):
                log.warning("Writing the route of %s", spawner._log_name)
                await work.add(proxy.add_user(user, name))
    for spec in [spec for spec in routes if spec not in good]:
        # It was not wanted when its session was looked at; it may have been started since.
        if not _is_wanted(app, routes[spec]):
            log.warning("Removing the route %s, which leads to nothing", spec)
            await work.add(proxy.delete_route(spec))
    await work.done()


def _is_wanted(app: JupyterHub, route: dict[str, Any]) -> bool:
    user = app.users.get(route["data"].get("user"))
    spawner = user and dict.get(user.spawners, route["data"].get("server_name"))
    return bool(spawner and _is_led_to(spawner))


def _is_led_to(spawner) -> bool:
    return bool(spawner.ready or spawner.pending) and not spawner.withheld


class _Writing:
    """Calls of the proxy, so many at once; one that fails does not keep the others from being made."""

    def __init__(self):
        self._calls: list[asyncio.Task] = []
        self._failed: BaseException | None = None

    async def add(self, call) -> None:
        self._calls.append(asyncio.ensure_future(call))
        if len(self._calls) >= AT_ONCE:
            await self._wait()

    async def _wait(self) -> None:
        for outcome in await asyncio.gather(*self._calls, return_exceptions=True):
            self._failed = self._failed or (outcome if isinstance(outcome, BaseException) else None)
        self._calls = []

    async def done(self) -> None:
        """Return when all are made; raises what the first that failed raised."""
        await self._wait()
        if self._failed is not None:
            raise self._failed
