"""`visa doctor` on the deployed site: all is well, and then one thing after the other is broken.

It is run as docs/operators/runbook.md says. Each break is real, and undone at once, where the doctor names a
command by that. What such a machine has no part in is not broken here: it is a container, which may mount
nothing, so that nothing is pinned for a start; its clock is that of the machine around it; it has no GPU.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from . import facility
from .site import Site

#: The first test waits for the whole site where it is run alone.
pytestmark = pytest.mark.timeout(1500)

HOST = facility.URL.removeprefix("https://")
#: What a site's own resolver has: the name, and all below it.
WILDCARD = (
    "dnsmasq --conf-file=/dev/null --no-resolv --no-hosts --listen-address=127.0.0.1 --bind-interfaces"
    f" --pid-file=/run/dnsmasq.pid --address=/{HOST}/127.0.0.1"
)
#: Those that this site has plans or settings for, and those that it has not.
LOOKED_AT = (
    "configuration secrets rights disk clock database hub proxy portal names certificates inside address"
    " login catalogue profiles engines images metrics"
).split()
#: adjtimex(2): nobody keeps the kernel's clock.
NOT_KEPT = 5
UNUSED = ["gpus", "slurm", "cluster-access", "machines"]


@dataclass
class Report:
    """What a run of the doctor printed, and its exit code."""

    code: int
    said: str

    def under(self, heading: str) -> dict[str, str]:
        """What stands under a heading, by its place (`check` or `check, about`), without line ends."""
        part = re.search(rf"^{heading}\n((?:  .*\n)+)", self.said + "\n", re.MULTILINE)
        found: dict[str, str] = {}
        for entry in re.split(r"^  (?=\S)", part[1] if part else "", flags=re.MULTILINE)[1:]:
            place, _, rest = entry.partition("\n")
            found[place] = " ".join(f"{found.get(place, '')} {rest}".split())
        return found

    def line(self, beginning: str) -> str:
        """The one that begins so, with those that it goes on in."""
        part = re.search(rf"^{beginning}: ((?:.+\n)+)", self.said + "\n", re.MULTILINE)
        return " ".join(part[1].split()) if part else ""


@pytest.fixture(scope="module")
def named(site: Site) -> Iterator[Site]:
    """The site, whose machine has a resolver with the wildcard that a facility's DNS has."""
    site.machine.install("dnsmasq-base")
    was = site.machine.said("cat /etc/resolv.conf")
    site.machine.run(f"{WILDCARD} && echo nameserver 127.0.0.1 > /etc/resolv.conf")
    yield site
    site.machine.run(f"kill $(cat /run/dnsmasq.pid); echo '{was}' > /etc/resolv.conf")


def look(site: Site, *words: str) -> Report:
    """As docs/operators/runbook.md says: on the hub's machine, as root."""
    done = site.machine.run(" ".join(["visa doctor", *words]), check=False)
    assert done.stderr == ""
    return Report(done.returncode, done.stdout)


def by_itself() -> set[str]:
    """Warnings that are true of the machine around it and no fault of the site: no NTP, busy, full."""
    found = {"database", "hub"}  # slow, where much else runs
    if ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(512)) == NOT_KEPT:
        found.add("clock")
    disk = os.statvfs("/")
    if disk.f_bavail / disk.f_blocks < 0.12:  # near the doctor's tenth: others fill it meanwhile
        found.add("disk, /var/log/visa")
    return found


def test_a_site_that_is_well(named: Site, alice):
    """Nothing is said to be wrong, and every area is named; a session runs."""
    found = look(named)
    assert (found.code, found.under("WRONG"), found.under("COULD NOT BE CHECKED")) == (0, {}, {}), found.said
    assert set(found.under("WARNING")) <= by_itself(), found.said
    fine = re.sub(r" \([^)]*\)", "", found.line("Fine")).rstrip(".").split(", ")
    assert set(fine) | set(found.under("WARNING")) == set(LOOKED_AT)
    assert found.line("Not in use here").rstrip(".").split(", ") == UNUSED


