"""When a restarted hub makes the backends of the sessions that it finds."""

import asyncio
import logging
from types import SimpleNamespace

import pytest

from visa_spawner.backends.container import ContainerBackend
from visa_spawner.backends.slurm.backend import SlurmBackend
from visa_spawner.backends.vm.spawner import VMSpawner
from visa_spawner.kept.child import HasChild

BACKENDS = {"container": ContainerBackend, "slurm": SlurmBackend, "vm": VMSpawner}


class Session(HasChild):
    """As much of a session as it takes; `fails`: its backend cannot be made."""

    log, _log_name = logging.getLogger("test"), "ada:tooth"

    site = SimpleNamespace(backend=BACKENDS.__getitem__)

    def __init__(self, phase, user, fails=False, backend="container"):
        self.kept, self.user, self.fails = SimpleNamespace(phase=phase, backend=backend), user, fails
        self._get_ready_to_find()
        self._know_again()

    def construct_child(self):
        if self.fails:
            raise RuntimeError("no such backend")
        self.child_spawner = SimpleNamespace()


@pytest.fixture
def user():
    return SimpleNamespace(settings={})


@pytest.mark.parametrize(("phase", "made"), [("", False), ("running", False), ("starting", True)])
def test_one_that_was_being_started_is_made_at_once_and_one_that_runs_is_not(user, phase, made):
    assert (Session(phase, user)._child is not None) is made


@pytest.mark.parametrize("backend", ["slurm", "vm", "unheard-of"])
def test_where_the_sweep_ends_what_is_not_claimed_all_claim_before_anybody_is_answered(user, backend):
    assert Session("running", user, backend=backend)._child is not None
    assert Session("", user, backend=backend)._child is None


def test_it_is_made_once_when_it_is_asked_for(user):
    session = Session("running", user)
    child = session.child_spawner
    assert child is not None
    assert session.child_spawner is child
    session.child_spawner = None
    assert session.child_spawner is None


def test_one_that_cannot_be_made_leaves_the_session_unknown(user):
    session = Session("running", user, fails=True)
    assert session.child_spawner is None
    assert session._lost


async def test_many_are_made_with_others_having_their_turn_between(user):
    sessions, order = [Session("running", user) for _ in range(3)], []

    async def find(session):
        await session._find()
        order.append(session._child is not None)

    async def another():
        for _ in range(3):
            await asyncio.sleep(0)
        order.append("another")

    await asyncio.gather(*map(find, sessions), another())
    assert order.count(True) == 3
    assert order[-1] != "another"
