"""Fixtures: one hub for all tests of the session, and sessions in it."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from pathlib import Path

import pytest

from visa_session import assets

from .hubside import Session, Site, start_session, stop_session

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def site():
    """A real JupyterHub behind a real proxy."""
    if not assets.is_built():
        assets.build()
    # Not pytest's own directory, which is closed to the ordinary account that sessions run as.
    directory = Path(tempfile.mkdtemp(prefix="visa-hub-"))
    directory.chmod(0o755)
    site = Site(directory)
    try:
        site.start_proxy()
        site.start_hub()
        yield site
    finally:
        site.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def new_session(site):
    """Starts sessions that are stopped after the test."""
    started: list[Session] = []

    def start(owner: str = "alice", **info) -> Session:
        session = start_session(site, owner, f"s{next(_numbers)}", **info)
        started.append(session)
        return session

    yield start
    for session in started:
        stop_session(session)


@pytest.fixture(scope="module")
def shared_session(site):
    """One session for the tests of a module that leave it as it was."""
    session = start_session(site, "alice", f"s{next(_numbers)}", title="Shared <i>session</i>")
    yield session
    stop_session(session)
