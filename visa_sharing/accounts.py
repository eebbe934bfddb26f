"""Who somebody is now, and whether the facility vouches for them."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import InvalidToken
from jupyterhub import crypto, orm
from jupyterhub.app import JupyterHub
from jupyterhub.user import User
from pydantic import ValidationError

from visa_catalogue.account import Account

LOGIN_NEEDED = "has to log in again at the facility first"
BLOCKED = "is blocked here"


@dataclass(frozen=True)
class Known:
    """An account, and in words why the facility does not vouch for it now, "" when it does."""

    account: Account
    refused: str = ""


#: What was decrypted last, by the user's id: the encrypted bytes, and what they say.
_read: dict[int, tuple[bytes, dict]] = {}


async def known(user: User) -> Known:
    """The account as the login left it, with the teams, roles and instruments of the hub's groups.

    The groups have the last word on those, whoever changed them: the login, a refresh, or the hub's API.
    """
    state = await _state(user)
    try:
        told = Account.model_validate(state["account"]) if state else None
    except (KeyError, ValidationError):
        told = None
    if told is None or told.username != user.name:
        told = None
    account = Account.from_groups(user.name, (group.name for group in user.groups))
    if told is not None:
        groups = {name: getattr(account, name) for name in ("teams", "roles", "instruments")}
        account = told.model_copy(update=groups)
    return Known(account, _why_not(user, state, told))


def _why_not(user: User, state: dict | None, told: Account | None) -> str:
    if user.name in (user.authenticator.blocked_users or ()):
        return BLOCKED
    if told is None:
        return LOGIN_NEEDED
    # The provider says who it is and what of that cannot be used any more; see `visa_authenticator`.
    return "cannot be used any more" if (state or {}).get("no_start") else ""


async def _state(user: User) -> dict | None:
    encrypted = user.encrypted_auth_state
    if encrypted is None:
        _read.pop(user.id, None)
        return None
    last = _read.get(user.id)
    if last is None or last[0] != encrypted:
        last = encrypted, await user.get_auth_state() or {}
        _read[user.id] = last
    return last[1]


async def full_name(user: User) -> str:
    """What people call them; the account's name where that is not known."""
    return (await known(user)).account.name or user.name


async def called(user: User) -> str:
    """The same, by what the login left alone: nothing is asked of the database."""
    account = (await _state(user) or {}).get("account") or {}
    return (account.get("username") == user.name and account.get("name")) or user.name


async def name_of(app: JupyterHub, row: orm.User) -> str:
    """The same for somebody who may be away: the hub's own part for them, which is costly, is not made."""
    if row in app.users:
        return await full_name(app.users[row])
    encrypted = row.encrypted_auth_state
    if encrypted is None:
        return row.name
    last = _read.get(row.id)
    if last is None or last[0] != encrypted:
        try:
            last = encrypted, await crypto.decrypt(encrypted) or {}
        except (ValueError, InvalidToken, crypto.EncryptionUnavailable):
            return row.name
        _read[row.id] = last
    return (last[1].get("account") or {}).get("name") or row.name
