"""Who people are to each other in JupyterLab: cursors, the list of who is in, `GET api/me`.

The facility's own full names, never what a browser says of itself. The account's name stays the hub's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict

from jupyter_server.auth.identity import User
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider

#: JupyterLab's own colours for people, which its themes define.
COLOURS = 7


def initials(full_name: str) -> str:
    """The first letters of the first and the last part of a name, `MC` for `Marie Curie`."""
    parts = [part for part in full_name.split() if part[0].isalnum()] or [full_name]
    chosen = parts[:1] + parts[1:][-1:]
    return "".join(part[0] for part in chosen).upper()


def colour(username: str) -> str:
    """The same colour for one person in everybody's browser."""
    number = hashlib.blake2b(username.encode(), digest_size=1).digest()[0] % COLOURS
    return f"var(--jp-collaborator-color{number + 1})"


def identity(username: str, full_name: str) -> dict:
    """What JupyterLab shows of a person; the account's name where no full name is known."""
    shown = " ".join(full_name.split()) or username
    person = User(username, shown, shown, initials(shown), None, colour(username))
    return asdict(person)


class NamedIdentity(JupyterHubIdentityProvider):
    """JupyterHub's identity provider with full names; people change nothing about themselves here."""

    full_name: Callable[[str], str] = staticmethod(lambda username: "")

    def identity_model(self, user):
        """The identity of a user as JupyterLab shows it."""
        return identity(user.username, self.full_name(user.username))
