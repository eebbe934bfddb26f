"""The document that makes a waiting session somebody's: taken or refused, and what is made of it."""

from __future__ import annotations

import base64
import io
import json
import os
import selectors
import stat
import tarfile

import pytest

from visa_session import hostname
from visa_session.door import Door
from visa_session.handover import LARGEST, Refused, read
from visa_session.person import check
from visa_session.unpacking import unpack
from visa_spawner.backends.files import archive
from visa_spawner.session import Person

DOCUMENT = {
    "uid": 1001,
    "gid": 1002,
    "gids": [2001, 2002],
    "environment": {"HOME": "/home/alice", "NAME": "Zoë"},
    "files": base64.b64encode(b"a tar").decode(),
    "hostname": "tooth",
}


def document(**changes) -> bytes:
    return json.dumps(DOCUMENT | changes).encode()


def test_a_document_is_read_as_it_was_meant():
    found = read(document())
    assert (found.uid, found.gid, found.gids) == (1001, 1002, (2001, 2002))
    assert found.environment == {"HOME": "/home/alice", "NAME": "Zoë"}
    assert (found.files, found.hostname) == (b"a tar", "tooth")
    assert read(document(gids=[], hostname="", files="")).gids == ()


@pytest.mark.parametrize("name", ["uid", "gid"])
@pytest.mark.parametrize("value", [0, -1, True, 1.0, "1001", None, 2**32 - 1, 2**32, [1001]])
def test_nobody_becomes_the_systems_own(name, value):
    with pytest.raises(Refused, match=name):
        read(document(**{name: value}))
    with pytest.raises(Refused, match="gids"):
        read(document(gids=[2001, value]))


@pytest.mark.parametrize(
    "environment",
    [
        *({name: "x"} for name in ("", "A=B", "A B", "1A", "A\n", "A\0", "É", "A*")),
        *({"A": value} for value in ("x\0y", 1, None, ["x"], "\ud800", "x" * 131072)),
        ["A=B"],
        None,
    ],
)
def test_odd_environments_are_refused(environment):
    with pytest.raises(Refused):
        read(document(environment=environment))


@pytest.mark.parametrize("name", ["-x", "x-", "a.b", "a b", "a\n", "x" * 64, None, 1])
def test_odd_names_of_hosts_are_refused(name):
    with pytest.raises(Refused, match="hostname"):
        read(document(hostname=name))


@pytest.mark.parametrize("files", ["***", "Zg", None, 1, "Zg==\n"])
def test_files_are_base64_and_nothing_else(files):
    with pytest.raises(Refused, match="files"):
        read(document(files=files))


def test_what_is_not_whole_or_not_expected_is_refused():
    whole = document()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        with pytest.raises(Refused, match="not whole"):
            read(whole[:cut])
    for other in (b"[]", b"null", b"\xff", b"[" * 100_000, whole[:-1] + b', "uid": 1003}'):
        with pytest.raises(Refused):
            read(other)
    with pytest.raises(Refused, match="nothing else"):
        read(document(privileged=True))
    with pytest.raises(Refused, match="nothing else"):
        read(json.dumps({name: DOCUMENT[name] for name in DOCUMENT if name != "gids"}).encode())
    with pytest.raises(Refused, match="bytes"):
        read(b" " * LARGEST + whole)


def test_a_refusal_repeats_nothing_of_the_document():
    secret = "a-token-that-nobody-may-read"
    for changes in (
        {"environment": {"A": secret + "\0"}},
        {"environment": {secret + " ": "x"}},
        {"hostname": secret + "_"},
        {"files": secret},
        {"uid": secret},
        {secret: 1},
    ):
        with pytest.raises(Refused) as refused:
            read(document(**changes))
        assert secret not in str(refused.value)
    with pytest.raises(Refused) as refused:
        read(document(uid=1001)[:-30] + secret.encode())
    assert secret not in str(refused.value)
    assert refused.value.__suppress_context__, "nor does its log"


# The files -------------------------------------------------------------------------------------------------
PERSON = Person("alice", 1001, 1002, (2001,), "/home/alice")


