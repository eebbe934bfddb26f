"""Who came in how, and what happened, in sentences."""

from datetime import UTC, datetime

import pytest

from visa_portal.codes import Codes
from visa_portal.forms_sharing import Answer, LetIn, MakeLink, Team, read
from visa_portal.models import FormError
from visa_portal.models_sharing import Event, Link, Member
from visa_portal.words_history import SENTENCES, quoted, sentence
from visa_portal.words_sharing import watching, way
from visa_sharing.audit import kinds

AT = datetime(2026, 11, 29, 14, 5, tzinfo=UTC)
SINCE, UNTIL = "2026-11-29T14:05:00Z", "2026-11-29T16:05:00Z"


def plain(markup) -> str:
    from bs4 import BeautifulSoup

    return BeautifulSoup(str(markup), "html.parser").text


def event(what, who="", whom="", role="", **details) -> Event:
    return Event(
        id=1, at=AT, what=what, owner="alice", session="s", who=who, whom=whom, role=role, details=details
    )


def test_every_kind_of_line_has_its_sentence():
    assert set(SENTENCES) == set(kinds.kinds())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (event("member-granted", "alice", "bob", "viewer", way="person"), "You let bob in as viewer"),
        (
            event("member-granted", "alice", "bob", "viewer", way="person", despite=["ma-2", "hg-9"]),
            "You let bob in as viewer although ma-2, hg-9 may not be seen by them otherwise",
        ),
        (
            event("member-granted", "", "bob", "viewer", way="team", by_way_of="ma-1"),
            "bob got in as viewer, through the team of ma-1",
        ),
        (event("member-granted", "bob", "alice", "collaborator"), "bob let you in as collaborator"),
        (event("member-changed", "alice", "bob", "viewer", was="collaborator"), "You made bob a viewer"),
        (event("member-ended", "alice", "bob"), "You ended the membership of bob"),
        (event("member-ended", "alice", "bob", why="the owner ended it"), "You ended the membership of bob"),
        (
            event("member-ended", "ada", "bob", why="an administrator ended it"),
            "ada ended the membership of bob: an administrator ended it",
        ),
        (event("member-ended", "bob", "bob"), "bob gave up the membership"),
        (
            event("member-ended", "", "bob", why="left the team of ma-1."),
            "The membership of bob ended: left the team of ma-1",
        ),
        (
            event("link-made", "alice", role="viewer", link=3, expires=UNTIL, max_uses=1),
            "You made an invitation link for one person, as viewer, good until 29 Nov 2026, 16:05 UTC",
        ),
        (event("link-revoked", "", link=3), "An invitation link was revoked"),
        (event("entered", "bob", role="viewer"), "bob came in, as viewer"),
        (
            event("support-asked", "ines", role="viewer", message="May I?", request=1),
            "ines from support asked to join, as viewer",
        ),
        (
            event("support-answered", "alice", "ines", "viewer", answer="watch", until=UNTIL),
            "You let ines from support in, to watch only, until 29 Nov 2026, 16:05 UTC",
        ),
        (
            event("support-answered", "alice", "ines", answer="decline"),
            "You declined the request of ines from support to join",
        ),
        (
            event("help-closed", "ines", "alice", words="Done"),
            "ines from support closed the request for help",
        ),
        (event("something-new", "bob"), "bob: something new"),
        (event("something-new"), "Something new"),
    ],
)
def test_sentences(line, said):
    assert plain(sentence(line, "alice")) == said


def test_a_line_that_lacks_what_its_sentence_needs_is_still_one():
    for what in SENTENCES:
        for line in (event(what), event(what, "bob", "carol", "viewer", until="soon", expires=7)):
            assert plain(sentence(line)).strip()


def test_names_in_sentences_are_text():
    nasty = "<b>{who}{0.__class__}%s</b>"
    told = str(
        sentence(event("member-granted", nasty, nasty, "viewer", way="team", by_way_of=nasty, why=nasty))
    )
    assert "<b>" not in told
    assert told.count("<bdi>") == 4
    assert "__class__}" in told


