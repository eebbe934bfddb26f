"""The images that the demo prepares beside the running site."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from demo import software
from demo.site import Site


@pytest.fixture
def site(tmp_path) -> Site:
    (tmp_path / "logs").mkdir()
    return Site(run=tmp_path)


def test_all_but_base_are_prepared_the_one_for_any_data_first_or_those_that_are_named(monkeypatch):
    monkeypatch.delenv(software.VARIABLE, raising=False)
    assert software.wanted()[0] == "general"
    assert {"tomography", "powder"} <= set(software.wanted()) and "base" not in software.wanted()
    monkeypatch.setenv(software.VARIABLE, "powder base")
    assert software.wanted() == ["powder"]
    monkeypatch.setenv(software.VARIABLE, "")
    assert software.wanted() == []


async def test_one_that_cannot_be_built_is_said_and_the_others_go_on(site, monkeypatch, capsys):
    monkeypatch.setattr(software, "wanted", lambda: ["no-such-image", "nor-this"])
    await software.prepare(site)
    said = capsys.readouterr().out
    assert "The software of no-such-image cannot be prepared: see " in said and "of nor-this cannot" in said
    assert "no recipe 'no-such-image'" in (site.run / "logs/software.log").read_text()


async def test_what_builds_ends_with_the_demo(site):
    def children() -> list[psutil.Process]:
        return psutil.Process().children(recursive=True)

    task = asyncio.create_task(software._run(site, ["http.server", "0", "--bind", "127.0.0.1"]))
    async with asyncio.timeout(20):
        while not any("http.server" in it.cmdline() for it in children()):  # noqa: ASYNC110 - not ours to tell
            await asyncio.sleep(0.05)  # between two looks for a process that is being made
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children() == []
