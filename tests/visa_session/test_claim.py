"""A machine's claim as the machine sees it; the hub's side is tests/visa_spawner/vm/openstack."""

import json

import pytest

from visa_session import claim
from visa_session.handover import Refused

GOOD = {"address": "hub.example:8443", "certificate": "ab" * 32, "claim": "x" * 43}


def user_data(**changes):
    return json.dumps({"visa": GOOD | changes}).encode()


def test_user_data_say_where_and_by_which_certificate():
    found = claim.read(user_data())
    assert (found.host, found.port, found.claim) == ("hub.example", 8443, "x" * 43)
    assert claim.read(user_data(address="[2001:db8::1]:8443")).host == "2001:db8::1"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#cloud-config\n",
        b"[]",
        b'{"visa": "yes"}',
        user_data(address="hub.example"),
        user_data(address=":8443"),
        user_data(certificate="ab"),
        user_data(certificate=7),
    ],
)
def test_what_is_no_claim_is_refused(data):
    with pytest.raises(Refused):
        claim.read(data)


def answers(monkeypatch, *given):
    """Stands in for the hub, so that its restarts take no time here."""
    left, slept = list(given), []

    def ask(one, place, question):
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(claim, "ask", ask)
    monkeypatch.setattr(claim.time, "sleep", slept.append)
    return left, slept


def test_it_is_asked_until_there_is_an_answer(monkeypatch):
    document = json.dumps({"receipt": "r", "document": {"network": None}}).encode()
    left, slept = answers(
        monkeypatch, OSError("restarts"), (503, b""), (204, b""), (204, b""), (200, document)
    )
    assert claim.redeem(claim.read(user_data())) == (b'{"network": null}', "r")
    assert not left and slept == [claim.AGAIN] * 2, "the hub holds the question: no pause between"


def test_a_no_is_final(monkeypatch):
    left, _ = answers(monkeypatch, (403, b""), (200, b""))
    with pytest.raises(Refused):
        claim.redeem(claim.read(user_data()))
    assert left
