"""The account somebody has now: what the claims say, against what is known of everybody else."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import Any

from pydantic import ValidationError

from visa_catalogue.account import Account

from .claims import ClaimRefused, ClaimRules, read_account, read_username
from .uids import UidRegister, UidTaken

#: What makes up an account's identity on a file system.
_IDENTITY = ("uid", "gid", "gids", "home")


def to_state(account: Account) -> dict[str, Any]:
    """The account as it is kept in the hub's auth state; equal accounts give equal values."""
    return {
        name: sorted(value) if isinstance(value, list) else value
        for name, value in account.model_dump(mode="json").items()
    }


def from_state(state: Mapping[str, Any] | None) -> Account | None:
    """The account of an auth state, None where there is none that this version can read."""
    try:
        return Account.model_validate(state["account"]) if state else None
    except (KeyError, ValidationError):
        return None


class Accounts:
    """Settles accounts from claims; says to the operator, once, what was odd about each."""

    def __init__(self, rules: ClaimRules, uids: UidRegister, log: Logger):
        self._rules, self._uids, self._log = rules, uids, log
        self._noted: dict[str, list[str]] = {}

    def username(self, claims: Mapping[str, Any]) -> str:
        """The account's name; raises ClaimRefused."""
        return read_username(claims, self._rules)

    def settle(
        self, claims: Mapping[str, Any], *, active: bool, previous: Account | None
    ) -> tuple[Account, str]:
        """The account that the claims make now, and the words why it may start nothing, "" if it may.

        `active`: sessions of this account run; `previous`: the account as it was, where that is known. A
        uid that changes while sessions run is not taken over before they have stopped, since they go on
        writing as the old one. Raises ClaimRefused.
        """
        account, notes = read_account(claims, self._rules)
        claim, held = self._rules.names["uid"], self._uids.uid_of(account.username)
        moves = held not in (None, account.uid)
        change = f"has changed from {held} to {account.uid}"
        if moves:
            notes.append(f"{claim} {change}")
        no_start = ""
        if moves and active:
            if previous is None or previous.uid != held:
                raise ClaimRefused(claim, f"{change} while sessions run. They have to stop first")
            account = account.model_copy(update={name: getattr(previous, name) for name in _IDENTITY})
            no_start = f"Your uid at the facility {change}. Stop your sessions and log in again."
        else:
            self._hold(claim, account)
        self._note(account.username, notes)
        return account, no_start

    def _hold(self, claim: str, account: Account) -> None:
        try:
            self._uids.claim(account.username, account.uid)
        except UidTaken as error:
            raise ClaimRefused(claim, f"is {account.uid}, which belongs to another account") from error

    def _note(self, username: str, notes: list[str]) -> None:
        if notes != self._noted.get(username, []):
            for words in notes:
                self._log.warning("Account %s: claim %s", username, words)
            self._noted[username] = notes

    def refused(self, who: str, error: ClaimRefused) -> None:
        """The operator's line about a refusal; it alone names the account that holds a uid."""
        holder = f" ({error.__cause__})" if isinstance(error.__cause__, UidTaken) else ""
        self._log.warning("Account %s refused: claim %s%s", who, error, holder)

    def forget(self, username: str) -> None:
        """Free what an account holds when it is deleted."""
        self._uids.forget(username)
        self._noted.pop(username, None)
