"""What Slurm's commands print, read into jobs and nodes; no value of anybody's can be taken for another's.

The fields are set apart by random separators. `squeue` is given them by its environment, which no other
account can read, so nobody can write a comment that looks like a second job; `sinfo` and `sacct`, which take
them as arguments alone, get new ones for each question. Times are asked for as seconds since the epoch.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from ..seen import ENDED, WAITING, Job, Node

#: One more than the longest mark of a hub, so that a longer comment never looks like one.
COMMENT_WIDTH = 72
_MIB = 1 << 20
_GPU = re.compile(r"(?:^|,)gpu(?::([^:,()]+))?:(\d+)(?=[(,]|$)")
_LIMIT = re.compile(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)")
_CODES = re.compile(r"(\d+):(\d+)")
#: A state; squeue writes `?` for one of a later Slurm, which is no reason to lose the job.
_WORD = re.compile(r"[A-Z][A-Z_]*|\?")
_RANGE = re.compile(r"(\d+)(?:-(\d+))?(?::(\d+))?")

#: What squeue is asked for, as `read_job` takes it; with a width where a field is anybody's text.
JOB_FIELDS = (
    "JobID:0",
    "UserID:0",
    "State:0",
    "Reason:0",
    "Partition:0",
    "PriorityLong:0",
    "BatchHost:0",
    "SubmitTime:0",
    "StartTime:0",
    "EndTime:0",
    "TimeLimit:0",
    "RestartCnt:0",
    "exit_code:0",
    "ArrayTaskID:0",
    f"Comment:.{COMMENT_WIDTH}",
)
#: What sinfo is asked for, one line for each node in each partition, as `read_node` takes it.
NODE_FIELDS = (
    "NodeList:0",
    "NodeAddr:0",
    "StateComplete:0",
    "Partition:0",
    "Available:0",
    "CPUsState:0",
    "Memory:0",
    "AllocMem:0",
    "Gres:0",
    "GresUsed:0",
    "Reason:.100",
)
#: What sacct is asked for, as `read_ended` takes it.
ENDED_FIELDS = (
    *("JobIDRaw", "UID", "Comment", "State", "Reason", "Partition", "NodeList", "Submit", "Start", "End"),
    *("TimelimitRaw", "ExitCode"),
)


class Unreadable(ValueError):
    """A record that is none; the text says what is wrong with it."""


class BrokenOff(ValueError):
    """An answer that does not end as one does."""


@dataclass(frozen=True)
class Separators:
    """Two texts that nothing else contains: behind each field, and behind the last of a record."""

    between: str = field(default_factory=lambda: f"<{secrets.token_urlsafe(8)}>")
    behind: str = field(default_factory=lambda: f"<{secrets.token_urlsafe(8)}>")

    def format(self, fields: tuple[str, ...]) -> str:
        """The format for `squeue --Format` and `sinfo --Format`."""
        last = len(fields) - 1
        return ",".join(
            name + (self.behind if index == last else self.between) for index, name in enumerate(fields)
        )

    def records(self, printed: bytes) -> Iterator[bytes]:
        """The records of what was printed, fields still apart.

        Raises BrokenOff when it does not end with a record: jobs that are not told of would look gone.
        """
        *whole, rest = printed.split(self.behind.encode())
        if rest.strip():
            raise BrokenOff(f"the answer ends with {rest[-100:]!r}")
        return (record.removeprefix(b"\n") for record in whole)

    def shown(self, record: bytes) -> str:
        """A record for the log, which must not tell the separators."""
        return repr(record.replace(self.between.encode(), b"|")[:300])

    def fields(self, record: bytes, count: int) -> list[str]:
        """The fields of a record; raises Unreadable when their number is another."""
        found = record.split(self.between.encode())
        if len(found) != count:
            raise Unreadable(f"{len(found)} fields instead of {count}")
        return [text.decode("utf-8", "replace").strip(" ") for text in found]


def read_job(values: list[str]) -> Job:
    """A job from the fields of JOB_FIELDS; raises Unreadable."""
    number, uid, state, reason, partition, priority, host, *rest = values
    submitted, start, end = map(_time, rest[:3])
    limit, restarts, code, tasks, mark = rest[3:]
    state = _state(state)
    waiting = state in WAITING
    exit_code, signal = _exit(code) if state in ENDED else (0, 0)
    return Job(
        id=_number(number, least=1),
        # Printed as a signed number: uids above 2^31 come out negative.
        uid=_number(uid, least=-(1 << 31)) % (1 << 32),
        mark=_text(mark),
        state=state,
        reason=_text(reason),
        partition=_text(partition),
        priority=_number(priority),
        host="" if waiting or host in ("n/a", "(null)", "None assigned") else host,
        submitted=submitted,
        start=start,
        end=None if waiting else end,
        limit=_limit(limit),
        restarts=_number(restarts),
        exit_code=exit_code,
        signal=signal,
        tasks=count_tasks(tasks),
    )


def read_ended(values: list[str]) -> Job:
    """A job from the fields of ENDED_FIELDS; raises Unreadable.

    Accounting takes 128 off an exit code of 128 and more.
    """
    number, uid, mark, state, reason, partition, nodes, submitted, start, end, minutes, code = values
    state, _, by = state.partition(" by ")
    exit_code, signal = _exit(code)
    return Job(
        id=_number(number, least=1),
        uid=_number(uid),
        mark=mark,
        state=_state(state),
        reason=_text(reason),
        partition=partition,
        host=nodes if re.fullmatch(r"[A-Za-z0-9._-]+", nodes) else "",
        submitted=_time(submitted),
        start=_time(start),
        end=_time(end),
        limit=timedelta(minutes=int(minutes)) if minutes.isdecimal() else None,
        exit_code=exit_code,
        signal=signal,
        cancelled_by=int(by) if by.isdecimal() else None,
    )


def read_node(values: list[str]) -> Node:
    """A node, in one of its partitions, from the fields of NODE_FIELDS; raises Unreadable."""
    name, address, states, partition, available, cpus, memory, taken, gres, used, reason = values
    partitions = frozenset() if partition == "n/a" else frozenset([partition.rstrip("*")])
    try:
        _, idle, _, total = (int(part) for part in cpus.split("/"))
    except ValueError:
        raise Unreadable(f"cores {cpus[:40]!r}") from None
    if not name or not address:
        raise Unreadable("no name")
    node = Node(
        name=name,
        address=address,
        states=frozenset(states.upper().rstrip("*~#!%$@^-").split("+")),
        partitions=partitions,
        cpus=total,
        memory=_number(memory) * _MIB,
        gpus=count_gpus(gres),
        reason=_text(reason),
        default_partition=partition.removesuffix("*") if partition.endswith("*") else "",
        closed_partitions=frozenset() if available == "up" else partitions,
    )
    return with_free(node, idle, _number(taken) * _MIB, count_gpus(used))


def with_free(node: Node, idle: int, taken: int, used: dict[str, int]) -> Node:
    """A node with what no job has taken of it: nothing where it takes no jobs."""
    if not node.open:
        return node
    free = {kind: max(0, count - used.get(kind, 0)) for kind, count in node.gpus.items()}
    room = max(0, node.memory - taken)
    return replace(node, free_cpus=max(0, idle), free_memory=room, free_gpus=free)


def in_all_partitions(nodes: Iterable[Node]) -> list[Node]:
    """One of each node, in all the partitions it was listed in."""
    found: dict[str, Node] = {}
    for node in nodes:
        if known := found.get(node.name):
            node = replace(
                node,
                partitions=known.partitions | node.partitions,
                default_partition=known.default_partition or node.default_partition,
                closed_partitions=known.closed_partitions | node.closed_partitions,
            )
        found[node.name] = node
    return list(found.values())


def count_gpus(gres: str) -> dict[str, int]:
    """GPUs by type in Slurm's list of generic resources: `gpu:a100:2(S:0-1),gpu:1,craynetwork:4`."""
    found: dict[str, int] = {}
    for kind, count in _GPU.findall(gres):
        found[kind] = found.get(kind, 0) + int(count)
    return found


