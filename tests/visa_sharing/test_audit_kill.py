"""A hub that is killed between a commit and the events file: the next one completes the file."""

import json
import os

import pytest
from sharing_hub import a_sharing_hub
from staff_hub import StaffHub


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "events.jsonl"
    with a_sharing_hub({"events_file": str(path)}, kind=StaffHub) as hub:
        hub.path = path
        for name in ("alice", "bob", "adam"):
            hub.token(name)
        hub.run("tooth")
        yield hub


def numbers(text):
    return [json.loads(line)["id"] for line in text.splitlines()]


def committed(hub):
    return [row[0] for row in hub.sql("SELECT id FROM visa_events ORDER BY id")]


def change(hub, role):
    """One committed change of the members, with its line."""
    answer = hub.let_in("bob", role)
    assert answer.status_code == 201, answer.text


def in_step(hub):
    return hub.path.is_file() and numbers(hub.path.read_text()) == committed(hub)


@pytest.mark.parametrize("torn", ["", '{"id":999999,"at":"2026-', "{"])
def test_what_was_committed_before_the_kill_is_in_the_file_after_it_once(hub, torn):
    change(hub, "viewer")
    hub.until(lambda: in_step(hub), 10, "the file holds what the database does")
    # A file that hangs, as on a dead disk: the hub goes on, commits, and answers.
    aside = hub.path.with_name("aside")
    hub.path.rename(aside)
    os.mkfifo(hub.path)
    before = len(committed(hub))
    change(hub, "collaborator")
    change(hub, "viewer")
    hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice")
    assert len(committed(hub)) == before + 3
    assert len(numbers(aside.read_text())) == before
    hub.kill()
    hub.path.unlink()
    aside.rename(hub.path)
    with hub.path.open("a") as file:
        file.write(torn)
    hub.start()
    hub.until(lambda: in_step(hub), 20, "the new hub completes the file")
    # And goes on in it.
    change(hub, "viewer")
    hub.until(lambda: in_step(hub), 10, "the file is followed")
    last = json.loads(hub.path.read_text().splitlines()[-1])
    assert (last["what"], last["whom"], last["details"]["way"]) == ("member-granted", "bob", "person")
    hub.api("DELETE", "visa/sharing/alice/tooth/members/bob", "alice")


def test_rotated_under_a_running_and_under_a_dead_hub(hub):
    hub.until(lambda: in_step(hub), 10, "the file holds what the database does")
    old = numbers(hub.path.read_text())
    hub.path.rename(f"{hub.path}.2")
    change(hub, "viewer")
    hub.until(hub.path.is_file, 10, "a new file is begun")
    hub.until(lambda: old + numbers(hub.path.read_text()) == committed(hub), 10, "it goes on there")
    old += numbers(hub.path.read_text())
    hub.kill()
    hub.path.rename(f"{hub.path}.1")
    hub.start()
    change(hub, "collaborator")
    hub.until(hub.path.is_file, 10, "a new file is begun")
    hub.until(lambda: old + numbers(hub.path.read_text()) == committed(hub), 10, "it goes on there")
