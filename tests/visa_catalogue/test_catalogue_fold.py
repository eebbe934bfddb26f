"""How a search compares text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visa_catalogue.fold import fold


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("ID19 Foam", "id19 foam"),
        ("Łódź, Ångström, Øre", "lodz, angstrom, ore"),
        ("Straße", "strasse"),
        ("e\u0301te\u0301", "ete"),
        ("İzmir", "izmir"),
        ("œuf", "oeuf"),
        ("\u202eabc\u202c\u200f", "abc"),
        ("سِينْكْرُوتْرُون", "سينكروترون"),
        ("שָׁלוֹם", "שלום"),
        ("<b>\"'", "<b>\"'"),
    ],
)
def test_case_accents_and_marks_do_not_count(text, folded):
    assert fold(text) == folded


@given(st.text())
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=20))
def test_case_does_not_count(text):
    assert fold(text.upper().lower()) == fold(text.upper())