def count_tasks(tasks: str) -> int:
    """How many tasks of a job array `1,4-6,10-20:5%2` are; 1 for what is no array."""
    count = 0
    for part in tasks.partition("%")[0].split(","):
        if match := _RANGE.fullmatch(part):
            first, last, step = (int(number) if number else 0 for number in match.groups())
            count += max(1, (last - first) // max(1, step) + 1) if match[2] else 1
    return max(1, count)


def read_each(
    separators: Separators,
    printed: bytes,
    read: Callable[[bytes], Job | Node],
    skipped: Callable[[str], None],
) -> Iterator:
    """What could be read of what was printed; `skipped` is told of each record that could not.

    Raises BrokenOff.
    """
    for record in separators.records(printed):
        try:
            yield read(record)
        except Unreadable as error:
            skipped(f"{error}, in {separators.shown(record)}")


def _number(text: str, least: int = 0) -> int:
    try:
        value = int(text)
    except ValueError:
        raise Unreadable(f"number {text[:40]!r}") from None
    if value < least:
        raise Unreadable(f"number {value}")
    return value


def _state(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise Unreadable(f"state {text[:40]!r}")
    return text


def _text(text: str) -> str:
    return "" if text in ("(null)", "None", "none") else text


def _time(text: str) -> datetime | None:
    """Seconds since the epoch; None for every word that stands for no time."""
    if not text.isdecimal() or not 0 < int(text) < 1 << 32:
        return None
    return datetime.fromtimestamp(int(text), UTC)


def _limit(text: str) -> timedelta | None:
    match = _LIMIT.fullmatch(text)
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def _exit(text: str) -> tuple[int, int]:
    """Exit code and signal: from `CODE:SIGNAL`, before Slurm 23.02 from the number that wait(2) gives."""
    if match := _CODES.fullmatch(text):
        return int(match[1]), int(match[2])
    if not text.isdecimal():
        return 0, 0
    return exit_of(int(text))


def exit_of(status: int) -> tuple[int, int]:
    """Exit code and signal from what wait(2) gives."""
    return (status >> 8) & 0xFF, status & 0x7F