def test_somebody_else_is_told_to_be_root(named: Site):
    done = named.machine.run("runuser -u visa-portal -- visa doctor", check=False)
    assert done.returncode == 2
    assert done.stderr.strip() == "visa doctor: Permission denied: /etc/visa/hub.env; run it as root"


def test_engine_and_login_provider_are_out_of_reach(named: Site, around):
    """The engine itself: what leads to it by TLS is there."""
    socket = around["engine"]
    socket.rename(socket.with_name("away"))
    named.disconnect()
    try:
        found = look(named)
    finally:
        socket.with_name("away").rename(socket)
        named.connect()
    wrong = found.under("WRONG")
    assert sorted(wrong) == ["engines, node1", "login"], found.said
    engine, login = wrong["engines, node1"], wrong["login"]
    assert "who listens there hangs up: the engine behind is not there" in engine
    assert "podman.socket" in engine and "(hence also: clock, images)" in engine
    assert "Who is logged in stays so, and sessions run on; nobody else gets in" in login
    assert "-> `curl http://login.localhost" in login and "(hence also: clock)" in login
    assert found.code == 1


@pytest.mark.parametrize(
    ("name", "days", "code", "heading", "said"),
    [
        ("other.test", 90, 1, "WRONG", f"does not hold for {HOST}: it holds for other.test"),
        (HOST, 5, 0, "WARNING", r"ends in \d days.* -> Have it made anew .*reload the web server"),
    ],
)
def test_a_certificate_for_another_name_or_near_its_end(named: Site, name, days, code, heading, said):
    """Of the same authority, and shown by the web server."""
    files = "/etc/visa/tls"
    names = f"subjectAltName=DNS:{name},DNS:*.{name}"
    named.machine.run(
        f"cp -p {files}/site.pem {files}/was.pem && echo '{names}' > /run/names"
        f" && openssl x509 -req -in {files}/site.csr -CA {files}/authority.pem -CAkey {files}/authority.key"
        f" -days {days} -extfile /run/names -out {files}/site.pem && systemctl reload nginx"
    )
    try:
        until_shown(named, days)
        found = look(named, "--only certificates")
    finally:
        named.machine.run(f"mv {files}/was.pem {files}/site.pem && systemctl reload nginx")
    assert re.search(said, found.under(heading)["certificates"]), found.said
    assert found.code == code


def until_shown(site: Site, days: int) -> None:
    """nginx has told its old workers to end, and new ones are there."""
    ends = (days + 1) * 86400
    shown = f"openssl s_client -connect 127.0.0.1:443 -servername {HOST} </dev/null 2>/dev/null"
    site.machine.until(f"{shown} | openssl x509 -noout -checkend {ends} | grep -q 'will expire'", 10)


PLAN = "{title: One, cpus: 1, memory: 1G"
ELSEWHERE = f"""
name: elsewhere
title: Elsewhere
image: general
lifetime: {{default_hours: 1, max_hours: 2}}
plans:
  cluster: {PLAN}, backend: slurm, partition: main}}
  machine: {PLAN}, backend: vm}}
"""
PROFILES, SETTINGS = "/etc/visa/profiles", "/etc/visa/jupyterhub_config.d"
VISITOR = facility.DATA / "visitor"


@dataclass(frozen=True)
class Fault:
    """How something is broken, where that is said and in what words; how it is undone.

    `undoing` is empty where the doctor names the command that does it.
    """

    breaking: str
    place: str
    words: str
    undoing: str = ""


def secret(path: str) -> Fault:
    words = f"mode 0644: others may read or change it.* -> `chmod 0600 {path}`"
    return Fault(f"chmod 0644 {path}", f"secrets, {path}", words)


def stopped(unit: str, place: str, words: str) -> Fault:
    return Fault(f"systemctl stop {unit}", place, f"{words}.* -> `systemctl restart {unit}`")


