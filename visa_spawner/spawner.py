"""VisaSpawner: a granted request becomes a session on one of the backends, and stays found.

It wraps one child, the backend of the session's plan. Nothing of the child's comes from the person, and
what is kept of it is committed before any call that could make something.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from jupyterhub import orm
from jupyterhub.spawner import Spawner, SpawnException
from jupyterhub.utils import url_path_join
from traitlets import default
from wrapspawner import WrapSpawner

from . import api, compose, forms, words
from .admission import Admission, as_spawn_exception
from .authorise import Accepted
from .binds import wanted_for
from .kept import Kept, Outcome
from .restored import RestoredServer
from .session import StartRefused, State
from .site import VisaSite
from .steps import Steps

api.join_hub()

#: Seconds of `start_timeout` left for cleaning up after a start that took too long.
CLEANING = 10

#: How much of a session's log is kept when it ends: lines, and characters a line.
MAX_LINES, MAX_LINE = 40, 500


class VisaSpawner(Admission, WrapSpawner):
    """One session."""

    def __init__(self, **kwargs):
        self._kept = Kept()
        self._accepted: Accepted | None = None
        self._steps = Steps()
        self._listening = asyncio.Event()
        self._starting = False
        self._interrupted = False
        self._ending: str | None = None
        self._lost = False
        self._closing = asyncio.Lock()
        self._made_at = time.time()
        super().__init__(**kwargs)
        row = self.orm_spawner
        self._row_is_new = bool(
            row and not row.state and row.last_activity is None and row.user_options is None
        )

    @default("cmd")
    def _session_command(self):
        return ["visa-session"]

    @default("env_keep")
    def _nothing_of_the_hub(self):
        return []

    @default("start_timeout")
    def _time_to_start(self):
        return 300

    @default("poll_interval")
    def _time_between_polls(self):
        # Cheap: a poll asks the backend's watch, not its engine.
        return 10

    @default("apply_user_options")
    def _admit_by_default(self):
        return VisaSpawner.admit

    @default("options_from_form")
    def _read_the_form(self):
        return forms.options_from_form

    @property
    def site(self) -> VisaSite:
        """What is the same for all sessions."""
        return VisaSite.of(self.config)

    @property
    def kept(self) -> Kept:
        """What the database keeps of this session."""
        return self._kept

    @property
    def key(self) -> str:
        """`OWNER/NAME`."""
        return f"{self.user.name}/{self.name}"

    @property
    def steps(self) -> Steps:
        """The steps of the start that is under way, or of the last one."""
        return self._steps

    # What is kept ------------------------------------------------------------------------------------
    def load_state(self, state: dict) -> None:
        """Know the session again after a restart; a child that cannot be made leaves it unknown."""
        Spawner.load_state(self, state)
        self._kept = Kept.read(state)
        self.child_state = state.get("child_state") or {}
        if self._kept.phase:
            try:
                self.construct_child()
            except Exception:
                self._lost = True
                self.log.exception("%s: its backend %r cannot be loaded", self._log_name, self._kept.backend)

    def get_state(self) -> dict:
        """What is kept, and what the child needs to find its own again."""
        state = Spawner.get_state(self)
        if self.child_spawner:
            self.child_state = self.child_spawner.get_state()
        return state | {"visa": self._kept.model_dump(mode="json"), "child_state": self.child_state}

    def clear_state(self) -> None:
        """Forget the remote thing; how the session ended stays readable."""
        Spawner.clear_state(self)
        if self.child_spawner:
            self.child_spawner.clear_state()
        self.child_spawner, self.child_state = None, {}
        self._kept = self._kept.ended(None)
        self._accepted, self._ending = None, None
        self._interrupted = self._lost = False
        self._listening, self._steps = asyncio.Event(), Steps()

    def remember(self) -> None:
        """Commit what is kept, now."""
        self.orm_spawner.state = self.get_state()
        self.user.db.commit()

    def construct_child(self):
        """The backend of the session's plan, made anew with nothing but what it is given here."""
        if self.child_spawner is None:
            child = self.site.backend(self._kept.backend)(
                user=self.user,
                hub=self.hub,
                authenticator=self.authenticator,
                orm_spawner=self.orm_spawner,
                oauth_client_id=self.oauth_client_id,
                _deprecated_db_session=self._deprecated_db_session,
                config=self.config,
            )
            child.remember = self.remember
            child.reported_port = self._kept.port
            if self.child_state:
                child.load_state(self.child_state)
            self.child_spawner = child
        return self.child_spawner

    # Start -------------------------------------------------------------------------------------------
    async def start(self) -> str:
        """Start what was granted; returns the address once the session has said that it listens.

        Raises SpawnException in words for the owner. What a failed start made is removed; one that is
        cancelled leaves that to `stop`, which JupyterHub calls next.
        """
        accepted = self._accepted
        if accepted is None:
            raise SpawnException("user_options: this start was not checked", reason="unchecked")
        self._starting = True
        try:
            async with asyncio.timeout(max(1, self.start_timeout - CLEANING)):
                return await self._start(accepted)
        except asyncio.CancelledError:
            self._interrupted, self._ending = True, self._ending or words.INTERRUPTED
            raise
        except TimeoutError:
            limit = words.hours(self.start_timeout / 3600)
            said = f"The session was not ready within {limit}. {words.AGAIN}"
            error = StartRefused(said, status=504, reason="timeout")
            raise await self._given_up(error) from None
        except StartRefused as error:
            raise await self._given_up(error) from error
        except Exception as error:
            self.log.exception("%s: the start failed", self._log_name)
            failure = StartRefused(words.BROKEN, status=500, reason="error")
            raise await self._given_up(failure) from error
        finally:
            self._starting = False
            self._steps.close()
            self._release()

    async def _start(self, accepted: Accepted) -> str:
        token = orm.APIToken.find(self.user.db, self.api_token)
        self._kept = self._kept.begun(token.id if token else None)
        child = self.construct_child()
        self.remember()
        who = compose.person(accepted.account)
        staging = self.site.staging
        self._steps.say("Checking the directories")
        pinned = await asyncio.to_thread(staging.stage, self.key, wanted_for(who, accepted.experiments), who)
        environment = self.get_env()
        child.session = compose.session_plan(
            accepted,
            who,
            self._info(accepted),
            [one.bind for one in pinned],
            environment,
            {name: environment[name] for name in self.environment},
            [*self.cmd, *self.get_args()],
        )
        await asyncio.to_thread(staging.confirm, pinned, who)
        telling = asyncio.create_task(self._tell_steps(child))
        try:
            await child.start()
            await self._until_listening(child)
        finally:
            telling.cancel()
        return await self._running(child)

    def _info(self, accepted: Accepted):
        return compose.session_info(
            accepted,
            owner=self.user.name,
            name=self.name,
            title=self.display_name or self.name,
            ends=self._kept.ends,
            facility=self.site.facility,
            portal_url=self.site.portal_url,
        )

    async def _tell_steps(self, child) -> None:
        try:
            async for status in child.events():
                self._steps.say(status.words, status.queued)
        except Exception:
            # The steps are for the eye alone: a start does not fail for want of them.
            self.log.exception("%s: no word of how the start goes", self._log_name)
        self._steps.say("Waiting for the session to answer")

    async def _until_listening(self, child) -> None:
        """Return when the session has said that it listens; raise StartRefused when it ended instead."""
        listening = asyncio.create_task(self._listening.wait())
        ended = asyncio.create_task(child.ended())
        try:
            await asyncio.wait({listening, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not self._listening.is_set():
                status = ended.result()
                said = words.of_end(await child.poll() or 0, status, listened=False)
                raise StartRefused(said, status=500, reason="died")
        finally:
            for task in (listening, ended):
                task.cancel()

    async def _running(self, child) -> str:
        while (address := await child.address()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        self._kept = self._kept.but(phase="running", url=address)
        self.remember()
        self._steps.say("Opening the session")
        return address

    async def _given_up(self, error: StartRefused) -> SpawnException:
        await self._close(State.FAILED, error.words)
        self._forget_if_new(error)
        return as_spawn_exception(error)

    def _release(self) -> None:
        try:
            self.site.staging.release(self.key)
        except OSError:
            self.log.exception("%s: its staged directories are left to the sweep", self._log_name)

    # Readiness ---------------------------------------------------------------------------------------
    def listens_on(self, port: int) -> bool:
        """The session's own word that it listens; False when it said another port before.

        Only the first word counts: a session must not be able to have the proxy point elsewhere later.
        """
        if self._kept.port and self._kept.port != port:
            return False
        self._kept = self._kept.but(port=port)
        if self.child_spawner:
            self.child_spawner.reported_port = port
        self.remember()
        self._listening.set()
        return True

    # Watching ----------------------------------------------------------------------------------------
    async def poll(self) -> int | None:
        """None while it runs, starts, or nobody can tell; never raises, since the hub takes that for dead."""
        if self._starting or self._interrupted or self._lost:
            return None
        if not self._kept.phase:
            return 0
        try:
            if self._kept.phase == "starting" and not self._token_is_valid():
                await self._close(State.FAILED, words.NEVER_STARTED)
                return 1
            code = await self.child_spawner.poll()
            if code is None:
                return None
            said = words.of_end(code, self.child_spawner.status, listened=self._kept.phase == "running")
            await self._close(State.STOPPED if code == 0 else State.FAILED, said)
        except Exception:
            self.log.exception("%s: its state is not known", self._log_name)
            return None
        return code

    async def get_url(self) -> str:
        """Where the server is reached now. Asked by a restarted hub alone, for sessions that may run.

        A start that the hub's end interrupted is waited for here. Whether the server answers the hub's
        request is not made a condition of its life: only the backend's word ends a session.
        """
        alive = True
        try:
            if self._kept.phase == "starting":
                alive = await self._resume()
            address = self.child_spawner and await self.child_spawner.address()
            if alive and (address or self._kept.url):
                self._kept = self._kept.but(url=address or self._kept.url)
                self.remember()
        except Exception:
            self.log.exception("%s: where it is reached is not known", self._log_name)
        self._server = RestoredServer(orm_server=self.orm_spawner.server, alive=alive)
        return url_path_join(self._kept.url, self.server.base_url) if self._kept.url else self.server.url

    async def _resume(self) -> bool:
        """Wait for a session that was starting when the hub was killed; False when it does not come up."""
        child = self.child_spawner
        if self._kept.port:
            self._listening.set()
        while True:
            left = self.start_timeout - (datetime.now(UTC) - self._kept.started).total_seconds()
            try:
                async with asyncio.timeout(max(5, left)):
                    await self._until_listening(child)
                await self._running(child)
                return True
            except TimeoutError:
                if child.status is not None and child.status.state is State.UNKNOWN:
                    continue
                await self._close(State.FAILED, words.NEVER_STARTED)
                return False
            except StartRefused as error:
                await self._close(State.FAILED, error.words)
                return False

    def _token_is_valid(self) -> bool:
        token = self._kept.token and self.user.db.get(orm.APIToken, self._kept.token)
        now = datetime.now(UTC).replace(tzinfo=None)
        return bool(token) and (token.expires_at is None or token.expires_at > now)

    # Stop --------------------------------------------------------------------------------------------
    async def stop(self, now: bool = False) -> None:
        """End the session and remove what is left of it. Does not raise: the hub then revokes its token."""
        self._interrupted = False
        if self._waiting_for_response:
            # The hub gives up on it: it said that it listens, and was not reached there.
            await self._close(State.FAILED, words.NOT_REACHED)
        else:
            await self._close(State.STOPPED, self._ending or words.STOPPED)

    def end_with(self, said: str) -> None:
        """Say beforehand why the next `stop` happens."""
        self._ending = said

    async def _close(self, state: State, said: str) -> None:
        """Remove what is left at the backend, keep how it ended, revoke the session's token. Once."""
        async with self._closing:
            if not self._kept.phase:
                return
            lines: list[str] = []
            if self.child_spawner:
                try:
                    lines = await self.child_spawner.last_lines()
                except Exception:
                    self.log.exception("%s: the end of its log is not known", self._log_name)
                try:
                    await self.child_spawner.stop()
                except Exception:
                    self.log.exception("%s: something is left of it at its backend", self._log_name)
                    if state is State.STOPPED:
                        said = words.NOT_REMOVED
                self.child_spawner.clear_state()
                self.child_spawner, self.child_state = None, {}
            token = self._kept.token and self.user.db.get(orm.APIToken, self._kept.token)
            if token:
                self.user.db.delete(token)
            self._kept = self._kept.ended(Outcome(state=state, words=said, log=self._harmless(lines)))
            self.remember()

    def _harmless(self, lines: list[str]) -> list[str]:
        """The end of a log as it may be kept: short, and without the session's token."""
        short = [line[:MAX_LINE] for line in lines[-MAX_LINES:]]
        return [line.replace(self.api_token, "…") for line in short] if self.api_token else short

    async def progress(self):
        """The steps of the start, as they are taken."""
        async for event in self._steps.events():
            yield event
