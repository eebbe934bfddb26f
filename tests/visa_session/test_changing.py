"""More data in a machine, and fewer, by its own program; mounts of memory stand for a server's."""

import json
import subprocess

import pytest

from visa_session import changing
from visa_session.handover import Refused

MOUNT = {"server": "10.0.0.1", "port": 1, "export": "/share/a", "read_only": True, "uid": 20001}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Folders of this machine, and mounts of memory in place of 9p: this kernel may have none."""
    real, fails = changing.run_command, set()

    def run(what, *words):
        if what == "mount":
            if words[-1] in fails:
                raise Refused("mount failed")
            words = ["-t", "tmpfs", "-o", "size=1m", "none", words[-1]]
        real(what, *words)

    monkeypatch.setattr(changing, "run_command", run)
    yield tmp_path, fails
    for line in reversed(open("/proc/self/mounts").readlines()):
        if line.split()[1].startswith(f"{tmp_path}/"):
            subprocess.run(["umount", "--lazy", line.split()[1]], check=True)


def change(**asked):
    document = {"mounts": [], "links": {}, "texts": {}, "gone": [], "unlinked": []} | asked
    changing.carry_out(changing.read(json.dumps(document).encode()))


def mounted(path):
    return changing._is_mounted(str(path))


def test_data_come_and_go(place):
    root, _ = place
    raw, link, text = root / "data/b2/raw", root / "experiments/B-2/raw", root / "experiments/passport.json"
    wanted = {"mounts": [MOUNT | {"target": str(raw)}], "links": {str(link): str(raw)}}
    change(**wanted, texts={str(text): "first"})
    assert mounted(raw) and link.readlink() == raw and text.read_text() == "first"
    assert text.stat().st_mode & 0o777 == 0o444
    with pytest.raises(Refused, match="already"):
        change(**wanted)
    assert mounted(raw) and link.is_symlink()
    gone = {"gone": [str(raw)], "unlinked": [str(link)]}
    change(**gone, texts={str(text): "second"})
    assert not mounted(raw) and not (root / "data").exists() and not link.parent.exists()
    assert text.read_text() == "second"
    change(**gone)


@pytest.mark.parametrize("what", ["mount", "link"])
def test_what_fails_by_half_is_not_there(place, what):
    root, fails = place
    first, second, link = root / "a/raw", root / "b/raw", root / "experiments/B-2/raw"
    if what == "mount":
        fails.add(str(second))
    else:
        link.parent.mkdir(parents=True)
        link.write_text("something else")
    mounts = [MOUNT | {"target": str(one)} for one in (first, second)]
    with pytest.raises(Refused):
        change(mounts=mounts, links={str(link): str(first)}, texts={str(root / "text"): "new"})
    assert not mounted(first) and not (root / "a").exists() and not (root / "b").exists()
    assert not (root / "text").exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"gone": ["/a/../etc"]},
        {"gone": ["relative"]},
        {"links": {"/a": "../b"}},
        {"texts": {"/": "x"}},
        {"more": 1},
        {"mounts": [MOUNT | {"target": "/a", "uid": 0}]},
        {"mounts": [MOUNT | {"target": "/a", "export": "/share/../x"}]},
        {"mounts": "x"},
        {"links": []},
    ],
)
def test_what_is_no_such_document_is_refused(wrong):
    with pytest.raises(Refused, match="not whole"):
        change(**wrong)
