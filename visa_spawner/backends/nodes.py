"""The machines that sessions run on: what an operator writes about each, checked field by field."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal
from urllib.parse import urlsplit

from jupyterhub.traitlets import ByteSpecification
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from traitlets import TraitError

DevicePath = Annotated[str, StringConstraints(pattern=r"^/[^:,\x00-\x1f]+$", max_length=255)]
#: Networks that are not the name of one.
HOST_NETWORK, PUBLISHED = "host", "published"


def _bytes(value: object) -> int:
    try:
        return ByteSpecification().validate(None, str(value) if isinstance(value, bool | None) else value)
    except (TraitError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError("must be a number of bytes, or a number with K, M, G or T") from error


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tls(_Model):
    """Paths, on the hub's machine, of what proves the hub to a `tcp://` engine and the engine to the hub."""

    ca: str
    cert: str
    key: str


class Gpu(_Model):
    """One GPU of a node.

    `devices` are the paths of its device nodes on that node; `cdi` instead names it as the node's CDI
    files do (`nvidia.com/gpu=0`), which are read on the hub's own machine only.
    """

    type: str = ""
    devices: tuple[DevicePath, ...] = ()
    cdi: str = ""


class Node(_Model):
    """One machine with a container engine.

    `cpus` and `memory` are what sessions may take of it altogether. `network` is the name of a network of
    its engine whose addresses the hub reaches, or `published` (a port of the node), or `host` (none of
    their own). `address` is where the hub reaches the node for the last two. `local`: the node is the
    hub's own machine, so that pinned mounts exist there. `drained`: takes no new session.
    """

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
    engine: str
    tls: Tls | None = None
    cpus: float = Field(gt=0)
    memory: Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
    gpus: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,64}$")], Gpu] = Field(
        default_factory=dict
    )
    gpu_common: tuple[DevicePath, ...] = ()
    driver: Literal["", "nvidia"] = ""
    network: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "bridge"
    address: str = ""
    local: bool | None = None
    drained: bool = False

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme == "unix" and parts.path.startswith("/") and not parts.netloc:
            return value
        if parts.scheme == "tcp" and parts.hostname and parts.port:
            return value
        if parts.scheme == "ssh" and parts.hostname and not parts.hostname.startswith("-"):
            if (parts.username or "").startswith("-") or parts.password:
                raise ValueError("an ssh:// engine takes a user and a host, never a password")
            return value
        raise ValueError("must be unix:///path, tcp://host:port or ssh://user@host[:port][/path/of/socket]")

    @model_validator(mode="after")
    def _consistent(self) -> Node:
        scheme = urlsplit(self.engine).scheme
        if scheme == "tcp" and self.tls is None:
            raise ValueError("tls: an engine reached by tcp:// gives root on its node; tls is required")
        if scheme != "tcp" and self.tls is not None:
            raise ValueError("tls: only a tcp:// engine takes it")
        for key, gpu in self.gpus.items():
            if gpu.cdi and not self.is_local:
                raise ValueError(f"gpus.{key}.cdi: CDI files are read on the hub's machine; give devices")
            if not (self.driver or gpu.devices or gpu.cdi):
                raise ValueError(f"gpus.{key}.devices: needed unless driver is nvidia or cdi is given")
        if self.network in (HOST_NETWORK, PUBLISHED):
            try:
                ipaddress.ip_address(self.host)
            except ValueError:
                raise ValueError(f"address: network {self.network} needs the node's own IP address") from None
        shared = [path for gpu in self.gpus.values() for path in gpu.devices]
        if len(shared) != len(set(shared)):
            raise ValueError("gpus: one device path stands under two GPUs; put shared ones in gpu_common")
        return self

    @property
    def is_local(self) -> bool:
        """Whether paths on the hub's machine are paths on this node."""
        return self.engine.startswith("unix://") if self.local is None else self.local

    @property
    def host(self) -> str:
        """Where the hub reaches the node itself."""
        return self.address or urlsplit(self.engine).hostname or "127.0.0.1"


def read_nodes(values: list[dict]) -> tuple[Node, ...]:
    """The nodes of a setting.

    Raises ValueError, naming the node and the field, when one is wrong or a name stands twice.
    """
    nodes: list[Node] = []
    for index, value in enumerate(values):
        name = value.get("name", "") if isinstance(value, dict) else ""
        where = f"nodes[{index}]" + (f" ({name})" if name else "")
        try:
            node = Node.model_validate(value)
        except ValidationError as error:
            faults = [
                ": ".join(filter(None, [".".join(map(str, fault["loc"])), fault["msg"]]))
                for fault in error.errors()
            ]
            raise ValueError(f"{where}: {'; '.join(faults)}") from None
        if any(node.name == other.name for other in nodes):
            raise ValueError(f"{where}: name: another node has it already")
        nodes.append(node)
    return tuple(nodes)
