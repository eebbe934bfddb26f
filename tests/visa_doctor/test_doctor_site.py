"""The doctor on a site of real parts: all is well; then one part after the other is broken, and named."""

import json
import re
import signal
import subprocess
import sys

import pytest
from doctor_site import PLAN, profile, write_profile

from visa_doctor.finding import Verdict


def test_all_is_well(doctor):
    found = doctor.look()
    bad = [one for one in found if one.verdict in (Verdict.WRONG, Verdict.UNCHECKED)]
    assert bad == []
    # Each check that a site without a cluster or machines has something to say in.
    silent = {"slurm", "machines", "cluster-access", "gpus"}
    assert {one.check for one in found} == {check for check in _names()} - silent


def _names():
    from visa_doctor.table import CHECKS

    return [check.name for check in CHECKS]


def test_the_command(site, doctor):
    """By itself, with the service's own environment file and nothing else of it."""
    command = [sys.executable, "-m", "visa_spawner.command", "doctor", "--json", "--config", site.config]
    command += ["--environment", site.environment_file, "--directory", site.folder]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin"})
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert (told["site"], told["exit_code"]) == (site.url, 0)
    assert told["not_in_use"] == ["gpus", "slurm", "cluster-access", "machines"]
    assert not [one for one in told["findings"] if one["verdict"] not in ("ok", "warning")]
    for secret in site.secrets.values():
        assert secret not in done.stdout


def test_whether_a_hub_would_start(site):
    """Only what ends one: neither a setting that nothing knows nor a plan that is too large."""
    command = [
        sys.executable,
        "-m",
        "visa_spawner.command",
        "doctor",
        "--would-start",
        "--config",
        site.config,
    ]
    command += ["--environment", site.environment_file, "--directory", site.folder]
    more, profiles = site.folder / "jupyterhub_config.d/30-test.py", site.folder / "profiles"

    def said() -> tuple[int, str]:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=100, env={"PATH": "/usr/bin:/bin"}
        )
        return done.returncode, done.stdout

    try:
        more.write_text("c.VisaSite.nonsense = 1\n")
        write_profile(profiles, **profile("large", large=PLAN | {"cpus": 99}))
        code, text = said()
        assert (code, "WRONG" in text) == (0, False), text
        more.write_text("c.VisaSite.max_sessions = nothing\n")
        write_profile(profiles, **profile("large", large=PLAN | {"cups": 99}))
        site.write_catalogue([site.experiment("ma-1", begin="2026-01-01")])
        code, text = said()
        more.write_text("c.SlurmBackend.hub_id = 'here'\nc.SlurmBackend.commands_dir = '/nowhere'\n")
        write_profile(profiles, **profile("large", large=PLAN | {"backend": "slurm"}))
        site.write_catalogue([site.experiment("ma-1")])
        without_commands = said()
    finally:
        more.unlink()
        (profiles / "large.yaml").unlink()
        site.write_catalogue([site.experiment("ma-1")])
    assert code == 1
    assert text.count("(a hub that is started now ends with this: do not restart it before)") == 3
    assert [line for line in text.splitlines() if re.match(r"  \w", line)] == [
        "  configuration",
        "  catalogue",
        "  profiles, large",
    ]
    assert without_commands[0] == 1
    assert "Slurm's commands cannot be used on this machine" in without_commands[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hub", "hub: The hub takes connections at {hub}/hub/ and does not answer: it stands still."),
        ("portal", "portal: The portal does not answer (no answer within"),
    ],
)
def test_a_part_that_stands_still(site, doctor, name, said):
    doctor.limit = 2
    site.signal(name, signal.SIGSTOP)
    try:
        (told,) = doctor.wrong(name)
    finally:
        site.signal(name, signal.SIGCONT)
    assert told.startswith(said.format(hub=site.hub))


def test_parts_that_are_not_there(doctor, monkeypatch):
    monkeypatch.setenv("VISA_PORTAL_ADDRESS", "http://127.0.0.1:9")
    doctor.say(
        "c.JupyterHub.hub_bind_url = 'http://127.0.0.1:9'\nc.WatchedProxy.api_url = 'http://127.0.0.1:9'"
    )
    told = doctor.wrong("hub", "proxy", "portal")
    assert [one.partition(":")[0] for one in told] == ["hub", "proxy", "portal"]
    assert "The hub does not run: nothing listens there" in told[0]
    assert "no page opens for anybody" in told[1]
    assert "people see no pages; their sessions run on" in told[2]


def test_something_else_where_the_portal_should_be(site, doctor, monkeypatch):
    monkeypatch.setenv("VISA_PORTAL_ADDRESS", site.hub)
    (told,) = doctor.wrong("portal")
    assert told.startswith("portal: Something else than the portal answers")


def test_a_token_that_the_proxy_does_not_take(doctor, monkeypatch):
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "0123456789abcdef" * 2)
    assert doctor.wrong("proxy") == [
        "proxy: The proxy does not take the hub's token, so no new session gets its address."
    ]


def test_a_token_that_does_not_read_the_figures(doctor, monkeypatch):
    monkeypatch.setenv("VISA_METRICS_TOKEN", "0123456789abcdef" * 2)
    (told,) = doctor.wrong("metrics")
    assert told.startswith("metrics: The hub answers 403 to who reads its figures")


def test_nobody_may_read_the_figures(doctor):
    doctor.say("c.JupyterHub.load_roles = []")
    (told,) = doctor.wrong("metrics", verdict=Verdict.WARNING)
    assert told.startswith("metrics: No service may read /hub/metrics")


def test_the_hub_tells_that_the_proxy_is_gone_and_back(site):
    """Of the figures that alarms go by, the one that nothing else tests."""
    site.until(lambda: "visa_proxy_answering 1.0" in site.metrics(), "the proxy answers")
    site.stop("proxy")
    try:
        site.until(lambda: "visa_proxy_answering 0.0" in site.metrics(), "the hub has seen it", 20)
    finally:
        site.start_proxy()
    site.until(lambda: "visa_proxy_answering 1.0" in site.metrics(), "the proxy is back", 20)
    site.until(lambda: site.status(f"{site.url}/hub/health") == 200, "its routes are there", 20)


def test_the_figures_of_what_stands_around_the_hub(site):
    def there(*lines):
        text = site.metrics()
        return all(line in text for line in lines)

    site.until(
        lambda: there(
            'visa_node_answering{node="node1"} 1.0',
            f'visa_portal_answering{{url="http://127.0.0.1:{site.portal_port}"}} 1.0',
            f'visa_disk_free_ratio{{place="{site.folder}"}} 0.',
            'visa_leftovers{backend="container"} 0.0',
            'visa_machines_answering{provider="libvirt"} 0.0',
            "visa_slurm_answering 0.0",
        ),
        "all are told",
    )
    counts = [line for line in site.metrics().splitlines() if line.startswith("visa_database_seconds_count")]
    assert len(counts) == 2
    assert all(float(line.split()[-1]) > 0 for line in counts)
