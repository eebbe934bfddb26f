"""What an operator may turn about machines, whoever makes them, written as `c.VMSpawner.*`."""

from __future__ import annotations

import re

from traitlets import Float, HasTraits, TraitError, Unicode, validate

#: The class behind each provider's name.
PROVIDERS = {
    "libvirt": "visa_spawner.backends.vm.libvirt.provider.LibvirtProvider",
    "openstack": "visa_spawner.backends.vm.openstack.provider.OpenStackProvider",
}
_HUB_ID = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"


class VMSettings(HasTraits):
    """Settings of all machines together."""

    hub_id = Unicode(
        help="""A name for this hub, its own at its provider: lower-case letters, digits and `-`.

        Each machine carries it as a tag, and the sweep removes those that carry it and belong to no session.
        Two hubs with one id would remove each other's sessions; a changed id orphans the running ones.
        """,
    ).tag(config=True)
    provider = Unicode(
        "libvirt",
        help="Who makes machines: `libvirt`, `openstack`, or a class of your own, as `module.Class`.",
    ).tag(config=True)
    watch_interval = Float(
        4.0,
        min=0.2,
        help="""Seconds between two looks at all machines while there are any: one question, however many.
        Shorter: a session that ended is seen sooner.""",
    ).tag(config=True)
    idle_watch_interval = Float(30.0, min=1, help="Seconds between two looks while there is no machine.").tag(
        config=True
    )
    boot_timeout = Float(
        240.0,
        min=1,
        help="""Seconds in which a machine must have booted, and a session in it wait for its person. Also for
        one that is to wait: it is made anew then.""",
    ).tag(config=True)
    stop_grace = Float(
        20.0,
        help="""Seconds between asking a machine to end and ending it. Longer: more time to save at the end;
        what programs have not written to their files by then is lost.""",
    ).tag(config=True)
    pool_hours = Float(
        24.0,
        help="""Hours that a machine may wait for a session. Then another takes its place, so that nobody's
        begins with what has aged for days.""",
    ).tag(config=True)
    gpu_device = Unicode(
        "/dev/nvidia{index}",
        help="Device that each GPU of a plan must be inside, or no session starts; `{index}` from 0.",
    ).tag(config=True)

    @validate("hub_id")
    def _check_hub_id(self, proposal):
        if not re.fullmatch(_HUB_ID, proposal.value):
            raise TraitError("VMSpawner.hub_id must be 1-32 lower-case letters, digits and inner hyphens")
        return proposal.value
