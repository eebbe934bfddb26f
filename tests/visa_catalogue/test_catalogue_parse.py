"""Reading a catalogue file, and what is said when it is wrong."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from visa_catalogue.catalogue import CatalogueError
from visa_catalogue.parse import parse_experiments

GOOD = {
    "id": "hg12-id19-20240312",
    "title": "Foam under load",
    "proposal": "hg12",
    "instrument": "id19",
    "start": "2024-03-12",
    "end": "2024-03-15",
    "team": ["alice"],
    "raw": "/data/visitor/hg12/id19/20240312/RAW_DATA",
    "datasets": [
        {"id": "a", "name": "a", "path": "/data/visitor/hg12/id19/20240312/RAW_DATA/a"},
        {
            "id": "b",
            "name": "b",
            "path": "/data/visitor/hg12/id19/20240312/RAW_DATA/b",
            "start": "2024-03-13",
        },
    ],
}
OTHER = GOOD | {"id": "hg13-id19-20240401", "datasets": []}

YAML = """\
# the facility's experiments
- id: hg12-id19-20240312
  title: Foam under load
  proposal: hg12
  instrument: id19
  start: 2024-03-12
  end: 2024-03-15
  raw: /data/visitor/hg12/id19/20240312/RAW_DATA
  datasets:
    - id: a
      name: a
      path: /data/visitor/hg12/id19/20240312/RAW_DATA/a
