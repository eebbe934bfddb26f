"""A guest's agent that says anything: nothing of it is believed, and nobody waits for it without end."""

import asyncio
import base64
import json
import sys
import types

import pytest

from visa_spawner.backends.vm.libvirt import agent as module
from visa_spawner.backends.vm.libvirt.agent import Agent
from visa_spawner.backends.vm.provider import NotTaken, Refused, Silent


@pytest.fixture
def says(monkeypatch):
    """An agent that answers with the next of these texts; it stands in for libvirt's one call."""
    answers, asked = [], []

    def call(domain, words, seconds, flags):
        asked.append(json.loads(words))
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setitem(sys.modules, "libvirt_qemu", types.SimpleNamespace(qemuAgentCommand=call))
    monkeypatch.setattr(module, "LOOK", 0.01)

    class Libvirt:
        async def call(self, ask, seconds=None):
            return ask(types.SimpleNamespace(lookupByName=lambda name: name))

    agent = Agent(Libvirt(), "one")

    def run(*texts, seconds=5.0):
        answers[:] = texts
        return asyncio.run(agent.run("/bin/x", given=b"secret", seconds=seconds)), asked

    return run


def done(**values):
    return json.dumps({"return": {"exited": True, **values}})


def test_a_commands_end_and_words(says):
    out = base64.b64encode(b"hello").decode()
    (code, said), asked = says('{"return": {"pid": 7}}', done(exitcode=3, **{"out-data": out}))
    assert (code, said) == (3, b"hello")
    assert asked[0]["arguments"]["path"] == "/bin/x" and "secret" not in asked[0]["arguments"]["arg"]
    assert base64.b64decode(asked[0]["arguments"]["input-data"]) == b"secret"


@pytest.mark.parametrize(
    "lie",
    [
        "",
        "null",
        "[]",
        '{"return": "yes"}',
        '{"return": {"pid": "7"}}',
        '{"return": {"pid": true}}',
        "{",
        "[" * 9999,
    ],
)
def test_what_is_no_answer_is_none(says, lie):
    with pytest.raises(Refused) as refused:
        says(lie)
    assert refused.value.reason == "agent"


def test_a_command_that_never_ends_is_waited_for_no_longer_than_said(says):
    with pytest.raises(NotTaken):
        says('{"return": {"pid": 7}}', '{"return": {"exited": false}}', seconds=0.1)


def test_libvirt_may_be_silent_while_a_command_runs(says):
    (code, _), _ = says('{"return": {"pid": 7}}', Silent("restarts"), done(exitcode=0))
    assert code == 0


def test_words_without_end_are_cut_and_no_base64_is_nothing(says):
    out = base64.b64encode(b"x" * 4 * module.LARGEST).decode()
    (_, said), _ = says('{"return": {"pid": 7}}', done(exitcode=0, **{"out-data": out}))
    assert len(said) == module.LARGEST
    (_, said), _ = says('{"return": {"pid": 7}}', done(exitcode=0, **{"out-data": "a"}))
    assert said == b""
    (code, _), _ = says('{"return": {"pid": 7}}', done())
    assert code == -1, "an end without a code is no success"


def test_memory_in_use_is_what_its_kernel_could_not_give_to_others():
    said = b"MemTotal:  2000 kB\nMemFree:   100 kB\nMemAvailable:  1500 kB\n"
    assert module.memory_in_use(said) == 500 * 1024


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"MemTotal: 5 kB\n",
        b"MemTotal: x kB\nMemAvailable: 1 kB\n",
        b"MemTotal: 1 kB\nMemAvailable: 2 kB\n",
    ]
    + [b"MemTotal: 9999999999999 kB\nMemAvailable: 1 kB\n", b"MemTotal:\nMemAvailable:\n", b"\xff" * 99],
)
def test_memory_that_cannot_be_is_not_known(lie):
    assert module.memory_in_use(lie) is None
