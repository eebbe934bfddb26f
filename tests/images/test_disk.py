"""The base image as a machine's disk: it boots, waits, lets nobody in, and has what a session needs."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from images.build import main as build_main
from images.disk import main as disk_main
from tests.images.guest import Guest
from visa_session.contract import EXIT_BAD_INFO

NAME = "base"
#: Kept for the next run, as the other results are: it takes a minute.
IMAGES = Path("/var/lib/visa-test-images")
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def disk():
    assert build_main([NAME]) == 0
    assert disk_main([NAME, str(IMAGES), "--keep-hours", "1"]) == 0
    return IMAGES / f"{NAME}.qcow2"


@pytest.fixture(scope="module")
def guest(disk):
    """It, booted by BIOS, on a disk that is larger than the image."""
    with tempfile.TemporaryDirectory(prefix="visa-guest-") as folder:
        machine = Guest(disk, Path(folder), gigabytes=30)
        try:
            machine.until_up(240)
            yield machine
        finally:
            machine.stop()


def test_it_comes_up_whole(guest):
    code, said = guest.run("/bin/systemctl", "is-system-running", "--wait")
    assert (code, said) == (0, "running\n"), guest.run("/bin/systemctl", "--failed")[1]
    assert "multi-user.target" in guest.run("/bin/systemctl", "get-default")[1]
    assert "Started" in guest.said() and "QEMU Guest Agent" in guest.said(), "the serial console tells"


def test_its_root_takes_the_whole_disk(guest):
    code, said = guest.run("/bin/df", "--output=size", "-BG", "/")
    assert code == 0 and 28 <= int(said.split()[-1].rstrip("G")) <= 30, said


def test_it_has_the_session_and_says_that_there_is_none_yet(guest):
    code, said = guest.run("/opt/visa/venv/bin/visa-session")
    assert (code, "this is not a VISA session" in said) == (EXIT_BAD_INFO, True), said
    code, said = guest.run(
        "/usr/bin/setpriv", "--reuid=1234", "--clear-groups", "/bin/cat", "/opt/visa/packages.txt"
    )
    assert code == 0 and "\nqemu-guest-agent " in said, "what the machine has beside the image is listed too"


def test_nobody_can_become_anybody_else(guest):
    # Every file of the disk is looked at, by a processor that is software.
    found = guest.run("/usr/bin/find", "/", "-xdev", "-perm", "/6000", "-type", "f", seconds=240)
    assert found == (0, "")


def test_nobody_can_log_in(guest):
    code, said = guest.run("/bin/grep", "-v", "^[^:]*:[*!]", "/etc/shadow")
    assert (code, said) == (1, ""), "an account has a password"
    code, said = guest.run("/usr/bin/find", "/root", "/home", "/etc/ssh", "-name", "*key*")
    assert said == "" or code == 1 and "No such file" in said, said
    assert "getty" not in guest.run("/bin/systemctl", "list-units", "--no-legend", "--type=service")[1]
    listening = guest.run("/bin/ss", "-Htuln")[1].splitlines()
    # The resolver's own addresses, and the client that got ours.
    own = [
        line
        for line in listening
        if line.split()[4].startswith("127.0.0.5") or line.split()[4].endswith(":68")
    ]
    assert listening == own


def test_each_machine_has_an_identity_of_its_own(guest, disk):
    code, said = guest.run("/bin/cat", "/etc/machine-id")
    assert code == 0 and len(said.strip()) == 32
    about = json.loads(disk.with_name(f"{disk.name}.json").read_text())
    assert about["form"] == "qcow2" and about["labels"]["org.visa.recipe"]
    # In the disk itself there is none: it would be every machine's.
    assert guest.run("/bin/journalctl", "-b", "-o", "cat", "--grep", "Initializing machine ID")[0] == 0


def test_it_boots_by_uefi_as_well(disk, tmp_path):
    machine = Guest(disk, tmp_path, uefi=True)
    try:
        machine.until_up(240)
        assert machine.run("/usr/bin/test", "-d", "/sys/firmware/efi")[0] == 0
    finally:
        machine.stop()