- {id: x1, title: x, proposal: x, instrument: id11, start: 2024-03-12, end: 2024-03-15, raw: /data/x}
"""


def lines(*records) -> bytes:
    return "\n".join(json.dumps(r, ensure_ascii=False) for r in records).encode()


def parse(data: bytes | str, suffix: str):
    return parse_experiments(data.encode() if isinstance(data, str) else data, "experiments", suffix)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (lines(GOOD, OTHER), ".jsonl"),
        (b"\xef\xbb\xbf" + lines(GOOD) + b"\r\n\r\n" + lines(OTHER) + b"\r\n", ".ndjson"),
        (yaml.safe_dump([GOOD, OTHER]), ".yaml"),
        (json.dumps([GOOD, OTHER], indent=1), ".yml"),
    ],
)
def test_every_way_of_writing_gives_the_same(data, suffix):
    first, second = parse(data, suffix)
    assert (first.experiment.id, second.experiment.id) == (GOOD["id"], OTHER["id"])
    assert [d.experiment for d in first.datasets] == [GOOD["id"]] * 2
    assert first.datasets[1].start.isoformat() == "2024-03-13"
    assert second.datasets == ()


def test_an_empty_list_is_a_catalogue():
    assert parse("[]\n", ".yaml") == []


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("start: 2024-03-12\n", "start: 2024-03-32\n", 2, "", "day"),
        ("start: 2024-03-12\n", "start: 20240312\n", 6, "start", "YYYY-MM-DD"),
        ("end: 2024-03-15\n", "end: 2024-03-11\n", 2, "", "end is before start"),
        ("instrument: id19", "instrument: [id19]", 5, "instrument", "string"),
        ("proposal: hg12", "proposal: 12", 4, "proposal", "string"),
        ("proposal: hg12", "proposals: hg12", 2, "proposal", "required"),
        ("title: Foam under load", "title: Foam\n  price: 3", 4, "price", "not permitted"),
        ("title: Foam under load", "title: Foam\n  title: Foam", 4, "title", "twice"),
        ("title: Foam under load", "title: Foam: load", 3, "", "not YAML"),
        ("title: Foam under load", "title: !!python/name:os.system x", 3, "", "constructor"),
        ("title: Foam under load", 'title: "\x07"', 3, "", "not YAML"),
        ("title: Foam under load", "title: *gone", 3, "", "alias"),
        ("raw: /data/visitor/", "raw: /data/../", 8, "raw", "'..'"),
        ("path: /data/visitor/", "path: /etc/visitor/", 12, "datasets.0.path", "below"),
        ("      name: a", "      name: 1", 11, "datasets.0.name", "string"),
        ("    - id: a", "    - id: a\n      experiment: other", 11, "datasets.0.experiment", "another"),
        ("datasets:\n    - id: a", "datasets:\n    - a\n    - id: a", 10, "datasets.0", "valid"),
        ("id: x1", "id: hg12-id19-20240312", 13, "id", "line 2"),
        ("id: x1", "id: ../x", 13, "id", "pattern"),
        ("- {id: x1", "- 3\n- {id: x1", 13, "", "named fields"),
        ("- {id: x1", "- {3: 3, id: x1", 13, "", "name must be text"),
    ],
)
def test_a_mistake_in_yaml_is_found_on_its_line(old, new, line, field, words):
    assert YAML.count(old) == 1
    with pytest.raises(CatalogueError, match=words) as caught:
        parse(YAML.replace(old, new), ".yaml")
    assert (caught.value.line, caught.value.field) == (line, field)
    assert str(caught.value).startswith(f"experiments, line {line}")


@pytest.mark.parametrize(
    ("second", "field", "words"),
    [
        (b'{"id": "x"', "", "not a JSON object"),
        (b'{"id": "x", "id": "y"}', "id", "twice"),
        (b"[" * 100_000, "", "recursion"),
        (b"1" * 5000, "", "digits"),
        (b"3", "", "named fields"),
        (lines(GOOD), "id", "line 1"),
        (lines(OTHER | {"team": "alice"}), "team", "tuple"),
        (lines(OTHER).replace(b"Foam", b"\\ud800"), "title", "unicode string"),
        (lines(OTHER).replace(b"Foam", b"\xff"), "", "UTF-8"),
        (lines(OTHER | {"datasets": 3}), "datasets", "list"),
        (lines(OTHER | {"datasets": [GOOD["datasets"][0]] * 2}), "datasets.1.id", "twice"),
    ],
)
def test_a_mistake_in_json_lines_is_found_on_its_line(second, field, words):
    with pytest.raises(CatalogueError, match=words) as caught:
        parse(lines(GOOD) + b"\n" + second, ".jsonl")
    assert (caught.value.line, caught.value.field) == (2, field)


@pytest.mark.parametrize(("data", "suffix"), [("", ".jsonl"), (" \n", ".yaml")])
def test_an_empty_file_is_refused(data, suffix):
    with pytest.raises(CatalogueError, match="empty"):
        parse(data, suffix)


@pytest.mark.parametrize("data", ["a: b\n", "just text\n", "# nothing but a remark\n", "- [" * 5000])
def test_what_is_not_a_list_is_refused(data):
    with pytest.raises(CatalogueError):
        parse(data, ".yaml")


def test_only_a_newline_ends_a_line():
    titles = ["before\u2028after", "before\x85after"]
    found = parse(lines(GOOD | {"title": titles[0]}, OTHER | {"title": titles[1]}), ".jsonl")
    assert [e.experiment.title for e in found] == ["before after"] * 2


@given(
    title=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60),
    suffix=st.sampled_from([".yaml", ".jsonl"]),
)
def test_any_title_arrives_on_one_line(title, suffix):
    record = GOOD | {"title": title}
    data = yaml.safe_dump([record]) if suffix == ".yaml" else json.dumps(record, ensure_ascii=False)
    assert parse(data, suffix)[0].experiment.title == " ".join(title.split())


@given(st.data())
def test_a_damaged_file_never_raises_anything_else(data):
    suffix = data.draw(st.sampled_from([".yaml", ".jsonl"]))
    text = YAML.encode() if suffix == ".yaml" else lines(GOOD, OTHER)
    at = data.draw(st.integers(0, len(text)))
    cut = data.draw(st.integers(0, 8))
    damaged = text[:at] + data.draw(st.binary(max_size=4)) + text[at + cut :]
    try:
        parse(damaged, suffix)
    except CatalogueError as error:
        assert error.problem
