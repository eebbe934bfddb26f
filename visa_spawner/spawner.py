"""VisaSpawner: a granted request becomes a session on one of the backends, and stays found.

It wraps one child, the backend of the session's plan. Nothing of the child's comes from the person, and
what is kept of it is committed before any call that could make something.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial

from jupyterhub import orm
from jupyterhub.spawner import Spawner, SpawnException
from traitlets import default
from wrapspawner import WrapSpawner

from . import words
from .api import calls, data, ready, still, suspending
from .asked import forms
from .asked.admission import Admission, as_spawn_exception
from .asked.authorise import Accepted
from .data.adding import Adding
from .data.binds import wanted_for
from .kept import passport
from .kept.child import HasChild
from .kept.state import Kept, Outcome
from .running.extending import Extending
from .running.made_often import MadeOften
from .running.rounds import rounds
from .running.suspending import Suspending
from .session import Image, StartRefused, State
from .site import VisaSite
from .start import compose, renewing, rerouting
from .start.resuming import Resuming
from .start.steps import Steps
from .start.vouched import VouchedServer
from .start.waiting import Waiting

for _calls in (calls, data, ready, still, suspending):
    _calls.join_hub()

#: How much of a session's log is kept when it ends: lines, and characters a line.
MAX_LINES, MAX_LINE = 40, 500


class VisaSpawner(
    MadeOften, HasChild, Admission, Waiting, Resuming, Extending, Suspending, Adding, WrapSpawner
):
    """One session."""

    def __init__(self, **kwargs):
        self._kept = Kept()
        self._accepted: Accepted | None = None
        self._steps = Steps()
        self._get_ready_to_find()
        self._get_ready_to_wait()
        self._get_ready_to_extend()
        self._get_ready_to_add()
        self._queue_seconds = 0
        self._starting = False
        self._going_on: asyncio.Task | None = None
        self._renewed: list[str] = []
        self._interrupted = False
        self._ending: str | None = None
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
        """Know the session again after a restart."""
        Spawner.load_state(self, state)
        self._kept = Kept.read(state)
        self.child_state = state.get("child_state") or {}
        self._know_again()

    def get_state(self) -> dict:
        """What is kept, and what the child needs to find its own again."""
        state = Spawner.get_state(self)
        if self._child:
            self.child_state = self._child.get_state()
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
        self._steps, self._renewed = Steps(), []
        self._get_ready_to_wait()

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
            child.remember, child.renew_token = self.remember, self.renew_token
            child.looked, child.reported_port = self.looked, self._kept.port
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
            return await self._start(accepted)
        except asyncio.CancelledError:
            self._interrupted, self._ending = True, self._ending or words.INTERRUPTED
            raise
        except StartRefused as error:
            raise await self._given_up(error) from error
        except Exception as error:
            self.log.exception("%s: the start failed", self._log_name)
            raise await self._given_up(StartRefused(words.BROKEN, status=500, reason="error")) from error
        finally:
            self._starting = False
            self._steps.close()
            self._release()

    async def _start(self, accepted: Accepted) -> str:
        token = orm.APIToken.find(self.user.db, self.api_token)
        child = self.construct_child()
        given = tuple(compose.experiment_info(accepted, one) for one in accepted.experiments)
        kept = self._kept.begun(token.id if token else None, queue=self.has_queue)
        others = tuple(bind.target for bind in self.site.cluster.binds_for(accepted.profile))
        kept = kept.but(data=given, home=accepted.account.home, others=others)
        self._kept = kept.but(is_to_encrypt=self.site.authority is not None)
        self.remember()
        async with self._in_time() as left:
            await self._stage(accepted, child)
        async with self._telling(child):
            async with self._in_time(left()) as left:
                await child.start()
            # A queue may last for days: what runs, or waits, needs the pinned directories no more.
            self._release()
            address = self._runs(await self._come_up(child, left(), must_answer=True))
        # It has answered. Were the hub to ask as well, a session that is put back in between would be ended.
        self._server = VouchedServer(orm_server=self.orm_spawner.server)
        return address

    async def _stage(self, accepted: Accepted, child) -> None:
        who = compose.person(accepted.account)
        staging = self.site.staging
        child.stamp = partial(self._stamp, accepted)
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
            authority=self.site.authority,
        )
        if child.reaches_cluster:
            child.session = self.site.cluster.given(child.session, accepted.profile)
        await asyncio.to_thread(staging.confirm, pinned, who)

    def _info(self, accepted: Accepted):
        return compose.session_info(
            accepted,
            owner=self.user.name,
            name=self.name,
            title=self.display_name or self.name,
            ends=self._kept.ends or datetime.now(UTC) + self._kept.lifetime,
            facility=self.site.facility,
            portal_url=self.site.portal_url,
            passport_in_processed=self.site.passport_in_processed,
            stream=self.site.stream,
        )

    def _stamp(self, accepted: Accepted, image: Image) -> str:
        """Keep the passport of the start that is under way, for its image is known now; its text."""
        key = {"owner": self.user.name, "name": self.name, "facility": self.site.facility}
        made = passport.passport(accepted, image, **key, started=self._kept.started)
        self.site.passports.keep(self.user.db, made)
        return passport.text(made)

    def _runs(self, address: str) -> str:
        self._kept = self._kept.runs(address, self.child_spawner.ends())
        rerouting.set_address(self)
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
    def listens_on(self, port: int, *, encrypted: bool = False) -> bool:
        """The session's own word that it listens; False when it said another port before.

        Only the first word counts: a session must not be able to have the proxy point elsewhere later.
        """
        if self._kept.port and self._kept.port != port:
            return False
        self._kept = self._kept.but(port=port, encrypted=encrypted)
        if self.child_spawner:
            self.child_spawner.reported_port = port
        self.remember()
        self._listening.set()
        return True

    def renew_token(self) -> str:
        """A new token for a session that its backend starts anew; committed with all that follows from it.

        The last one opens nothing from then on, the new run may name another port, and it is waited for as
        for a start. Empty when the session is being ended.
        """
        if not self._kept.phase or self._interrupted or self._stop_pending or self._closing.locked():
            return ""
        last = self._kept
        try:
            row, token = renewing.replace_token(self)
            self._kept = last.renewed(row.id)
            self.child_spawner.reported_port = 0
            self.remember()
        except Exception:
            self.user.db.rollback()
            self._kept, self.child_spawner.reported_port = last, last.port
            raise
        self._renewed.append(token)
        self._listening.clear()
        self._put_back.set()
        if not self._starting and self._going_on is None:
            self._steps = Steps()
            self._steps.say(words.STARTED_ANEW)
        self.go_on()
        return token

    # Watching ----------------------------------------------------------------------------------------
    def start_polling(self) -> None:
        """As in JupyterHub, by the one task of all sessions instead of a timer of this one's own."""
        if self.poll_interval > 0:
            rounds().add(self)

    def stop_polling(self) -> None:
        """Not from now on."""
        rounds().remove(self)

    def may_have_ended(self) -> bool:
        """Whether `poll` could say anything but that it runs, as far as is known without asking."""
        if self._starting or self._interrupted or self._lost or self._kept.phase == "starting":
            return False
        return self.child_spawner is None or self.child_spawner.may_have_ended()

    async def poll(self) -> int | None:
        """None while it runs, starts, or nobody can tell; never raises, since the hub takes that for dead."""
        await self._find()  # a restarted hub polls all sessions at once
        if self._starting or self._interrupted or self._lost or self._kept.phase == "starting":
            return None
        if not self._kept.phase:
            return None if self.is_going_on else 0
        try:
            code = await self.child_spawner.poll()
            if code is None or self._kept.phase != "running":
                return None
            said = words.of_end(code, self.child_spawner.status, listened=True)
            await self._close(State.STOPPED if code == 0 else State.FAILED, said)
        except Exception:
            self.log.exception("%s: its state is not known", self._log_name)
            return None
        return code

    # Stop --------------------------------------------------------------------------------------------
    async def stop(self, now: bool = False) -> None:
        """End the session and remove what is left of it. Does not raise: the hub then revokes its token."""
        self._interrupted = False
        if self._going_on and self._going_on is not asyncio.current_task():
            self._going_on.cancel()
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
        for token in filter(None, [self.api_token, *self._renewed]):
            short = [line.replace(token, "…") for line in short]
        return short

    async def progress(self):
        """The steps of the start, as they are taken."""
        async for event in self._steps.events():
            yield event
