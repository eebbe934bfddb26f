"""What an operator may turn about the cluster, written as `c.SlurmBackend.*`."""

from __future__ import annotations

import re
from string import Formatter

from traitlets import Dict, Enum, Float, Integer, List, TraitError, Unicode, validate

from .seats.settings import SeatSettings

_HUB_ID = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"


class SlurmSettings(SeatSettings):
    """Settings of one cluster."""

    hub_id = Unicode(
        help="""A name for this hub, its own on the cluster: lower-case letters, digits and `-`.

        Each job carries it, and the sweep cancels those that carry it and belong to no session. Two hubs
        with one id would cancel each other's sessions; a changed id orphans the running ones.
        """,
    ).tag(config=True)
    client = Enum(
        ["auto", "commands", "pyslurm"],
        "auto",
        help="""How Slurm is asked. `commands`: by `squeue`, `scontrol` and `sinfo`. `pyslurm`: by the
        library, where it is installed and built for this cluster's version; the hub does not start otherwise.
        `auto`: the library where it fits, else the commands.""",
    ).tag(config=True)
    commands_dir = Unicode(
        "/usr/bin", help="Directory of Slurm's commands on the hub's machine, for reading alone."
    ).tag(config=True)
    slurm_conf = Unicode(
        "",
        help="Path of slurm.conf on the hub's machine; empty: where Slurm looks by itself.",
    ).tag(config=True)
    launcher = List(
        Unicode(),
        ["/usr/bin/sudo", "-n", "/usr/local/sbin/visa-slurm-launch"],
        minlen=1,
        help="""The command that submits and cancels as the owner of a session. Without `sudo` where the hub
        itself is root; see docs/operators/slurm.md for the one rule that sudo needs.""",
    ).tag(config=True)
    launcher_timeout = Float(
        30.0,
        help="""Seconds the launcher may take. Too short for a busy controller, and starts fail that the
        monitor then finds after all and cancels.""",
    ).tag(config=True)
    submissions_at_once = Integer(
        8,
        min=1,
        help="Submissions that may run at a time. More: a crowd is through sooner, at the controller's cost.",
    ).tag(config=True)
    runtime = Enum(
        ["bubblewrap", "charliecloud", "apptainer", "plain"],
        "bubblewrap",
        help="""What enters the image in a job. `plain` enters none: the session runs on the node's own
        software, and raw data must be mounted read-only on the nodes, or it does not start.""",
    ).tag(config=True)
    image_template = Unicode(
        "/opt/visa/images/{recipe}",
        help="Where a profile's image stands on every node: an unpacked tree, a SquashFS or a SIF file.",
    ).tag(config=True)
    partition = Unicode("", help="Partition of plans that name none; empty: the cluster's own default.").tag(
        config=True
    )
    gpu_device = Unicode(
        "/dev/nvidia{index}",
        help="""Device of a GPU on its node: `{index}` is the number Slurm gives the job, `{node}` the node's
        name. A session whose devices are not there does not start.""",
    ).tag(config=True)
    gpu_common = List(
        Unicode(),
        ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"],
        help="Devices that every session with a GPU gets as well, where they are there.",
    ).tag(config=True)
    extra_binds = Dict(
        Unicode(),
        help="""Further directories or files of the nodes inside every session: path to `ro` or `rw`. They
        stand at the same path inside.""",
    ).tag(config=True)
    tmp_fraction = Float(
        0.25, min=0, max=1, help="Share of a plan's memory that /tmp in the session may take."
    ).tag(config=True)
    interval = Float(
        5.0, min=0.5, help="Seconds between two looks at the queue while there are sessions in it."
    ).tag(config=True)
    idle_interval = Float(
        60.0, min=30, help="Seconds between two looks while this hub has no session on the cluster."
    ).tag(config=True)
    nodes_interval = Float(
        10.0,
        min=1,
        help="""How old, in seconds, the free cores and GPUs on the plan page may be. They are asked for only
        while somebody looks.""",
    ).tag(config=True)
    query_timeout = Float(
        10.0, min=1, help="Seconds without an answer after which the cluster's sessions are shown as unknown."
    ).tag(config=True)
    settle_seconds = Float(
        20.0,
        min=5,
        help="""Seconds after which a job that was never seen counts as never submitted, provided that the
        controller answers. Must be longer than a submission can hang.""",
    ).tag(config=True)
    queue_hours = Float(
        336.0,
        min=0.1,
        help="Hours that a session may wait in the queue before it is given up.",
    ).tag(config=True)
    cancel_timeout = Float(
        45.0, help="Seconds that a cancelled job may take to end before the session counts as stopped."
    ).tag(config=True)

    @validate("hub_id")
    def _check_hub_id(self, proposal):
        if not re.fullmatch(_HUB_ID, proposal.value):
            raise TraitError("SlurmBackend.hub_id must be 1-32 lower-case letters, digits and inner hyphens")
        return proposal.value

    @validate("image_template", "gpu_device")
    def _check_template(self, proposal):
        allowed = {"image_template": {"recipe"}, "gpu_device": {"index", "node"}}[proposal.trait.name]
        try:
            fields = {name for _, name, _, _ in Formatter().parse(proposal.value) if name is not None}
        except ValueError as error:
            raise TraitError(f"SlurmBackend.{proposal.trait.name}: {error}") from error
        if not proposal.value.startswith("/") or not fields <= allowed:
            names = ", ".join(f"{{{name}}}" for name in sorted(allowed))
            raise TraitError(
                f"SlurmBackend.{proposal.trait.name} must be an absolute path with no more than {names}"
            )
        return proposal.value

    @validate("extra_binds")
    def _check_binds(self, proposal):
        for path, mode in proposal.value.items():
            if not path.startswith("/") or mode not in ("ro", "rw"):
                raise TraitError(
                    f"SlurmBackend.extra_binds: {path!r} must be an absolute path to `ro` or `rw`"
                )
        return proposal.value
