"""A real machine, booted from the base image's disk in software, from the pool of a real hub to its end.

It boots once for all of these tests, which follow one another: it waits, becomes alice's by an ordinary
start, and stays hers while its agent is silent, libvirt and the hub start anew, and it is suspended; then it
is switched off from inside, which ends her session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import stat
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from guest_hub import HUB_ID, a_guest, virsh
from libvirt_machines import to_be_stopped

from demo import libvirt as daemon
from images.build import main as build_main
from images.disk import main as disk_main
from tests.visa_session.viewer import RAW, Viewer
from visa_spawner.backends.vm.libvirt import share
from visa_spawner.backends.vm.libvirt.agent import PROGRAM
from visa_spawner.backends.vm.provider import Refused

#: As tests/images/test_disk.py makes it; kept for the next run.
IMAGES = Path("/var/lib/visa-test-images")
OPTIONS = {"experiments": ["A-1"], "profile": "whole", "plan": "machine", "interface": "lab"}
OPTIONS |= {"screen": "800x600"}
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def guest(libvirt_here):
    assert build_main(["base"]) == 0
    assert disk_main(["base", str(IMAGES), "--keep-hours", "1"]) == 0
    with a_guest(IMAGES) as guest:
        yield guest


def started(guest):
    """When the session's server began: another one began at another time."""
    answer = guest.hub.get("api/status")
    assert answer.status_code == 200, answer.text
    return answer.json()["started"]


@contextlib.contextmanager
def without_libvirt(libvirt_here):
    """Stop it, and start it anew at the end: machines run on."""
    folder, processes = to_be_stopped(libvirt_here)
    daemon.stop([processes.pop()])
    try:
        yield
    finally:
        daemon.start(folder, processes)


def test_a_machine_boots_and_waits_and_is_nobodys_also_where_libvirt_starts_anew_meanwhile(
    guest, libvirt_here
):
    said = lambda: guest.hub.log.read_text()  # noqa: E731
    guest.hub.until(lambda: "is made, to wait" in said(), 120, "a machine of the pool boots")
    with without_libvirt(libvirt_here):
        guest.hub.until(lambda: "does not answer" in said(), 60, "the hub has heard nothing of it")
    guest.hub.until(lambda: "waits for a session" in said(), 600, "a machine of the pool is up")
    assert len(guest.names()) == 1, "the one that was booting"
    assert "10.217." not in guest.run("ip -4 -br addr show scope global")
    assert "20001" not in guest.run("cat /etc/passwd")
    assert guest.run("ls -lnd /run/visa").startswith("drwx------"), "who may hand it over is root alone"


def test_it_came_up_whole_and_lets_nobody_in(guest):
    """As tests/images/test_disk.py looks at a machine that boots by hand, which `make images-test` does."""
    assert guest.run("systemctl is-system-running --wait") == "running\n", guest.run("systemctl --failed")
    assert guest.run("grep -c '^[^:]*:[^*!]' /etc/shadow") == "0\n", "an account has a password"
    listening = guest.run("ss -Htuln; echo looked").splitlines()
    own = [line for line in listening if line.split()[4:] and line.split()[4].startswith("127.0.0.5")]
    assert set(listening) - set(own) == {"looked"}, "nothing but the resolver's own addresses"
    assert len(guest.run("cat /etc/machine-id").strip()) == 32
    made = guest.run("journalctl -b -o cat --grep 'Initializing machine ID'")
    assert "Initializing machine ID" in made, "the disk itself has none: it would be every machine's"


def test_it_becomes_alices_session_by_an_ordinary_start(guest):
    hub, waiting = guest.hub, guest.name
    hub.token("alice")
    answer = hub.start_session("tooth", OPTIONS)
    assert answer.status_code in (201, 202), answer.text
    hub.session_is("running", 240, "the session runs")
    assert guest.name == waiting, "the one that waited"
    answer = hub.get("api")
    assert (answer.status_code, "version" in answer.json()) == (200, True)
    assert guest.run("hostname").strip() == "tooth"


