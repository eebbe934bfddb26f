"""The file catalogue: searching, and following its file."""

import asyncio
import json
import logging
import os
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from visa_catalogue import CatalogueError, Query, UnknownExperiment, open_catalogue
from visa_catalogue.access import OWN_REASONS, is_open, why_visible
from visa_catalogue.account import Account
from visa_catalogue.file import FileCatalogue
from visa_catalogue.fold import fold

TODAY = date(2026, 11, 22)
ALICE = Account(username="alice")
ADMINISTRATOR = Account(username="ada", roles={"administrator"})


def record(name: str, start: str = "2025-03-12", **fields) -> dict:
    raw = f"/data/visitor/hg12/id19/{name}/RAW_DATA"
    base = {"id": name, "title": "", "proposal": "hg12", "instrument": "id19", "start": start, "end": start}
    return base | {"raw": raw} | fields


RECORDS = [
    record("old", "2019-01-02", title="Os de Crête-à-coq", open_date="2022-01-02", team=["bob"]),
    record("mine", "2025-06-01", title='Foam "under" <b>load</b>', team=["alice"], end="2025-06-05"),
    record("contact", "2025-06-03", title="Bolts", instrument="id11", local_contacts=["alice"]),
    record("others", "2025-07-01", title="Secret alloy", team=["bob"], proposal="mx77"),
    record("never", "2018-07-01", title="תצורת גביש", team=["bob"]),
    record(
        "both", "2019-01-02", title="Foam, aged", team=["alice"], open_date="2022-01-02", instrument="id11"
    ),
]
RECORDS[1]["datasets"] = [
    {"id": f"d{i}", "name": f"d{i}", "path": f"{RECORDS[1]['raw']}/d{i}"} for i in range(5)
]


def write(path, records) -> None:
    """As an editor that takes care does it: beside, then renamed."""
    beside = path.with_suffix(".new")
    beside.write_text("\n".join(json.dumps(r, ensure_ascii=False) for r in records))
    beside.rename(path)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "experiments.jsonl"
    write(path, RECORDS)
    return path


@pytest.fixture
def catalogue(path):
    catalogue = open_catalogue(f"file://{path}")
    catalogue.today = lambda: TODAY
    catalogue.check_seconds = 0
    catalogue._next_check = 0
    return catalogue


async def found(catalogue, account=ALICE, **query) -> list[str]:
    return [e.id for e in (await catalogue.search(account, Query(**query))).experiments]


async def test_newest_first_and_only_what_one_may_see(catalogue):
    assert await found(catalogue) == ["contact", "mine", "both", "old"]
    assert await found(catalogue, ADMINISTRATOR) == ["others", "contact", "mine", "both", "old", "never"]
    assert await found(catalogue, Account(username="nobody")) == ["both", "old"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"scope": "mine"}, ["contact", "mine", "both"]),
        ({"scope": "open"}, ["both", "old"]),
        ({"text": "foam"}, ["mine", "both"]),
        ({"text": "FOAM  Under"}, ["mine"]),
        ({"text": "<b>"}, ["mine"]),
        ({"text": "crete"}, ["old"]),
        ({"text": "crête-À"}, ["old"]),
        ({"text": "hg12 id11"}, ["contact", "both"]),
        ({"text": "foam nothing"}, []),
        ({"text": "oldos"}, []),
        ({"text": "secret"}, []),
        ({"instruments": ["id11"]}, ["contact", "both"]),
        ({"instruments": ["id11", "id19"]}, ["contact", "mine", "both", "old"]),
        ({"instruments": ["id99"]}, []),
        ({"since": "2025-06-04"}, ["mine"]),
        ({"since": "2025-06-05"}, ["mine"]),
        ({"since": "2025-06-06"}, []),
        ({"until": "2025-06-02"}, ["mine", "both", "old"]),
        ({"until": "2025-05-31"}, ["both", "old"]),
        ({"since": "2025-06-03", "until": "2025-06-03"}, ["contact", "mine"]),
        ({"offset": 1, "limit": 2}, ["mine", "both"]),
        ({"offset": 99}, []),
        ({"limit": 0}, []),
    ],
)
async def test_each_filter(catalogue, query, ids):
    assert await found(catalogue, **query) == ids


