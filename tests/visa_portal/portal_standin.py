"""Stands where VisaSpawner and its REST calls stand: sessions are tiny local processes.

It answers `visa/options` and `visa/sessions` as docs/developers/interfaces.md says. Plans of its profiles
are named for what they do: `slow` takes a while, `full` is refused, `broken` dies.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.spawner import SimpleLocalProcessSpawner
from tornado.web import HTTPError

GB = 1024**3


def _plan(name, title, sessions=3, words="", **others):
    made = {"name": name, "title": title, "backend": "container", "cpus": 4, "memory": 16 * GB}
    made |= {"gpus": 0, "gpu_type": "", "disk": None, "hours": None}
    return made | {"free": {"sessions": sessions, "words": words}} | others


def _profile(name, title, summary, instruments, techniques, plans, applications=()):
    return {
        "name": name,
        "title": title,
        "summary": summary,
        "suits": {"instruments": instruments, "techniques": techniques},
        "applications": list(applications),
        "lifetime": {"default_hours": 8, "max_hours": 336, "idle_hours": 4},
        "plans": plans,
    }


PROFILES = [
    _profile(
        "general",
        "General work",
        "JupyterLab with silx and H5Web, for any data",
        [],
        [],
        [
            _plan("small", "2 cores, 8 GB", cpus=2, memory=8 * GB),
            _plan("slow", "Slow to start", 1, "Starts in about 2 seconds"),
            _plan("full", "Big", 0, "No room now: next end expected at 18:00", cpus=32, memory=256 * GB),
            _plan("broken", "Broken"),
        ],
    ),
    _profile(
        "tomography",
        "Tomography reconstruction",
        "nabu, tomwer and silx, on a GPU where you ask for one",
        ["id19", "bm18"],
        ["tomography"],
        [
            _plan("full", "Half a machine", 0, "No room now", cpus=16, memory=128 * GB),
            _plan("small", "4 cores, 16 GB", 3, "Room for 3 now"),
            _plan("gpu", "1 GPU", 1, "1 GPU free now", cpus=8, memory=64 * GB, gpus=1),
        ],
        ["silx-view", "tomwer"],
    ),
    _profile(
        "diffraction",
        "Powder diffraction",
        "pyFAI and silx for frames of area detectors",
        ["id11", "id31"],
        ["diffraction"],
        [_plan("small", "4 cores, 16 GB"), _plan("large", "16 cores, 64 GB", cpus=16, memory=64 * GB)],
        ["silx-view", "pyfai-calib"],
    ),
]
TITLES = {
    (profile["name"], plan["name"]): (profile["title"], plan["title"])
    for profile in PROFILES
    for plan in profile["plans"]
}


class TinySpawner(SimpleLocalProcessSpawner):
    """A local process in place of a session; refuses and fails as told."""

    cmd = [sys.executable, str(Path(__file__).parent / "portal_tiny_session.py")]
    ended = ""

    async def apply(self, options):
        if options.get("plan") == "full":
            raise HTTPError(409, "plan: there is no room for it now, next end expected at 18:00")
        if options.get("interface") == "nothing":
            raise HTTPError(400, "interface: must be desktop or lab")

    def _run_apply_user_options(self, options):
        return self.apply(options)

    async def progress(self):
        for number, words in enumerate(
            ("Checking your data", "Making room on a node", "Starting the server")
        ):
            yield {"progress": 20 * (number + 1), "message": words}
            await asyncio.sleep(0.5 if self.user_options.get("plan") == "slow" else 0.05)

    async def start(self):
        self.ended = ""
        plan = self.user_options.get("plan")
        if plan == "slow":
            await asyncio.sleep(2)
        if plan == "broken":
            self.ended = "The session's server ended before it was ready."
            raise HTTPError(500, self.ended)
        return await super().start()


class OptionsHandler(APIHandler):
    def get(self):
        if self.current_user is None:
            raise HTTPError(403)
        most = int(self.settings["config"].TinySpawner.get("most", 0)) if "config" in self.settings else 0
        self.write(json.dumps({"profiles": PROFILES, "home_only": True, "max_sessions": most}))


class SessionsHandler(APIHandler):
    def get(self):
        user = self.current_user
        if user is None:
            raise HTTPError(403)
        found = []
        for name in user.orm_user.orm_spawners:
            if name:
                found.append(self.session(user, user.spawners[name]))
        self.write(json.dumps({"sessions": found}))

    def session(self, user, spawner):
        options = spawner.orm_spawner.user_options or {}
        titles = TITLES.get((options.get("profile"), options.get("plan")), ("", ""))
        future = spawner._spawn_future
        failed = future is not None and future.done() and not future.cancelled() and future.exception()
        state = {"spawn": "starting", "stop": "stopping"}.get(spawner.pending or "")
        state = state or ("running" if spawner.ready else "failed" if failed else "stopped")
        started = spawner.orm_spawner.started
        ends = started and started.replace(tzinfo=UTC) + timedelta(hours=options.get("lifetime_hours") or 8)
        words = {"failed": spawner.ended or str(failed), "running": "Running on node-1"}.get(state, "")
        return {
            "owner": user.name,
            "name": spawner.name,
            "title": spawner.orm_spawner.display_name or spawner.name,
            "experiments": options.get("experiments", []),
            "datasets": [],
            "profile": options.get("profile", ""),
            "profile_title": titles[0],
            "plan": options.get("plan", ""),
            "plan_title": titles[1],
            "interface": options.get("interface", "lab"),
            "screen": options.get("screen", ""),
            "keyboard": options.get("keyboard", ""),
            "lifetime_hours": options.get("lifetime_hours"),
            "state": state,
            "words": words,
            "since": (started or datetime.now(UTC).replace(microsecond=0)).isoformat(),
            "started": started and started.isoformat(),
            "ends": ends.isoformat() if ends and state == "running" else None,
            "ready": spawner.ready,
            "url": user.server_url(spawner.name),
            "pending": spawner.pending,
        }


HANDLERS = [(r"/api/visa/options", OptionsHandler), (r"/api/visa/sessions", SessionsHandler)]
