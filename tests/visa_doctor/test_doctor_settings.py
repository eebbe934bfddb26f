"""What the doctor finds without asking anybody: settings, secrets, owners and modes, disks, profiles."""

import os
import subprocess

import pytest
from doctor_site import PLAN, profile, write_profile

from visa_doctor.finding import Verdict
from visa_doctor.secrecy import hide
from visa_logs.hiding import secrets_of


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "c.VisaSite.max_sesions = 2",
            "there is no such setting. Perhaps c.VisaSite.max_sessions was meant.",
        ),
        ("c.VisaSiet.max_sessions = 2", "nothing here has such settings. Perhaps c.VisaSite was meant."),
        (
            "c.VisaSite.max_sessions = 'two'",
            "The 'max_sessions' trait of a VisaSite instance expected an int",
        ),
        ("c.VisaSite.home_roots = ['home']", "VisaSite.home_roots: 'home' is not an absolute path below /"),
        (
            "c.ContainerBackend.nodes = [{'name': 'x'}]",
            "ContainerBackend.nodes[0] (x): engine: Field required",
        ),
        ("c.SlurmBackend.image_template = 'x'", "SlurmBackend.image_template must be an absolute path"),
        ("c.LibvirtProvider.network = '10.0.0.0/31'", "must have room for six addresses"),
        ("c.VisaAuthenticator.role_names = {'a': 'king'}", "role_names: king is no role"),
        ("c.WatchedProxy.watch_interval = 'often'", "expected a float"),
        ("c.JupyterHub.spawner_class = 'visa_spawner.nothing.Spawner'", "spawner_class"),
    ],
)
def test_a_setting_that_is_wrong_is_named(doctor, setting, said):
    doctor.say(setting)
    (told,) = doctor.wrong("configuration")
    name = setting.partition("=")[0].strip().removeprefix("c.")
    assert told.startswith(f"configuration: c.{name if 'Siet' not in name else 'VisaSiet'}: ")
    assert said in told


def test_a_file_that_ends_early_is_named_with_its_line(doctor):
    doctor.say("c.VisaSite.max_sessions = 2\nfacility = nothing_such")
    (told,) = doctor.wrong("configuration")
    assert f"{doctor.folder}/20-test.py, line 3: NameError: name 'nothing_such' is not defined" in told
    doctor.say("c.VisaSite.max_sessions = = 2")
    (told,) = doctor.wrong("configuration")
    assert f"{doctor.folder}/20-test.py, line 2: SyntaxError" in told


def test_a_variable_that_the_configuration_needs(doctor, monkeypatch):
    monkeypatch.delenv("VISA_METRICS_TOKEN")
    (told,) = doctor.wrong("configuration")
    assert "KeyError: 'VISA_METRICS_TOKEN'" in told


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("c.JupyterHub.subdomain_host = ''", "the page of one session can read another person's"),
        ("c.JupyterHub.cleanup_servers = True", "a hub that stops ends every session"),
        ("c.JupyterHub.subdomain_host = 'http://visa.facility.eu'", "readable for everybody on the way"),
    ],
)
def test_what_must_not_be_turned_off(doctor, setting, said):
    doctor.say(setting)
    (told,) = doctor.wrong("configuration")
    assert said in told


def test_other_checks_say_that_they_wait_for_the_settings(doctor):
    doctor.say("c.VisaSite.max_sessions = 'two'")
    found = doctor.look("profiles")
    assert [(one.verdict, one.because) for one in found] == [(Verdict.UNCHECKED, "configuration")]


# Secrets ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CONFIGPROXY_AUTH_TOKEN", "", "is not set, which keeps the hub from starting"),
        ("VISA_PORTAL_TOKEN", "changeme", "is a word that stands in examples"),
        ("OAUTH_CLIENT_SECRET", "abc123def", "is only 9 characters long"),
        ("VISA_PORTAL_TOKEN", "abcabcabcabcabcabcabcabc", "is made of a few characters that repeat"),
        ("JUPYTERHUB_CRYPT_KEY", "0123456789abcdef", "is not 32 bytes in hexadecimal"),
    ],
)
def test_a_secret_that_is_none_is_named_and_not_told(doctor, monkeypatch, name, value, said):
    monkeypatch.setenv(name, value)
    (told,) = doctor.wrong("secrets")
    assert told.startswith(f"secrets, {name}: {name} {said}")
    assert not value or value not in told


def test_two_secrets_that_are_one(site, doctor, monkeypatch):
    monkeypatch.setenv("VISA_PORTAL_TOKEN", site.secrets["CONFIGPROXY_AUTH_TOKEN"])
    (told,) = doctor.wrong("secrets")
    assert "VISA_PORTAL_TOKEN is the same as CONFIGPROXY_AUTH_TOKEN" in told


@pytest.mark.parametrize("name", ["hub.env", "cookie_secret"])
def test_a_file_of_secrets_that_others_read(site, doctor, name):
    path = site.folder / name
    path.chmod(0o644)
    try:
        (told,) = doctor.wrong("secrets")
    finally:
        path.chmod(0o600)
    assert told == f"secrets, {path}: {path} holds a secret and has mode 0644: others may read or change it."