def test_data_stand_at_their_places_with_the_persons_rights(guest):
    root = guest.hub.root
    # Of each process of the session: the first, and the server.
    lines = "grep -hE '^(Uid|Gid|Groups|CapBnd|CapEff)' /proc/$one/status"
    status = guest.run(f"for one in $(pgrep -f 'bin/[v]isa-session'); do {lines}; done")
    wanted = ("Uid:" + "\t20001" * 4, "Gid:" + "\t20001" * 4, "Groups:\t20001 30001")
    for line in (*wanted, "CapBnd:\t0000000000000000", "CapEff:\t0000000000000000"):
        assert status.count(line) == status.count("Uid:") >= 2, status
    said = guest.as_alice(f"cat /experiments/A-1/raw/scan; touch {root}/home/alice/mine && echo made")
    assert said == "raw data\nmade\n"
    assert (root / "home/alice/mine").stat().st_uid == 20001
    guest.as_alice("echo result > /experiments/A-1/processed/result")
    result = root / "visitor/a1/PROCESSED_DATA/result"
    assert (result.read_text(), result.stat().st_uid, result.stat().st_gid) == ("result\n", 20001, 30001)
    code = "import sqlite3; c = sqlite3.connect('history.db'); "
    code += "c.execute('create table t (a)'); c.commit(); print('kept')"
    said = guest.as_alice(f'cd {root}/home/alice && /opt/visa/venv/bin/python -c "{code}"')
    assert said == "kept\n", "what locks works, as notebooks' histories do"


def test_root_of_the_guest_cannot_change_raw_data(guest):
    raw = guest.hub.root / "visitor/a1/RAW_DATA"
    before = raw.stat(), (raw / "scan").stat()
    tries = [f"echo x >> {raw}/scan", f"touch {raw}/new", f"chmod 666 {raw}/scan", f"rm {raw}/scan"]
    as_root = "; ".join(f"({one}) && echo 'did it'" for one in tries)
    she = "setpriv --reuid=20001 --clear-groups sh -c"
    as_her = "; ".join(f"{she} '{one}' && echo 'did it'" for one in tries)
    said = guest.run(f"{as_root}; {as_her}")
    assert "did it" not in said and "Read-only" in said, said
    # The guest's own word is not what keeps it so.
    assert " rw," in guest.run(f"mount -o remount,rw {raw}; grep ' {raw} ' /proc/mounts")
    said = guest.run(f"{as_root}; {as_her}")
    assert "did it" not in said and "Read-only" in said, said
    guest.run(f"mount -o remount,ro {raw}")
    assert (raw.stat(), (raw / "scan").stat()) == before and os.listdir(raw) == ["scan"]


def changed(answer):
    assert answer.status_code == 200, answer.text


def test_data_are_added_and_taken_away_whatever_root_of_the_guest_says(guest):
    hub, data = guest.hub, "visa/sessions/alice/tooth/data"
    assert hub.session("tooth")["why_not_added"] == ""
    changed(hub.api("POST", data, "alice", json={"experiment": "B-2"}))
    raw = hub.root / "visitor/b2/RAW_DATA"
    assert guest.as_alice("cat /experiments/B-2/raw/scan") == "more raw data\n"
    assert '"B-2"' in guest.as_alice("cat /experiments/passport.json")
    said = guest.run(f"mount -o remount,rw {raw}; setpriv --reuid=20001 --clear-groups touch {raw}/new")
    assert "Read-only" in said and os.listdir(raw) == ["scan"], said
    # What the session was started with may go as well, and root of the guest cannot have it again.
    first = hub.root / "visitor/a1/RAW_DATA"
    options = guest.run(f"grep ' {first} ' /proc/mounts | cut -d' ' -f1,4").split()
    changed(hub.api("DELETE", f"{data}/A-1", "alice"))
    again = f"mkdir -p /mnt/a; mount -t 9p -o {options[1]} {options[0]} /mnt/a"
    again += f"; ls {first} /mnt/a/scan /experiments/A-1"
    she = "setpriv --reuid=20001 --regid=20001 --groups=20001,30001"
    said = guest.run(f"{again}; {she} cat /mnt/a/scan {first}/scan")
    assert "raw data" not in said and said.count("No such file") >= 4, said
    assert guest.as_alice("cat /experiments/B-2/raw/scan") == "more raw data\n"
    changed(hub.api("POST", data, "alice", json={"experiment": "A-1"}))
    assert guest.as_alice("cat /experiments/A-1/raw/scan") == "raw data\n"
    changed(hub.api("DELETE", f"{data}/B-2", "alice"))
    assert "No such file" in guest.run("ls /experiments/B-2")


