"""Building: what is said, what is built again, what the building machine hands over."""

from __future__ import annotations

import io
import subprocess
import time
import uuid
from functools import partial
from pathlib import Path

import pytest

from images import host, recipe
from images.build import BEFORE, BUILT, SOFTWARE_LABEL, TITLE_LABEL, UP_TO_DATE, build, main
from images.engine import BuildFailed, Engine, find_engine
from images.recipe import Recipe, session_setup

from .recipes import tested


def test_an_unchanged_recipe_is_left_alone_in_no_time(image, capsys):
    began = time.monotonic()
    assert main(["base"]) == 0
    assert time.monotonic() - began < 2
    assert "up to date" in capsys.readouterr().out


def test_all_there_is_is_left_alone_in_no_time_when_nothing_has_changed(monkeypatch, capsys):
    names = ["base", *tested()]
    assert main(names) == 0
    monkeypatch.setattr(Engine, "build", lambda *_, **__: pytest.fail("something was built"))
    capsys.readouterr()
    began = time.monotonic()
    assert main(names) == 0
    assert time.monotonic() - began < 5
    assert capsys.readouterr().out.count(" is up to date") == len(names)


def test_an_unknown_recipe_is_refused_with_those_there_are(capsys):
    assert main(["nothing"]) == 1
    assert "no recipe 'nothing'" in capsys.readouterr().err
    with pytest.raises(BuildFailed, match="there are base, diffraction"):
        Recipe("../../etc", "bookworm")


def test_a_missing_engine_is_said_in_words():
    with pytest.raises(BuildFailed, match="install podman"):
        find_engine(["no-such-engine"], io.BytesIO())


def test_a_failing_step_says_so_and_leaves_no_image(engine, tmp_path, image):
    context = tmp_path / "context"
    context.mkdir()
    (context / "Containerfile").write_text(f"FROM {image}\nRUN echo about to fail; exit 3\n")
    with (
        (tmp_path / "log").open("wb") as log,
        pytest.raises(BuildFailed, match="visa-test-images:failing failed"),
    ):
        Engine(engine.program, log).build(
            context, "localhost/visa-test-images:failing", arguments={}, labels={}, secrets={}
        )
    assert "about to fail" in (tmp_path / "log").read_text()
    assert engine.inspect("localhost/visa-test-images:failing") is None


def copy_of_tree(tmp_path, monkeypatch):
    """A small tree with two recipes, for changes that the real one must not see."""
    for path in ("setup.cfg", "pyproject.toml", "images/root.py", *map(str, steps())):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes((recipe.TREE / path).read_bytes())
    for name in ("base", "one", "two"):
        for path in ("apt.txt", "requirements.lock", "files/etc/a", "applications/a.desktop"):
            (tmp_path / "images" / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "images" / name / path).write_text("")
        (tmp_path / "images" / name / "recipe.yaml").write_text(f"title: {name}\nkernel: {name}\n")
    for path in ("visa_session/start.py", "visa_portal/app.py"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("")
    monkeypatch.setattr(recipe, "TREE", tmp_path)
    monkeypatch.setattr(recipe, "IMAGES", tmp_path / "images")


def steps() -> list[Path]:
    return [p.relative_to(recipe.TREE) for p in (recipe.IMAGES / "steps").iterdir() if p.is_file()]


#: What changes when a file does: the software of base and of a technique, the image of each.
NOTHING, SOFTWARE, IMAGES = (), ("base software", "one software"), ("base", "one")


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("images/root.py", SOFTWARE + IMAGES),
        ("images/steps/software.Containerfile", SOFTWARE + IMAGES),
        ("images/steps/apt.sh", SOFTWARE + IMAGES),
        ("images/steps/python.sh", SOFTWARE + IMAGES),
        ("images/base/apt.txt", SOFTWARE + IMAGES),
        ("images/base/requirements.lock", SOFTWARE + IMAGES),
        ("images/one/apt.txt", ("one software", "one")),
        ("images/one/requirements.lock", ("one software", "one")),
        ("images/steps/session.Containerfile", IMAGES),
        ("images/steps/finish.sh", IMAGES),
        ("images/steps/finish.py", IMAGES),
        ("images/base/files/etc/a", IMAGES),
        ("images/base/applications/a.desktop", IMAGES),
        ("images/one/files/etc/a", ("one",)),
        ("images/one/applications/a.desktop", ("one",)),
        ("visa_session/start.py", IMAGES),
        ("pyproject.toml", IMAGES),
        ("images/two/apt.txt", NOTHING),
        ("images/two/files/etc/a", NOTHING),
        ("images/one/requirements.in", NOTHING),
        ("profiles/one.yaml", NOTHING),
        ("visa_portal/app.py", NOTHING),
        ("visa_session/__pycache__/start.pyc", NOTHING),
    ],
)
def test_a_hash_follows_what_the_image_is_made_from_and_nothing_else(tmp_path, monkeypatch, path, changes):
    copy_of_tree(tmp_path, monkeypatch)

    def hashes() -> dict[str, str]:
        recipes = [Recipe(name, "bookworm") for name in ("base", "one")]
        return {f"{it.name} software": it.software_hash for it in recipes} | {
            it.name: it.hash for it in recipes
        }

    before = hashes()
    assert hashes() == before and len(set(before.values())) == 4
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text("changed")
    after = hashes()
    assert {name for name in before if after[name] != before[name]} == set(changes)


