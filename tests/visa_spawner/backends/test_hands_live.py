"""Data into and out of running containers, on real Podman: what holds, and what a failure leaves."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from container_support import until
from hands_box import Box

from visa_spawner.backends.hands import client
from visa_spawner.backends.hands.client import Hands, HandsRefused, HandsSilent, possible_on
from visa_spawner.backends.nodes import Node
from visa_spawner.session import Bind


@pytest.fixture(scope="module")
def a_box(podman):
    made = Box(podman)
    yield made
    podman.client.remove_container(made.id, force=True)


@pytest.fixture
async def box(a_box):
    yield a_box
    for name in ("data", "experiments"):
        if (a_box.root / name).is_symlink():
            a_box.clear()
    await Hands().unbind(a_box.pid, [*TARGETS, "/data/x"], LINKS, container=a_box.id)
    a_box.clear()


@pytest.fixture
def data(tmp_path):
    """Raw data with a file system mounted below, and results."""
    for name in ("raw/sub", "results"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "raw/scan.h5").write_text("counts")
    mount_below(tmp_path)
    yield tmp_path
    while os.path.ismount(tmp_path / "raw/sub"):
        subprocess.run(["umount", tmp_path / "raw/sub"], check=True)


def mount_below(data):
    subprocess.run(["mount", "-t", "tmpfs", "none", data / "raw/sub"], check=True)


def binds(data):
    return [
        Bind(str(data / "raw"), TARGETS[0], True),
        Bind(str(data / "results"), TARGETS[1], False),
    ]


TARGETS = ["/data/e1/raw", "/data/e1/results"]
LINKS = {"/experiments/e1/raw": TARGETS[0], "/experiments/e1/processed": TARGETS[1]}


async def test_read_only_holds_against_root_down_to_the_last_mount(box, data):
    await Hands().bind(box.pid, binds(data), LINKS, container=box.id, texts={"/experiments/p.json": "{}"})
    # What is said and what is complained of by one pipe: of two, the engine may read the second first.
    tries = """exec 2>&1
    touch /data/e1/raw/x && echo bad; touch /data/e1/raw/sub/x && echo bad
    rm -f /data/e1/raw/scan.h5 && echo bad
    mount -o remount,rw /data/e1/raw && echo bad; mount -o remount,bind,rw /data/e1/raw/sub && echo bad
    umount /data/e1/raw && echo bad; echo x > /data/e1/raw/scan.h5 && echo bad
    cat /experiments/e1/raw/scan.h5 && touch /experiments/e1/processed/mine
    stat -c '%a %u' /experiments/p.json
    """
    said = box.sh(tries)[1]
    assert "bad" not in said
    assert said.endswith("counts444 0\n")
    assert (data / "results/mine").exists()
    assert sorted(os.listdir(data / "raw")) == ["scan.h5", "sub"]
    assert os.listdir(data / "raw/sub") == []
    mounts = box.mounts()
    for place in ("/data/e1/raw", "/data/e1/raw/sub"):
        assert {"ro", "nosuid", "nodev"} <= set(mounts[place].split(","))
    assert {"rw", "nosuid", "nodev"} <= set(mounts["/data/e1/results"].split(","))
    # What is mounted outside from now on stays outside.
    mount_below(data)
    assert box.mounts() == mounts


async def test_what_is_taken_away_is_gone_at_once_and_open_to_who_has_it_open(box, data):
    before = box.files()
    await Hands().bind(box.pid, binds(data), LINKS, container=box.id)
    # Something of somebody's own where a link was is not ours to remove.
    (box.root / "experiments/e1/processed").unlink()
    box.plant("/experiments/e1/processed/mine")
    with open(box.root / "data/e1/raw/scan.h5") as held:
        for _ in range(2):
            await Hands().unbind(box.pid, TARGETS, LINKS, container=box.id)
            assert not [place for place in box.mounts() if place.startswith("/data")]
        assert held.read() == "counts"
    assert os.listdir(box.root / "experiments/e1") == ["processed"]
    assert os.listdir(box.root / "experiments/e1/processed") == ["mine"]
    shutil.rmtree(box.root / "experiments")
    assert box.files() == before


async def test_nothing_planted_inside_leads_anywhere_and_nothing_is_left(box, data):
    for planted, words in (
        ("/data -> /tmp", "/data inside: is a link"),
        ("/data/e1 -> ../../tmp", "/data/e1 inside: is a link"),
        ("/data/e1/results -> /proc/1/root/tmp", "/data/e1/results inside: is a link"),
        ("/data/e1/results", "/data/e1/results inside: Not a directory"),
        ("/experiments/e1 -> /tmp", "/experiments/e1 inside: is a link"),
        ("/experiments/e1/processed", "is something else"),
        ("/experiments/e1/processed -> /tmp", "is something else"),
        ("/experiments/e1/raw/", "is something else"),
    ):
        box.plant(planted)
        files, mounts = box.files(), box.mounts()
        with pytest.raises(HandsRefused, match=words):
            await Hands().bind(box.pid, binds(data), LINKS, container=box.id)
        assert (box.mounts(), box.files()) == (mounts, files), planted
        box.clear()


async def test_taking_away_reaches_through_no_link_and_takes_what_it_can(box, data):
    await Hands().bind(box.pid, binds(data), {}, container=box.id)
    box.plant("/data/e2 -> e1")
    targets = ["/data/e2/raw", *TARGETS]
    with pytest.raises(HandsRefused, match="/data/e2 inside: is a link"):
        await Hands().unbind(box.pid, targets, [], container=box.id)
    assert "/data/e1/raw" not in box.mounts()
    assert "/data/e1/results" not in box.mounts()


async def test_a_place_is_made_in_the_containers_own_files_alone(box, data):
    await Hands().bind(box.pid, binds(data), {}, container=box.id)
    inner = [Bind(str(data / "raw"), "/data/e1/results/deep", True)]
    with pytest.raises(HandsRefused, match="would have to be made in what is mounted"):
        await Hands().bind(box.pid, inner, {}, container=box.id)
    assert os.listdir(data / "results") == []
    with pytest.raises(HandsRefused, match="something is mounted at /data/e1/raw already"):
        await Hands().bind(box.pid, binds(data)[:1], {}, container=box.id)


async def test_sources_and_targets_are_taken_as_they_are(box, data):
    os.symlink(data / "raw", data / "link")
    mounts = box.mounts()
    for source, target in (
        (data / "link", "/data/x"),
        (data / "not-there", "/data/x"),
        (data / "raw/scan.h5", "/data/x"),
        (data / "raw", "/etc/x"),
        (data / "raw", "/data/../etc"),
        (data / "raw", "/"),
    ):
        asked = [*binds(data), Bind(str(source), target, True)]
        with pytest.raises(HandsRefused):
            await Hands().bind(box.pid, asked, {}, container=box.id)
        assert box.mounts() == mounts


async def test_a_number_that_is_another_process_by_now_is_refused(box, podman, data):
    other = Box(podman)
    here = subprocess.Popen(["sleep", "60"])
    # A process of the container's that is not its first one.
    box.sh("sleep 60 > /dev/null 2>&1 &")
    (second,) = _others_in(box)
    ended = subprocess.Popen(["true"])
    ended.wait()
    try:
        for pid in (other.pid, here.pid, second, os.getpid(), 1, ended.pid):
            with pytest.raises(HandsRefused):
                await Hands().bind(pid, binds(data), {}, container=box.id)
        assert "/data/e1/raw" not in box.mounts() | other.mounts()
        assert " /data/e1/raw " not in Path("/proc/self/mountinfo").read_text()
    finally:
        os.kill(second, signal.SIGKILL)
        here.kill()
        here.wait()
        podman.client.remove_container(other.id, force=True)


def _others_in(box):
    """The processes of a container but its first, by the numbers they have here."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            inside = box.id in (entry / "cgroup").read_text()
        except OSError:
            continue
        if inside and int(entry.name) != box.pid:
            found.append(int(entry.name))
    return found


