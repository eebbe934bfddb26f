"""One script with all that JupyterLab's page runs until its launcher is there.

JupyterLab's own page asks for some seventy scripts, one layer after the other, each at an address of the
session's own: a browser keeps none of them, nor what it compiled, from one session to the next. `python -m
visa_session.bootscript` runs while an image is built and puts the same scripts, unchanged, end to end into
one file beside its digest. JupyterLab's loader takes the parts that are there already and asks for none of
them again.

The page names the file by its digest, at the hub first (`visa_spawner.api.bootscripts`), where the address is
the same for all sessions of a person, with the digest for the browser to check, so that nothing but this
very text can run; and where the hub has none, at the session. Which parts: bootscript.json, by the names that
the bundler gave them. One that is not there, or that is missing in the list, is asked for as ever.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from jinja2 import ChoiceLoader, DictLoader, Environment
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import JupyterHandler
from tornado.web import HTTPError

from .contract import BOOT_ADDRESS, BOOT_SCRIPT

PARTS = Path(__file__).with_suffix(".json")
#: In bootscript.json: JupyterLab itself, beside the names of extensions.
LAB = "lab"

#: How JupyterLab's page asks for its first script, the bundler's own loader.
MAIN = re.compile(
    r'<script defer="defer" src="{{page_config\.fullStaticUrl}}/(main\.\w+\.js)\?v=\w+"></script>'
)

#: JupyterLab begins when the page has loaded. It says so late, when it has asked for its parts one by one;
#: with all of them here the page may have loaded before.
PRELUDE = """{
  const listen = window.addEventListener;
  window.addEventListener = function (kind, listener, ...others) {
    if (kind === "load" && document.readyState === "complete") return void setTimeout(listener);
    return listen.call(window, kind, listener, ...others);
  };
}
"""

#: Modules of our own extension, which would ask for each other one layer after the other.
OURS = Path(__file__).parent / "labextensions" / "visa-session" / "static"
MODULES = sorted(path.name for path in OURS.glob("*.js") if path.name != "remoteEntry.js")

#: In the place of JupyterLab's first script. What the extensions begin with is asked for meanwhile.
TAGS = """{modules}{{% for one in page_config.federated_extensions %}}<link rel="preload" as="script" \
href="{{{{ page_config.fullLabextensionsUrl }}}}/{{{{ one.name }}}}/{{{{ one.load }}}}">{{% endfor %}}\
<script defer src="{{{{ page_config.hubPrefix }}}}{address}{digest}.js" integrity="sha256-{checked}" \
onerror="const it = document.createElement('script'); it.src = '{{{{ base_url }}}}visa/boot/{digest}.js'; \
document.head.append(it)"></script>"""


@dataclass(frozen=True)
class BootScript:
    """The script of this image: `digest` is SHA-256 in hexadecimal, `main` JupyterLab's first one in it."""

    digest: str
    main: str
    zipped: bytes

    @classmethod
    def read(cls, place: Path = Path(BOOT_SCRIPT)) -> BootScript | None:
        """The one that the image's build made; None where there is none."""
        try:
            about = json.loads(place.with_suffix(".json").read_text())
            return cls(about["digest"], about["main"], place.read_bytes())
        except FileNotFoundError:
            return None

    def page(self, template: str) -> str | None:
        """JupyterLab's page with this script; None where it is made for another JupyterLab."""
        found = MAIN.findall(template)
        if found != [self.main]:
            return None
        checked = base64.b64encode(bytes.fromhex(self.digest)).decode()
        folder = f"{{{{ page_config.fullLabextensionsUrl }}}}/{OURS.parent.name}/static"
        modules = "".join(f'<link rel="modulepreload" href="{folder}/{name}">' for name in MODULES)
        tags = TAGS.format(modules=modules, address=BOOT_ADDRESS, digest=self.digest, checked=checked)
        return MAIN.sub(lambda _: tags, template)


def script(static: Path, extensions: Path, parts: dict[str, list[str]]) -> tuple[bytes, str]:
    """The script, and the name of JupyterLab's first one, which comes last: it begins with what is there.

    `static` and `extensions` are where an installation has both. Raises ValueError where the page is another.
    """
    (main,) = MAIN.findall((static / "index.html").read_text()) or [""]
    if not main:
        raise ValueError(f"{static}/index.html does not begin as expected")
    found = [PRELUDE.encode()]
    for owner, names in parts.items():
        folder = static if owner == LAB else extensions / owner / "static"
        found += [path.read_bytes() for name in names for path in sorted(folder.glob(f"{name}.*.js"))]
    # A part may end in a comment.
    return b"\n;".join([*found, (static / main).read_bytes()]) + b"\n", main


def write(prefix: Path, place: Path) -> None:
    """Make the script of the installation at `prefix`; raises ValueError, OSError."""
    jupyter = prefix / "share" / "jupyter"
    text, main = script(jupyter / "lab" / "static", jupyter / "labextensions", json.loads(PARTS.read_text()))
    place.write_bytes(gzip.compress(text, mtime=0))
    about = {"digest": hashlib.sha256(text).hexdigest(), "main": main}
    place.with_suffix(".json").write_text(json.dumps(about) + "\n")


def use(environment: Environment, boot: BootScript | None) -> bool:
    """Have JupyterLab's page begin with the script; whether it does. `environment` makes that page."""
    if boot is None:
        return False
    source, _, _ = environment.loader.get_source(environment, "index.html")
    changed = boot.page(source)
    if changed is None:
        return False
    environment.loader = ChoiceLoader([DictLoader({"index.html": changed}), environment.loader])
    return True


class BootFile(JupyterHandler):
    """`GET visa/boot/DIGEST.js`: the script, kept by browsers for a year, since its name is its content's."""

    def initialize(self, boot: BootScript):
        """Called by Tornado for each request."""
        self.boot = boot

    @allow_unauthenticated
    def get(self, digest: str):
        """The script; 404 for any other."""
        if digest != self.boot.digest:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(self.boot.zipped)
        else:
            self.finish(gzip.decompress(self.boot.zipped))

    def compute_etag(self):
        """None: whoever has it need not ask."""
        return None


if __name__ == "__main__":
    write(Path(sys.prefix), Path(BOOT_SCRIPT))
