"""A session's secret as an OAuth client, hashed once.

It is the session's own token, which the hub has made out of 122 random bits and whose hash, of one round, it
keeps beside. For this second hash of the same the stock hub takes 16,384 rounds, 7 ms at each start and at
each login; they are for secrets that people have thought of.
"""

from __future__ import annotations

from functools import wraps

from jupyterhub.oauth.provider import JupyterHubOAuthServer
from jupyterhub.utils import hash_token

#: What the hub calls its sessions as OAuth clients.
_SESSIONS = "jupyterhub-user-"


def hashed(token: str) -> str:
    """The secret of a token that was made by the hub, as the database keeps it."""
    return hash_token(token, rounds=1)


def join_hub() -> None:
    """Have the hub's OAuth provider keep it so; harmless when done already."""
    stock = JupyterHubOAuthServer.add_client
    if getattr(stock, "visa", False):
        return

    @wraps(stock)
    def add_client(self, client_id, client_secret, *args, **kwargs):
        if not client_secret or not client_id.startswith(_SESSIONS):
            return stock(self, client_id, client_secret, *args, **kwargs)
        # An empty secret opens nothing. The hub commits once more, with the session's row.
        client = stock(self, client_id, "", *args, **kwargs)
        client.secret = hashed(client_secret)
        return client

    add_client.visa = True
    JupyterHubOAuthServer.add_client = add_client
