"""What looks like a secret is in no log, whoever writes it and however; the rest stays to be read."""

import secrets
import time

import pytest
from sqlalchemy import make_url
from tornado.web import create_signed_value

from visa_logs import hiding
from visa_logs.hiding import hide, secrets_of

HUBS, PROXYS, WORD = secrets.token_hex(16), secrets.token_hex(32), "correct-horse/2"
BEARER, CODE = secrets.token_urlsafe(32) + "0", secrets.token_urlsafe(24)
COOKIE = create_signed_value("x" * 32, "jupyterhub-hub-login", "session:" + "a" * 20).decode()
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLWl0"
DATABASE = make_url("postgresql+psycopg://visa@db/visa").set(password="p@ss/w:ord").render_as_string(False)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"Authorization: token {HUBS}", HUBS),
        (f"{{'Authorization': 'Bearer {BEARER}', 'Host': 'visa.test'}}", BEARER),
        ("Authorization: Basic dmlzYTpwYXNz", "dmlzYTpwYXNz"),
        (f"no owner of {HUBS}", HUBS),
        (f"sent token {BEARER} to the hub", BEARER),
        (f"GET /hub/api/authorizations/cookie/jupyterhub-session/{CODE} (visa@::1)", CODE),
        (f"302 GET /hub/oauth_callback?state=eyJzIjoxfQ&code={CODE} (@::1)", CODE),
        (f"302 GET /hub/oauth_callback?code={CODE}&state=eyJzIjoxfQ (@::1)", "eyJzIjoxfQ"),
        (f"302 GET /hub/home -> /hub/login?next=%2Fhub%2Fhome%3Fcode%3D{CODE} (@::1)", CODE),
        (f"302 GET / -> /login?next=%252Fx%253Fa%253D1%2526token%253D{CODE}%2526b%253D1&x=1", CODE),
        (f'the provider said {{"code": "{CODE}"}}', CODE),
        (f"Cookie: a=1; jupyterhub-hub-login={COOKIE}; _xsrf=1|x|y", "_xsrf=1"),
        (f"{{'Cookie': 'a=\"{COOKIE}\"; b={CODE}', 'Host': 'x'}}", CODE),
        (f"Set-Cookie: b={CODE}; HttpOnly", CODE),
        (f"kept {COOKIE} of somebody's", COOKIE),
        (f"__Host-jupyterhub-session-id={CODE}; x=1", CODE),
        (f"cannot connect to {DATABASE}", "ss%2Fw%3Aord"),
        ("http://visa:p@ss@db/visa", "ss@db"),
        (f"CONFIGPROXY_AUTH_TOKEN={PROXYS} node proxy.js", PROXYS),
        (f"{{'JUPYTERHUB_API_TOKEN': '{BEARER}'}}", BEARER),
        (f"JUPYTERHUB_CRYPT_KEY={CODE}", CODE),
        (f"the proxy refuses {PROXYS}.", PROXYS),
        ('client_secret="two words"', "two words"),
        (r"{\"password\": \"two words\"}", "two words"),
        (f"password={WORD}", WORD),
        (f"POST /x?_xsrf={CODE}&a=1", CODE),
        (f"id_token {JWT}", JWT[-8:]),
        (f"what is it? {JWT}", JWT[-8:]),
    ],
)
def test_a_secret_is_hidden(text, secret):
    assert secret in text
    hidden = hide(text)
    assert secret not in hidden and hiding.HIDDEN in hidden
    assert hide(hidden).count(hiding.HIDDEN) == hidden.count(hiding.HIDDEN)


@pytest.mark.parametrize(
    "text",
    [
        "200 GET /hub/api/users/alice/servers/tooth?include=stopped (alice@10.88.0.1) 12.34ms",
        "refusing to bind /data/visitor/ma1234/id19/20260101/RAW_DATA: a link",
        "cannot read the token: /etc/visa/monitoring/token",
        "alice/tooth ended with exit code: 1, status code=403",
        "general@sha256:" + "0123456789abcdef" * 4,
        "machine 3f2a6c1e-59f1-4c0e-9b1d-1a2b3c4d5e6f is gone",
        "302 GET /hub/ -> http://visa.test:8000/hub/login (@::1) 1.00ms",
        "Basic checks passed; the token is there, and 2 tokens of services",
        '  File "/opt/visa/current/venv/lib/python3.11/site-packages/jupyterhub/app.py", line 12, in start',
    ],
)
def test_what_is_none_is_left(text):
    assert hide(text) == text


def test_what_stands_beside_a_secret_is_left():
    line = f"403 GET /hub/api/users/alice?token={HUBS}&x=1 (alice@10.88.0.1) 2.10ms"
    assert hide(line) == "403 GET /hub/api/users/alice?token=[secret]&x=1 (alice@10.88.0.1) 2.10ms"
    within = "/hub/login?next=%2Fhub%2Fhome%3Fcode%3Dabc%26a%3D1&x=1 (@::1)"
    assert hide(within) == within.replace("abc", "[secret]")


def test_the_process_s_own_are_known_by_value(monkeypatch):
    environment = {"OAUTH_CLIENT_SECRET": WORD, "VISA_DATABASE_URL": "postgresql://visa:tulip-field@db/visa"}
    environment |= {"PATH": "/usr/bin", "VISA_TOKEN_FILE": "/etc/visa/token", "A_TOKEN": "short"}
    settings = {"JupyterHub": {"services": [{"name": "visa", "api_token": "daffodil-9"}]}}
    found = secrets_of(environment, settings)
    assert found == {WORD, "tulip-field", "daffodil-9"}
    monkeypatch.setattr(hiding, "_known", ())
    hiding.know(found)
    said = hide(f"{WORD} was refused, tulip-field and daffodil-9 as well")
    assert said == "[secret] was refused, [secret] and [secret] as well"


def test_a_long_text_costs_little():
    """Every pattern goes over it once: twice as long costs twice as much, not four times."""
    for piece in (
        "token ",
        "cookie=",
        "://a:b",
        "secret",
        "code=",
        "2|1:0|",
        "0123456789abcdef",
        "eyJ",
        "-eyJ",
        "jupyterhub-",
        "?&",
        "%3Fcode%3D",
        "%3Fa",
    ):
        text = piece * (200_000 // len(piece))
        began = time.process_time()
        hide(text)
        assert time.process_time() - began < 2, piece
