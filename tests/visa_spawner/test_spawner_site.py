"""Mistakes in the settings stop the hub at its start, with the setting's name."""

import pytest
from traitlets import TraitError
from traitlets.config import Config

from visa_catalogue import CatalogueError
from visa_spawner.asked.authorise import Limits
from visa_spawner.data.binds import Unsafe
from visa_spawner.profiles.files import ProfileError
from visa_spawner.site import VisaSite, prepare


@pytest.fixture
def config(site_files):
    config = Config()
    config.VisaSite.profiles_dir = str(site_files / "profiles")
    config.VisaSite.catalogue_address = f"file://{site_files}/experiments.yaml"
    config.VisaSite.backends = {"container": "local_backend.LocalBackend"}
    config.VisaSite.staging_dir = str(site_files / "staging")
    config.VisaSite.max_sessions = 2
    yield config
    VisaSite.clear_instance()


def test_a_good_site_is_ready(config, site_files):
    site = prepare(config)
    assert set(site.profiles) >= {"general", "staffonly"}
    assert list(site.used_backends()) == ["container"]
    assert site.limits == Limits(frozenset({"instrument-scientist", "helpdesk", "administrator"}), 2)
    assert (site_files / "staging").stat().st_mode & 0o777 == 0o700


def test_a_wrong_profile(config, site_files):
    file = site_files / "profiles/general.yaml"
    file.write_text(file.read_text().replace("backend: container", "backend: cloud", 1))
    with pytest.raises(ProfileError, match=r"general.yaml, line \d+, plans\.\w+\.backend: no such backend"):
        prepare(config)


def test_a_backend_that_cannot_be_loaded(config):
    config.VisaSite.backends = {"container": "visa_spawner.backends.nothing.Nothing"}
    with pytest.raises(ImportError, match="a profile's plan needs a backend"):
        prepare(config)


def test_no_catalogue(config, site_files):
    del config.VisaSite["catalogue_address"]
    with pytest.raises(TraitError, match=r"VisaSite\.catalogue_address must be set"):
        prepare(config)
    config.VisaSite.catalogue_address = f"file://{site_files}/none.yaml"
    with pytest.raises(CatalogueError):
        prepare(config)


@pytest.mark.parametrize(
    ("name", "value"), [("home_roots", ["home"]), ("home_roots", ["/"]), ("staging_dir", "x")]
)
def test_paths_that_are_none(config, name, value):
    config.VisaSite[name] = value
    with pytest.raises(TraitError, match=f"VisaSite.{name}"):
        prepare(config)


def test_a_staging_directory_that_others_may_enter(config, site_files):
    (site_files / "staging").mkdir(mode=0o755)
    with pytest.raises(Unsafe, match="mode 0700"):
        prepare(config)
