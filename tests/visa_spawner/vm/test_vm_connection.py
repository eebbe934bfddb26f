"""How libvirt is asked, with calls of our own in place of its: who waits for whom, and for how long."""

import asyncio
import threading
import time

import pytest

from visa_spawner.backends.vm.libvirt.connection import Connection
from visa_spawner.backends.vm.libvirt.domain import tags_xml
from visa_spawner.backends.vm.libvirt.provider import LibvirtProvider
from visa_spawner.backends.vm.provider import Silent

libvirt = pytest.importorskip("libvirt")


@pytest.fixture
def connection():
    made = Connection("test:///nowhere", timeout=5, threads=2)
    made._connection = object()  # open: nothing of libvirt is asked
    yield made
    made.close()


async def test_more_calls_than_threads_wait_for_one(connection):
    def ask(_):
        time.sleep(0.02)  # stands for a call of libvirt's that takes its time, so that calls queue
        return True

    assert all(await asyncio.gather(*(connection.call(ask) for _ in range(9))))


async def test_one_that_finds_no_thread_in_its_time_is_silence_and_takes_none(connection):
    goes_on = threading.Event()
    hanging = [asyncio.create_task(connection.call(lambda _: goes_on.wait(10))) for _ in range(2)]
    await asyncio.sleep(0)  # they are asked before
    with pytest.raises(Silent):
        await connection.call(lambda _: True, 0.1)
    goes_on.set()
    assert all(await asyncio.gather(*hanging))
    assert await connection.call(lambda _: True)


async def test_a_call_that_was_given_up_keeps_its_thread_until_it_ends(connection):
    goes_on, ran = threading.Event(), []
    for _ in range(2):
        with pytest.raises(Silent):
            await connection.call(lambda _: goes_on.wait(10), 0.05)
    with pytest.raises(Silent):
        await connection.call(ran.append, 0.05)
    goes_on.set()
    await connection.call(lambda _: None)
    assert not ran, "what nobody waits for any more is not begun"


class Domain:
    """One whose metadata come when `says` gives them."""

    def __init__(self, says):
        self.says = says

    def metadata(self, kind, namespace):
        return self.says()


def fails(code):
    class Failed(libvirt.libvirtError):
        def get_error_code(self):
            return code

    def say():
        raise Failed("no")

    return say


@pytest.fixture
def provider():
    made = LibvirtProvider("here")
    yield made
    made.close()


def test_no_answer_is_not_taken_for_a_machine_of_somebody_elses(provider):
    with pytest.raises(libvirt.libvirtError):
        provider._known_tags(Domain(fails(libvirt.VIR_ERR_RPC)), "1")
    assert provider._known_tags(Domain(lambda: tags_xml({"hub": "here"})), "1") == {"hub": "here"}
    assert provider._known_tags(Domain(fails(libvirt.VIR_ERR_NO_DOMAIN_METADATA)), "2") is None
    assert provider._known_tags(Domain(fails(libvirt.VIR_ERR_NO_DOMAIN)), "3") is None


def test_tags_that_were_changed_while_they_were_read_are_the_new_ones(provider):
    def says():
        provider._tags["1"] = {"hub": "here", "session": "bob/late"}
        return tags_xml({"hub": "here", "session": ""})

    assert provider._known_tags(Domain(says), "1")["session"] == "bob/late"
