"""Login by OpenID Connect: claims to account, groups and roles."""

from .authenticator import VisaAuthenticator

__all__ = ["VisaAuthenticator"]
