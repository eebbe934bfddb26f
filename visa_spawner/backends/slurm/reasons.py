"""Slurm's reasons for which a job waits, as sentences: what it waits for, and what to do about it."""

from __future__ import annotations

import re

from .queue import head

_CANCEL = "Stop it and start again with another plan."
_STAFF = "Ask the facility's staff."
_BY_ITSELF = "It starts by itself."
_NODES = f"Machines that it needs are down, reserved or being emptied. {_BY_ITSELF[:-1]} once they are back."
_CLOSED = "This part of the cluster is closed to new jobs now. It starts once the staff open it again."
_NOT_YOURS = "The cluster does not let you use what this plan asks for. Stop it and ask the facility's staff."

_SENTENCES = {
    "": "",
    "None": "",
    "Priority": "Jobs with a higher priority go first.",
    "Resources": "It starts as soon as the cores, memory and GPUs it asks for are free.",
    "Prolog": "Its machine is being prepared.",
    "Cleaning": "What was left of its last start is being cleared away.",
    "Dependency": "It waits for another job to end.",
    "DependencyNeverSatisfied": f"It waits for a job that can no longer end as it should. {_CANCEL}",
    "PartitionNodeLimit": f"This part of the cluster has not as many machines as it asks for. {_CANCEL}",
    "PartitionTimeLimit": "This part of the cluster does not give as many hours as it asks for."
    " Stop it and start again with fewer.",
    "PartitionDown": _CLOSED,
    "PartitionInactive": _CLOSED,
    "PartitionConfig": f"This part of the cluster does not give what it asks for. {_CANCEL}",
    "JobHeldAdmin": f"The cluster's staff hold it back. {_STAFF}",
    "JobHeldUser": "It was held back with `scontrol hold`. `scontrol release` lets it go on.",
    "JobHoldMaxRequeue": f"It was started too often without success, so the cluster holds it. {_CANCEL}",
    "BeginTime": "The cluster waits a moment before it may start.",
    "Licenses": f"It waits for a licence that is in use. {_BY_ITSELF}",
    "Reservation": f"It waits for its reservation to begin. {_BY_ITSELF}",
    "ReservationDeleted": f"Its reservation is gone. {_CANCEL}",
    "ReservationInvalid": f"Its reservation cannot be used. {_CANCEL}",
    "ReqNodeNotAvail": _NODES,
    "NodeDown": _NODES,
    "FrontEndDown": _NODES,
    "Nodes required for job are DOWN": _NODES,
    "SchedDefer": f"The cluster starts no jobs at once at the moment. {_BY_ITSELF}",
    "BadConstraints": f"No machine of the cluster is what it asks for. {_CANCEL}",
    "Constraints": "No machine of the cluster is what it asks for at the moment. It starts once one is.",
    "SystemFailure": f"Something failed in the cluster. {_STAFF}",
    "JobLaunchFailure": f"Its machine could not start it. {_STAFF}",
    "launch failed requeued held": f"Its machine could not start it, so the cluster holds it back. {_STAFF}",
    "job requeued in held state": f"It was put back into the queue and is held there. {_STAFF}",
    "NonZeroExitCode": "It ended with an error and was put back.",
    "RaisedSignal": "It was ended by a signal and put back.",
    "TimeLimit": "Its time was over and it was put back.",
    "OutOfMemory": "It took more than its memory and was put back.",
    "InactiveLimit": "It did nothing for too long and was put back.",
    "InvalidAccount": _NOT_YOURS,
    "InvalidQOS": _NOT_YOURS,
    "QOSNotAllowed": _NOT_YOURS,
    "AccountNotAllowed": _NOT_YOURS,
    "AccountingPolicy": "What you or your project may use of the cluster is in use or used up.",
    "QOSUsageThreshold": "Your project has used more than its share. It starts as that share grows again.",
    "JobArrayTaskLimit": "As many tasks of its job array run as may run at a time.",
    "BurstBufferResources": f"It waits for fast storage. {_BY_ITSELF}",
    "BurstBufferStageIn": "Its data are being copied to fast storage.",
    "BurstBufferOperation": f"Fast storage failed it. {_STAFF}",
    "PowerNotAvail": f"There is not enough power for it now. {_BY_ITSELF}",
    "PowerReserved": f"There is not enough power for it now. {_BY_ITSELF}",
    "MaxPoweredUpNodes": f"As many machines are on as may be on. {_BY_ITSELF}",
    "DeadLine": f"It can no longer end before its deadline. {_CANCEL}",
    "FedJobLock": "The clusters agree on which of them runs it.",
    "MaxMemPerLimit": f"It asks for more memory than a job may have. {_CANCEL}",
    "MpiPortsBusy": f"It waits for network ports that are in use. {_BY_ITSELF}",
    "NvidiaImexChannels": f"It waits for channels between GPUs that are in use. {_BY_ITSELF}",
    "BlockMaxError": _NODES,
    "BlockFreeAction": _NODES,
    "InvalidReason": "",
}

