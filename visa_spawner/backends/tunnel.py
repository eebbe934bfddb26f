"""The way to an engine on another machine by ssh: OpenSSH forwards its socket to a private one here.

Works for Docker and Podman alike, and needs nothing on the other side but sshd and the right to open the
engine's socket.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

DEFAULT_SOCKET = "/var/run/docker.sock"


class TunnelDown(OSError):
    """ssh did not open the tunnel; the text is ssh's own."""


class Tunnel:
    """One `ssh -N -L` process, started when first needed and again when it has ended."""

    def __init__(self, address: str, timeout: float = 10):
        parts = urlsplit(address)
        self._folder = Path(tempfile.mkdtemp(prefix="visa-tunnel-"))
        self._socket = self._folder / "engine.sock"
        self._timeout = timeout
        self._lock = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._command = [
            "ssh", "-N", "-T",
            "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes",
            "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2",
            "-o", f"ConnectTimeout={max(1, int(timeout))}",
            "-L", f"{self._socket}:{parts.path or DEFAULT_SOCKET}",
            *(["-p", str(parts.port)] if parts.port else []),
            *(["-l", parts.username] if parts.username else []),
            "--", parts.hostname,
        ]  # fmt: skip

    def open(self) -> str:
        """The address of the near end; raises TunnelDown. Blocks: call it from a thread."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
        return f"unix://{self._socket}"

    def _start(self) -> None:
        self._socket.unlink(missing_ok=True)
        errors = self._folder / "errors"
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
            )
        until = time.monotonic() + self._timeout
        while not self._socket.exists():
            if self._process.poll() is not None or time.monotonic() > until:
                self._end()
                raise TunnelDown(errors.read_text(errors="replace").strip() or "ssh did not answer in time")
            time.sleep(0.02)

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(2)
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._process = None

    def close(self) -> None:
        """End ssh and remove the private folder."""
        with self._lock:
            self._end()
        shutil.rmtree(self._folder, ignore_errors=True)
