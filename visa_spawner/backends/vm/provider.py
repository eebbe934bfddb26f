"""Whoever makes machines: the narrow interface between sessions and libvirt, OpenStack, or a third.

A provider knows machines by the names that it is given, carries tags on each, and is believed in what it says
of them; a guest is not. It is asked by one watch for all sessions. docs/developers/vm.md says how to add one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from traitlets.config import LoggingConfigurable

from ...session import Bind, Image, Person


class Stands(StrEnum):
    """How a machine stands, by its provider's word."""

    MAKING = "making"
    RUNNING = "running"
    PAUSED = "paused"
    SAVED = "saved"
    ENDED = "ended"


#: Why of a machine that runs, or is suspended, and reaches no directory: of a session's, once handed over.
UNSERVED = "unserved"
#: Why of a machine that runs, and of which its provider says that something is wrong with it.
FAULTY = "faulty"
#: Why of one that is paused: its memory is being written to disk.
SAVING = "saving"
#: Why of one that is saved: by somebody else than `suspend`, and `resume` is not for it.
BY_HOST = "host"


#: Why of one that is saved: what it takes is kept for it meanwhile, and it needs no room to go on.
KEEPS_ROOM = "keeps room"


class Silent(Exception):
    """The provider gives no answer: nothing is known, neither good nor bad."""


class Refused(Exception):
    """The provider says no; `words` are a sentence that a session's owner may read, the text the operator's.

    `reason`: `room` (nothing is free now), `image`, `gone` (there is no such machine), `earlier` (what runs
    in the machine does not know how yet) or `provider`.
    """

    def __init__(self, words: str, text: str = "", reason: str = "provider"):
        super().__init__(text or words)
        self.words, self.reason = words, reason


class NotTaken(Exception):
    """A machine did not become the session's, and is nobody's to use any more; the text is the operator's."""


@dataclass(frozen=True)
class Order:
    """A machine to be made: its name, known and kept before, and all that it is.

    `tags` are short texts that the provider keeps on the machine and lists with it; none of them is secret.
    `gpus` are the provider's own names of whole GPUs. Sizes are in bytes.
    """

    name: str
    tags: Mapping[str, str]
    image: Image
    cpus: int
    memory: int
    disk: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """A machine as the provider lists it; `why` is its word for how it came to stand as it does.

    `address` is where the hub reaches it by the provider's own knowledge, never the guest's; "" while none.
    """

    name: str
    stands: Stands
    tags: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    why: str = ""


@dataclass(frozen=True)
class Host:
    """Where machines run, and what they may take of it altogether; `gpus` are types by name.

    `placement.Placement` keeps its books, as it does for the nodes of containers.
    """

    name: str
    cpus: float
    memory: int
    gpus: Mapping[str, Any] = field(default_factory=dict)
    drained: bool = False


class Provider(LoggingConfigurable):
    """Makes machines, and says how they stand. Each method raises Silent, or Refused, and nothing else.

    None of them keeps the loop waiting, and none changes a machine that does not carry this hub's tag.
    """

    #: Told what belongs into the audit log: a kind of line, and what it says. Put there by the hub.
    tell: Callable[..., None] = staticmethod(lambda what, **said: None)

    #: Whether `suspend` keeps a machine's memory.
    can_suspend = False
    #: Whether `add_data` and `remove_data` change what a session's machine has.
    can_change_data = False

    @property
    @abstractmethod
    def hosts(self) -> Sequence[Host]:
        """Where machines run, by the settings."""

    @abstractmethod
    async def list(self) -> list[Machine]:
        """All of this hub's machines: one question, however many there are."""

    @abstractmethod
    async def image(self, recipe: str, digest: str) -> Image | None:
        """The disk that a recipe's machine would get now, or that very one; None where there is none."""

    @abstractmethod
    async def create(self, order: Order) -> None:
        """Make a machine and begin to boot it. Called once a name; what it made by half, `delete` removes."""

    @abstractmethod
    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Replace a machine's tags."""

    @abstractmethod
    async def waits(self, name: str) -> bool:
        """Whether it is up, and the session in it waits for a person. A guest may lie, to its own harm."""

    @abstractmethod
    async def hand_over(
        self, name: str, person: Person, binds: Sequence[Bind], document: Mapping[str, Any]
    ) -> None:
        """Give a waiting machine to a person: directories, and the document for `visa_session.handover`.

        Nothing of it is left where others, or a later reader of the machine's description, could find it.
        Raises NotTaken as well, when the guest refused, or did not answer in time.
        """

    @abstractmethod
    async def shut_down(self, name: str) -> None:
        """Ask the machine to end in order; whether it does is seen in the list."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """End it if it runs, and remove all of it; harmless when there is none."""

    @abstractmethod
    async def console(self, name: str) -> bytes:
        """The end of what the machine said on its console; empty where that is not known."""

    async def add_data(
        self, name: str, binds: Sequence[Bind], links: Mapping[str, str], texts: Mapping[str, str]
    ) -> None:
        """Mount more directories in a machine that was handed over, with links and small files of root's.

        Raises Refused where none of it is there; after anything else `remove_data` sets it right.
        """
        raise Refused("The data of this machine cannot be changed.")

    async def remove_data(
        self, name: str, targets: Sequence[str], links: Sequence[str], texts: Mapping[str, str]
    ) -> None:
        """Take mounts and links away; what is taken away is not served any more, whatever the guest does."""
        raise Refused("The data of this machine cannot be changed.")

    async def usage(self, name: str) -> tuple[float, int | None] | None:
        """Seconds of CPU that it has used, and bytes of memory in use in it; None where that is not known."""
        return None

    async def suspend(self, name: str) -> None:
        """Keep its memory elsewhere, and stop it; its data wait for it. May take minutes.

        The list then has it as SAVED, and free of what it took, unless it says KEEPS_ROOM.

        Where that fails it runs on. A hub that is killed meanwhile finds it saved, or running.
        """
        raise Refused("This session cannot be suspended.")

    async def resume(self, name: str) -> None:
        """Have a suspended machine go on where it was, never from its start; or it is suspended still."""
        raise Refused("This session cannot be resumed.")

    async def sweep(self, names: set[str]) -> None:
        """Remove what the provider keeps beside machines, for others than these."""

    def close(self) -> None:
        """Let go of threads and connections; machines run on."""
