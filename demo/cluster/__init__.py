"""A whole small Slurm cluster on one machine: munge, accounting, controller and four nodes.

    layout.py          where everything stands: folder, ports, nodes, partitions
    configuration.py   the daemons' files
    gpus.py            made-up GPUs of two types
    daemons.py         the daemons, in the order in which they start
    node.py            one node: a process namespace with slurmd in it
    accounts.py        who may compute on whose account, in Slurm's own book
    people.py          accounts of this machine, as the daemons and the jobs look them up
    commands.py        Slurm's commands on this cluster
    inside.py          what sessions in containers need to reach it

`python -m demo.cluster FOLDER` runs one alone.
"""