async def test_hebrew_is_found_with_or_without_points(catalogue):
    assert await found(catalogue, ADMINISTRATOR, text="גָּבִישׁ") == ["never"]


async def test_instruments_are_counted_as_if_none_were_chosen(catalogue):
    page = await catalogue.search(ALICE, Query(text="foam", instruments=["id11"], limit=1))
    assert (page.total, page.instruments) == (1, {"id11": 1, "id19": 1})
    assert list(page.instruments) == sorted(page.instruments)


async def test_what_may_not_be_seen_does_not_exist(catalogue):
    assert (await catalogue.visible(ALICE, "mine")).id == "mine"
    assert (await catalogue.experiment("others")).id == "others"
    with pytest.raises(UnknownExperiment) as hidden:
        await catalogue.visible(ALICE, "others")
    with pytest.raises(UnknownExperiment) as absent:
        await catalogue.visible(ALICE, "otherz")
    assert str(hidden.value).replace("others", "otherz") == str(absent.value)


async def test_data_open_while_the_catalogue_is_running(catalogue):
    nobody = Account(username="nobody")
    catalogue.today = lambda: date(2022, 1, 1)
    assert await found(catalogue, nobody) == []
    catalogue.today = lambda: date(2022, 1, 2)
    assert await found(catalogue, nobody) == ["both", "old"]


async def test_datasets_come_in_pages(catalogue):
    assert [d.id for d in await catalogue.datasets("mine", 1, 2)] == ["d1", "d2"]
    assert await catalogue.datasets("old") == []
    with pytest.raises(UnknownExperiment):
        await catalogue.datasets("otherz")
    with pytest.raises(ValueError, match="negative"):
        await catalogue.datasets("mine", -1)


@pytest.mark.parametrize(
    "query",
    [
        {"scope": "everything"},
        {"offset": -1},
        {"limit": 501},
        {"text": "x" * 201},
        {"since": "yesterday"},
        {"order": "oldest"},
    ],
)
def test_an_absurd_query_is_refused(query):
    with pytest.raises(ValidationError) as caught:
        Query(**query)
    assert caught.value.errors()[0]["loc"][0] == next(iter(query))


WORDS = st.sampled_from(["foam", "FOAM", "under", "id11", "id1", "hg12", "crete", "x", "<b>", "os", "a"])


@settings(max_examples=200, deadline=None)
@given(
    who=st.sampled_from([ALICE, ADMINISTRATOR, Account(username="x", teams={"others"})]),
    words=st.lists(WORDS, max_size=3),
    instruments=st.frozensets(st.sampled_from(["id11", "id19", "id99"])),
    days=st.tuples(*[st.none() | st.dates(date(2018, 1, 1), date(2026, 1, 1))] * 2),
    scope=st.sampled_from(["mine", "open", "all"]),
    offset=st.integers(0, 7),
    limit=st.integers(0, 7),
)
def test_a_search_finds_what_its_description_says(
    tmp_path_factory, who, words, instruments, days, scope, offset, limit
):
    path = tmp_path_factory.getbasetemp() / "described.jsonl"
    if not path.exists():
        write(path, RECORDS)
    catalogue = FileCatalogue(path)
    catalogue.today = lambda: TODAY
    since, until = days
    query = Query(
        text=" ".join(words),
        instruments=instruments,
        since=since,
        until=until,
        scope=scope,
        offset=offset,
        limit=limit,
    )
    page = asyncio.run(catalogue.search(who, query))

    def wanted(e):
        reason = why_visible(who, e, TODAY)
        return (
            reason is not None
            and (not instruments or e.instrument in instruments)
            and all(any(fold(w) in fold(f) for f in (e.id, e.title, e.proposal, e.instrument)) for w in words)
            and (since is None or e.end >= since)
            and (until is None or e.start <= until)
            and {"mine": reason in OWN_REASONS, "open": is_open(e, TODAY), "all": True}[scope]
        )

    expected = {e.id for e in catalogue._contents.experiments if wanted(e)}
    assert page.total == len(expected)
    assert {e.id for e in page.experiments} <= expected
    assert len(page.experiments) == max(0, min(limit, len(expected) - offset))
    starts = [e.start for e in page.experiments]
    assert starts == sorted(starts, reverse=True)


