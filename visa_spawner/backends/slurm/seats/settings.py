"""What an operator may turn about seats, written as `c.SlurmBackend.*`."""

from __future__ import annotations

from traitlets import Bool, Float, HasTraits, Integer, Unicode


class SeatSettings(HasTraits):
    """Settings of the room that is kept; which plans have it say the profiles, by `warm: true`."""

    seats = Integer(
        0,
        min=0,
        help="""Seats that there may be at a time, of all plans together; 0: none. Each is a job that holds
        cores and memory of a plan's size until a session of the plan starts, or any other job waits.""",
    ).tag(config=True)
    seats_most = Integer(
        2,
        min=1,
        help="""Seats of one plan at most, however many starts are expected. Higher: a course that starts
        together finds more of them; the cluster has so much less for jobs that Slurm would backfill.""",
    ).tag(config=True)
    seats_user = Unicode(
        "",
        help="""The account that seats are jobs of: one without a person, known on the hub's machine, on the
        nodes and to Slurm, and named as `seats_user` in /etc/visa/slurm.json too.""",
    ).tag(config=True)
    seats_partition = Unicode(
        "",
        help="""Partition of seats; empty: the plan's own. One that is preempted by all others, over the same
        nodes, has Slurm itself take a seat from under any job.""",
    ).tag(config=True)
    seats_qos = Unicode("", help="QOS of seats, one that all others preempt; empty: the account's.").tag(
        config=True
    )
    seats_account = Unicode("", help="Slurm account that pays for seats; empty: the user's default.").tag(
        config=True
    )
    seats_gpus = Bool(
        False,
        help="""Whether seats may hold GPUs. True: a plan with GPUs and `warm: true` has seats too, and their
        GPUs compute nothing meanwhile.""",
    ).tag(config=True)
    seats_hours = Float(
        12.0, min=0.1, help="Hours after which a seat ends by itself, to be made anew where there is room."
    ).tag(config=True)
