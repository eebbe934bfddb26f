"""What a site may set about the login, with what changes when it does."""

from __future__ import annotations

import re

from oauthenticator.generic import GenericOAuthenticator
from tornado.httpclient import AsyncHTTPClient
from traitlets import Bool, Dict, Float, Integer, List, Unicode, default, validate

from visa_catalogue.account import Role

from .claims import CLAIM_NAMES, ClaimRules


class LoginSettings(GenericOAuthenticator):
    """The settings of `VisaAuthenticator`, beside those of oauthenticator that it inherits."""

    issuer = Unicode(
        config=True,
        help="""The provider's issuer address, such as https://login.facility.eu/realms/users. Everything
        else about the provider is read from its discovery document when the first person logs in, so
        the hub starts without it. Must be https, except on this machine.""",
    )
    client_secret_file = Unicode(
        config=True,
        help="""File whose first line is the client secret; refused when others may read it. Use this or
        the environment variable OAUTH_CLIENT_SECRET, so that the secret stays out of the settings.""",
    )
    claim_names = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help=f"""Which claim each part of an account is read from, where it differs from
        {dict(CLAIM_NAMES)}. A name with dots reaches into nested claims.""",
    )
    role_names = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help=f"""The provider's names of roles, to ours: {", ".join(Role)}. A role that is neither here
        nor one of ours is left out, with a line in the log.""",
    )
    uid_floor = Integer(
        1000,
        min=1,
        config=True,
        help="""Lowest uid that may log in. Lower it only to let accounts in that the hub's own machine
        may use for services.""",
    )
    gid_floor = Integer(
        1000,
        min=1,
        config=True,
        help="""Lowest gid, of the account and of its supplementary groups. Lowering it may hand a
        session a group of the system, such as disk or docker.""",
    )
    numeric_strings = Bool(
        False,
        config=True,
        help="""Accept a uid or gid written as text ("1001"), as some providers in front of LDAP send
        them. Off, any text refuses the login.""",
    )
    username_pattern = Unicode(
        r"[a-z][a-z0-9_-]{0,31}",
        config=True,
        help="""What an account's name must match as a whole. Names become host names, paths and labels,
        and are compared in lower case: allow more only with that in mind.""",
    )
    home_roots = List(
        Unicode(),
        config=True,
        help="""Directories that homes stand below, such as /data/home. Empty: anywhere outside the
        system's own directories.""",
    )
    uid_register = Unicode(
        "visa-uids.sqlite",
        config=True,
        help="""File that remembers which account holds which uid. Lost, it fills again as people log
        in; until then a uid given to two accounts goes to the first of them.""",
    )
    account_help = Unicode(
        "Ask the facility's user office to correct the account, then log in again.",
        config=True,
        help="What a person whose account is refused should do next, in one sentence.",
    )
    provider_timeout = Float(
        5,
        min=0.1,
        config=True,
        help="""Seconds to wait for the provider. Longer makes people wait when it hangs; shorter takes a
        slow provider for a dead one, and accounts then stay as they were.""",
    )
    provider_pause = Float(
        30,
        min=0,
        config=True,
        help="""Seconds during which nobody waits for a provider that did not answer a refresh; accounts
        stay as they were.""",
    )
    logout_of_provider = Bool(
        False,
        config=True,
        help="""Send people on to the provider's own logout. Without it, the next person at a shared
        screen may be logged in as the last one with a single click.""",
    )

    @default("allow_all")
    def _allow_all_default(self):
        return True  # who has an account at the facility may log in; what they see is another matter

    @default("enable_auth_state")
    def _enable_auth_state_default(self):
        return True  # the account is kept there

    @default("manage_groups")
    def _manage_groups_default(self):
        return True  # teams and roles are groups

    @default("auth_refresh_strict")
    def _auth_refresh_strict_default(self):
        return True  # a login that has ended has ended for the person's tokens too

    @default("http_client")
    def _http_client_default(self):
        return AsyncHTTPClient(
            force_instance=True, max_clients=100, defaults={"validate_cert": self.validate_server_cert}
        )

    @default("login_service")
    def _login_service_default(self):
        return "your facility account"

    @default("scope")
    def _scope_default(self):
        return ["openid", "profile", "email"]

    @validate("claim_names")
    def _validate_claim_names(self, proposal):
        unknown = set(proposal.value) - set(CLAIM_NAMES)
        if unknown:
            raise ValueError(f"claim_names: {', '.join(sorted(unknown))} is no part of an account")
        return proposal.value

    @validate("role_names")
    def _validate_role_names(self, proposal):
        unknown = set(proposal.value.values()) - set(Role)
        if unknown:
            raise ValueError(f"role_names: {', '.join(sorted(unknown))} is no role")
        return proposal.value

    @validate("username_pattern")
    def _validate_username_pattern(self, proposal):
        try:
            re.compile(proposal.value)
        except re.error as error:
            raise ValueError(f"username_pattern is no regular expression: {error}") from error
        return proposal.value

    def claim_rules(self) -> ClaimRules:
        """The settings about claims, as the functions that read claims take them."""
        return ClaimRules(
            names={**CLAIM_NAMES, **self.claim_names},
            uid_floor=self.uid_floor,
            gid_floor=self.gid_floor,
            numeric_strings=self.numeric_strings,
            username_pattern=self.username_pattern,
            role_names=self.role_names,
            home_roots=tuple(self.home_roots),
        )
