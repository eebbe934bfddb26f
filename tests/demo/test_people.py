"""Accounts of the demo's on this machine: there while wanted, in nobody's way, gone afterwards."""

from __future__ import annotations

import os
import pwd
import subprocess
from pathlib import Path

import pytest

from demo import computing
from demo.cluster import people
from demo.cluster.people import Account, NameTaken

OWNER = f"tests-{os.getpid()}-people"
ODD = Account("odd one;$(x)", 20981, 20981, "/nowhere", (30981,))
PLAIN = Account("plain", 20982, 20982, "/nowhere")


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """The files in a folder of the test's own, where nobody else has accounts."""
    (tmp_path / "nsswitch.conf").write_text("passwd:         files systemd\ngroup: files\nhosts: files\n")
    monkeypatch.setattr(people, "EXTRA", tmp_path / "extrausers")
    monkeypatch.setattr(people, "BOOK", tmp_path / "extrausers/visa")
    monkeypatch.setattr(people, "NSSWITCH", tmp_path / "nsswitch.conf")
    return tmp_path


def look_up(*command: str) -> str:
    """What a process of its own is told, as a daemon would be."""
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def test_they_are_accounts_of_the_machine_until_taken_away():
    try:
        people.give(OWNER, [ODD], {people.team(30981): 30981})
        assert pwd.getpwnam(ODD.name).pw_uid == 20981
        assert look_up("id", "-G", ODD.name) == "20981 30981"
        assert look_up("getent", "group", "30981") == f"team30981:x:30981:{ODD.name}"
    finally:
        people.take_away(OWNER)
    assert look_up("getent", "passwd", "20981") == ""
    assert OWNER not in people.owners()


@pytest.mark.parametrize(
    "account",
    [
        Account("root", 20983, 20983, "/"),
        Account("someone", 0, 0, "/"),
        Account("x", 20984, 20984, "/", (0,)),
    ],
)
def test_what_the_machine_has_already_is_not_touched(elsewhere, account):
    with pytest.raises(NameTaken, match="root"):
        people.give(OWNER, [account], dict(zip(["team"], account.gids, strict=False)))
    assert people.owners() == [] and not (elsewhere / "extrausers/passwd").exists()


def test_the_demo_does_without_who_is_somebody_else_here(elsewhere, capsys):
    """Its cluster is a part of it: a machine with an account of the same name must not lose the rest."""
    known = [PLAIN, Account("root", 20986, 20986, "/"), Account("ann", 20987, 20987, "/", (30986, 0))]
    computing.lend(OWNER, known)
    assert people.owners() == [OWNER]
    names = [line.split(":")[0] for line in (elsewhere / "extrausers/passwd").read_text().splitlines()]
    assert names == ["plain", "ann"]
    assert people.team(0) not in (elsewhere / "extrausers/group").read_text()
    assert capsys.readouterr().out.count("Careful: This machine has") == 2


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "a,b"])
def test_a_name_that_no_account_file_can_hold_is_refused(elsewhere, name):
    with pytest.raises(ValueError, match="cannot be a name"):
        people.give(OWNER, [Account(name, 20985, 20985, "/")])


def test_two_owners_share_a_machine_and_others_lines_stay(elsewhere):
    before = (elsewhere / "nsswitch.conf").read_text()
    passwd = elsewhere / "extrausers/passwd"
    passwd.parent.mkdir()
    passwd.write_text("theirs:x:20990:20990::/:/bin/sh\n")
    people.give("one", [ODD, PLAIN], {"team30981": 30981})
    people.give("two", [PLAIN])
    assert (
        "passwd:         files systemd extrausers\ngroup: files extrausers\nhosts: files\n"
        == (elsewhere / "nsswitch.conf").read_text()
    )
    people.take_away("one")
    assert [line.split(":")[0] for line in passwd.read_text().splitlines()] == ["theirs", "plain"]
    people.take_away("two")
    assert passwd.read_text() == "theirs:x:20990:20990::/:/bin/sh\n"
    assert not Path(elsewhere / "extrausers/group").exists()
    assert (elsewhere / "nsswitch.conf").read_text() == before