@pytest.fixture
def root(tmp_path):
    """A root as an image has it: read-only by its mode, with names of its own."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (tmp_path / "etc/shadow").write_text("secret")
    tmp_path.chmod(0o555)
    return tmp_path


def tar_of(*entries: tuple[str, dict]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, fields in entries:
            entry = tarfile.TarInfo(name)
            text = fields.pop("text", b"")
            entry.size = len(text)
            for field, value in fields.items():
                setattr(entry, field, value)
            tar.addfile(entry, io.BytesIO(text))
    return buffer.getvalue()


def everything(root) -> dict:
    found = {}
    for path in sorted(root.rglob("*")):
        is_file = path.is_file() and not path.is_symlink()
        found[str(path.relative_to(root))] = path.read_text() if is_file else os.path.islink(path)
    return found


def test_what_the_container_backend_writes_is_unpacked(root):
    ways = {"/experiments/a1/raw": "/data/raw", "/experiments/a1/datasets/one": "/data/raw/one"}
    (root / "experiments").rmdir()
    unpack(archive(PERSON, ways, (), {"/experiments/passport.json": "{}"}), str(root))
    assert "alice:x:1001:1002::/home/alice" in (root / "etc/passwd").read_text()
    assert "g2001:x:2001:alice" in (root / "etc/group").read_text()
    assert os.readlink(root / "experiments/a1/raw") == "/data/raw"
    passport = (root / "experiments/passport.json").stat()
    assert (stat.S_IMODE(passport.st_mode), passport.st_uid) == (0o444, 0)
    assert stat.S_IMODE(root.stat().st_mode) == 0o555, "as it was"
    # A folder, a link and a file that are there already are no obstacle.
    unpack(archive(PERSON, {"/experiments/a1/raw": "/data/other"}), str(root))
    assert os.readlink(root / "experiments/a1/raw") == "/data/other"


def test_nothing_to_unpack_is_fine(root):
    unpack(b"", str(root))


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc"}


@pytest.mark.parametrize(
    "entries",
    [
        [("/etc/passwd", {"text": b"x"})],
        [("../etc/passwd", {"text": b"x"})],
        [("experiments/../etc/shadow", {"text": b"x"})],
        [("./etc/passwd", {"text": b"x"})],
        [("etc//passwd", {"text": b"x"})],
        [("etc/shadow", {"text": b"x"})],
        [("etc/ld.so.preload", {"text": b"x"})],
        [("usr/bin/sh", {"text": b"x"})],
        [("opt/visa/x", {"text": b"x"})],
        [("experiments", {"text": b"x"})],
        [("experiments", LINK)],
        [("etc/passwd", LINK)],
        [("etc/passwd", {"type": tarfile.DIRTYPE})],
        [("experiments/x", {"type": tarfile.SYMTYPE, "linkname": "../etc/shadow"})],
        [("experiments/x", {"type": tarfile.LNKTYPE, "linkname": "etc/shadow"})],
        [("experiments/x", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})],
        [("experiments/x", {"type": tarfile.BLKTYPE, "devmajor": 254})],
        [("experiments/x", {"type": tarfile.FIFOTYPE})],
        [("experiments/x", {"type": tarfile.CONTTYPE, "text": b"x"})],
        # What is wrong comes last: nothing before it is made.
        [("etc/passwd", {"text": b"x"}), ("etc/shadow", {"text": b"x"})],
        # Through a link that came before it, in the same tar.
        [
            ("experiments", {"type": tarfile.DIRTYPE, "mode": 0o755}),
            ("experiments/x", LINK),
            ("experiments/x/shadow", {"text": b"x"}),
        ],
        [("experiments/no/folder", {"text": b"x"})],
    ],
)
def test_a_tar_that_reaches_elsewhere_is_refused(root, entries):
    before = everything(root)
    with pytest.raises(Refused):
        unpack(tar_of(*[(name, dict(fields)) for name, fields in entries]), str(root))
    after = everything(root)
    after.pop("experiments/x", None)  # the link that is not gone through
    assert after == before


def test_a_file_that_is_there_as_a_link_is_replaced_not_followed(root):
    (root / "etc/passwd").unlink()
    (root / "etc/passwd").symlink_to(root / "etc/shadow")
    unpack(archive(PERSON, {}), str(root))
    assert (root / "etc/shadow").read_text() == "secret"
    assert not (root / "etc/passwd").is_symlink()


def test_bits_that_give_rights_are_not_taken_over(root):
    unpack(tar_of(("experiments/x", {"text": b"x", "mode": 0o6755, "uid": 1001})), str(root))
    made = (root / "experiments/x").stat()
    assert (stat.S_IMODE(made.st_mode), made.st_uid) == (0o755, 0)


def test_a_tar_that_is_cut_off_or_none_is_refused(root):
    whole = archive(PERSON, {"/experiments/a1/raw": "/data/raw"}, (), {"/experiments/p": "x" * 5000})
    before = everything(root)
    for part in (b"no tar at all" * 100, whole[: len(whole) - 1700], whole[:700]):
        with pytest.raises(Refused):
            unpack(part, str(root))
    assert everything(root) == before


# The rest --------------------------------------------------------------------------------------------------
def test_a_process_that_is_still_root_is_found_out():
    with pytest.raises(Refused, match="every respect"):
        check(read(document()))


def test_a_thread_that_kept_something_is_found_out(tmp_path):
    person = {"Uid": "1001\t1001\t1001\t1001", "Gid": "1002\t1002\t1002\t1002", "Groups": "1002 2001 2002 "}
    person |= dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0000000000000000")
    person |= {"NoNewPrivs": "1"}

    def put(task: str, **changes) -> None:
        (tmp_path / task).mkdir(exist_ok=True)
        lines = [f"{name}:\t{value}" for name, value in (person | changes).items()]
        (tmp_path / task / "status").write_text("\n".join(lines))

    who = read(document())
    put("1")
    put("2")
    check(who, tmp_path)
    for name, value in (
        ("CapEff", "00000000000000c0"),
        ("CapBnd", "00000000000000c0"),
        ("Uid", "1001\t1001\t0\t1001"),
        ("Gid", "1002\t0\t1002\t1002"),
        ("Groups", "0 1002 2001 2002"),
        ("Groups", "1002"),
        ("NoNewPrivs", "0"),
    ):
        put("2", **{name: value})
        with pytest.raises(Refused):
            check(who, tmp_path)


def test_a_new_name_stands_where_the_old_one_did(tmp_path):
    (tmp_path / "hostname").write_text("visa-warm\n")
    (tmp_path / "hosts").write_text("127.0.0.1\tlocalhost\n10.0.0.2\tvisa-warm visa-warm-er\n")
    environment = {"HOSTNAME": "visa-warm"}
    hostname.follow("visa-warm", "tooth", environment, tmp_path)
    assert (tmp_path / "hostname").read_text() == "tooth\n"
    assert (tmp_path / "hosts").read_text() == "127.0.0.1\tlocalhost\n10.0.0.2\ttooth\tvisa-warm-er\n"
    assert environment == {"HOSTNAME": "tooth"}


def test_a_door_is_made_once(tmp_path):
    with selectors.DefaultSelector() as selector:
        path = tmp_path / "visa/handover"
        made = Door(selector, str(path))
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        made.close()
        assert not path.exists()
        with pytest.raises(FileExistsError):
            Door(selector, str(path))
