"""What an operator may turn about OpenStack, written as `c.OpenStackProvider.*`."""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import sys
from pathlib import Path

from jupyterhub.traitlets import ByteSpecification
from traitlets import Bool, Dict, Float, HasTraits, Integer, List, TraitError, Unicode, validate

_ADDRESS = re.compile(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})")


class OpenStackSettings(HasTraits):
    """Settings of the project whose servers are VISA's machines."""

    clouds_file = Unicode(
        "/etc/visa/clouds.yaml",
        help="""The file with the application credential, as OpenStack's own tools read it. Nobody but the
        hub's account and its group may read it, or the hub does not start.""",
    ).tag(config=True)
    cloud = Unicode("visa", help="The entry of that file.").tag(config=True)
    project = Unicode(
        help="""The project's id; empty: that of the first credential with which the hub is answered after
        it has started. A credential of another project is taken for none: all sessions are shown as unknown.
        Set it, or a wrong credential at a restart has no servers, and all sessions end.""",
    ).tag(config=True)
    cpus = Float(
        64.0,
        help="""Cores that machines may take altogether, those that wait included: what the project's quota
        allows. More: starts are refused by OpenStack, in place of what is shown as free.""",
    ).tag(config=True)
    memory = ByteSpecification("256G", help="Memory that machines may take altogether, likewise.").tag(
        config=True
    )
    gpus = Dict(
        Integer(min=0),
        help="""GPUs that machines may take altogether: how many of each type that plans name with `gpu_type`.
        The flavour of such a plan must bring them.""",
    ).tag(config=True)
    flavors = Dict(
        Unicode(),
        help="""Flavours by `PROFILE/PLAN`, or by `PLAN`; a plan that is not here has the flavour of its own
        name. One that is smaller than its plan is refused.""",
    ).tag(config=True)
    image_owner = Unicode(
        help="""The project whose images count, by its id; empty: the credential's own. Others may offer
        images that say anything of themselves.""",
    ).tag(config=True)
    network = Unicode(
        "visa",
        help="""The network of the machines, by name or id. The hub reaches them there by their fixed
        addresses, and they the hub, without any translation of addresses between.""",
    ).tag(config=True)
    security_groups = List(
        Unicode(),
        help="Security groups of the machines; empty: the project's default, which lets the hub in nowhere.",
    ).tag(config=True)
    availability_zone = Unicode(help="Where machines run; empty: anywhere.").tag(config=True)
    call_timeout = Float(
        20.0, min=1, help="Seconds without an answer after which sessions are shown as unknown."
    ).tag(config=True)
    create_timeout = Float(
        120.0,
        min=1,
        help="""Seconds for which a server is followed while OpenStack makes it; after these it counts as one
        that boots.""",
    ).tag(config=True)
    delete_timeout = Float(
        30.0, min=1, help="Seconds for a server to be gone; what is not is tried again at each look."
    ).tag(config=True)
    suspending = Bool(
        True,
        help="""Whether owners may suspend their sessions, by nova's own suspend. What is suspended keeps its
        room, of the project's quota and of its host: it saves cores that would be idle, and nothing else.""",
    ).tag(config=True)
    suspend_timeout = Float(
        900.0,
        min=1,
        help="""Seconds in which nova must have suspended or resumed a server, whose memory it writes to disk
        or reads back; after these it is told as unknown, and goes on by itself.""",
    ).tag(config=True)
    hand_over_timeout = Float(
        120.0,
        min=1,
        help="""Seconds that a machine which has asked may take to become its person's session. It adds to
        `c.VMSpawner.boot_timeout`; `c.VisaSpawner.start_timeout` holds too.""",
    ).tag(config=True)
    claim_address = Unicode(
        help="""HOST:PORT of this hub, by which machines redeem their claims; the hub listens on that port,
        with nothing else behind it.""",
    ).tag(config=True)
    claim_bind = Unicode(help="The address that it listens on; empty: all of the hub's.").tag(config=True)
    claim_certificate = Unicode(
        help="""File with the certificate of that port, in PEM. Machines know it by its fingerprint, so it
        may be its own; those that wait are of no use after a change, and made anew.""",
    ).tag(config=True)
    claim_key = Unicode(help="File with its key, for root alone.").tag(config=True)
    claim_minutes = Float(
        10.0,
        min=0.01,
        help="""Minutes from the making of a machine in which it must have asked for the first time; a claim
        that is shown later is refused. Not less than a boot takes (`c.VMSpawner.boot_timeout`).""",
    ).tag(config=True)
    nfs = Dict(
        Unicode(),
        help="""Where directories are served, for machines: the beginning of a path to `ADDRESS:PATH` of an
        NFS server. Empty: machines get no directory, and sessions that need one are refused.""",
    ).tag(config=True)
    exports_command = List(
        Unicode(),
        [sys.executable, str(Path(__file__).with_name("exports.py"))],
        help="""What exports directories to one machine alone, and takes that back; `{server}` is the server's
        address. As it is, for a server on the hub's own machine; else such as
        `["ssh", "visa@{server}", "sudo", "/usr/local/sbin/visa-exports"]`.""",
    ).tag(config=True)

    @validate("claim_address")
    def _check_claim_address(self, proposal):
        found = _ADDRESS.fullmatch(proposal.value)
        if proposal.value and not (found and 0 < int(found[2]) < 65536):
            raise TraitError("OpenStackProvider.claim_address must be HOST:PORT")
        return proposal.value

    @validate("nfs")
    def _check_nfs(self, proposal):
        for begin, place in proposal.value.items():
            server, _, path = place.rpartition(":")
            try:
                ipaddress.ip_address(server.strip("[]"))
            except ValueError:
                raise TraitError(f"OpenStackProvider.nfs: {place!r} must be ADDRESS:PATH") from None
            if not path.startswith("/") or not begin.startswith("/"):
                raise TraitError(f"OpenStackProvider.nfs: {begin!r} and {path!r} must be absolute")
        return proposal.value

    def check(self) -> None:
        """Raise TraitError for what no machine can be made without."""
        for name in ("claim_address", "claim_certificate", "claim_key"):
            if not getattr(self, name):
                raise TraitError(f"OpenStackProvider.{name} must be set: docs/operators/openstack.md")
        for name in ("clouds_file", "claim_key"):
            path = getattr(self, name)
            try:
                mode = os.stat(path).st_mode
            except OSError as error:
                raise TraitError(f"OpenStackProvider.{name}: {path}: {error.strerror}") from None
            if mode & (stat.S_IRWXO | stat.S_IWGRP):
                raise TraitError(f"OpenStackProvider.{name}: others may use {path}: chmod 600 it")

    @property
    def claim_host(self) -> tuple[str, int]:
        """Host and port of `claim_address`."""
        host, _, port = self.claim_address.rpartition(":")
        return host.strip("[]"), int(port)