async def test_a_changed_file_is_served(catalogue, path):
    write(path, RECORDS[1:2])
    assert await found(catalogue) == ["mine"]
    write(path, RECORDS[1:3])
    assert await found(catalogue) == ["contact", "mine"]


async def test_the_file_is_looked_at_once_a_second_at_most(catalogue, path):
    catalogue.check_seconds = 1.0
    await found(catalogue)
    write(path, RECORDS[1:2])
    assert len(await found(catalogue)) == 4
    await asyncio.sleep(1.05)
    assert await found(catalogue) == ["mine"]


async def test_a_broken_edit_keeps_the_last_good_state(catalogue, path, caplog):
    broken = [*RECORDS[:3], RECORDS[3] | {"end": "soon"}]
    with caplog.at_level(logging.ERROR):
        write(path, broken)
        assert len(await found(catalogue)) == 4
        assert len(await found(catalogue)) == 4
    error = catalogue.last_error
    assert (error.line, error.field) == (4, "end")
    assert f"{path}, line 4, end" in str(error)
    assert [r for r in caplog.messages if "line 4, end" in r] == caplog.messages
    assert len(caplog.messages) == 1
    write(path, RECORDS[1:2])
    assert await found(catalogue) == ["mine"]
    assert catalogue.last_error is None


async def test_a_file_that_goes_away_and_comes_back(catalogue, path, caplog):
    path.unlink()
    for _ in range(3):
        assert len(await found(catalogue)) == 4
    assert len(caplog.messages) == 1
    assert "No such file" in str(catalogue.last_error)
    write(path, RECORDS[1:2])
    assert await found(catalogue) == ["mine"]


async def test_a_folder_that_goes_away_and_comes_back(catalogue, path):
    away = path.parent.rename(path.parent.with_name("away"))
    assert len(await found(catalogue)) == 4
    assert "No such file" in str(catalogue.last_error)
    away.rename(path.parent)
    assert len(await found(catalogue)) == 4
    assert catalogue.last_error is None


async def test_a_file_that_everybody_may_write_is_refused(catalogue, path):
    path.chmod(0o666)
    assert len(await found(catalogue)) == 4
    assert "everybody may write" in str(catalogue.last_error)
    path.chmod(0o644)
    await found(catalogue)
    assert catalogue.last_error is None


def test_a_first_load_that_fails_says_the_line(tmp_path):
    path = tmp_path / "experiments.jsonl"
    write(path, [RECORDS[0], RECORDS[0]])
    with pytest.raises(CatalogueError, match=r"experiments.jsonl, line 2, id: .*line 1"):
        open_catalogue(f"file://{path}")
    with pytest.raises(CatalogueError, match="No such file"):
        open_catalogue(f"file://{tmp_path}/absent.yaml")


def test_a_named_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "experiments.jsonl")
    with pytest.raises(CatalogueError, match="plain file"):
        open_catalogue(f"file://{tmp_path}/experiments.jsonl")


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/x.yaml",
        "file://x.yaml",
        "file:x.yaml",
        "http://h/x.yaml",
        "file://host/x.yaml",
        "file:///x.yaml?y",
    ],
)
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(ValueError, match="catalogue address"):
        open_catalogue(address)


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="must end in"):
        open_catalogue(f"file://{tmp_path}/experiments.csv")


async def test_an_address_may_hold_spaces(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    write(folder / "experiments.jsonl", RECORDS)
    assert (await open_catalogue(f"file://{tmp_path}/a%20b/experiments.jsonl").experiment("old")).id == "old"


async def test_two_thousand_experiments_are_searched_at_once(tmp_path):
    path = tmp_path / "experiments.jsonl"
    write(
        path,
        [record(f"e{i}", f"20{15 + i % 10}-03-12", title=f"Étude {i}", team=["bob"]) for i in range(2040)],
    )
    catalogue = FileCatalogue(path)
    everyone = Account(username="x", roles={"administrator"}, teams={f"z{i}" for i in range(200)})
    spent = []
    for text in ["", "etude", "etude 7", "e1 id19"] * 10:
        began = time.perf_counter()
        assert (await catalogue.search(everyone, Query(text=text))).total > 0
        spent.append(time.perf_counter() - began)
    assert sorted(spent)[len(spent) // 2] < 0.020
