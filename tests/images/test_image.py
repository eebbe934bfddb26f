"""What is in the image, and what must not be."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from pip._vendor.certifi import where as pip_where

from images import host
from images.recipe import Recipe

TREE = Path(__file__).resolve().parents[2]
SITE = "opt/visa/venv/lib"


def walk(tree: Path):
    for directory, names, files in os.walk(tree):
        for name in names + files:
            path = Path(directory, name)
            yield path, path.lstat()


def test_any_uid_without_passwd_entry_runs_the_software(run):
    done = run(
        "python", "-c", "import os, h5py, hdf5plugin, silx, fabio, scipy, visa_session; print(os.getuid())"
    )
    assert done.stdout.split() == ["23456"]


def test_nothing_runs_as_root_by_default(engine, image):
    config = engine.inspect(image)["Config"]
    assert config["User"] == "65534:65534"
    assert config["Cmd"] == ["visa-session"]


def files_that_lend_rights(tree: Path) -> list[Path]:
    """Set-uid and set-gid files. None is needed, so no list of exceptions is either."""
    return [path for path, status in walk(tree) if stat.S_ISREG(status.st_mode) and status.st_mode & 0o6000]


def files_writable_by_all(tree: Path) -> list[Path]:
    """Files anyone may write, and directories where anyone may replace what others made."""
    found = []
    for path, status in walk(tree):
        if stat.S_ISREG(status.st_mode):
            found += [path] * bool(status.st_mode & 0o002)
        elif stat.S_ISDIR(status.st_mode):
            found += [path] * (status.st_mode & 0o1002 == 0o002)
    return found


def test_no_file_lends_its_owners_rights_and_none_is_writable_by_all(tree):
    assert files_that_lend_rights(tree) == []
    assert files_writable_by_all(tree) == []


def test_everything_belongs_to_root_so_that_no_account_may_change_it(tree):
    """Debian's own groups (mail, utmp) aside, no uid but root's owns anything."""
    assert {s.st_uid for _, s in walk(tree)} - {0} == set()


def test_bytecode_is_there_and_never_checked_against_its_source(tree):
    sources = [p for p in (tree / SITE).rglob("*.py") if "/lib2to3/" not in str(p)]
    assert len(sources) > 5000
    missing = []
    for source in sources:
        cached = list((source.parent / "__pycache__").glob(f"{source.stem}.cpython-*.pyc"))
        # Flags of PEP 552: 1 is "hash, not checked".
        if not cached or cached[0].read_bytes()[4] != 1:
            missing.append(source)
    # Templates of test data and files for other Python versions do not compile anywhere.
    assert len(missing) < 0.01 * len(sources), missing[:10]


def secrets_in(tree: Path, needles: list[str]) -> list[str]:
    """Files below `tree` that contain one of the texts."""
    patterns = "\n".join(needles)
    done = subprocess.run(
        ["grep", "-rlFaIs", "-f", "-", str(tree)], input=patterns, capture_output=True, text=True, check=False
    )
    return done.stdout.split()


def building_machine_marks(tree: Path) -> list[str]:
    """Texts that only this machine would have put into an image: its own authorities, index, mirrors."""

    def certificates(path: Path) -> set[str]:
        blocks = re.findall(r"-----BEGIN CERTIFICATE-----\s*(.+?)\s*-----END", path.read_text(), re.DOTALL)
        return {block.split()[1] for block in blocks}

    # Mozilla's authorities, as pip brings them, are everybody's.
    public = certificates(tree / "etc/ssl/certs/ca-certificates.crt") | certificates(Path(pip_where()))
    marks = certificates(host.ca_file()) - public
    settings = host.pip_settings()
    marks |= {settings[name] for name in ("index-url", "extra-index-url", "proxy") if name in settings}
    marks |= {m for m in (host.mirrors().main, host.mirrors().security) if "deb.debian.org" not in m}
    return sorted(marks)


def test_nothing_of_the_building_machine_stays(engine, image, tree, tmp_path):
    marks = building_machine_marks(tree)
    (tmp_path / "planted").write_text("\n".join(["x", *marks, "planted mark"]))
    assert secrets_in(tmp_path, [*marks, "planted mark"]) == [str(tmp_path / "planted")], (
        "the search itself works"
    )
    if marks:
        assert secrets_in(tree, marks) == []
    history = subprocess.run(
        [engine.program, "history", "--no-trunc", image],
        capture_output=True,
        text=True,
        check=True,
        env=engine.environment,
    ).stdout
    assert not any(mark in history for mark in marks)
    assert str(TREE) not in history
    assert list((tree / "run/secrets").glob("*")) == []
    for left in ("root/.cache", "etc/pip.conf", "root/.config", "tmp/build", "var/lib/apt/lists/lock"):
        assert not (tree / left).exists(), left
    environment = engine.inspect(image)["Config"]["Env"]
    assert {e.partition("=")[0] for e in environment} <= {"PATH", "LANG", "container"}


def test_labels_say_what_it_is(engine, image, tree):
    labels = engine.inspect(image)["Config"]["Labels"]
    assert re.fullmatch(r"[0-9a-f]{64}", labels["org.visa.recipe"])
    assert re.match(r"20\d\d-\d\d-\d\dT", labels["org.opencontainers.image.created"])
    listed = (tree / labels["org.visa.packages"].lstrip("/")).read_text().splitlines()
    assert "jupyterlab==4.6.6" in listed
    assert any(line.startswith("tigervnc-standalone-server ") for line in listed)
    assert any(line.startswith("visa-jupyterhub==") for line in listed)


def test_every_locked_package_is_installed_in_that_version(tree):
    listed = {
        line.lower().replace("_", "-") for line in (tree / "opt/visa/packages.txt").read_text().splitlines()
    }
    lock = (TREE / "images/base/requirements.lock").read_text()
    plain = re.findall(r"^([a-z0-9-]+==\S+) \\$", lock, re.MULTILINE)
    assert len(plain) > 100
    assert [p for p in plain if p not in listed] == []


def test_an_image_says_what_it_is_in_ways_that_programs_read(engine, image, tree):
    about = json.loads((tree / "opt/visa/image.json").read_text())
    labels = engine.inspect(image)["Config"]["Labels"]
    assert about["recipe"] == "base" and about["title"] == Recipe("base", "bookworm").about.title
    assert about["revision"] == labels["org.visa.recipe"] == Recipe("base", "bookworm").hash
    assert about["created"] == labels["org.opencontainers.image.created"]
    assert labels["org.opencontainers.image.title"] == "visa/base"
    text = (tree / labels["org.visa.sbom"].lstrip("/")).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["version"] == about["revision"]
    listed = (tree / "opt/visa/packages.txt").read_text().split()
    purls = [it["purl"] for it in bill["components"]]
    assert len(purls) == len(set(purls)) > 300
    assert sum(purl.startswith("pkg:deb/debian/") for purl in purls) > 200
    silx = next(it for it in bill["components"] if it["name"] == "silx")
    assert f"silx=={silx['version']}" in listed and silx["purl"] == f"pkg:pypi/silx@{silx['version']}"


def test_a_bill_of_materials_that_lacks_what_it_must_have_is_found_wrong():
    text = json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"name": "x"}]})
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is not None


LOADED = """
import importlib, sys, types
from visa_session.server import import_all
import_all()
from visa_session.singleuser import LATER
importlib.import_module(LATER["jupyterlab_h5web"])
before = set(sys.modules)
app = types.SimpleNamespace(root_dir="/", log=types.SimpleNamespace(info=print))
app.web_app = types.SimpleNamespace(settings={"base_url": "/"}, add_handlers=lambda *rules: None)
sys.modules["jupyterlab_h5web"]._load_jupyter_server_extension(app)
print("imported", sorted(set(sys.modules) - before))
"""


def test_loading_h5web_later_imports_nothing_in_the_event_loop(run):
    assert "imported []" in run("python", "-c", LOADED).stdout


def test_jupyterlab_has_h5web(run):
    done = run("jupyter", "labextension", "list")
    assert re.search(r"jupyterlab-h5web v\S+ .*enabled.*OK", done.stdout + done.stderr)
    done = run("jupyter", "server", "extension", "list")
    assert re.search(r"jupyterlab_h5web.*OK", done.stdout + done.stderr)


def test_people_can_work_together_in_jupyterlab(run):
    done = run("jupyter", "labextension", "list")
    for name in ("collaboration-extension", "docprovider-extension"):
        assert re.search(rf"@jupyter/{name} v\S+ .*enabled.*OK", done.stdout + done.stderr), name
    ours = "from visa_session.singleuser import LAB_EXTENSIONS as it; print(*it.glob('*/static/lab.js'))"
    assert run("python", "-c", ours).stdout.strip().endswith("visa-session/static/lab.js")


OFFERED = """
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
print(*[entry.name for entry in entry_points(group="jupyter_serverproxy_servers")])
print(*[entry.name for entry in entry_points(group="console_scripts")])
print(files("selkies").joinpath("selkies_web").is_dir(), find_spec("pcmflux"))
"""


def test_selkies_offers_itself_to_nobody(run):
    """Its entry would let every visitor in, in control, without a login. Its page and sound are out too."""
    entries, commands, parts = run("python", "-c", OFFERED).stdout.splitlines()
    assert "desktop-websockify" in entries.split(), "entries are found this way"
    assert "selkies" not in entries.split()
    assert "selkies" in commands.split(), "it is installed"
    assert parts == "False None"


def test_a_kernel_reads_compressed_hdf5_and_plots_it(run):
    done = run("python", "/inside/plot.py")
    assert "image/png" in done.stdout
    assert "uid 23456" in done.stdout


def test_letters_of_many_scripts_have_a_font(run):
    for language in ("fr", "ar", "he", "el", "ru", "zh-cn", "ja", "ko", "hi"):
        assert run("fc-list", f":lang={language}").stdout.strip(), language


def test_desktop_entries_are_valid(run):
    names = [
        f"/usr/share/applications/{p.name}" for p in (TREE / "images/base/applications").glob("*.desktop")
    ]
    assert names
    done = run("desktop-file-validate", *names)
    assert done.stdout == ""


def test_size_stays_fair(engine, image):
    assert engine.inspect(image)["Size"] < 2.2e9, json.dumps(engine.inspect(image)["Size"])
