"""All checks, in the order in which they are told: what others stand on comes first."""

from __future__ import annotations

from .checks import (
    address,
    catalogue,
    certificates,
    clock,
    cluster_access,
    configuration,
    database,
    disk,
    engines,
    gpus,
    hub,
    images,
    login,
    machines,
    metrics,
    names,
    portal,
    profiles,
    proxy,
    rights,
    secret_values,
    slurm,
)
from .looking import Check

CHECKS = (
    Check("configuration", "the hub's settings: readable, known, possible", configuration.look),
    Check("secrets", "there, strong, each its own, readable by nobody else", secret_values.look),
    Check("rights", "owners and modes of what the hub trusts and keeps", rights.look),
    Check("disk", "room where the hub's machine writes", disk.look),
    Check("clock", "NTP, and the difference to provider and nodes", clock.look),
    Check("database", "answers, and has this version's tables", database.look),
    Check("hub", "answers at its own address", hub.look),
    Check("proxy", "answers, takes the hub's token, has its routes", proxy.look),
    Check("portal", "answers, and reaches hub and catalogue", portal.look),
    Check("names", "DNS of the site and of every name below it", names.look),
    Check("certificates", "believed, for all names, and for how long", certificates.look),
    Check("address", "hub and portal as people reach them", address.look),
    Check("login", "the identity provider: address, PKCE, keys", login.look),
    Check("catalogue", "readable; its directories can be bound", catalogue.look),
    Check("profiles", "readable; each plan can be had somewhere", profiles.look),
    Check("engines", "each node's engine: answers, limits, network, TLS", engines.look),
    Check("images", "each node's images: there, the same, looked after", images.look),
    Check("gpus", "devices and CDI files that the settings name", gpus.look),
    Check("slurm", "controller, partitions, launcher, versions, images", slurm.look),
    Check("cluster-access", "what leads from sessions to the cluster", cluster_access.look),
    Check("machines", "libvirt or OpenStack: answers, disks, room", machines.look),
    Check("metrics", "figures for alarms, and what is left over", metrics.look),
)
