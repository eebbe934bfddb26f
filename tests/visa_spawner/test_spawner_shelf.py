"""Whether a profile's image is there: one question for all who look, and no lack where nobody knows."""

import asyncio

import pytest
from traitlets.config import Config

from visa_spawner import shelf
from visa_spawner.backends.base import Backend
from visa_spawner.backends.slurm import trees
from visa_spawner.shelf import Shelf


class Counting(Backend):
    """Says what it is told to, and counts the questions."""

    asked: list[str] = []
    answer: bool | Exception = False

    @classmethod
    async def lacks(cls, recipe, config):
        cls.asked.append(recipe)
        await asyncio.sleep(0.02)  # askers come while the question is under way
        if isinstance(cls.answer, Exception):
            raise cls.answer
        return cls.answer


@pytest.fixture
def kind():
    return type("Kind", (Counting,), {"asked": [], "answer": True})


async def test_askers_at_the_same_time_and_soon_after_share_one_question(kind):
    known = Shelf()
    asked = await asyncio.gather(*(known.lacks(kind, "tomography", Config()) for _ in range(50)))
    assert asked == [True] * 50 and kind.asked == ["tomography"]
    kind.answer = False
    assert await known.lacks(kind, "tomography", Config()) is True
    assert await known.lacks(kind, "powder", Config()) is False
    assert kind.asked == ["tomography", "powder"]


async def test_an_image_that_has_come_is_seen_after_a_moment(kind, monkeypatch):
    monkeypatch.setattr(shelf, "FRESH", 0.0)
    known = Shelf()
    assert await known.lacks(kind, "tomography", Config()) is True
    kind.answer = False
    assert await known.lacks(kind, "tomography", Config()) is True, "nobody waits for the new answer"
    await asyncio.sleep(0.1)  # longer than the backend takes to answer
    assert len(kind.asked) == 2, "which was asked for meanwhile"
    assert await known.lacks(kind, "tomography", Config()) is False


async def test_what_is_not_known_is_no_lack(kind):
    kind.answer = RuntimeError("the engine does not answer")
    assert await Shelf().lacks(kind, "tomography", Config()) is False
    assert await Backend.lacks("tomography", Config()) is False


async def test_one_who_leaves_takes_the_answer_from_nobody(kind):
    known = Shelf()
    leaves = asyncio.create_task(known.lacks(kind, "tomography", Config()))
    stays = asyncio.create_task(known.lacks(kind, "tomography", Config()))
    await asyncio.sleep(0)  # both have asked
    leaves.cancel()
    assert await stays is True


def test_a_cluster_lacks_an_image_only_where_the_hub_sees_its_folder(tmp_path):
    template = f"{tmp_path}/images/{{recipe}}"
    assert trees.lacks(template, "tomography") is False, "the folder is the nodes' alone"
    (tmp_path / "images/powder").mkdir(parents=True)
    assert trees.lacks(template, "tomography") is True
    assert trees.lacks(template, "powder") is False
    assert trees.lacks("/usr", "powder") is False, "one for all"
