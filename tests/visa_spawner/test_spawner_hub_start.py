"""Starts on a real hub, with processes of this machine for sessions."""

import json

from spawner_support import GOOD_OPTIONS


def test_a_session_from_start_to_end(hub):
    answer = hub.start_session("work", GOOD_OPTIONS)
    assert answer.status_code == 201, answer.text
    session = hub.session("work")
    assert (session["state"], session["ready"], session["words"]) == ("running", True, "Running here")
    assert session["experiments"] == ["A-1"]
    assert session["ends"] > session["started"]

    # Through the proxy, as a browser would.
    seen = hub.http.get(f"{hub.url}/user/alice/work/").json()
    assert (seen["uid"], seen["gid"], seen["gids"]) == (20001, 20001, [30001])
    environment = seen["environment"]
    info = json.loads(environment["VISA_SESSION_INFO"])
    assert info["title"] == "Work"
    assert environment["HOME"] == f"{hub.root}/home/alice"
    assert environment["SITE_SAYS"] == "hello work"
    assert environment["JUPYTERHUB_SERVICE_URL"] == "http://127.0.0.1:0/user/alice/work/"
    assert "SECRET_OF_THE_HUB" not in environment

    hub.stop_session("work", remove=False)
    session = hub.session("work")
    assert (session["state"], session["words"], session["ready"]) == ("stopped", "Stopped.", False)
    assert hub.processes() == set()
    assert hub.mounts() == []
    hub.stop_session("work")
    assert hub.session("work") is None