def test_a_file_of_secrets_that_is_somebody_elses(site, doctor):
    os.chown(site.environment_file, 12345, 0)
    try:
        (told,) = doctor.wrong("secrets")
    finally:
        os.chown(site.environment_file, 0, 0)
    assert "belongs to uid 12345" in told


def test_secrets_are_hidden_in_whatever_is_said(doctor):
    doctor.say("c.JupyterHub.db_url = 'postgresql+psycopg://visa:hidden-here@db/visa'")
    here = doctor.site
    from visa_doctor.installation import Installation

    config = Installation(here.config).config
    known = secrets_of(here.secrets, config)
    assert set(here.secrets.values()) <= known
    text = f"token {here.secrets['VISA_PORTAL_TOKEN']} of postgresql+psycopg://visa:hidden-here@db/visa"
    assert hide(text, known) == "token [secret] of postgresql+psycopg://visa:[secret]@db/visa"


# Rights ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("place", "mode", "verdict", "said"),
    [
        ("jupyterhub_config.py", 0o666, Verdict.WRONG, "others may change it"),
        ("profiles", 0o777, Verdict.WRONG, "the directory of the profiles, has mode 0777"),
        ("experiments.yaml", 0o664, Verdict.WRONG, "the catalogue, which says what sessions may reach"),
        ("hub.sqlite", 0o644, Verdict.WARNING, "the hub's database, has mode 0644: others may read it"),
        ("staging", 0o755, Verdict.WRONG, "where data are pinned for a start, has mode 0755"),
    ],
)
def test_what_others_may_change_or_read(site, doctor, place, mode, verdict, said):
    path = site.folder / place
    before = path.stat().st_mode & 0o7777
    path.chmod(mode)
    try:
        (told,) = doctor.wrong("rights", verdict=verdict)
    finally:
        path.chmod(before)
    assert told.startswith(f"rights, {path}: ")
    assert said in told


# Disk ------------------------------------------------------------------------------------------------
def test_a_disk_that_is_full(doctor, tmp_path):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "visa-doctor", tmp_path], check=True)
    try:
        (tmp_path / "fill").write_bytes(b"x" * (1 << 20))
        doctor.say(f"c.VisaSite.disks.append('{tmp_path}')")
        (told,) = doctor.wrong("disk")
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert told == f"disk, {tmp_path}: The file system of {tmp_path} is full: 0 MB are left, 0%."


# Profiles --------------------------------------------------------------------------------------------
@pytest.fixture
def profiles(doctor):
    folder = doctor.folder / "profiles"
    doctor.say(f"c.VisaSite.profiles_dir = '{folder}'")
    return folder


def test_a_mistake_in_a_profile(doctor, profiles):
    write_profile(profiles, **profile() | {"imaeg": "general"})
    (told,) = doctor.wrong("profiles")
    lines = (profiles / "general.yaml").read_text().splitlines()
    line = lines.index("imaeg: general") + 1
    assert told == f"profiles, general: {profiles}/general.yaml, line {line}, imaeg: no such field."


def test_no_profile(doctor, profiles):
    profiles.mkdir()
    (told,) = doctor.wrong("profiles")
    assert "there is no profile (a file NAME.yaml) here" in told


def test_a_plan_that_no_node_can_hold(doctor, profiles):
    write_profile(profiles, **profile(small=PLAN, big=PLAN | {"cpus": 3}))
    (told,) = doctor.wrong("profiles")
    assert told.startswith(
        "profiles, general: The plan big can never start: No node of this facility is large"
    )


@pytest.mark.parametrize("backend", ["slurm", "vm"])
def test_a_backend_that_nobody_has_set_up(doctor, profiles, backend):
    write_profile(profiles, **profile(small=PLAN, other=PLAN | {"backend": backend}))
    (told,) = doctor.look("profiles")
    assert (told.about, told.verdict, told.stops) == (backend, Verdict.WRONG, True)
    assert told.what.startswith(f"Plans with `backend: {backend}` stand in general, and c.")


def test_a_hub_without_nodes_starts(doctor, profiles):
    write_profile(profiles, **profile())
    doctor.say(f"c.VisaSite.profiles_dir = '{profiles}'\nc.ContainerBackend.nodes = []")
    (told,) = doctor.look("profiles")
    assert (told.about, told.verdict, told.stops) == ("container", Verdict.WRONG, False)


def test_what_leads_to_the_cluster_is_missing(doctor, profiles):
    write_profile(profiles, **profile() | {"cluster": True})
    (told,) = doctor.wrong("cluster-access")
    assert "c.ClusterAccess does not say how sessions reach the cluster" in told
    doctor.say(f"c.VisaSite.profiles_dir = '{profiles}'\nc.ClusterAccess.binds = ['/nowhere/munge']")
    (told,) = doctor.wrong("cluster-access")
    assert told.startswith("cluster-access: /nowhere/munge is not there")
