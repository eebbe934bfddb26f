"""Data added and taken away while the session ends, or is started anew, beneath it; what is put back."""

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from visa_session.contract import PASSPORT, ExperimentInfo
from visa_spawner.data import adding
from visa_spawner.kept.state import Kept
from visa_spawner.members import Members
from visa_spawner.session import StartRefused

RUN = datetime(2026, 1, 1, tzinfo=UTC)
ONE, TWO = ExperimentInfo("A-1", raw="/data/a"), ExperimentInfo("B-2", raw="/data/b")


class Passports:
    """Keeps them all, as dicts."""

    def __init__(self):
        self.all = []
        self.keep_those([ONE])

    def keep_those(self, data):
        about = [{"id": one.id, "proposal": one.id} for one in data]
        last = {"experiments": about, "options": {"experiments": [], "datasets": []}}
        self.all.append(adding.passport.changed(last, data, []))

    def keep(self, _db, passport):
        self.all.append(passport)

    def last(self, *_which):
        return self.all[-1]

    def ids(self):
        return [one["id"] for one in self.last()["experiments"]]


class Staging:
    """Says which of its places were taken away."""

    def __init__(self):
        self.unpinned = []

    def stage(self, _key, wanted, _who):
        return [SimpleNamespace(bind=one.path) for one in wanted]

    def confirm(self, _pinned, _who):
        pass

    def unpin(self, pinned):
        self.unpinned += [one.bind for one in pinned]


class Child:
    """A backend that says what it was asked, and lets something happen meanwhile."""

    fixed_data = ""

    def __init__(self):
        self.asked, self.meanwhile, self.files = [], lambda: None, {}

    async def add_data(self, binds, _links, texts):
        self.asked.append(("add", binds))
        self.files |= texts
        self.meanwhile()

    async def remove_data(self, targets, _links, texts):
        self.asked.append(("remove", targets))
        self.files |= texts
        self.meanwhile()


class Spawner(adding.Adding):
    """As much of a session as that takes."""

    log, _log_name, key, name = logging.getLogger(__name__), "alice:tooth", "alice/tooth", "tooth"
    ready, put_back, orm_spawner = True, False, SimpleNamespace()

    def __init__(self, *data):
        self._kept = Kept(phase="running", started=RUN, data=data, options=options(data))
        self.child_spawner = Child()
        self.fails = False
        self.site = SimpleNamespace(
            members=Members(),
            staging=Staging(),
            passports=Passports(),
            limits=SimpleNamespace(home_only_roles=frozenset()),
        )
        db = SimpleNamespace(rollback=lambda: None)

        async def get_auth_state():
            return {"account": {"username": "alice"}}

        self.user = SimpleNamespace(name="alice", db=db, get_auth_state=get_auth_state)
        self._get_ready_to_add()

    @property
    def kept(self):
        return self._kept

    def remember(self):
        if self.fails and self._kept.adding is None:
            self.fails = False
            raise RuntimeError("the database does not answer")

    def start_anew(self):
        """The session ended, and runs again, with the same of everything."""
        self.site.passports.keep(None, self.site.passports.last() | {"started": "anew"})
        self._kept = self._kept.but(started=RUN + timedelta(hours=1), adding=None, removing="")

    async def _may_have(self, experiment, _datasets):
        found = SimpleNamespace(id=experiment, proposal=experiment, title="", instrument="id19")
        found.technique, found.raw, found.processed = "", "/data/b", ""
        request = SimpleNamespace(datasets=[])
        return SimpleNamespace(experiments=[found], datasets=[], request=request), None


def options(data):
    return {"experiments": [one.id for one in data], "datasets": []}


async def over(work):
    with pytest.raises(StartRefused, match="it does not run any more"):
        await work


async def test_what_was_asked_of_one_run_is_not_done_to_the_next():
    spawner = Spawner(ONE)
    spawner.child_spawner.meanwhile = spawner.start_anew
    await over(spawner.add_data("B-2"))
    # Nothing of what the new run has was taken away, and nothing is said of it.
    assert [what for what, _ in spawner.child_spawner.asked] == ["add"]
    assert (spawner.kept.data, spawner.kept.adding, spawner.kept.taken) == ((ONE,), None, {})
    assert spawner.site.passports.ids() == ["A-1"]


