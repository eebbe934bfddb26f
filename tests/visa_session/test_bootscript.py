"""The script that JupyterLab's page begins with, made of the JupyterLab that is installed here."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from jinja2 import DictLoader, Environment

from visa_session import bootscript
from visa_session.bootscript import BootScript

JUPYTER = Path(sys.prefix) / "share/jupyter"
PAGE = (JUPYTER / "lab/static/index.html").read_text()


@pytest.fixture(scope="module")
def boot(tmp_path_factory):
    place = tmp_path_factory.mktemp("boot") / "boot.js.gz"
    bootscript.write(Path(sys.prefix), place)
    return BootScript.read(place)


def test_it_holds_jupyterlabs_own_parts_unchanged_and_its_loader_last(boot):
    text = gzip.decompress(boot.zipped)
    assert hashlib.sha256(text).hexdigest() == boot.digest
    parts = json.loads(bootscript.PARTS.read_text())
    for name in parts[bootscript.LAB]:
        (part,) = (JUPYTER / "lab/static").glob(f"{name}.*.js")
        assert part.read_bytes() in text, name
    assert text.endswith((JUPYTER / "lab/static" / boot.main).read_bytes() + b"\n")
    assert len(boot.zipped) < 2_000_000


def test_the_page_names_it_and_has_the_browser_check_it(boot):
    environment = Environment(loader=DictLoader({"index.html": PAGE, "other.html": "x"}), autoescape=True)
    assert bootscript.use(environment, boot)
    config = {
        "hubPrefix": "/hub/",
        "fullStaticUrl": "/own/static",
        "fullLabextensionsUrl": "/own/lab/extensions",
    }
    config["federated_extensions"] = [{"name": "@a/b", "load": "static/first.js"}]
    page = environment.get_template("index.html").render(page_config=config, base_url="/own/", ws_url="")
    checked = base64.b64encode(bytes.fromhex(boot.digest)).decode()
    assert f'src="/hub/api/visa/boot/{boot.digest}.js" integrity="sha256-{checked}"' in page
    assert f"'/own/visa/boot/{boot.digest}.js'" in page
    assert '<link rel="preload" as="script" href="/own/lab/extensions/@a/b/static/first.js">' in page
    assert boot.main not in page
    modules = re.findall(
        '<link rel="modulepreload" href="/own/lab/extensions/visa-session/static/([^"]+)">', page
    )
    assert sorted(modules) == modules == bootscript.MODULES
    assert {"lab.js", "ask.js"} < set(modules)
    assert "remoteEntry.js" not in modules
    assert environment.get_template("other.html").render() == "x"


def test_the_page_of_another_jupyterlab_stays_as_it_is(boot):
    other = PAGE.replace(boot.main, "main.0123456789abcdef.js")
    for page, script in ((other, boot), (PAGE, None), (PAGE.replace("defer=", "later="), boot)):
        environment = Environment(loader=DictLoader({"index.html": page}))
        assert not bootscript.use(environment, script)
        assert environment.loader.get_source(environment, "index.html")[0] == page


def test_a_jupyterlab_that_begins_otherwise_is_said_at_the_build(tmp_path):
    (tmp_path / "index.html").write_text("<script src=main.js></script>")
    with pytest.raises(ValueError, match="does not begin as expected"):
        bootscript.script(tmp_path, tmp_path, {})


def test_where_no_image_was_built_there_is_none(tmp_path):
    assert BootScript.read(tmp_path / "boot.js.gz") is None