def test_an_image_of_before_that_gets_none_and_the_page_says_why(guest):
    hub, data = guest.hub, "visa/sessions/alice/tooth/data"
    # Such a program knows no word for it, takes it for a start, and finds that it has no session.
    earlier, python = "/opt/visa/earlier", "/opt/visa/venv/bin/python"
    script = f"#!/bin/sh\\nexec {python} -m visa_session.start\\n"
    guest.run(f"printf '{script}' > {earlier}; chmod 755 {earlier}; mount --bind {earlier} {PROGRAM}")
    try:
        answer = hub.api("POST", data, "alice", json={"experiment": "B-2"})
    finally:
        guest.run(f"umount {PROGRAM}")
    assert answer.status_code == 409 and "of an earlier version" in answer.text, answer.text
    assert "of an earlier version" in hub.session("tooth")["why_not_added"]
    assert "No such file" in guest.run("ls /experiments/B-2")
    assert guest.as_alice("cat /experiments/A-1/raw/scan") == "raw data\n"


def test_staff_see_what_it_takes(guest):
    guest.hub.token("heidi")
    used = guest.hub.api("GET", "visa/support/alice/tooth", "heidi").json()["usage"]
    assert used["memory_limit"] == 1400 * 10**6 or used["memory_limit"] == 1400 << 20, used
    assert 100 << 20 < used["memory"] < 1400 << 20 and 0 <= used["cpus"] < 3, used


def test_nothing_secret_is_where_others_could_read_it(guest):
    hub = guest.hub
    qemu = next(
        words
        for place in Path("/proc").glob("[0-9]*")
        if f"guest={guest.name}," in (words := read(place / "cmdline"))
    )
    described = virsh("dumpxml", guest.name) + qemu
    for what in ("token", "JUPYTERHUB", "hub/api", str(hub.root), "20001"):
        assert what not in described, what
    here = [described, json.dumps(hub.sql("select state from spawners"))]
    here += map(read, [*folder(hub).glob("*.console"), Path(f"/var/log/libvirt/qemu/{guest.name}.log")])
    # In the guest, by root of it: what processes were started with, and all files that are not a program's.
    inside = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; "
    inside += "find /run /etc /tmp /var/log /var/tmp -xdev -type f -size -4096k -exec cat {} +"
    inside = f"({inside}) 2>/dev/null | tr '\\0' '\\n' | grep -aoE '[0-9a-f]{{32,}}' | sort -u"
    assert hub.opened_by("\n".join([*here, guest.run(inside)])) == set()
    assert hub.opened_by(hub.token("alice")), "what opens something is known for it"


def folder(hub):
    """Where machines leave their files."""
    return Path(hub.machines["LibvirtProvider"]["folder"])


def read(path):
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_the_gate_is_that_of_any_session(guest):
    hub = guest.hub
    for who in ("bob", "carol"):
        hub.token(who)
        assert hub.get("desktop/", who).status_code == 403
    assert hub.get("api/contents", who="").status_code in (302, 403)
    assert hub.let_in("bob", "viewer").status_code in (200, 201)
    hub.until(lambda: hub.get("desktop/", "bob").status_code == 200, 20, "bob may watch")
    assert hub.get("api/contents", "bob").status_code == 403
    assert hub.get("api/contents").status_code == 200
    assert hub.get("desktop/", "carol").status_code == 403


async def test_its_desktop_answers(guest):
    session = SimpleNamespace(url=guest.hub.address("tooth"), token=guest.hub.token("alice"))
    end = time.monotonic() + 120
    while True:
        viewer = await Viewer.connect(session)
        try:
            viewer.waiting = await viewer.read(12, 60)  # it begins now, in software
            await viewer.handshake()
            break
        except Exception as error:
            assert time.monotonic() < end, error
            await asyncio.sleep(1)  # between two tries, up to `end`
    assert (viewer.width, viewer.height) == (800, 600)
    viewer.encodings(RAW)
    viewer.ask(0)
    assert len(await viewer.read(800 * 600 * 3, 60)) == 800 * 600 * 3
    viewer.close()


def test_its_agent_may_be_silent(guest):
    hub, began = guest.hub, started(guest)
    comes_back = (
        "systemd-run --on-active=15 --timer-property=AccuracySec=100ms systemctl start qemu-guest-agent"
    )
    with contextlib.suppress(Refused):  # it may be gone before it has answered
        guest.run(f"{comes_back}; systemctl --no-block stop qemu-guest-agent")
    hub.until(lambda: not guest.hears(), 30, "the agent is gone")
    assert hub.session("tooth")["state"] == "running" and started(guest) == began
    hub.until(guest.hears, 120, "it is there again")


