"""Whether a profile's image is there: one question for all who look, and no lack where nobody knows."""

import asyncio

import pytest
from traitlets.config import Config

from visa_spawner.backends.base import Backend
from visa_spawner.backends.slurm import trees
from visa_spawner.session import Image
from visa_spawner.start import shelf
from visa_spawner.start.shelf import Images, Shelf


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

    under_way = most_under_way = 0

    @classmethod
    async def image(cls, recipe, digest, config):
        cls.asked.append(digest)
        cls.under_way += 1
        cls.most_under_way = max(cls.most_under_way, cls.under_way)
        await asyncio.sleep(0.02)  # askers come while the question is under way
        cls.under_way -= 1
        if isinstance(cls.answer, Exception):
            raise cls.answer
        return Image(recipe, digest, packages=({"type": "deb", "name": "a", "version": "1"},))


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


def ask(known, kind, digest, person="alice"):
    return known.image(person, kind, "powder", digest, Config())


async def test_all_who_ask_about_an_image_share_one_question(kind):
    known = Images()
    told = await asyncio.gather(*(ask(known, kind, "a", f"person{n % 7}") for n in range(50)))
    assert told == [Image("powder", "a")] * 50 and kind.asked == ["a"]
    assert await ask(known, kind, "a") == Image("powder", "a")
    assert kind.asked == ["a"]
    assert await ask(known, kind, "b") == Image("powder", "b")
    assert kind.asked == ["a", "b"]


async def test_an_answer_about_an_image_serves_for_some_seconds(kind, monkeypatch):
    known = Images()
    await ask(known, kind, "a")
    monkeypatch.setattr(shelf, "FRESH", 0.0)
    await ask(known, kind, "a")
    assert kind.asked == ["a", "a"]


async def test_a_person_has_one_new_question_at_a_time(kind):
    known = Images()
    await asyncio.gather(*(ask(known, kind, str(n)) for n in range(10)))
    assert (len(kind.asked), kind.most_under_way) == (10, 1)
    await asyncio.gather(*(ask(known, kind, f"{person} asks", person) for person in ("alice", "bob")))
    assert kind.most_under_way == 2, "nobody waits for another person's"


async def test_what_is_remembered_of_images_has_an_end(kind, monkeypatch):
    monkeypatch.setattr(shelf, "MOST", 3)
    known = Images()
    for digest in ("a", "b", "c", "a", "d"):
        await ask(known, kind, digest, person=f"asks {digest}")
    assert (len(known._asked), len(known._turns)) == (3, 0)
    await ask(known, kind, "a")
    assert kind.asked == ["a", "b", "c", "d"], "what somebody asks about again stays"
    await ask(known, kind, "b")
    assert kind.asked[-1] == "b"


async def test_a_failure_is_told_to_all_who_asked(kind):
    kind.answer = RuntimeError("the engine does not answer")
    known = Images()
    told = await asyncio.gather(*(ask(known, kind, "a") for _ in range(3)), return_exceptions=True)
    assert told == [kind.answer] * 3 and kind.asked == ["a"]


def test_a_cluster_lacks_an_image_only_where_the_hub_sees_its_folder(tmp_path):
    template = f"{tmp_path}/images/{{recipe}}"
    assert trees.lacks(template, "tomography") is False, "the folder is the nodes' alone"
    (tmp_path / "images/powder").mkdir(parents=True)
    assert trees.lacks(template, "tomography") is True
    assert trees.lacks(template, "powder") is False
    assert trees.lacks("/usr", "powder") is False, "one for all"