def test_what_a_recipe_says_of_itself_matters_to_its_image_alone(tmp_path, monkeypatch):
    copy_of_tree(tmp_path, monkeypatch)
    before = Recipe("one", "bookworm")
    said = before.hash, before.software_hash
    (tmp_path / "images/one/recipe.yaml").write_text("title: another\nkernel: another\n")
    after = Recipe("one", "bookworm")
    assert after.hash != said[0] and after.software_hash == said[1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kernel: x\n", "title"),
        ("title: x\nkernel: x\nkernal: x\n", "kernal"),
        ("title: ''\nkernel: x\n", "title and kernel are texts"),
        ("title: [\n", "flow node"),
    ],
)
def test_a_recipe_that_says_nonsense_is_refused_by_name(tmp_path, monkeypatch, text, words):
    copy_of_tree(tmp_path, monkeypatch)
    (tmp_path / "images/one/recipe.yaml").write_text(text)
    with pytest.raises(BuildFailed, match=f"images/one/recipe.yaml: .*{words}"):
        Recipe("one", "bookworm")
    (tmp_path / "images/two/apt.txt").unlink()
    with pytest.raises(BuildFailed, match="images/two has no apt.txt"):
        Recipe("two", "bookworm")


def test_the_hash_follows_the_release():
    assert Recipe("base", "bookworm").hash != Recipe("base", "trixie").hash


def test_only_the_sessions_part_of_setup_goes_into_an_image():
    setup = session_setup()
    assert "visa-session = visa_session" in setup
    for other in ("visa_portal", "visa_spawner", "oauthenticator", "playwright"):
        assert other not in setup


DEB822 = """
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: https://mirror.example/debian-security/
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
"""

