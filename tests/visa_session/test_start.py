"""A session's start and end, as real processes."""

from __future__ import annotations

import re


def test_a_session_starts_on_a_free_port_and_says_who_asks(new_session):
    session = new_session(title="First")
    answer = session.get("visa/session")
    assert answer.status_code == 200
    about = answer.json()
    assert about["role"] == "owner"
    assert about["title"] == "First"
    assert re.search(r"Ready on port \d+", session.log)
    assert about["desktop"]["state"] == "off"
