"""Another experiment's data in a session that runs, on the real site: there at once, and gone again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .site import Account, RunningSite, patiently


def experiments(site: RunningSite, name: str) -> list[dict]:
    """Those of that person's team with data on disk."""
    lines = (site.run / "experiments.jsonl").read_text().splitlines()
    entries = (json.loads(line) for line in lines)
    return [it for it in entries if name in it["team"] and Path(it["raw"]).is_dir()]


@pytest.fixture
def dawid(site: RunningSite):
    account = site.account("dawid")
    yield account
    account.remove("grows")


def listed(account: Account, path: str) -> set[str] | None:
    """What JupyterLab's file browser shows of a directory; None where there is none."""
    answer = account.in_session("grows", f"api/contents{path}")
    return {it["name"] for it in answer.json()["content"]} if answer.status_code == 200 else None


def test_data_come_to_a_session_that_runs_and_leave_it(site, dawid):
    first, second = experiments(site, "dawid")[:2]
    dawid.started("grows", experiments=[first["id"]], profile="general", plan="small")
    place = f"/experiments/{second['id']}/raw"
    assert listed(dawid, place) is None
    answer = dawid.call("POST", "visa/sessions/dawid/grows/data", json={"experiment": second["id"]})
    assert answer.status_code == 200, answer.text
    there = {path.name for path in Path(second["raw"]).iterdir()}
    assert there
    assert listed(dawid, place) == there
    for user in (None, "root"):
        done = dawid.run("grows", f"touch {place}/mine; touch {second['raw']}/mine", user)
        assert done.stderr.count("Read-only file system") == 2, done.stderr
    for _ in patiently(10):
        told = dawid.in_session("grows", "visa/session").json()["experiments"]
        if [one["id"] for one in told] == [first["id"], second["id"]]:
            break
    passport = dawid.in_session("grows", "visa/passport.json").json()
    assert [one["id"] for one in passport["experiments"]] == [first["id"], second["id"]]
    answer = dawid.call("DELETE", f"visa/sessions/dawid/grows/data/{second['id']}")
    assert answer.status_code == 200, answer.text
    assert listed(dawid, place) is None
    assert not dawid.run("grows", f"ls -d {second['raw']}").stdout
    passport = dawid.in_session("grows", "visa/passport.json").json()
    assert [one["id"] for one in passport["experiments"]] == [first["id"]]
