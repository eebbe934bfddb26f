"""The scripts that JupyterLab's pages begin with, at one address for all sessions of a person.

A session has them too (`visa_session.bootscript`), but at an address of its own, and a browser that has been
in ten sessions of an image fetched and compiled the same five megabytes ten times. Here each is named by its
content's SHA-256 alone, and every page says that digest, which the browser checks: nobody who answers for
this address can put another text in its place. What is not here the page takes from its session.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections import OrderedDict

import docker
from tornado.web import HTTPError, RequestHandler

from visa_session.contract import BOOT_ADDRESS, BOOT_SCRIPT

from ..backends.engine import Engine, EngineRefused, EngineSilent
from ..backends.image_contents import bytes_in

#: Scripts that are kept, of a megabyte and a half each; images with the same JupyterLab have the same.
MOST = 12
#: Bytes of one, compressed and not.
LARGEST_ZIPPED, LARGEST = 8 << 20, 32 << 20


class BootScripts:
    """Those that the hub has, compressed, by digest; the one nobody has asked for longest goes first."""

    def __init__(self):
        self._held: OrderedDict[str, bytes] = OrderedDict()
        #: Ids of the images whose script was looked for.
        self._images: set[str] = set()

    def put(self, zipped: bytes) -> str:
        """Keep one; gives its digest. Raises ValueError for what is no such script."""
        try:
            with gzip.open(io.BytesIO(zipped)) as file:
                text = file.read(LARGEST + 1)
        except (OSError, EOFError) as error:
            raise ValueError(f"not a compressed script: {error}") from error
        if not text or len(text) > LARGEST:
            raise ValueError(f"a script of {len(text)} bytes")
        digest = hashlib.sha256(text).hexdigest()
        self._held[digest] = zipped
        self._held.move_to_end(digest)
        while len(self._held) > MOST:
            self._held.popitem(last=False)
        return digest

    def get(self, digest: str) -> bytes | None:
        """One, compressed; None where it is not here."""
        if digest in self._held:
            self._held.move_to_end(digest)
        return self._held.get(digest)

    def lacks(self, image: str) -> bool:
        """Whether nobody has looked yet for the one of an image, by the image's id."""
        return image not in self._images

    async def take(self, engine: Engine, container: str, image: str, log) -> None:
        """Keep the one of the image that a container was made of, once; an image need not have one."""
        if not self.lacks(image):
            return
        self._images.add(image)

        def read(client: docker.APIClient) -> None:
            if zipped := bytes_in(client, container, BOOT_SCRIPT, LARGEST_ZIPPED):
                self.put(zipped)

        try:
            await engine.call(read)
        except (EngineSilent, EngineRefused) as error:
            self._images.discard(image)
            log.warning("JupyterLab's first script in %s cannot be read: %s", container, error)


#: This process's.
held = BootScripts()


class BootScriptHandler(RequestHandler):
    """One script, to anybody: it is public software."""

    def get(self, digest: str) -> None:
        """404 where it is not here; the page then asks its session.

        So it is for who takes nothing compressed: anybody may ask, and unpacking would be the hub's own work.
        """
        zipped = held.get(digest) if "gzip" in self.request.headers.get("Accept-Encoding", "") else None
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        if zipped is None:
            raise HTTPError(404)
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.set_header("Vary", "Accept-Encoding")
        self.set_header("Content-Encoding", "gzip")
        self.finish(zipped)

    def compute_etag(self) -> None:
        """None: whoever has it need not ask."""
        return


HANDLERS = [(f"/{BOOT_ADDRESS}([0-9a-f]{{64}})\\.js", BootScriptHandler)]
