"""Writing among raw data in JupyterLab: the kernel refuses it, and it is said in words where to write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from visa_session import places
from visa_session.contract import ExperimentInfo, SessionInfo

#: Each way by which JupyterLab changes files, tried among raw data that are mounted read-only.
TRIES = """
import asyncio, json, os, subprocess, sys
from tornado.web import HTTPError
from visa_session.contract import ExperimentInfo, SessionInfo
from visa_session.files import SessionFiles

raw, beside = sys.argv[1:]
os.environ["HOME"] = beside
subprocess.run(["mount", "--bind", raw, raw], check=True)
subprocess.run(["mount", "-o", "remount,bind,ro", raw], check=True)
files = SessionFiles(root_dir="/")
files.info = SessionInfo("alice", "tooth", experiments=(ExperimentInfo("A-1", raw=raw),))
text = {"type": "file", "format": "text", "content": "x"}
notebook = {"type": "notebook", "content": {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}}
tries = {
    "new folder": lambda: files.new_untitled(raw, type="directory"),
    "upload": lambda: files.save(text, raw + "/new.txt"),
    "large upload": lambda: files.save({**text, "chunk": 1}, raw + "/large.txt"),
    "save": lambda: files.save(text, raw + "/scan.txt"),
    "save a notebook": lambda: files.save(notebook, raw + "/new.ipynb"),
    "delete": lambda: files.delete_file(raw + "/scan.txt"),
    "rename": lambda: files.rename_file(raw + "/scan.txt", raw + "/mine.txt"),
    "move in": lambda: files.rename_file(beside + "/mine.txt", raw + "/mine.txt"),
    "duplicate": lambda: files.copy(raw + "/scan.txt"),
    "duplicate a folder": lambda: files.copy(raw + "/sub", raw),
    "by a link": lambda: files.save(text, beside + "/way/new.txt"),
    "copy out": lambda: files.copy(raw + "/scan.txt", beside),
    "what is not there": lambda: files.delete_file(raw + "/nothing"),
}
async def main():
    told = {}
    for name, attempt in tries.items():
        try:
            await attempt()
            told[name] = ""
        except HTTPError as error:
            told[name] = [error.status_code, error.get_message()]
    print(json.dumps(told))
asyncio.run(main())
"""


@pytest.fixture
def directories(tmp_path):
    raw, beside = tmp_path / "raw", tmp_path / "beside"
    (raw / "sub").mkdir(parents=True)
    beside.mkdir()
    (raw / "scan.txt").write_text("counts")
    (beside / "mine.txt").write_text("mine")
    (beside / "way").symlink_to(raw)
    return raw, beside


def test_a_change_among_raw_data_is_refused_in_words_that_say_where_to_write(directories):
    raw, beside = directories
    command = ["unshare", "--mount", sys.executable, "-c", TRIES, str(raw), str(beside)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(places.__file__).parents[1])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told.pop("copy out") == ""
    assert told.pop("what is not there")[0] == 404
    words = "Raw data are read-only: nothing is written, renamed or deleted among them. "
    assert told == dict.fromkeys(told, [403, f"{words}Write to {beside} instead."])
    assert sorted(one.name for one in raw.iterdir()) == ["scan.txt", "sub"]


def test_what_lies_among_raw_data_and_is_meant_for_results_is_none_of_them(tmp_path):
    for below in ("raw/sub", "raw/results", "rawer"):
        (tmp_path / below).mkdir(parents=True)
    one = ExperimentInfo("A-1", raw=f"{tmp_path}/raw", processed=f"{tmp_path}/raw/results")
    info = SessionInfo("alice", "tooth", experiments=(ExperimentInfo("B-2"), one))
    found = {
        below: places.raw_data_of(info, f"{tmp_path}/{below}")
        for below in ("raw", "raw/sub/new", "raw/results/new", "rawer/new", "new")
    }
    assert found == {"raw": one, "raw/sub/new": one, "raw/results/new": None, "rawer/new": None, "new": None}
