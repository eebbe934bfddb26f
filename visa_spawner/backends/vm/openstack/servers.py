"""A machine as nova is told of it, and as it comes back: plain values. Nothing of it is secret.

What a machine carries stands in its metadata, which only the project's members change. Its user data are
seen by whoever is in the machine or in the project: they name a claim that is good for nothing once used.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..provider import Machine, Order, Refused
from ..tags import HUB
from .states import stands

#: Before the names of our metadata. A server without our hub's is not ours, whatever its name.
PREFIX = "visa:"
#: Characters that nova takes of a value.
_LONGEST = 255


def metadata(tags: Mapping[str, str], hub_id: str) -> dict[str, str]:
    """Tags as metadata; raises Refused for what nova does not take."""
    found = {f"{PREFIX}{name}": value for name, value in {**tags, HUB: hub_id}.items()}
    for name, value in found.items():
        if len(value) > _LONGEST:
            words = "This session's name is too long for the facility's cloud. Choose a shorter one."
            raise Refused(words, f"{name} has more than {_LONGEST} characters")
    return found


def tags_from(server: Mapping[str, Any], hub_id: str) -> dict[str, str] | None:
    """The tags of a server; None where it is none of this hub's."""
    said = server.get("metadata") or {}
    tags = {name.removeprefix(PREFIX): value for name, value in said.items() if name.startswith(PREFIX)}
    return tags if tags.get(HUB) == hub_id else None


def body(
    order: Order,
    said: Mapping[str, str],
    *,
    flavor: str,
    image: str,
    network: str,
    groups: Sequence[str],
    zone: str,
    user_data: bytes,
) -> dict[str, Any]:
    """What nova is asked for; `flavor`, `image` and `network` are ids."""
    server: dict[str, Any] = {
        "name": order.name,
        "flavorRef": flavor,
        "imageRef": image,
        "networks": [{"uuid": network}],
        "metadata": dict(said),
        "user_data": base64.b64encode(user_data).decode(),
        # There without a network, and without nova's metadata service, which may be blocked.
        "config_drive": True,
    }
    if groups:
        server["security_groups"] = [{"name": name} for name in groups]
    if zone:
        server["availability_zone"] = zone
    return {"server": server}


def user_data(address: str, fingerprint: str, claim: str) -> bytes:
    """What `visa_session.claim` finds in the machine."""
    return json.dumps({"visa": {"address": address, "certificate": fingerprint, "claim": claim}}).encode()


def machine(server: Mapping[str, Any], tags: Mapping[str, str]) -> Machine:
    """A server as a provider lists it."""
    how, why = stands(server)
    return Machine(server["name"], how, tags, address(server), why)


def address(server: Mapping[str, Any]) -> str:
    """Its first fixed address, of IPv4 where it has one; "" while none."""
    found = sorted(
        (one["version"], one["addr"])
        for network in (server.get("addresses") or {}).values()
        for one in network
        if one.get("OS-EXT-IPS:type", "fixed") == "fixed"
    )
    return found[0][1] if found else ""
