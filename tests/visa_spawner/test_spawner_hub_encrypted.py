"""Sessions that serve TLS, with a real hub and proxy: started, found again, refused, beside plain ones."""

import json
import os
import ssl
import urllib.request

import httpx
import pytest
from furnished import a_facility, furnish
from local_hub import Hub
from spawner_support import GOOD_OPTIONS, write_site

from visa_spawner.inside.making import make


@pytest.fixture(scope="module")
def hub():
    with a_facility() as root:
        furnish(root)
        write_site(root)
        make(root / "inside", [])
        hub = Hub(root, authority_dir=str(root / "inside"))
        hub.spawner |= {"start_timeout": 25, "http_timeout": 3}
        try:
            yield hub.start()
        finally:
            hub.close()


@pytest.fixture(autouse=True)
def nothing_left(hub):
    yield
    hub.site["authority_dir"] = str(hub.root / "inside")
    for name in hub.names():
        hub.stop_session(name)


def restarted(hub):
    hub.kill()
    hub.start()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it is found again")


def target(hub, name="tooth"):
    """Where the proxy leads for it."""
    headers = {"Authorization": f"token {hub.proxy_token}"}
    routes = hub.http.get(f"{hub.proxy_api}/api/routes", headers=headers).json()
    return routes[f"/user/alice/{name}"]["target"]


def reached(hub, name="tooth"):
    """What it answers through the proxy."""
    return hub.http.get(hub.address(name)).json()["environment"]["JUPYTERHUB_SERVER_NAME"] == name


def test_it_is_reached_by_tls_alone(hub):
    hub.run_session("tooth", GOOD_OPTIONS)
    where = target(hub)
    assert where.startswith("https://127.0.0.1:")
    assert reached(hub)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        hub.http.get(where.replace("https", "http"))
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(where)
    trusting = ssl.create_default_context(cafile=hub.root / "inside/authority.pem")
    assert httpx.get(where, verify=trusting).status_code == 200


def test_its_key_is_in_no_file_no_environment_and_no_record(hub):
    hub.run_session("tooth", GOOD_OPTIONS)
    pid = hub.process("alice+tooth")
    key = b"PRIVATE KEY"
    assert key not in open(f"/proc/{pid}/environ", "rb").read()
    assert key not in open(f"/proc/{pid}/cmdline", "rb").read()
    assert [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")
            if "certificate" in os.readlink(f"/proc/{pid}/fd/{fd}")] == []  # fmt: skip
    assert key not in hub.log.read_bytes()
    # Plain files of the hub's: its database, and what it was told.
    kept = [path for path in hub.root.iterdir() if path.is_file()]
    assert kept and all(key not in path.read_bytes() for path in kept)


def test_a_hub_that_was_killed_finds_it_by_tls(hub):
    hub.run_session("tooth", GOOD_OPTIONS)
    before = target(hub)
    restarted(hub)
    assert target(hub) == before
    assert reached(hub)


def test_one_whose_image_is_older_is_refused_in_words(hub):
    answer = hub.start_session("tooth", GOOD_OPTIONS | {"profile": "old"})
    assert answer.status_code in (202, 500), answer.text
    hub.until(lambda: hub.session("tooth")["state"] == "failed", 20, "it is given up")
    log = (hub.marks / "alice+tooth.log").read_text()
    assert "request: sessions have to serve TLS here" in log and "build it anew" in log


def test_one_that_was_asked_for_before_the_site_had_an_authority_starts_in_plain(hub):
    """As one that waits in a cluster's queue meanwhile: its image is not to blame."""
    hub.site["authority_dir"] = ""
    hub.kill()
    hub.start()
    (hub.marks / "hold-ready").touch()
    try:
        assert hub.start_session("tooth", GOOD_OPTIONS).status_code == 202
        hub.until(lambda: hub.process("alice+tooth"), 20, "its process runs")
        hub.site["authority_dir"] = str(hub.root / "inside")
        hub.kill()
        hub.start()
    finally:
        (hub.marks / "hold-ready").unlink()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "it is ready")
    assert target(hub).startswith("http://") and reached(hub)


def test_what_is_no_request_is_refused_by_name(hub):
    (hub.marks / "hold-ready").touch()
    try:
        assert hub.start_session("tooth", GOOD_OPTIONS).status_code == 202
        token = (hub.marks / "alice+tooth.log").read_text().rpartition(" ")[2].strip()
        for bad in ("", "x", 7, None, ["x"], "x" * 5000):
            answer = hub.api("POST", "visa/ready", token, json={"port": 8888, "request": bad})
            assert answer.status_code == 400, bad
            assert answer.json()["message"].startswith(("request: ", "port: ")), bad
        assert hub.session("tooth")["state"] == "starting"
    finally:
        (hub.marks / "hold-ready").unlink()
    hub.until(lambda: hub.session("tooth")["ready"], 20, "its own word counts, the others did not")
    assert reached(hub)


def test_a_plain_one_runs_on_when_tls_is_turned_on_and_the_other_way_round(hub):
    hub.site["authority_dir"] = ""
    hub.kill()
    hub.start()
    hub.run_session("tooth", GOOD_OPTIONS)
    assert target(hub).startswith("http://")
    assert "VISA_AUTHORITY" not in hub.http.get(hub.address("tooth")).json()["environment"]

    hub.site["authority_dir"] = str(hub.root / "inside")
    restarted(hub)
    assert reached(hub) and target(hub).startswith("http://")
    hub.run_session("other", GOOD_OPTIONS)
    assert reached(hub, "other") and target(hub, "other").startswith("https://")

    hub.site["authority_dir"] = ""
    restarted(hub)
    hub.until(lambda: hub.session("other")["ready"], 20, "it is found again")
    assert reached(hub) and reached(hub, "other")
    assert target(hub, "other").startswith("https://")
    with urllib.request.urlopen(hub.address("other")) as answer:
        assert json.load(answer)["environment"]["VISA_AUTHORITY"].startswith("-----BEGIN CERTIFICATE")


def test_a_folder_that_holds_no_authority_stops_the_hub_with_a_sentence(hub):
    hub.kill()
    hub.site["authority_dir"] = str(hub.root / "marks")
    with pytest.raises(AssertionError, match=r"VisaSite.authority_dir: .*authority.pem"):
        hub.start()
    hub.site["authority_dir"] = str(hub.root / "inside")
    hub.start()