def program(before):
    """The program, with lines of Python to run before."""
    text = f"""
import sys; sys.path.append({client._TREE!r})
import os, pathlib, select, time
from visa_spawner.backends.hands import mounts, program
{before}
program.main()
"""
    return (sys.executable, "-I", "-S", "-c", text)


GONE = """
put = mounts.put
def killed(*rest):
    put(*rest)
    pidfd = os.pidfd_open({pid})
    os.kill({pid}, 9)
    select.select([pidfd], [], [])
mounts.put = killed
"""


async def test_a_container_that_ends_midway_is_said_to_have_ended(podman, data):
    box = Box(podman)
    hands = Hands(command=program(GONE.format(pid=box.pid)))
    with pytest.raises(HandsRefused, match="the container has ended"):
        await hands.bind(box.pid, binds(data), LINKS, container=box.id)
    # And by now there is none at all.
    with pytest.raises(HandsRefused):
        await Hands().unbind(box.pid, TARGETS, [], container=box.id)
    podman.client.remove_container(box.id, force=True)


WAITS = """
read = program.read
def patient(descriptor):
    asked = read(descriptor)
    pathlib.Path({began!r}).touch()
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.02)  # until the test says so
    return asked
program.read = patient
"""

ASKS = """
import asyncio, json, sys
from visa_spawner.backends.hands.client import Hands
from visa_spawner.session import Bind
pid, container, command, binds = json.loads(sys.argv[1])
asyncio.run(Hands(command=command).bind(pid, [Bind(*one) for one in binds], {}, container=container))
"""


