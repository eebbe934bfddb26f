"""Whether each secret is there, is one, is nobody else's, and lies where nobody else reads it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from visa_logs.hiding import is_secret

from ..environment import read_environment
from ..finding import Finding, fine, unchecked, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, in_thread

#: What people write until they have thought of something.
_KNOWN = re.compile(
    r"(change.?me|secret|password|admin|default|example|token|test|visa|x+|0+|1+)[0-9!]*", re.I
)
_FEWEST, _SHORTEST = 8, 16
_NEW = "`openssl rand -hex 32` makes one"


async def look(here: Installation) -> Look:
    """The hub's secrets by name; their values are never told."""
    found = await in_thread(lambda: [*_values(here), *_files(here)])
    for finding in found:
        yield finding
    if not found:
        yield fine("All secrets are there, each its own, in files that nobody else reads.")


def _values(here: Installation) -> Iterator[Finding]:
    secrets = _secrets(here)
    for name, (value, needed_for) in secrets.items():
        if not value:
            mend = f"Put it into the service's environment file ({_NEW}) and restart the service."
            yield wrong(f"{name} is not set, which {needed_for}.", mend, name)
        elif why := _weak(value):
            mend = f"Replace it on all sides that have it ({_NEW}), and restart them."
            yield wrong(f"{name} is {why}: anybody can guess it.", mend, name)
    names: dict[str, str] = {}
    for name, (value, _) in secrets.items():
        if value and value in names:
            what = f"{name} is the same as {names[value]}: who has the one can do what the other is for."
            yield wrong(what, f"Give each its own ({_NEW}).", name)
        names.setdefault(value, name)
    for key in filter(None, secrets["JUPYTERHUB_CRYPT_KEY"][0].split(";")):
        if not re.fullmatch(r"[0-9a-fA-F]{64}|[A-Za-z0-9+/_-]{43}=?", key):
            what = "JUPYTERHUB_CRYPT_KEY is not 32 bytes in hexadecimal, so the hub does not start."
            yield wrong(what, f"{_NEW}; everybody logs in once more after a change.", "JUPYTERHUB_CRYPT_KEY")


def _secrets(here: Installation) -> dict[str, tuple[str, str]]:
    """Name to value, and what its absence means."""
    env, config = os.environ, here.config
    keys = config.get("CryptKeeper", {}).get("keys") or []
    keys = [key.hex() if isinstance(key, bytes) else str(key) for key in keys]
    proxy = [config.get(name, {}).get("auth_token") for name in ("WatchedProxy", "ConfigurableHTTPProxy")]
    found = {
        "JUPYTERHUB_CRYPT_KEY": (
            env.get("JUPYTERHUB_CRYPT_KEY") or ";".join(keys),
            "keeps the hub from starting",
        ),
        "CONFIGPROXY_AUTH_TOKEN": (
            env.get("CONFIGPROXY_AUTH_TOKEN") or next(filter(None, proxy), ""),
            "keeps the hub from starting",
        ),
    }
    login = config.get("VisaAuthenticator", {})
    if here.has_own_login and not login.get("client_secret_file"):
        secret = login.get("client_secret") or env.get("OAUTH_CLIENT_SECRET", "")
        found["OAUTH_CLIENT_SECRET"] = secret, "keeps the hub from starting"
    for name, service in here.services.items():
        if "url" in service or "api_token" in service:
            label = "VISA_PORTAL_TOKEN" if name == "visa" else f"api_token of the service {name}"
            found[label] = service.get("api_token") or "", "keeps that service from the hub"
    return found


def _weak(value: str) -> str:
    if _KNOWN.fullmatch(value):
        return "a word that stands in examples"
    if len(value) < _SHORTEST:
        return f"only {len(value)} characters long"
    if len(set(value)) < _FEWEST:
        return "made of a few characters that repeat"
    return ""


def _files(here: Installation) -> Iterator[Finding]:
    for path in (*here.environment_files, *here.files_beside):
        try:
            holds = any(is_secret(name) for name in read_environment(path))
        except (OSError, ValueError) as error:
            yield wrong(f"The environment cannot be read: {worded(error)}.", "Mend that file.", str(path))
            continue
        if holds:
            yield from _file(path)
    login = here.config.get("VisaAuthenticator", {})
    if login.get("client_secret_file"):
        yield from _file(Path(login["client_secret_file"]))
    if not (here.app.cookie_secret or os.environ.get("JPY_COOKIE_SECRET")):
        path = Path(here.app.cookie_secret_file)
        if path.exists():
            yield from _file(path)
        else:
            yield warning(
                f"There is no {path.absolute()}; the hub makes it at its start, in the directory that it"
                " runs in.",
                "Run the doctor in the service's directory (--directory), or start the hub once.",
                str(path),
            )
    for node in here.nodes:
        if node.tls:
            yield from _file(Path(node.tls.key))


def _file(path: Path) -> Iterator[Finding]:
    """What is wrong with a file that holds a secret."""
    try:
        found = path.stat()
    except PermissionError:
        yield unchecked(f"{path} cannot be looked at by this account.", "Run the doctor as root.", str(path))
        return
    except OSError as error:
        mend = "Put it there, or name the right one."
        yield wrong(f"The secret's file {path}: {error.strerror}.", mend, str(path))
        return
    if found.st_uid not in (0, os.geteuid()):
        mend = f"`chown root {path}`"
        yield wrong(f"{path} belongs to uid {found.st_uid}, who can read and change it.", mend, str(path))
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o007 or mode & 0o030:
        yield wrong(
            f"{path} holds a secret and has mode {mode:04o}: others may read or change it.",
            f"`chmod 0600 {path}`, then replace the secret where others had an account on this machine.",
            str(path),
        )
    elif mode & 0o040:
        mend = f"`chmod 0600 {path}`, unless that group is the service's own."
        yield warning(f"{path} holds a secret, and its group may read it.", mend, str(path))
