"""Writes demo/run/site.json: the address, and for every account a password and a token that acts as it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from . import blocking
from .login import browser, log_in
from .site import Site, write_private

TOKEN_LIFE = 14 * 24 * 3600
TOKEN_NOTE = "demo site.json"


def write_site(site: Site) -> dict:
    """Log every account in once, so that the hub knows it, make its token, and write site.json.

    Raises `LoginFailed` or httpx errors when an account cannot be set up.
    """
    accounts = json.loads((site.run / "accounts.json").read_text())
    content = {
        "url": site.url,
        "admin_token": site.secret("demo_service"),
        "accounts": {},
        "experiments": experiments(site),
    }
    for name in blocking.blocked(site.admin_socket):
        blocking.unblock(site.admin_socket, name)  # a demo begins with everybody let in
    for name, account in accounts.items():
        # A login rather than an entry made by the administrator: uid, gid and teams come with it.
        with browser(trust_env=False) as client:
            log_in(client, site.url, name, account["password"])
        content["accounts"][name] = {
            "password": account["password"],
            "token": new_token(site, name),
            "roles": account["roles"],
        }
    write_private(site.run / "site.json", content)
    return content


def new_token(site: Site, name: str) -> str:
    """A token with everything the account itself may do; the one of the last start is withdrawn."""
    api = f"{site.hub_api}/users/{name}/tokens"
    headers = {"Authorization": f"token {site.secret('demo_service')}"}
    with httpx.Client(trust_env=False, timeout=60, headers=headers) as client:
        known = client.get(api).raise_for_status().json()
        for token in known["api_tokens"]:
            if token["note"] == TOKEN_NOTE:
                client.delete(f"{api}/{token['id']}").raise_for_status()
        asked = {"note": TOKEN_NOTE, "expires_in": TOKEN_LIFE, "scopes": ["inherit"]}
        return client.post(api, json=asked).raise_for_status().json()["token"]


def experiments(site: Site) -> list[str]:
    """Ids of the experiments that have data on disk, in the catalogue's order."""
    with open(site.run / "experiments.jsonl") as lines:
        entries = [json.loads(line) for line in lines if line.strip()]
    return [entry["id"] for entry in entries if Path(entry["raw"]).is_dir()]
