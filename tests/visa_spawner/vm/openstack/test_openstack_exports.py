"""What is exported to a machine, and that it is taken back, with a kernel of plain values."""

import json
import subprocess
import sys

import pytest

from visa_spawner.backends.vm.openstack import exports
from visa_spawner.backends.vm.openstack.exports import Exports

ONE, TWO = "visa-here-0123456789abcdef", "visa-here-fedcba9876543210"
OTHERS = "visa-here-two-0123456789abcdef"
DIRECTORIES = [
    {"path": "/data/raw one", "read_only": True, "uid": 20001, "gid": 30001},
    {"path": "/home/alice", "read_only": False, "uid": 20001, "gid": 20001},
]
RAW, HOME = "10.1.0.5:/data/raw one", "10.1.0.5:/home/alice"


class Kernel:
    """What is exported; `wrong` is said of what is in it, `anew` is what the files of the server say."""

    def __init__(self):
        self.exported, self.wrong, self.asked = {}, {}, []

    def __call__(self, *words):
        self.asked.append(words)
        if words == ("-ra",):
            self.exported.clear()
            return "exportfs: Failed to stat /gone/by/staff: No such file or directory"
        if wrong := self.wrong.get(words[-1]):
            return wrong
        if words[0] == "-u":
            return (
                ""
                if self.exported.pop(words[1], None)
                else f"exportfs: Could not find '{words[1]}' to unexport."
            )
        assert words[:2] == ("-i", "-o"), "no foreign line counts"
        self.exported[words[3]] = words[2]
        return ""


@pytest.fixture
def kernel():
    return Kernel()


@pytest.fixture
def here(tmp_path, kernel):
    return Exports(tmp_path, kernel)


def asked(do, machine=ONE, address="10.1.0.5", directories=DIRECTORIES):
    return {"do": do, "machine": machine, "address": address, "directories": directories}


def test_a_machine_gets_its_directories_alone_as_the_person(here, kernel, tmp_path):
    here.do(asked("add"))
    raw, home = (tmp_path / f"{ONE}.exports").read_text().splitlines()
    how = "ro,subtree_check,sync,secure,all_squash,anonuid=20001,anongid=30001"
    assert raw == rf"/data/raw\040one 10.1.0.5({how})"
    assert home.startswith("/home/alice 10.1.0.5(rw,")
    assert kernel.exported[RAW] == how and kernel.exported[HOME].startswith("rw,")
    here.do(asked("remove"))
    assert not kernel.exported and not list(tmp_path.iterdir())


@pytest.mark.parametrize("do", ["remove", "keep"])
def test_what_could_not_be_taken_back_is_tried_again(here, kernel, tmp_path, do):
    here.do(asked("add"))
    kernel.wrong = {HOME: "exportfs: cannot lock"}
    for _ in range(2):
        with pytest.raises(OSError, match="cannot lock"):
            here.do(asked(do) | {"hub": "here", "machines": []})
        assert HOME in kernel.exported and RAW not in kernel.exported
    assert not list(tmp_path.glob("*.exports")), "a server that starts anew exports it no more"
    kernel.wrong.clear()
    here.do(asked(do) | {"hub": "here", "machines": []})
    assert not kernel.exported and not list(tmp_path.iterdir())


def test_one_killed_in_between_is_taken_back(here, kernel, tmp_path):
    here.do(asked("add"))
    (tmp_path / f"{ONE}.exports").rename(tmp_path / f"{ONE}.gone")
    here.do(asked("remove"))
    assert not kernel.exported and not list(tmp_path.iterdir())


def test_a_file_that_somebody_removed_is_taken_back_all_the_same(here, kernel, tmp_path):
    here.do(asked("add"))
    (tmp_path / f"{ONE}.exports").unlink()
    here.do(asked("remove"))
    assert not kernel.exported


def test_a_line_of_its_own_that_fails_is_a_no(here, kernel):
    kernel.wrong = {HOME: "exportfs: Failed to stat /home/alice"}
    with pytest.raises(OSError, match="Failed to stat"):
        here.do(asked("add"))


def test_nothing_is_left_at_an_address_for_whoever_gets_it_next(here, kernel):
    here.do(asked("add"))
    home = [{"path": "/home/bob", "read_only": False, "uid": 20002, "gid": 20002}]
    here.do(asked("add", TWO, directories=home))
    assert list(kernel.exported) == ["10.1.0.5:/home/bob"]
    kernel.wrong = {"10.1.0.5:/home/bob": "exportfs: cannot lock"}
    with pytest.raises(OSError):
        here.do(asked("remove", TWO))
    with pytest.raises(OSError):
        here.do(asked("add"))
    assert list(kernel.exported) == ["10.1.0.5:/home/bob"], "nobody else's beside it"
    kernel.wrong.clear()
    with pytest.raises(ValueError, match="another hub's"):
        here.do(asked("add", OTHERS))
    here.do(asked("add", ONE))
    here.do(asked("add", ONE, directories=home))
    assert list(kernel.exported) == ["10.1.0.5:/home/bob"], "of its own no more than was asked for last"


def test_only_this_hubs_machines_that_are_no_more_are_taken_back(here, kernel):
    here.do(asked("add"))
    here.do(asked("add", TWO, "10.1.0.6"))
    here.do(asked("add", OTHERS, "10.1.0.7"))
    kernel.wrong = {RAW: "exportfs: cannot lock"}
    with pytest.raises(OSError, match="cannot lock"):
        here.do({"do": "keep", "hub": "here", "machines": []})
    assert {one.partition(":")[0] for one in kernel.exported} == {"10.1.0.5", "10.1.0.7"}
    kernel.wrong.clear()
    here.do({"do": "keep", "hub": "here", "machines": []})
    assert {one.partition(":")[0] for one in kernel.exported} == {"10.1.0.7"}


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/a/../b"},
        {"path": "a"},
        {"path": "/"},
        {"uid": 0},
        {"gid": True},
        {"uid": "1,no_root_squash"},
        {"read_only": "no"},
    ],
)
def test_what_must_not_be_exported_is_refused(here, kernel, tmp_path, change):
    directory = {"path": "/a", "read_only": True, "uid": 1, "gid": 1} | change
    with pytest.raises((ValueError, TypeError)):
        here.do(asked("add", directories=[directory]))
    with pytest.raises(ValueError):
        here.do({"do": "remove", "machine": "../../etc/passwd"})
    assert not list(tmp_path.iterdir()) and not kernel.asked


@pytest.mark.parametrize("address", ["*", "10.1.0.0/8", "host", "10.1.0.5(rw,no_root_squash) 10.1.0.6"])
def test_nothing_is_exported_to_more_than_one_address(here, kernel, address):
    with pytest.raises(ValueError):
        here.do(asked("add", address=address))
    assert not kernel.asked


def test_the_program_says_in_one_sentence_what_it_cannot_do():
    words = [sys.executable, "-I", exports.__file__]
    done = subprocess.run(words, input=json.dumps({"do": "all"}), capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and done.stderr == "visa-exports: ValueError: nothing that is done here\n"