#: Whose limit it is, by how its name begins or ends: who uses it up, and whose end makes room.
_WHOSE = (
    (re.compile("^QOSGrp"), "Everybody on plans of this kind together already uses", "one of them"),
    (re.compile("^AssocGrp|PerAccount"), "Your project already uses", "another of its jobs"),
    (re.compile(""), "You already use", "another of your jobs or sessions"),
)
#: What is limited, by its name: how much of it, and more or fewer of it.
_WHAT = (
    (re.compile("Cpu|CPU"), "many cores", "fewer cores"),
    (re.compile("Mem"), "much memory", "less memory"),
    (re.compile("GRES"), "many GPUs", "fewer GPUs"),
    (re.compile("Node"), "many machines", "fewer machines"),
    (re.compile("License"), "many licences", "fewer licences"),
    (re.compile("BB"), "much fast storage", "less fast storage"),
    (re.compile("Energy"), "much energy", "less energy"),
    (re.compile("Billing"), "much computing credit", "less computing credit"),
    (re.compile("Submit"), "many places in the queue", "fewer jobs"),
    (re.compile("Job"), "many jobs", "fewer jobs"),
    (re.compile("Wall"), "many hours", "fewer hours"),
    (re.compile(""), "much", "less"),
)
_LIMIT = re.compile(r"(?:QOS|Assoc|Association|Max).*")


def sentence(reason: str) -> str:
    """What Slurm's reason means; one that is not known here is told in Slurm's own words."""
    word = head(reason)
    if word in _SENTENCES:
        return _SENTENCES[word]
    if _LIMIT.fullmatch(word) and " " not in word:
        return _of_limit(word)
    if reason.startswith("Job is at or exceeds"):
        return "Your project has used what it was given of the cluster's time. Ask your local contact."
    return f"The cluster gives `{shown(reason)}` as the reason."


def hopeless(reason: str) -> bool:
    """Whether a job that waits for this never starts as it is: its owner, or the staff, must do something."""
    return "Stop it" in sentence(reason)


def shown(text: str) -> str:
    """Text of the cluster's for a person's eyes: one line, without what would act on a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:200]


def _of_limit(word: str) -> str:
    """A limit of an account (association) or of a quality of service, by how Slurm makes their names."""
    time_limit = re.search(r"Minutes|Mins|Wall|TimeLimit", word)
    _, much, less = next(what for what in _WHAT if what[0].search(_bare(word)))
    of_what = much.partition(" ")[2]
    share = f"its {of_what}" if of_what else "its machines"
    if re.search(r"^QOSMin(?!utes|s)", word):
        return f"It asks for {less} than such a plan must. {_CANCEL}"
    if re.search(r"Per(?:Job|Node)", word):
        if time_limit and "Wall" not in word:
            return f"It asks for {share} for longer than one job may. {_CANCEL}"
        return f"It asks for more{' ' * bool(of_what)}{of_what} than one job may have. {_CANCEL}"
    _, whose, room = next(one for one in _WHOSE if one[0].search(word))
    if time_limit:
        return f"{whose} all the hours given for now on the cluster. Ask your local contact for more."
    return f"{whose} as {much} as may be at a time. It starts once {room} ends."


def _bare(word: str) -> str:
    """A limit's name without the parts that say whose it is, which may look like a resource."""
    word = re.sub(r"^(?:QOS|Association|Assoc)(?:Grp|Max|Min)?|^Max", "", word)
    return re.sub(r"Per(?:Job|Node|User|Account)|(?:Run)?(?:Minutes|Mins)", "", word)