def test_libvirt_may_start_anew_beside_it(guest, libvirt_here):
    hub, began = guest.hub, started(guest)
    with without_libvirt(libvirt_here):
        hub.session_is("unknown", 30, "libvirt's silence is said")
        assert started(guest) == began, "the session goes on"
    hub.session_is("running", 30, "libvirt answers again")
    assert started(guest) == began


def ticks(guest):
    """The times that a program of alice's writes, by a file that it opened once."""
    file = guest.hub.root / "home/alice/ticks"
    return [float(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_it_is_suspended_and_goes_on_with_all_that_is_open(guest):
    hub, began, name = guest.hub, started(guest), guest.name
    home = hub.root / "home/alice"
    program = f"cd {home}; exec 3> ticks; while :; do date +%s.%N >&3; sleep 0.5; done"
    begin = "systemd-run --unit=ticks --uid=20001 --gid=20001 sh /run/ticks.sh"
    guest.run(f"echo '{program}' > /run/ticks.sh; {begin}")
    hub.until(lambda: len(ticks(guest)) > 1, 30, "the program writes")
    assert hub.session("tooth")["may_suspend"]
    answer = hub.api("POST", "visa/sessions/alice/tooth/suspend", "alice")
    assert answer.status_code in (200, 202), answer.text
    hub.session_is("suspended", 120, "it stands still")
    hub.until(lambda: hub.session("tooth")["may_resume"], 30, "and may go on")
    assert not [one for one in Path("/proc").glob("[0-9]*") if f"guest={name}," in read(one / "cmdline")]
    memory = folder(hub) / f"{name}.memory"
    assert stat.S_IMODE(memory.stat().st_mode) == 0o600, "all that it knows is in there"
    written = len(ticks(guest))
    hub.kill()  # a restarted hub leaves it as it is
    hub.start()
    hub.until(lambda: (hub.session("tooth") or {}).get("may_resume"), 60, "it is found again")
    assert len(ticks(guest)) == written and hub.session("tooth")["state"] == "suspended"
    resumed = time.time()
    # Another machine may be being made, to wait in its room: that gives way as soon as it is there.
    resume = "visa/sessions/alice/tooth/resume"
    hub.until(lambda: hub.api("POST", resume, "alice").status_code in (200, 202), 60, "there is room")
    hub.session_is("running", 120, "it goes on")
    hub.until(lambda: len(ticks(guest)) > written + 2, 60, "so does the program that has a file open")
    hub.until(lambda: ticks(guest)[-1] > resumed, 30, "which knows what time it is")
    assert started(guest) == began and not memory.exists()
    said = guest.as_alice(f"echo again > {home}/again && cat /experiments/A-1/raw/scan")
    assert said == "raw data\n", "which came while it ran"
    guest.run("systemctl stop ticks")


def test_a_killed_hub_finds_it_again(guest):
    hub, began, before = guest.hub, started(guest), guest.name
    hub.kill()
    assert hub.get("api", who="").status_code == 200, "by the proxy, which is a process of its own"
    hub.start()
    hub.session_is("running", 60, "it is found again")
    assert guest.name == before and started(guest) == began
    assert guest.as_alice("cat /experiments/A-1/raw/scan") == "raw data\n", "what serves its data went on too"


def test_to_switch_it_off_from_inside_ends_the_session_and_leaves_nothing(guest):
    hub, name = guest.hub, guest.name
    with contextlib.suppress(Refused):  # it may be off before it has answered
        guest.run("systemctl --no-block poweroff --force --force")
    hub.until(lambda: hub.session("tooth")["state"] in ("failed", "stopped"), 60, "its end is seen")
    assert "from inside" in hub.session("tooth")["words"]
    hub.until(lambda: name not in guest.names(), 60, "it is removed")
    hub.token("heidi")
    log = hub.session("tooth", "heidi", owner="alice")["log"]
    assert [line for line in log if "visa-session" in line], f"staff read the end of its console: {log}"
    hub.until(lambda: not [one for _, one in share.serving(HUB_ID) if one == name], 20, "its share too")
    assert not list(folder(hub).glob(f"{name}*"))