async def test_what_a_killed_hub_had_asked_for_is_done_whole_or_not_at_all(box, data, tmp_path):
    began, go = tmp_path / "began", tmp_path / "go"
    command = program(WAITS.format(began=str(began), go=str(go)))
    wanted = [(one.source, one.target, one.read_only) for one in binds(data)]
    asked = json.dumps([box.pid, box.id, command, wanted])
    hub = subprocess.Popen([sys.executable, "-c", ASKS, asked], start_new_session=True, cwd=client._TREE)
    await until(began.exists, 30)
    os.killpg(hub.pid, signal.SIGKILL)
    hub.wait()
    assert "/data/e1/raw" not in box.mounts()
    go.touch()
    await until(lambda: "/data/e1/results" in box.mounts())
    # One whose request broke off does nothing.
    await Hands().unbind(box.pid, TARGETS, [], container=box.id)
    mounts = [{"source": one[0], "target": one[1], "read_only": one[2]} for one in wanted]
    request = json.dumps({"do": "bind", "pid": box.pid, "container": box.id, "mounts": mounts})
    for text in (request[: len(request) // 2], "[]", request[:-1] + ', "more": 1}'):
        assert "refused" in run_by_hand(text)
    assert "/data/e1/raw" not in box.mounts()


def run_by_hand(text):
    done = subprocess.run(client._COMMAND, input=text, capture_output=True, text=True, env={}, check=True)
    return json.loads(done.stdout)


async def test_silence_is_told_from_a_no(box, data):
    for command in (program("os._exit(9)"), program("time.sleep(30)  # longer than anybody waits")):
        with pytest.raises(HandsSilent):
            await Hands(command=command, timeout=0.5).bind(box.pid, binds(data), {}, container=box.id)
    with pytest.raises(HandsRefused, match="cannot be run"):
        await Hands(command=("/not/there",)).bind(box.pid, binds(data), {}, container=box.id)
    assert "/data/e1/raw" not in box.mounts()


HANGS = """
take = mounts.take
def hung(*rest):
    trees = take(*rest)
    pathlib.Path({began!r}).touch()
    while not pathlib.Path({go!r}).exists():
        time.sleep(0.02)  # as a file server that does not answer
    return trees
mounts.take = hung
"""


async def test_what_was_given_up_never_comes_after_what_set_it_right(box, data, tmp_path):
    began, go = tmp_path / "began", tmp_path / "go"
    hung = Hands(command=program(HANGS.format(began=str(began), go=str(go))), timeout=1.5)
    with pytest.raises(HandsSilent):
        await hung.bind(box.pid, binds(data), LINKS, container=box.id)
    assert began.exists()
    # It may come at any moment: nobody is told that it is gone.
    with pytest.raises(HandsSilent):
        await Hands(timeout=1).unbind(box.pid, TARGETS, list(LINKS), container=box.id)
    go.touch()
    await Hands().unbind(box.pid, TARGETS, list(LINKS), container=box.id)
    await until(lambda: not any(not task.done() for task in hung._program._tasks))
    assert "/data/e1/raw" not in box.mounts()
    assert not os.path.lexists(box.root / "experiments/e1")


async def test_a_request_that_is_cancelled_is_gone_through_with(box, data):
    hands = Hands()
    task = asyncio.create_task(hands.bind(box.pid, binds(data), LINKS, container=box.id))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: os.path.lexists(box.root / "experiments/e1/processed"))


def test_only_this_machines_containers_can_be_reached():
    fields = {"name": "n", "cpus": 1, "memory": "1G"}
    assert possible_on(Node(engine="unix:///run/podman.sock", **fields))
    assert not possible_on(Node(engine="ssh://root@elsewhere", **fields))


LISTENS = """
import json, os, socket, struct, sys
os.makedirs("/run/visa", 0o700)
line = socket.socket(socket.AF_UNIX)
line.bind("/run/visa/handover")
line.listen(1)
while True:
    peer, _ = line.accept()
    who = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    text = b""
    while chunk := peer.recv(65536):
        text += chunk
    told = json.loads(text)
    mounted = os.path.exists("/data/e1/raw/scan.h5")
    print(json.dumps([who[:2], told["uid"], len(told["files"]), socket.gethostname(), mounted]), flush=True)
    peer.sendall(told["answer"].encode())
    peer.close()
"""
#: So that Python runs in a container of busybox alone.
OF_THE_HOST = [
    {"Type": "bind", "Source": source, "Target": target, "ReadOnly": True}
    for source, target in (("/usr", "/usr"), ("/usr/lib", "/lib"), ("/usr/lib64", "/lib64"))
]


async def test_a_hand_over_is_given_to_the_first_process_and_answered(podman, data, box):
    document = {"uid": 1001, "files": "x" * 300_000, "answer": '{"taken": true}\n'}
    waiting = Box(podman, ["/usr/bin/python3", "-I", "-S", "-c", LISTENS], OF_THE_HOST)
    hands = Hands()
    try:
        await until((waiting.root / "run/visa/handover").exists)
        await hands.hand_over(waiting.pid, binds(data), "tooth", document, container=waiting.id)
        told = json.loads(podman.client.logs(waiting.id).splitlines()[-1])
        assert told == [[0, 0], 1001, 300_000, "tooth", True]
        assert os.uname().nodename != "tooth"
        await hands.unbind(waiting.pid, TARGETS, [], container=waiting.id)
        document["answer"] = '{"refused": "not me"}'
        with pytest.raises(HandsRefused, match="not me"):
            await hands.hand_over(waiting.pid, binds(data), "", document, container=waiting.id)
        assert "/data/e1/raw" not in waiting.mounts()
        # No answer: it may be somebody's by now, with what it needs.
        document["answer"] = ""
        with pytest.raises(HandsSilent):
            await hands.hand_over(waiting.pid, binds(data), "", document, container=waiting.id)
        assert "/data/e1/raw" in waiting.mounts()
    finally:
        podman.client.remove_container(waiting.id, force=True)
    with pytest.raises(HandsRefused, match="does not wait for a hand-over"):
        await hands.hand_over(box.pid, binds(data), "tooth", document, container=box.id)
    assert "/data/e1/raw" not in box.mounts()
