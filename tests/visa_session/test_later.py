"""Which pages put off the extensions that the launcher does not need."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from jupyterlab_server.workspaces_handler import WorkspacesManager

from visa_session import later

NAMES = ["visa-session", "jupyterlab-h5web", "jupyterlab-slurm", "@jupyter/docprovider-extension"]
EMPTY = {
    "main": {"dock": {"type": "tab-area", "currentIndex": 0, "widgets": []}},
    "left": {"current": "filebrowser"},
}


@pytest.fixture(autouse=True)
def with_a_cluster(monkeypatch):
    monkeypatch.setattr(later.cluster, "reached", lambda: True)


def test_the_clusters_panel_is_nowhere_without_a_cluster(tmp_path, monkeypatch):
    monkeypatch.setattr(later.cluster, "reached", lambda: False)
    page = {"federated_extensions": [{"name": name, "load": "static/a.js"} for name in NAMES]}
    for tree, behind in ((None, NAMES[1:2]), ("/tree/a.h5", [])):
        handler = SimpleNamespace(
            path_kwargs={"mode": "lab", "tree": tree}, request=SimpleNamespace(query="")
        )
        later.put_off(handler, page, str(tmp_path))
        assert names(page, "visaLater") == behind
        assert "jupyterlab-slurm" not in names(page, "federated_extensions")
        page["federated_extensions"] = [{"name": name, "load": "static/a.js"} for name in NAMES]


def names(page, key):
    return [one["name"] for one in page[key]]


def asked(workspaces, query="", **address):
    page = {
        "federated_extensions": [{"name": name, "load": "static/a.js"} for name in NAMES],
        "visaLater": ["old"],
    }
    handler = SimpleNamespace(path_kwargs=address, request=SimpleNamespace(query=query))
    later.put_off(handler, page, str(workspaces))
    assert sorted([*names(page, "federated_extensions"), *names(page, "visaLater")]) == sorted(NAMES)
    return names(page, "visaLater")


def leave(workspaces, name, layout):
    left = {"data": {"layout-restorer:data": layout}, "metadata": {"id": name}}
    WorkspacesManager(str(workspaces)).save(name, json.dumps(left))


def test_a_page_with_nothing_to_open_has_them_later(tmp_path):
    assert asked(tmp_path, mode="lab", workspace=None, tree=None) == NAMES[1:3]
    leave(tmp_path, "default", EMPTY)
    assert asked(tmp_path, mode="lab") == NAMES[1:3]
    leave(tmp_path, "member-1", EMPTY)
    assert asked(tmp_path, mode="lab", workspace="/workspaces/member-1") == NAMES[1:3]


@pytest.mark.parametrize(
    ("query", "address"),
    [
        ("", {"mode": "lab", "tree": "/tree/a.h5"}),
        ("", {"mode": "doc", "tree": None}),
        ("file-browser-path=a", {"mode": "lab"}),
        ("clone=other", {"mode": "lab"}),
    ],
)
def test_a_page_that_is_to_open_something_has_all_at_once(tmp_path, query, address):
    assert asked(tmp_path, query, **address) == []


@pytest.mark.parametrize(
    "layout",
    [
        {"main": {"dock": {"type": "tab-area", "widgets": ["h5web:a.h5"]}}},
        {
            "main": {
                "dock": {
                    "type": "split-area",
                    "children": [{"widgets": []}, {"widgets": ["notebook:a.ipynb"]}],
                }
            }
        },
        {**EMPTY, "left": {"current": "jupyterlab-slurm"}},
        {**EMPTY, "right": {"current": "jp-property-inspector"}},
        "no layout",
    ],
)
def test_a_layout_with_something_open_has_all_at_once(tmp_path, layout):
    leave(tmp_path, "default", layout)
    assert asked(tmp_path, mode="lab") == []
    assert asked(tmp_path, "reset", mode="lab") == NAMES[1:3]
    assert asked(tmp_path, mode="lab", workspace="/workspaces/other") == NAMES[1:3]


def test_a_layout_that_cannot_be_read_has_all_at_once(tmp_path):
    leave(tmp_path, "default", EMPTY)
    (file,) = tmp_path.iterdir()
    file.write_text("{")
    assert asked(tmp_path, mode="lab") == []
