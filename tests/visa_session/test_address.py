"""Where a request came from: what a browser says of itself counts for nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from tornado.httputil import HTTPHeaders

from visa_session.address import address_of
from visa_session.contract import TRUSTED_VARIABLE


@pytest.mark.parametrize(
    ("headers", "trusted", "found"),
    [
        ({}, "", "198.51.100.1"),
        ({"X-Real-Ip": "203.0.113.9"}, "", "198.51.100.1"),
        ({"X-Forwarded-For": "203.0.113.9, 192.0.2.5"}, "", "192.0.2.5"),
        ({"X-Forwarded-For": "192.0.2.5", "X-Real-Ip": "203.0.113.9"}, "", "192.0.2.5"),
        ({"X-Forwarded-For": "203.0.113.9, 192.0.2.5, 10.0.0.2"}, "10.0.0.1, 10.0.0.2", "192.0.2.5"),
        ({"X-Forwarded-For": "nonsense, 10.0.0.2"}, "10.0.0.2", "10.0.0.2"),
        ({"X-Forwarded-For": "192.0.2.5, <b>"}, "", "198.51.100.1"),
    ],
)
def test_the_last_word_of_a_proxy_counts(monkeypatch, headers, trusted, found):
    monkeypatch.setenv(TRUSTED_VARIABLE, trusted)
    context = SimpleNamespace(_orig_remote_ip="198.51.100.1")
    request = SimpleNamespace(
        headers=HTTPHeaders(headers), connection=SimpleNamespace(context=context), remote_ip="203.0.113.9"
    )
    assert address_of(request) == found


@pytest.mark.parametrize(
    ("peer", "trusted", "found"),
    [
        ("127.0.0.1", "", "192.0.2.5"),
        ("::1", "", "192.0.2.5"),
        ("0.0.0.0", "", "192.0.2.5"),
        ("10.0.0.1", "", "192.0.2.5"),
        ("10.0.0.7", "10.0.0.7", "192.0.2.5"),
        ("10.88.0.48", "", "10.88.0.48"),
        ("10.88.0.48", "10.0.0.7", "10.88.0.48"),
        ("", "", ""),
    ],
)
def test_hub_and_portal_believe_no_proxy_of_elsewhere(monkeypatch, peer, trusted, found):
    """Somebody in a session reaches the hub past the proxy, and may send what a proxy would."""
    monkeypatch.setenv(TRUSTED_VARIABLE, trusted)
    socket = SimpleNamespace(getsockname=lambda: ("10.0.0.1", 8081))
    connection = SimpleNamespace(
        context=SimpleNamespace(_orig_remote_ip=peer), stream=SimpleNamespace(socket=socket)
    )
    request = SimpleNamespace(headers=HTTPHeaders({"X-Forwarded-For": "192.0.2.5"}), connection=connection)
    assert address_of(request, near=True) == found
