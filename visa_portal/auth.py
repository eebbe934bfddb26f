"""The login: the portal is an OAuth client of the hub, with PKCE and a state cookie (HubOAuth)."""

from __future__ import annotations

from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth

from .security import origin_of


class PortalAuth(HubOAuth):
    """HubOAuth that takes a token from a cookie or a header, never from an address."""

    def _get_token_url(self, handler):
        # HubOAuth would take one of whatever calls itself a websocket; we have none.
        return ""


def make_auth(
    parent, *, prefix: str, public_url: str, hub_url: str, service_name: str, seconds: int
) -> PortalAuth:
    """The OAuth client, told where it and the hub stand as browsers see them; see `Portal`'s settings."""
    auth = PortalAuth.instance(parent=parent)
    auth.base_url = prefix
    auth.hub_prefix = urlsplit(hub_url).path
    if urlsplit(hub_url).scheme:
        auth.hub_host = origin_of(hub_url)
    if not auth.oauth_client_id:
        auth.oauth_client_id = f"service-{service_name}"
    if public_url:
        auth.oauth_redirect_uri = f"{public_url}oauth_callback"
    if not auth.access_scopes:
        auth.access_scopes = {f"access:services!service={service_name}"}
    auth.cache_max_age = seconds
    options = {"samesite": "Lax"} | auth.cookie_options
    if auth.cookie_host_prefix_enabled:
        # HubOAuth forgets it on the cookie of a login under way where the site is plain HTTP, as on
        # localhost, and a browser then drops the cookie.
        options["secure"] = True
    auth.cookie_options = options
    return auth
