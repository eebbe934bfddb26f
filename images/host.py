"""What the building machine knows and an image needs while it is built: mirrors, package index, CA file.

All of it reaches a build as secrets, seen by single steps only: nothing of this machine stays in an
image, its history or its labels.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
DEBIAN = "http://deb.debian.org/debian"
DEBIAN_SECURITY = "http://deb.debian.org/debian-security"

#: pip settings that hold inside a container as well. Others, such as find-links, may name directories of
#: this machine.
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
CA_VARIABLES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@dataclass(frozen=True)
class Mirrors:
    """Where Debian's packages and its security updates come from."""

    main: str = DEBIAN
    security: str = DEBIAN_SECURITY

    def sources(self, release: str) -> str:
        """The release, its updates and its security suite, in apt's one-line format."""
        return (
            f"deb {self.main} {release} main\n"
            f"deb {self.main} {release}-updates main\n"
            f"deb {self.security} {release}-security main\n"
        )


def _entries(text: str) -> list[tuple[str, str]]:
    """(address, suite) pairs of an apt source file, in either of apt's formats."""
    pairs = re.findall(r"^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)", text, re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(URIs|Suites|Enabled):\s*(.+)$", paragraph, re.MULTILINE))
        if fields.get("Enabled", "yes").strip() == "no":
            continue
        pairs += [(u, s) for u in fields.get("URIs", "").split() for s in fields.get("Suites", "").split()]
    return [(address.rstrip("/"), suite) for address, suite in pairs]


def mirrors(apt: Path = Path("/etc/apt"), os_release: Path = Path("/etc/os-release")) -> Mirrors:
    """The mirrors this machine uses itself where it is a Debian, Debian's own elsewhere."""
    if not os_release.exists() or "ID=debian" not in os_release.read_text().splitlines():
        return Mirrors()
    files = [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]
    pairs = [
        p for f in files if f.suffix in (".list", ".sources") and f.is_file() for p in _entries(f.read_text())
    ]
    pairs = [(a, s) for a, s in pairs if a.startswith(("http://", "https://"))]
    main = [a for a, s in pairs if a.endswith("/debian") and "-security" not in s]
    security = [a for a, s in pairs if s.endswith("-security")]
    return Mirrors((main or [DEBIAN])[0], (security or [DEBIAN_SECURITY])[0])


def pip_settings() -> dict[str, str]:
    """This machine's pip settings that hold in a container too."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list", "--disable-pip-version-check"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for key, value in re.findall(r"^[^\s.]+\.([a-z-]+)='(.*)'$", listed, re.MULTILINE):
        # Later lines win: the environment is listed last.
        name = {"default-timeout": "timeout"}.get(key, key)
        words = [w for w in value.replace("\\n", " ").split() if not w.startswith(("file:", "/"))]
        if name in PIP_SETTINGS and words:
            found[name] = " ".join(words)
    return found


def ca_file() -> Path:
    """The certificate authorities this machine trusts, in one file."""
    for variable in CA_VARIABLES:
        path = Path(os.environ.get(variable, "") or "/nonexistent")
        if path.is_file():
            return path
    return SYSTEM_CA


def write_secrets(directory: Path, release: str) -> dict[str, Path]:
    """Write the files a build is given, and return them by the name steps know them under."""
    files = {name: directory / name for name in ("apt.list", "pip.conf", "ca.pem")}
    files["apt.list"].write_text(mirrors().sources(release))
    settings = "".join(f"{name} = {value}\n" for name, value in pip_settings().items())
    files["pip.conf"].write_text("[global]\n" + settings)
    ca = ca_file()
    files["ca.pem"].write_bytes(ca.read_bytes() if ca.exists() else b"")
    for path in files.values():
        path.chmod(0o644)
    return files
