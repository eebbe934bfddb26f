"""Which flavour, image and network a machine gets, by the settings' names and what OpenStack has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ....session import Image
from ..provider import Order, Refused
from ..tags import PLAN, PROFILE
from .connection import Api

#: What images say of themselves: `openstack image create --property`.
RECIPE, DIGEST, REVISION, CREATED = "visa_recipe", "visa_digest", "visa_revision", "visa_created"
_UNFIT = "The hardware of this plan is not set up in the facility's cloud. Tell the facility's staff."
_MIB, _GIB = 1 << 20, 1 << 30


def flavor(api: Api, order: Order, names: Mapping[str, str]) -> str:
    """The id of the flavour that an order's plan has; raises Refused where it has none that suffices."""
    profile, plan = order.tags.get(PROFILE, ""), order.tags.get(PLAN, "")
    name = names.get(f"{profile}/{plan}") or names.get(plan) or plan
    found = next(
        (one for one in api.each("compute", "/flavors/detail", "flavors") if one["name"] == name), None
    )
    if found is None:
        raise Refused(_UNFIT, f"there is no flavour {name!r} for {profile}/{plan}")
    has = {"cpus": found["vcpus"], "memory": found["ram"] * _MIB, "disk": found["disk"] * _GIB}
    for what, amount in has.items():
        if amount < getattr(order, what):
            text = f"the flavour {name!r} of {profile}/{plan} has {what} {amount}, of {getattr(order, what)}"
            raise Refused(_UNFIT, text)
    return found["id"]


def newest_image(api: Api, owner: str, recipe: str, digest: str) -> tuple[str, Image] | None:
    """Id of the newest image of a recipe's, or of that very digest, and what it says of itself."""
    wanted = {RECIPE: recipe} | ({DIGEST: digest} if digest else {})
    listed = api.each("image", "/images", "images", owner=owner or api.project, status="active", **wanted)
    # Not what others have made, or offer, under the same name.
    mine = [one for one in listed if one.get("owner") == (owner or api.project) and one.get(DIGEST)]
    if not mine:
        return None
    found = max(mine, key=lambda one: one["created_at"])
    return found["id"], Image(recipe, found[DIGEST], found.get(REVISION, ""), found.get(CREATED, ""))


def network(api: Api, wanted: str) -> str:
    """The id of the network of that name or id; raises Refused where it is none, or not one alone."""
    listed = list(api.each("network", "/networks", "networks"))
    found: list[dict[str, Any]] = [one for one in listed if one["id"] == wanted]
    found = found or [one for one in listed if one["name"] == wanted]
    if len(found) != 1:
        words = "The machines' network is not set up in the facility's cloud. Tell the facility's staff."
        raise Refused(words, f"{len(found)} networks are called {wanted!r}")
    return found[0]["id"]


def addresses(api: Api, server: str) -> frozenset[str]:
    """The fixed addresses of a server's ports, as neutron has them at this moment."""
    ports = api.each("network", "/ports", "ports", device_id=server)
    return frozenset(one["ip_address"] for port in ports for one in port["fixed_ips"])