#: Broken together: each is to be named, and nothing else.
TOGETHER = {
    "files and names": [
        secret("/etc/visa/hub.env"),
        secret("/etc/visa/portal.env"),
        Fault(
            "chmod 0644 /etc/visa/inside/authority.key",
            "inside",
            "can be read by others.* -> `chmod 600 /etc/visa/inside/authority.key`",
            "chmod 0600 /etc/visa/inside/authority.key",
        ),
        Fault(
            "chmod 0777 /var/lib/visa/hub",
            "rights, /var/lib/visa/hub",
            "mode 0777: others may change it.* -> `chmod 0755 /var/lib/visa/hub`",
            "chmod 0700 /var/lib/visa/hub",
        ),
        Fault(
            f"chmod 0777 {VISITOR}",
            "catalogue",
            rf"not start: {facility.EXPERIMENT} \({VISITOR} is writable by everyone\).* -> .*mend its mode",
            f"chmod 0755 {VISITOR}",
        ),
        Fault(
            f"sed -i.was 's/^image: general/image: nosuch/' {PROFILES}/general.yaml",
            "images, node1",
            "lacks localhost/visa/nosuch:latest.* -> .*`visa_images`.* profile general",
            f"mv {PROFILES}/general.yaml.was {PROFILES}/general.yaml",
        ),
        Fault(
            f"echo 'c.VisaSite.max_sesions = 2' > {SETTINGS}/60-test.py",
            "configuration",
            "there is no such setting. Perhaps c.VisaSite.max_sessions was meant.* -> Correct it",
            f"rm {SETTINGS}/60-test.py",
        ),
        Fault(
            "kill $(cat /run/dnsmasq.pid)",
            "names",
            rf"names below it are not.* -> Enter a wildcard `\*.{HOST}`.* \(hence also: address\)",
            WILDCARD,
        ),
    ],
    "where sessions would run": [
        Fault(
            "systemctl stop visa-engine",
            "engines, node1",
            r"nothing listens there.* -> .*`systemctl status visa-engine.*\(hence also: clock, images\)",
            "systemctl start visa-engine",
        ),
        Fault(
            f"cat > {PROFILES}/elsewhere.yaml <<'END'{ELSEWHERE}END",
            "slurm",
            "Slurm does not answer.* -> `scontrol ping`",
            f"rm {PROFILES}/elsewhere.yaml",
        ),
        Fault("true", "machines, libvirt", "no Python package libvirt.* -> .*`visa_extras: hub,vm`", "true"),
    ],
    "the portal": [stopped("visa-portal", "portal", "does not answer")],
    "the hub": [stopped("visa-hub", "hub", "does not run")],
}


@pytest.mark.parametrize("what", TOGETHER)
def test_what_is_broken_is_named_with_how_to_mend_it(named: Site, what):
    faults = TOGETHER[what]
    for fault in faults:
        named.machine.run(fault.breaking)
    try:
        found = look(named)
    finally:
        for fault in faults:
            named.machine.run(fault.undoing or "true")
    wrong = found.under("WRONG")
    for fault in faults:
        if not fault.undoing and fault.place in wrong:
            named.machine.run(re.search(r"-> `(.+?)`", wrong[fault.place])[1])
    if not all(fault.undoing for fault in faults):
        named.machine.until("visa doctor --only hub --only portal --only secrets", 60)
    assert sorted(wrong) == sorted(fault.place for fault in faults), found.said
    for fault in faults:
        assert re.search(fault.words, wrong[fault.place]), wrong[fault.place]
    assert found.under("COULD NOT BE CHECKED") == {}
    assert found.code == 1


def test_nothing_is_left_of_it(named: Site):
    """What the doctor's own commands were for is mended by them."""
    found = look(named)
    assert (found.code, found.under("WRONG")) == (0, {}), found.said
    assert set(found.under("WARNING")) <= by_itself()
