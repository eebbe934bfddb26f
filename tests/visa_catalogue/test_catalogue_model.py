"""What an experiment's fields may hold."""

import pytest
from pydantic import ValidationError

from visa_catalogue.model import Experiment

GOOD = {
    "id": "hg12-id19-20240312",
    "title": "Foam under load",
    "proposal": "hg12",
    "instrument": "id19",
    "start": "2024-03-12",
    "end": "2024-03-15",
    "raw": "/data/visitor/hg12/id19/20240312/RAW_DATA",
    "processed": "/data/visitor/hg12/id19/20240312/PROCESSED_DATA",
}


def test_an_ordinary_experiment_is_accepted():
    assert Experiment(**GOOD).start.isoformat() == "2024-03-12"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", ""),
        ("id", "../x"),
        ("id", "a/b"),
        ("id", "a b"),
        ("id", "a\n"),
        ("id", "-a"),
        ("id", "x" * 65),
        ("id", "é"),
        ("raw", "data"),
        ("raw", "/"),
        ("raw", "/data/"),
        ("raw", "/data//x"),
        ("raw", "/data/../etc"),
        ("raw", "/data/./x"),
        ("raw", "/data/.."),
        ("raw", "/data/x\n"),
        ("raw", "/data/x\x00"),
        ("raw", "/data/x:/etc"),
        ("raw", "/" + "x" * 1024),
        ("processed", "/data/../etc"),
        ("start", 20240312),
        ("start", "20240312"),
        ("start", 0),
        ("start", True),
        ("start", "12.3.2024"),
        ("start", "2024-02-30"),
        ("title", None),
        ("title", 7),
        ("title", "a\x00b"),
        ("title", "a\x1b[2Jb"),
        ("title", "\ud800"),
        ("title", "x" * 4001),
        ("instrument", ""),
        ("proposal", " "),
        ("team", "alice"),
        ("team", [7]),
        ("price", "3"),
    ],
)
def test_a_bad_field_is_named(field, value):
    with pytest.raises(ValidationError) as caught:
        Experiment(**GOOD | {field: value})
    assert caught.value.errors()[0]["loc"][0] == field


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"end": "2024-03-11"}, "end is before start"),
        ({"processed": GOOD["raw"]}, "processed and raw"),
        ({"processed": GOOD["raw"] + "/results"}, "processed and raw"),
        ({"processed": "/data/visitor/hg12"}, "processed and raw"),
    ],
)
def test_fields_that_contradict_each_other_are_refused(fields, words):
    with pytest.raises(ValidationError, match=words):
        Experiment(**GOOD | fields)


def test_a_path_that_only_begins_alike_is_not_inside():
    Experiment(**GOOD | {"raw": "/data/a", "processed": "/data/a2"})


def test_a_title_is_one_line_whatever_its_script():
    title = '<b>"Structure"</b>\n of the\tשלום\u200f crystal \n'
    assert Experiment(**GOOD | {"title": title}).title == '<b>"Structure"</b> of the שלום\u200f crystal'
