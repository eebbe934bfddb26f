"""Data of a session in a machine that come and go: what its owner is told. Real ones: test_vm_guest.py."""

import pytest
from memory_provider import MemoryProvider
from vm_hub import running

from visa_spawner.backends.container_data import ELSEWHERE, NOT_DONE
from visa_spawner.backends.vm.data import EARLIER, NOT_NOW
from visa_spawner.backends.vm.provider import Refused, Silent
from visa_spawner.session import Bind, StartRefused

BIND = Bind("/pinned/raw", "/data/raw", True)


async def test_where_the_provider_cannot_the_words_say_so(hub, world):
    backend = await running(hub)
    assert backend.fixed_data == ELSEWHERE
    for change in (backend.add_data([BIND], {}, {}), backend.remove_data(["/data/raw"], [], {})):
        with pytest.raises(StartRefused) as refused:
            await change
        assert (refused.value.status, refused.value.words) == (409, ELSEWHERE)


async def test_where_it_can_a_machine_that_runs_is_changed_and_no_other(hub, world, monkeypatch):
    asked, error = [], []

    async def change(self, *said):
        asked.append(said)
        if error:
            raise error[0]

    monkeypatch.setattr(MemoryProvider, "can_change_data", True)
    monkeypatch.setattr(MemoryProvider, "add_data", change)
    monkeypatch.setattr(MemoryProvider, "remove_data", change)
    backend = await running(hub)
    assert backend.fixed_data == ""
    await backend.add_data([BIND], {"/short": "/data/raw"}, {})
    await backend.remove_data(["/data/raw"], ["/short"], {})
    name = backend.machine_name
    assert asked == [(name, [BIND], {"/short": "/data/raw"}, {}), (name, ["/data/raw"], ["/short"], {})]
    error[:] = [Refused("no", "why")]
    with pytest.raises(StartRefused) as refused:
        await backend.add_data([BIND], {}, {})
    assert (refused.value.status, refused.value.words) == (503, NOT_DONE)
    error[:] = [Silent("away")]
    with pytest.raises(Silent):  # it may have been done
        await backend.add_data([BIND], {}, {})
    await backend.suspend()
    assert backend.fixed_data == NOT_NOW and len(asked) == 4
    with pytest.raises(StartRefused, match="does not run"):
        await backend.add_data([BIND], {}, {})
    assert len(asked) == 4


async def test_a_machine_of_an_earlier_image_gets_none_and_its_page_says_why(hub, world, monkeypatch):
    asked = []

    async def refuse(self, *said):
        raise Refused("no", "it does not know how", "earlier")

    async def take_away(self, *said):
        asked.append(said)

    monkeypatch.setattr(MemoryProvider, "can_change_data", True)
    monkeypatch.setattr(MemoryProvider, "add_data", refuse)
    monkeypatch.setattr(MemoryProvider, "remove_data", take_away)
    backend = await running(hub)
    assert backend.fixed_data == ""
    with pytest.raises(StartRefused) as refused:
        await backend.add_data([BIND], {}, {})
    assert (refused.value.status, refused.value.words) == (409, EARLIER)
    assert backend.fixed_data == EARLIER, "nobody tries twice"
    await backend.remove_data(["/data/raw"], [], {})
    assert len(asked) == 1, "what was to be added is taken back all the same"
    await backend.stop()
    await backend.start()
    assert backend.fixed_data != EARLIER, "another machine may know how"
