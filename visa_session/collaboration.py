"""Working in one notebook together: jupyter-collaboration, as a session needs it.

Its rooms are used as they are, with three differences. A page of another origin opens none of them, which
the stock handler lets it. Who somebody is beside a cursor is said by this server: a browser's own word for
it is replaced. And nothing is kept in the home directory, where a database would be slow and stay behind.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from weakref import WeakKeyDictionary

from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server_ydoc.app import YDocExtension
from jupyter_server_ydoc.handlers import YDocWebSocketHandler
from jupyter_server_ydoc.rooms import DocumentRoom
from jupyter_server_ydoc.utils import MessageType
from pycrdt import Decoder, Encoder
from traitlets.config import Config

#: Seconds after the last keystroke until a document is saved: long enough not to write a large notebook to
#: a network file system at each pause.
SAVE_DELAY = 1.5
#: Seconds that saving takes at most when the session ends.
SAVE_AT_THE_END = 2.0
#: Seconds between two looks whether an open file was changed on disk.
FILE_POLL = 2.0
#: Seconds without a change after which a document's history is put together into one piece.
SQUASH_AFTER = 1800

#: How a message begins that carries a change of a document: of the kind "sync", an "update".
DOCUMENT_UPDATE = b"\0\2"

#: JupyterLab's plugins that hand out links: who is let in is decided on the portal, and a link with a
#: token would let anybody be the person who made it.
LINK_PLUGINS = (
    "@jupyter/collaboration-extension:shared-link",
    "@jupyterlab/filebrowser-extension:share-file",
)


def settings(runtime: Path) -> Config:
    """Configuration of the packages, with all that they keep in the session's private directory."""
    config = Config()
    config.YDocExtension.document_save_delay = SAVE_DELAY
    config.YDocExtension.file_poll_interval = FILE_POLL
    config.YDocExtension.session_store_path = str(runtime / "collaboration.json")
    config.YDocExtension.disable_rtc = False
    config.SQLiteYStore.db_path = str(runtime / "documents.db")
    config.SQLiteYStore.squash_after_inactivity_of = SQUASH_AFTER
    config.FileIdExtension.file_id_manager_class = "jupyter_server_fileid.manager.ArbitraryFileIdManager"
    # Paths only, and of this run of the session only.
    config.BaseFileIdManager.db_path = ":memory:"
    return config


class ClaimError(ValueError):
    """A message about who is there that cannot be read."""


def entries(update: bytes) -> Iterator[tuple[int, int, dict | None]]:
    """Client, clock and state (None: gone) of each entry of an awareness update; raises ClaimError."""
    decoder = Decoder(update)
    try:
        for _ in range(decoder.read_var_uint()):
            client, clock, text = decoder.read_var_uint(), decoder.read_var_uint(), decoder.read_var_string()
            state = json.loads(text) if text else None
            if state is not None and not isinstance(state, dict):
                raise ClaimError("a state is no object")
            yield client, clock, state
    except ClaimError:
        raise
    except Exception as error:
        raise ClaimError(f"unreadable: {error}") from error


def own_entries(message: bytes, claims: dict[int, str], username: str, who: dict) -> bytes:
    """An awareness message with what is the sender's own to say, under the sender's own name.

    `claims` holds who used a client number first. Browsers pass on what they heard of others; that is
    dropped, since the others said it themselves. Empty where nothing is left. Raises ClaimError.
    """
    decoder = Decoder(message)
    try:
        decoder.read_var_uint()
        update = decoder.read_message()
    except Exception as error:
        raise ClaimError(f"unreadable: {error}") from error
    kept = []
    for client, clock, state in entries(update or b"\0"):
        if claims.setdefault(client, username) != username:
            continue
        if state is not None and "user" in state:
            state["user"] = who
        kept.append((client, clock, state))
    if not kept:
        return b""
    inner = Encoder()
    inner.write_var_uint(len(kept))
    for client, clock, state in kept:
        inner.write_var_uint(client)
        inner.write_var_uint(clock)
        inner.write_var_string(json.dumps(state, separators=(",", ":")))
    outer = Encoder()
    outer.write_var_uint(MessageType.AWARENESS)
    payload = inner.to_bytes()
    outer.write_var_uint(len(payload))
    return outer.to_bytes() + payload


class SessionRoom(YDocWebSocketHandler):
    """One browser's way into a shared document."""

    #: Which account used a client number first, for each room.
    claims: WeakKeyDictionary = WeakKeyDictionary()

    def check_origin(self, origin):
        """Pages of this very server only, as for every other socket of it."""
        return WebSocketMixin.check_origin(self, origin)

    async def on_message(self, message):
        """Take a message; in one about who is there, the person's name is put in here."""
        if isinstance(message, bytes) and message[:1] == bytes([MessageType.AWARENESS]):
            claims = self.claims.setdefault(self.room, {})
            user = self.current_user
            try:
                message = own_entries(
                    message, claims, user.username, self.identity_provider.identity_model(user)
                )
            except ClaimError as error:
                self.log.warning("collaboration: %s sent what is no awareness: %s", user.username, error)
                self.close(4400, "not understood")
                return
            if not message:
                return
        elif isinstance(message, bytes) and message[:2] == DOCUMENT_UPDATE:
            # Typing is work, also where no cell is run: such a session is not idle.
            self.settings.setdefault("last_activity_times", {})["visa-documents"] = datetime.now(UTC)
        await super().on_message(message)


class Collaboration(YDocExtension):
    """jupyter-collaboration's server side, with our rooms."""

    def initialize_handlers(self):
        """As the package has it, with our handler for the rooms."""
        super().initialize_handlers()
        self.handlers = [
            (path, SessionRoom if handler is YDocWebSocketHandler else handler, *rest)
            for path, handler, *rest in self.handlers
        ]

    async def stop_extension(self):
        """What was typed in the last moment is saved before the session ends."""
        rooms = list(self.ywebsocket_server.rooms.values())
        typed = [room for room in rooms if isinstance(room, DocumentRoom) and waits_for_saving(room)]
        if typed:
            await asyncio.wait([room._save_to_disc() for room in typed], timeout=SAVE_AT_THE_END)
        await super().stop_extension()


def waits_for_saving(room: DocumentRoom) -> bool:
    """Whether a change of this document has not been written yet."""
    saving = room._saving_document
    return saving is not None and not saving.done() and not room._update_lock.locked()


def _jupyter_server_extension_points():
    return [{"module": __name__, "app": Collaboration}]
