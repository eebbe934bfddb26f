"""Who may see what, row by row."""

from datetime import date, timedelta

import pytest

from visa_catalogue.access import is_open, why_visible
from visa_catalogue.account import Account
from visa_catalogue.model import Experiment

TODAY = date(2026, 11, 22)
CLOSED = Experiment(
    id="hg12-id19-20240312",
    title="Foam under load",
    proposal="hg12",
    instrument="id19",
    start="2024-03-12",
    end="2024-03-15",
    team=("alice",),
    local_contacts=("lena",),
    raw="/data/visitor/hg12/id19/20240312/RAW_DATA",
    open_date="2027-03-15",
)
OPEN = CLOSED.model_copy(update={"open_date": TODAY})


def account(username="bob", **fields) -> Account:
    return Account(username=username, **{k: frozenset(v) for k, v in fields.items()})


@pytest.mark.parametrize(
    ("who", "closed", "opened"),
    [
        (account("alice"), "team", "team"),
        (account(teams=["hg12-id19-20240312"]), "team", "team"),
        (account("lena"), "local contact", "local contact"),
        (
            account(roles=["instrument-scientist"], instruments=["id19"]),
            "instrument scientist",
            "instrument scientist",
        ),
        (account(roles=["administrator"]), "administrator", "administrator"),
        # From here on only open data.
        (account(), None, "open data"),
        (account(roles=["scientist"]), None, "open data"),
        (account("Alice", roles=["scientist"]), None, "open data"),
        (account("alic", roles=["scientist"]), None, "open data"),
        (account(roles=["scientist"], teams=["hg12-id19-20240313"]), None, "open data"),
        (account(roles=["scientist"], teams=["hg12"]), None, "open data"),
        (account(roles=["scientist"], instruments=["id19"]), None, "open data"),
        (account(roles=["instrument-scientist"]), None, "open data"),
        (account(roles=["instrument-scientist"], instruments=["id11"]), None, "open data"),
        (account(roles=["helpdesk"]), None, "open data"),
        (account(roles=["administrators"]), None, "open data"),
        # The closest reason is the one that is said.
        (account("alice", roles=["administrator"]), "team", "team"),
        (
            account("lena", roles=["instrument-scientist", "administrator"], instruments=["id19"]),
            "local contact",
            "local contact",
        ),
        (
            account(roles=["instrument-scientist", "administrator"], instruments=["id19"]),
            "instrument scientist",
            "instrument scientist",
        ),
    ],
)
def test_each_row(who, closed, opened):
    assert why_visible(who, CLOSED, TODAY) == closed
    assert why_visible(who, OPEN, TODAY) == opened


@pytest.mark.parametrize(("days", "opened"), [(-1, False), (0, True), (1, True)])
def test_data_open_on_their_date(days, opened):
    assert is_open(OPEN, TODAY + timedelta(days=days)) is opened


def test_without_a_date_data_never_open():
    never = CLOSED.model_copy(update={"open_date": None})
    assert why_visible(account(), never, date.max) is None


def test_hub_groups_carry_the_same_rights():
    full = account(roles=["instrument-scientist"], instruments=["id19"], teams=["a", "b"])
    assert Account.from_groups("bob", [*full.groups, "unrelated"]) == full