def test_what_somebody_wrote_is_quoted():
    assert quoted(event("help-asked", "alice", message="<i>Help</i>")) == "<i>Help</i>"
    assert quoted(event("help-closed", "ines", words="Done")) == "Done"
    assert quoted(event("locked", "alice")) == ""


@pytest.mark.parametrize(
    ("about", "said"),
    [
        ({"way": "person", "granted_by": "alice"}, "by your invitation"),
        ({"way": "person", "granted_by": "bob"}, "invited by bob"),
        ({"way": "team", "by_way_of": "A-1"}, "through the team of A-1"),
        ({"way": "link", "by_way_of": 3}, "by a link"),
        ({"way": "hub"}, "let in outside of these pages"),
        (
            {"way": "support", "support": True, "since": SINCE, "until": UNTIL},
            "support, since 29 Nov 2026, 14:05 UTC, until 29 Nov 2026, 16:05 UTC",
        ),
    ],
)
def test_the_way_in(about, said):
    assert plain(way(Member(name="m", **about), "alice")) == said


def test_the_banner_of_support():
    ines = {"name": "ines", "full_name": "Ines & Co", "support": True}
    for role, inside, before in (
        ("viewer", "is watching", "may come in and watch"),
        ("collaborator", "is controlling", "may come in and work with you"),
    ):
        there = Member(role=role, present=UNTIL, **ines)
        assert plain(watching(there)) == f"Ines & Co from support {inside}"
        assert plain(watching(Member(role=role, **ines))) == f"Ines & Co from support {before}"


@pytest.mark.parametrize(
    ("form", "sent", "field"),
    [
        (LetIn, {"name": ["bob"]}, "role"),
        (LetIn, {"name": ["bob"], "role": ["owner"]}, "role"),
        (LetIn, {"name": ["  "], "role": ["viewer"]}, "name"),
        (LetIn, {"name": ["bob", "carol"], "role": ["viewer"]}, "name"),
        (LetIn, {"name": ["bob"], "role": ["viewer"], "until": ["2030"]}, "until"),
        (LetIn, {"name": ["bob"], "role": ["viewer"], "despite": ["../x"]}, "despite"),
        (MakeLink, {"role": ["viewer"], "hours": ["nan"], "uses": ["1"]}, "hours"),
        (MakeLink, {"role": ["viewer"], "hours": ["1"], "uses": ["0"]}, "uses"),
        (MakeLink, {"role": ["viewer"], "hours": ["1"], "uses": ["many"]}, "uses"),
        (Team, {"experiment": ["a/b"], "role": [""]}, "experiment"),
        (Answer, {"request": ["1"], "answer": ["as-asked"], "back": ["//evil.org"]}, "back"),
    ],
)
def test_a_form_that_is_not_ours_names_its_field(form, sent, field):
    with pytest.raises(FormError) as refused:
        read(form, sent | {"_xsrf": ["x"]})
    assert refused.value.field == field


def test_an_account_name_is_taken_as_it_is():
    form = read(LetIn, {"name": [" o'neill "], "role": ["viewer"], "despite": ["ma-1", "ma-2"]})
    assert (form.name, form.despite) == ("o'neill", ("ma-1", "ma-2"))


def test_a_code_is_shown_once_to_its_owner(monkeypatch):
    codes, link = Codes(), Link(id=3, code="secret")
    codes.put("alice", "s", link)
    assert codes.take("bob", "s", 3) is None
    assert codes.take("alice", "other", 3) is None
    assert codes.take("alice", "s", 3) is link
    assert codes.take("alice", "s", 3) is None
    codes.put("alice", "s", link)
    monkeypatch.setattr("visa_portal.codes.KEEP_SECONDS", -1)
    assert codes.take("alice", "s", 3) is None