async def test_what_is_put_back_is_not_put_into_the_next_run():
    spawner = Spawner(ONE)
    child, spawner.fails = spawner.child_spawner, True
    child.meanwhile = lambda: child.asked[-1][0] == "remove" and spawner.start_anew()
    with pytest.raises(StartRefused):
        await spawner.add_data("B-2")
    assert spawner.kept.taken == {}
    assert spawner.site.passports.last()["started"] == "anew"


async def test_a_run_that_ends_before_the_mount_is_given_nothing():
    for name in ("may_have", "settled"):
        spawner = Spawner(ONE)

        async def ended(*_of, spawner=spawner):
            spawner.start_anew()

        setattr(spawner.site.members, name, ended)
        await over(spawner.add_data("B-2"))
        assert spawner.child_spawner.asked == []
        assert spawner.kept.adding is None


async def test_it_is_asked_once_more_who_has_worked_here():
    spawner, asked = Spawner(ONE), []

    async def came_meanwhile(_row, experiment):
        asked.append(experiment)
        if len(asked) == 2:
            raise StartRefused("bob has worked in this session", field="experiment", status=409)

    spawner.site.members.may_have = came_meanwhile
    with pytest.raises(StartRefused, match="bob"):
        await spawner.add_data("B-2")
    assert "add" not in [what for what, _ in spawner.child_spawner.asked]
    assert (spawner.kept.adding, spawner.kept.taken) == (None, {})


async def test_taking_away_holds_nothing_of_another_run():
    spawner = Spawner(ONE, TWO)
    spawner.child_spawner.meanwhile = spawner.start_anew
    await over(spawner.take_data_away("B-2"))
    assert spawner.kept.data == (ONE, TWO)
    spawner = Spawner(ONE, TWO)
    spawner.user.get_auth_state = began_meanwhile(spawner)
    await over(spawner.take_data_away("B-2"))
    assert spawner.child_spawner.asked == []
    assert not spawner.kept.removing


def began_meanwhile(spawner):
    async def get_auth_state():
        spawner.start_anew()
        return {"account": {"username": "alice"}}

    return get_auth_state


async def test_what_the_operator_binds_is_known():
    for data, work in (((ONE,), Spawner.add_data), ((ONE, TWO), Spawner.take_data_away)):
        spawner = Spawner(*data)
        spawner._kept = spawner.kept.but(others=("/data/b/lib",))
        with pytest.raises(StartRefused, match="holds one"):
            await work(spawner, "B-2")
        assert spawner.child_spawner.asked == []
        assert spawner.kept.data == data
        assert not spawner.kept.removing


async def test_its_own_place_alone_is_taken_away():
    spawner = Spawner(ONE)
    await spawner.add_data("B-2")
    assert spawner.site.staging.unpinned == ["/data/b"]
    assert spawner.kept.data[1].id == "B-2"


async def test_a_place_that_is_swapped_after_the_check_leaves_none():
    spawner = Spawner(ONE)

    def swapped(*_what):
        raise StartRefused("it leads elsewhere now", field="experiments")

    spawner.site.staging.confirm = swapped
    with pytest.raises(StartRefused, match="leads elsewhere"):
        await spawner.add_data("B-2")
    assert spawner.site.staging.unpinned == ["/data/b"]
    assert spawner.kept.taken == {}


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_passport_goes_back_to_what_is_held(at_once):
    spawner = Spawner(ONE)
    child = spawner.child_spawner
    spawner.fails = True
    if not at_once:
        # Neither is known: the next round has to.
        child.meanwhile = lambda: setattr(child, "remove_data", silent)
    with pytest.raises(StartRefused):
        await spawner.add_data("B-2")
    if not at_once:
        assert spawner.kept.adding.id == "B-2"
        assert spawner.site.passports.ids() == ["A-1", "B-2"]
        del child.remove_data
        await spawner.settle_data()
    assert spawner.kept.adding is None
    assert spawner.site.passports.ids() == ["A-1"]
    assert '"B-2"' not in child.files[PASSPORT]
    assert list(spawner.kept.taken) == ["B-2"]


async def silent(*_what):
    raise RuntimeError("it does not answer")
