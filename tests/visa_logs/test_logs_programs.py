"""The portal and the hub's settings in processes of their own, as systemd would start them, and otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HUB = """
import asyncio, logging, sys, warnings
from visa_logs import journal
journal.SOCKET = sys.argv.pop()
from jupyterhub.app import JupyterHub
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler

class Page(RequestHandler):
    def get_current_user(self):
        return {"name": "alice"}
    def get(self, what):
        if what == "broken":
            raise RuntimeError("it broke on token=0123456789abcdef0123456789abcdef")

async def main():
    app = JupyterHub.instance()
    app.load_config_file(sys.argv[1])
    app.init_logging()
    logging.getLogger("visa_spawner.site").warning("of a module")
    logging.getLogger("visa_spawner.site").info("not said in the hub")
    warnings.warn("old\\nways")
    settings = dict(app.tornado_settings)
    server = HTTPServer(Application([("/hub/(.*)", Page)], log_function=settings["log_function"]))
    server.listen(0, "127.0.0.1")
    port = next(iter(server._sockets.values())).getsockname()[1]
    client = AsyncHTTPClient()
    for path in ("home?token=abcdef", "broken"):
        headers = {"Cookie": "a=b-secret-cookie"}
        url = f"http://127.0.0.1:{port}/hub/{path}"
        await client.fetch(HTTPRequest(url, headers=headers), raise_error=False)
    logging.getLogger("tornado.access").warning("of no request")
    app.log.info("proxy has %s", "c0ffee" * 10)
    raise LookupError("CONFIGPROXY_AUTH_TOKEN is hyacinth-7")

asyncio.run(main())
"""
CONFIG = """
import visa_logs.hub
c.JupyterHub.services = [{"name": "visa", "api_token": "daffodil-9"}]
visa_logs.hub.prepare(c)
"""
PORTAL = """
import sys
from visa_logs import journal
journal.SOCKET = sys.argv.pop()
from visa_portal.app import main
main()
"""
SECRETS = ("0123456789abcdef", "abcdef", "b-secret", "c0ffee", "hyacinth-7")


@pytest.fixture
def run(journal, tmp_path):
    """Run a program as systemd does, or with another service's JOURNAL_STREAM; gives what it has printed."""

    def run(program: str, *arguments: str, as_service: bool = True, **environment: str) -> str:
        file = tmp_path / "program.py"
        file.write_text(textwrap.dedent(program))
        output = tmp_path / "output"
        with output.open("wb") as printed:
            there = os.fstat(printed.fileno())
            environment |= {
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT),
                "JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino + (not as_service)}",
                "CONFIGPROXY_AUTH_TOKEN": "hyacinth-7",
            }
            words = [sys.executable, str(file), *arguments, str(journal.path)]
            subprocess.run(words, env=environment, stdout=printed, stderr=printed, cwd=tmp_path, timeout=60)
        return output.read_text()

    return run


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(CONFIG)
    return file


def test_the_hub_as_a_service_writes_records(run, config, journal):
    printed = run(HUB, str(config))
    records = journal.all()
    assert printed == ""
    by_message = {record["MESSAGE"].partition("\n")[0]: record for record in records}
    module = by_message["of a module"]
    assert (module["PRIORITY"], module["LOGGER"]) == ("4", "visa_spawner.site")
    assert "not said in the hub" not in by_message
    assert [record["MESSAGE"] for record in records if "old\nways" in record["MESSAGE"]]
    assert "VISA_PATH" not in by_message["of no request"]
    access, headers, broken = (record for record in records if record["LOGGER"] == "tornado.access")
    assert access["MESSAGE"].startswith("200 GET /hub/home?token=[secret] (alice@127.0.0.1) ")
    wanted = {"METHOD": "GET", "PATH": "/hub/home", "STATUS": "200", "USER": "alice"}
    assert {name: access[f"VISA_{name}"] for name in wanted} == wanted and float(access["VISA_MS"]) > 0
    assert (broken["PRIORITY"], broken["VISA_STATUS"], headers["VISA_PATH"]) == ("3", "500", "/hub/broken")
    (raised,) = (record for record in records if "RuntimeError: it broke on token=" in record["MESSAGE"])
    assert "Traceback (most recent call last):" in raised["MESSAGE"] and "VISA_PATH" not in raised
    last = records[-1]
    assert last["MESSAGE"].splitlines()[-1] == "LookupError: CONFIGPROXY_AUTH_TOKEN is [secret]"
    assert last["PRIORITY"] == "2"
    assert [secret for secret in SECRETS if secret in str(records)] == []


def test_the_hub_elsewhere_writes_its_text_without_secrets(run, config, journal):
    printed = run(HUB, str(config), as_service=False)
    assert journal.all() == []
    lines = printed.splitlines()
    assert [line for line in lines if line.startswith("[W 2") and line.endswith("] of a module")]
    access = [line for line in lines if "200 GET /hub/home?token=[secret] (alice@127.0.0.1) " in line]
    assert len(access) == 1 and access[0].startswith("[I 2")
    assert "RuntimeError: it broke on token=[secret]" in printed
    assert printed.rstrip().splitlines()[-1].strip() == "LookupError: CONFIGPROXY_AUTH_TOKEN is [secret]"
    assert [secret for secret in SECRETS if secret in printed] == []


def test_a_site_s_own_settings_count_for_more(run, config, journal):
    own = {"loggers": {"visa_spawner": {"level": "INFO"}}}
    config.write_text(f"c.JupyterHub.logging_config = {own}\n{CONFIG}")
    run(HUB, str(config))
    said = [record["MESSAGE"] for record in journal.all()]
    assert "not said in the hub" in said


def test_a_mistake_in_the_settings_is_one_record(run, config, journal):
    config.write_text(f"{CONFIG}\nraise ValueError('no such profile')\n")
    printed = run(HUB, str(config))
    (record,) = (one for one in journal.all() if "no such profile" in one["MESSAGE"])
    assert "Traceback" in record["MESSAGE"] and int(record["PRIORITY"]) <= 3 and printed == ""


def test_the_portal_says_so_as_well(run, journal):
    environment = {"JUPYTERHUB_API_TOKEN": "tulip-field-1", "VISA_CATALOGUE": "file:///nowhere/tulip-field-1"}
    printed = run(PORTAL, **environment)
    last = journal.all()[-1]
    assert printed == "" and (last["PRIORITY"], last["LOGGER"]) == ("2", "Portal")
    assert "/nowhere/[secret]" in last["MESSAGE"]
    printed = run(PORTAL, as_service=False, **environment)
    assert journal.all() == [] and printed.startswith("[Portal] CRITICAL | ")
    assert "/nowhere/[secret]" in printed
