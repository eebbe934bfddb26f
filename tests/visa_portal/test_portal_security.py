import re

import pytest
from tornado.httputil import HTTPHeaders

from visa_portal.assets import FOLDER, Assets
from visa_portal.security import check_origin, cookie_secret, origin_of
from visa_portal.site import TEMPLATES

OWN = "https://portal.example.org:8000/services/visa/"


@pytest.mark.parametrize(
    ("headers", "trusted"),
    [
        ({"Origin": "https://portal.example.org:8000"}, True),
        ({"Origin": "HTTPS://PORTAL.example.org:8000"}, True),
        ({"Origin": "http://portal.example.org:8000"}, False),
        ({"Origin": "https://portal.example.org"}, False),
        ({"Origin": "https://alice.portal.example.org:8000"}, False),
        ({"Origin": "https://portal.example.org:8000.evil.org"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Sec_Fetch_Site": "same-origin"}, True),
        ({"Sec_Fetch_Site": "same-site"}, False),
        ({"Origin": "https://evil.org", "Sec_Fetch_Site": "same-origin"}, False),
        ({"Referer": OWN}, False),
        ({}, False),
    ],
)
def test_where_a_form_may_come_from(headers, trusted):
    sent = HTTPHeaders({name.replace("_", "-"): value for name, value in headers.items()})
    assert check_origin(sent, OWN) is trusted


def test_usual_ports_are_no_difference():
    assert origin_of("https://a.org:443/x") == origin_of("https://a.org") == "https://a.org"
    assert origin_of("http://a.org:443") == "http://a.org:443"


def test_cookies_outlive_a_restart_and_not_a_new_token():
    assert cookie_secret("one") == cookie_secret("one") != cookie_secret("two")


def test_assets_are_addressed_by_their_content(tmp_path):
    (tmp_path / "a.js").write_text("1")
    before = Assets(tmp_path)
    assert before.path("a.js") == Assets(tmp_path).path("a.js")
    (tmp_path / "a.js").write_text("2")
    assert Assets(tmp_path).path("a.js") != before.path("a.js")
    with pytest.raises(KeyError):
        before.path("b.js")


def test_nothing_inline_in_a_page():
    # What the policy would block, found without a browser; the proxy's page brings its style along.
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text()
        assert not re.search(r"\son\w+=", text), template
        assert not re.search(r"\sstyle=", text), template
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), template
        assert template.name == "proxy_error.html" or ("<style" not in text and "|safe" not in text), template


def test_the_style_can_stand_in_the_hubs_templates():
    style = (FOLDER / "visa.css").read_text()
    assert not re.search(r"\{[{%#]", style)
    assert "</style" not in style