ONE_LINE = """
# deb http://comment.example/debian bookworm main
deb [signed-by=/x.gpg] http://mirror.example/debian bookworm main
deb https://mirror.example/debian-security bookworm-security main
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sources.list.d/debian.sources", DEB822),
        ("sources.list", ONE_LINE),
    ],
)
def test_this_machines_mirrors_are_found_in_both_formats(tmp_path, name, text):
    (tmp_path / "os-release").write_text("NAME=Debian\nID=debian\n")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    (tmp_path / "sources.list.d/other.list").write_text("deb https://other.example/apt cloud-sdk main\n")
    found = host.mirrors(tmp_path, tmp_path / "os-release")
    assert found == host.Mirrors("http://mirror.example/debian", "https://mirror.example/debian-security")
    assert "deb https://mirror.example/debian-security trixie-security main" in found.sources("trixie")


def test_another_distributions_mirrors_are_not_debians(tmp_path):
    (tmp_path / "os-release").write_text("ID=ubuntu\nID_LIKE=debian\n")
    (tmp_path / "sources.list").write_text("deb http://archive.example/debian noble main\n")
    assert host.mirrors(tmp_path, tmp_path / "os-release") == host.Mirrors()


def test_pip_settings_that_name_this_machines_files_stay_here(tmp_path, monkeypatch):
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://index.example/simple\nfind-links = /opt/wheels\ncert = /etc/ca.pem\n"
        "extra-index-url =\n    file:///opt/pypi\n    https://more.example/simple\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    found = host.pip_settings()
    assert found["index-url"] == "https://index.example/simple"
    assert found["extra-index-url"] == "https://more.example/simple"
    assert "find-links" not in found
    assert "cert" not in found


def test_secrets_are_what_a_build_needs_and_no_more(tmp_path):
    files = host.write_secrets(tmp_path, "bookworm")
    assert sorted(files) == ["apt.list", "ca.pem", "pip.conf"]
    assert "bookworm-security main" in files["apt.list"].read_text()
    assert "file:" not in files["pip.conf"].read_text()


@pytest.fixture
def small_recipe(engine, tmp_path, monkeypatch):
    """A recipe of one file on the real root; its images are removed afterwards."""
    copy_of_tree(tmp_path, monkeypatch)
    monkeypatch.setattr(recipe, "BASE", "visa-test-images")
    (tmp_path / "images/base").rename(tmp_path / "images/visa-test-images")
    (tmp_path / "images/steps/software.Containerfile").write_text("ARG ROOT\nFROM ${ROOT}\nCOPY apt.txt /\n")
    (tmp_path / "images/steps/session.Containerfile").write_text(
        "ARG SOFTWARE\nFROM ${SOFTWARE}\nCOPY files/ /\n"
    )
    yield Recipe("visa-test-images", "bookworm")
    for repository in ("visa", "visa/software"):
        for tag in engine.tags(f"localhost/{repository}/visa-test-images"):
            engine.remove_image(f"localhost/{repository}/visa-test-images:{tag}")
    engine.remove_replaced(f"{TITLE_LABEL}=visa/visa-test-images")
    engine.remove_replaced(f"{SOFTWARE_LABEL}=visa-test-images")


def nameless(engine) -> set[str]:
    """The images that builds left without a name."""
    command = [engine.program, "images", "--quiet", "--filter", "dangling=true"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=engine.environment)
    return set(done.stdout.split())


def test_an_image_that_is_replaced_goes_and_one_in_use_goes_later(image, engine, small_recipe):
    before = nameless(engine)
    build(small_recipe, engine)
    first = engine.inspect(small_recipe.image)["Id"]
    name = f"visa-test-images-{uuid.uuid4().hex[:8]}"
    podman = partial(subprocess.run, capture_output=True, check=True, env=engine.environment)
    podman([engine.program, "create", "--name", name, first, "/x"])
    try:
        build(small_recipe, engine, fresh=True)
        assert engine.inspect(first), "a container stands on it"
    finally:
        podman([engine.program, "rm", "-f", name])
    build(small_recipe, engine, fresh=True)
    assert engine.inspect(first) is None
    assert nameless(engine) <= before


def test_going_back_to_a_version_builds_nothing(image, engine, small_recipe, monkeypatch):
    monkeypatch.setattr("images.build.KEPT", 2)

    def version(text: str, how: str = BUILT) -> str:
        (small_recipe.directory / "files/etc/a").write_text(text)
        assert build(small_recipe, engine) == how
        assert build(small_recipe, engine) == UP_TO_DATE
        return engine.inspect(small_recipe.image)["Id"]

    first = version("1")
    assert version("2") != first
    assert version("1", BEFORE) == first
    version("3")
    assert len(engine.tags(small_recipe.repository)) == 3, "two versions, and latest"
    assert version("1") != first, "the first is gone and made again"
