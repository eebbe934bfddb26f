"""What a container is given of a node's GPUs, and whether the engine really gave it.

Podman's Docker-compatible API silently ignores `DeviceRequests` and refuses CDI names, so GPUs are named
by their device nodes there; CDI files, where a site has them, are read here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from .nodes import Node

CDI_FOLDERS = (Path("/etc/cdi"), Path("/var/run/cdi"))


class GpuUnknown(Exception):
    """A GPU of a node's settings cannot be resolved; the text is for the operator."""


class GpuNotGiven(Exception):
    """An engine made a container without the GPUs it was told to; the text is for the operator."""


@dataclass(frozen=True)
class GpuShare:
    """The part of a container's configuration that stands for its GPUs.

    `devices` maps a device path on the node to the path inside; `mounts` are (source, target) of a
    driver's files, read-only; `request_ids` are asked of Docker's nvidia driver.
    """

    devices: tuple[tuple[str, str], ...] = ()
    mounts: tuple[tuple[str, str], ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    request_ids: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Device paths that must exist inside before the session's server starts."""
        if self.request_ids:
            return tuple(f"/dev/nvidia{key}" for key in self.request_ids if key.isdigit())
        return tuple(inside for _, inside in self.devices)


def share(node: Node, ids: Iterable[str], cdi_folders: Iterable[Path] = CDI_FOLDERS) -> GpuShare:
    """What a container gets for these GPU ids of a node; raises GpuUnknown."""
    ids = tuple(ids)
    # An image made for GPUs often says "all"; a session without one must not inherit that.
    if not ids:
        return GpuShare(environment=(("NVIDIA_VISIBLE_DEVICES", "void"), ("CUDA_VISIBLE_DEVICES", "")))
    environment = {
        "NVIDIA_VISIBLE_DEVICES": ",".join(ids),
        # Inside there are these GPUs alone, which CUDA numbers from 0.
        "CUDA_VISIBLE_DEVICES": ",".join(str(number) for number in range(len(ids))),
    }
    if node.driver == "nvidia":
        return GpuShare(environment=tuple(environment.items()), request_ids=ids)
    devices: dict[str, str] = {}
    mounts: dict[str, str] = {}
    for key in ids:
        gpu = node.gpus[key]
        if gpu.cdi:
            edits = _cdi_edits(gpu.cdi, cdi_folders)
            for device in edits.get("deviceNodes", []):
                devices[device.get("hostPath") or device["path"]] = device["path"]
            for mount in edits.get("mounts", []):
                mounts[mount["hostPath"]] = mount["containerPath"]
            for assignment in edits.get("env", []):
                name, _, value = assignment.partition("=")
                environment.setdefault(name, value)
        devices.update({path: path for path in gpu.devices})
    devices.update({path: path for path in node.gpu_common})
    return GpuShare(tuple(devices.items()), tuple(mounts.items()), tuple(environment.items()))


def not_given(given: GpuShare, host_config: dict) -> list[str]:
    """What of a share the engine left out, or gave too much, by its own inspection; empty when right."""
    inside = {device["PathInContainer"] for device in host_config.get("Devices") or []}
    wanted = {path for _, path in given.devices}
    faults = [f"device {path} is missing" for path in sorted(wanted - inside)]
    faults += [f"device {path} was not asked for" for path in sorted(inside - wanted)]
    requested = {
        key for request in host_config.get("DeviceRequests") or [] for key in request.get("DeviceIDs") or []
    }
    faults += [f"GPU {key} is missing" for key in sorted(set(given.request_ids) - requested)]
    faults += [f"GPU {key} was not asked for" for key in sorted(requested - set(given.request_ids))]
    return faults


def _cdi_edits(name: str, folders: Iterable[Path]) -> dict[str, list]:
    """The container edits of a CDI device: its own and those of its kind."""
    kind, _, device_name = name.partition("=")
    for path in (file for folder in folders for file in sorted(folder.glob("*"))):
        if path.suffix not in (".json", ".yaml", ".yml"):
            continue
        try:
            text = path.read_text()
            spec = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise GpuUnknown(f"CDI file {path} is not readable: {error}") from error
        if not isinstance(spec, dict) or spec.get("kind") != kind:
            continue
        for device in spec.get("devices", []):
            if str(device.get("name")) == device_name:
                parts = (spec.get("containerEdits") or {}, device.get("containerEdits") or {})
                return {
                    field: [edit for part in parts for edit in part.get(field) or []]
                    for field in ("deviceNodes", "mounts", "env")
                }
    raise GpuUnknown(f"no CDI file names {name}")
