"""Style, script and icons: read once, addressed by their content, so that a browser keeps them for ever.

One digest stands for the whole folder, since modules import each other by relative address: a page and
all that it loads are of one version.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from tornado.web import HTTPError, RequestHandler

FOLDER = Path(__file__).parent / "static"
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    body: bytes
    zipped: bytes
    kind: str


class Assets:
    """The files below a folder, and the digest of them all."""

    def __init__(self, folder: Path = FOLDER):
        digest = hashlib.sha256()
        self.files: dict[str, Asset] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name, body = path.relative_to(folder).as_posix(), path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
            self.files[name] = Asset(body, gzip.compress(body, mtime=0), kind)
            digest.update(name.encode() + b"\0" + hashlib.sha256(body).digest())
        self.digest = digest.hexdigest()[:16]

    def path(self, name: str) -> str:
        """Where a file is served, below the service's prefix; raises KeyError when there is none."""
        if name not in self.files:
            raise KeyError(f"there is no asset {name}")
        return f"static/{self.digest}/{name}"


class AssetHandler(RequestHandler):
    """Serves the assets, from memory, to anybody: nothing in them is anybody's own."""

    def initialize(self, assets: Assets) -> None:
        self.assets = assets

    def get(self, digest: str, name: str) -> None:
        asset = self.assets.files.get(name)
        if asset is None:
            raise HTTPError(404)
        # A page from before an upgrade gets today's file, and must not keep it under the old address.
        current = digest == self.assets.digest
        self.set_header("Cache-Control", "public, max-age=31536000, immutable" if current else "no-store")
        self.set_header("Content-Type", asset.kind)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.write(asset.zipped)
        else:
            self.write(asset.body)

    head = get
