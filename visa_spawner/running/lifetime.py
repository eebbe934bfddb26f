"""One task of the hub for all sessions: ends those whose time is over, sweeps what a kill left behind."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime, timedelta

from jupyterhub import orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User

from .. import words
from ..asked.admission import Admission
from ..kept.state import Kept
from ..session import State, WarmPair
from ..site import VisaSite
from .collecting import collector
from .turns import in_turns

log = logging.getLogger(__name__)

#: How far back starts tell how many containers should wait.
REMEMBERED = timedelta(days=8)
#: Seconds between two sweeps of the backends.
SWEEP_INTERVAL = 300


def why_over(kept: Kept, last_activity: datetime | None, now: datetime) -> str | None:
    """Why a running session's time is over, in words for its owner; None while it is not.

    `last_activity` is in UTC without a time zone, as the hub keeps it.
    """
    since = kept.runs_since
    if since is None or kept.ends is None:
        return None
    if now >= kept.ends:
        chosen = "as chosen" if kept.options.get("lifetime_hours") else "as usual for this profile"
        return f"Ended after {words.hours(kept.lifetime_hours)}, {chosen}."
    active = last_activity.replace(tzinfo=UTC) if last_activity else since
    if kept.idle_hours and now - max(active, since) >= timedelta(hours=kept.idle_hours):
        return f"Ended after {words.hours(kept.idle_hours)} without anybody working in it."
    return None


async def keep_watch(site: VisaSite) -> None:
    """For as long as the hub runs, from when it has loaded its sessions."""
    app = JupyterHub.instance()
    while app.http_server is None:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    await _attempt("saying for whom containers should wait", _keep_waiting(site, app))
    swept = None
    while True:
        await _attempt("ending sessions whose time is over", end_overdue(app))
        await _attempt("settling data that were being added or taken away", settle_data(app))
        await _attempt("sweeping staged directories", _sweep_staging(site))
        if swept is None or time.monotonic() - swept >= SWEEP_INTERVAL:
            await _sweep(site, app)
            swept = time.monotonic()
        collector.look_at_all()
        await asyncio.sleep(site.keep_interval)


async def _sweep(site: VisaSite, app: JupyterHub) -> None:
    knows = knows_sessions(app)
    if not knows:
        log.warning("The database knows no session: what runs under this hub's name is left alone")
    for name, backend in site.used_backends().items():
        if knows:
            work = backend.sweep(lambda: live_keys(app), app.config)
            await _attempt(f"sweeping backend {name}", work)
        else:
            await _attempt(f"looking at backend {name}", backend.look(app.config))


async def _attempt(what: str, work) -> None:
    try:
        await work
    except Exception:
        log.exception("%s failed; it is tried again", what)


async def end_overdue(app: JupyterHub) -> None:
    """End every ready session whose time is over; one whose backend does not answer waits until it does."""
    now = datetime.now(UTC)
    overdue = []
    async for user, spawner in in_turns(_spawners(app)):
        status = spawner.child_spawner.status if spawner.child_spawner else None
        # Neither of a backend that does not answer, nor of a session that it has put back into its queue.
        held = status is not None and status.held
        left_alone = status is not None and not held and status.state in (State.UNKNOWN, State.STARTING)
        if not spawner.ready or spawner.kept.phase != "running" or left_alone:
            continue
        spawner.follow_end()
        spawner.follow_suspension()
        # Nobody can work in one that is held: that is no idleness.
        active = now.replace(tzinfo=None) if held else spawner.orm_spawner.last_activity
        said = why_over(spawner.kept, active, now)
        if said:
            overdue.append(_end(app, user, spawner, said))
    await asyncio.gather(*overdue)


async def _end(app: JupyterHub, user: User, spawner: Admission, said: str) -> None:
    log.info("ending %s: %s", spawner._log_name, said)
    name = spawner.name
    # Before anything is awaited, as the hub's own handler does: nobody else starts or stops it meanwhile.
    spawner._stop_pending = True
    try:
        spawner.end_with(said)
        await app.proxy.delete_user(user, name)
        await user.stop(name)
    except Exception:
        log.exception("ending %s failed; it is tried again", spawner._log_name)
    finally:
        spawner._stop_pending = False


async def settle_data(app: JupyterHub) -> None:
    """Set right what a hub that was killed had begun to add to running sessions, or to take away."""
    async for _, spawner in in_turns(_spawners(app)):
        if spawner.has_unsettled_data:
            await _attempt(f"settling the data of {spawner._log_name}", spawner.settle_data())


async def _sweep_staging(site: VisaSite) -> None:
    for key in site.staging.sweep():
        log.warning("removed directories staged for %s, whose start was interrupted", key)


async def _keep_waiting(site: VisaSite, app: JupyterHub) -> None:
    starts = site.passports.starts(app.db, datetime.now(UTC) - REMEMBERED)
    for name, backend in site.used_backends().items():
        pairs = [
            WarmPair(
                profile.name,
                plan_name,
                profile.image,
                plan.resources,
                site.cluster.binds_for(profile),
                plan.pool,
                plan.disk or 0,
            )  # fmt: skip
            for profile in site.profiles.values()
            for plan_name, plan in profile.plans.items()
            if (plan.warm or plan.pool) and plan.backend == name
        ]
        backend.keep_waiting(pairs, starts, app.config)


def knows_sessions(app: JupyterHub) -> bool:
    """Whether the database has any session at all, run or ended.

    One that was just made has none, and may wait for its backup: what belongs to no session then may be
    somebody's work, whose session comes back with that.
    """
    return app.db.query(orm.Spawner.id).filter(orm.Spawner.name != "").first() is not None


def live_keys(app: JupyterHub) -> set[str]:
    """`OWNER/NAME` of every session that runs, starts, or may run."""
    rows = app.db.query(orm.User.name, orm.Spawner.name).join(orm.Spawner, orm.Spawner.user_id == orm.User.id)
    keys = {f"{owner}/{name}" for owner, name in rows.filter(orm.Spawner.server_id.isnot(None))}
    return keys | {spawner.key for _, spawner in _spawners(app) if spawner.active or spawner.kept.phase}


def _spawners(app: JupyterHub):
    for user in list(app.users.values()):
        for spawner in list(user.spawners.values()):
            if isinstance(spawner, Admission):
                yield user, spawner
