"""Names that the tests of sessions in a queue share."""

from datetime import datetime

from spawner_support import GOOD_OPTIONS

OPTIONS = GOOD_OPTIONS | {"profile": "queue", "plan": "queue"}


def queue(hub, name="tooth", **changes):
    """A session that waits in the queue."""
    assert hub.start_session(name, OPTIONS | changes).status_code in (201, 202)
    return hub.until(lambda: is_queued(hub, name), 15, f"{name} is in the queue")


def is_queued(hub, name="tooth"):
    session = hub.session(name)
    return session["queued"] and session["words"].startswith("In the queue") and session


def move(hub, name="tooth"):
    """The queue moves; gives the session once it is there."""
    (hub.marks / "hold-queue").unlink(missing_ok=True)
    session = hub.until(lambda: (s := hub.session(name))["ready"] and s, 30, f"{name} is ready")
    hub.until(lambda: reachable(hub, name), 10, f"{name} is reached")
    return session


def put_back(hub, name="tooth"):
    """As a cluster does when a node fails; gives the session once it waits again."""
    (hub.marks / "hold-queue").touch()
    (hub.marks / f"alice+{name}.requeue").touch()
    return hub.until(lambda: is_queued(hub, name), 15, f"{name} is back in the queue")


def reachable(hub, name="tooth"):
    answer = hub.http.get(hub.address(name))
    return answer.status_code == 200 and answer.json()["uid"] == 20001


def say(hub, mark, words):
    (hub.marks / "new").write_text(words)
    (hub.marks / "new").replace(hub.marks / mark)


def settled(hub, name="tooth"):
    return hub.until(lambda: (s := hub.session(name))["pending"] is None and s, 20, f"{name} is settled")


def moment(text):
    return datetime.fromisoformat(text)
