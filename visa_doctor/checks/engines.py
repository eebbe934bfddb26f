"""Whether the engine of each node answers, is new enough, and can hold sessions to their plans."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from visa_spawner.backends.engine import EngineRefused, EngineSilent
from visa_spawner.backends.nodes import HOST_NETWORK, PUBLISHED, Node
from visa_spawner.running import certificate

from ..certificates import days_left
from ..finding import Finding, Verdict, fine, warning, worded, wrong
from ..installation import Installation
from ..looking import Look, each_of, in_thread

#: What an engine must say that it can limit, by its own names (Docker's, Podman's), and what goes wrong else.
_CORES = ("CpuCfsQuota", "CPUCfsQuota")
_LIMITS = {
    ("MemoryLimit",): "a session can take all of the node's memory",
    _CORES: "a session can take all of the node's cores",
    ("PidsLimit",): "a session can start processes without end",
}
#: Before which the Docker API lacks what sessions are made with.
_OLDEST_API = (1, 40)
HANGS_UP = "who listens there hangs up: the engine behind is not there, or the hub's certificate is refused"
#: What is said of a machine that is off, or keeps this one out.
_NOT_REACHED = ("no answer in time", "nothing leads there")
_SEEN = "sessions there are shown as unknown and run on"


async def look(here: Installation) -> Look:
    """One look a node."""
    nodes = here.nodes if here.plans("container") else ()
    async for finding in each_of({node.name: _node(here, node) for node in nodes}, here.limit):
        yield finding


async def _node(here: Installation, node: Node) -> Look:
    engine = here.engine(node)
    if node.tls:
        files = await in_thread(lambda: _files(node))
        for finding in files:
            yield finding
        if any(finding.verdict is Verdict.WRONG for finding in files):
            return  # without them the engine is not even asked
    try:
        version = await engine.call(lambda client: client.version())
        about = await engine.call(lambda client: client.info())
        networks = _networks(version, await engine.call(lambda client: client.networks()))
    except EngineSilent as error:
        why = _why(error, node)
        yield wrong(f"The engine does not answer ({why}); {_SEEN}.", _restart(node, why), node.name)
        return
    except EngineRefused as error:
        yield wrong(f"The engine answers with an error: {worded(error)}.", _restart(node), node.name)
        return
    faults = list(_faults(node, version, about, networks))
    for finding in faults:
        yield finding
    if not faults:
        kind = next((part["Name"] for part in version.get("Components") or [] if part.get("Name")), "Engine")
        runtime = about.get("DefaultRuntime") or "its runtime"
        yield fine(f"{kind} {version.get('Version')} answers; {runtime} holds sessions to limits.", node.name)


def _networks(version: dict, found: list[dict]) -> set[str]:
    """Their names, as a session's address stands under them: Podman lists its own default one as Docker's."""
    names = {one["Name"] for one in found}
    return names - {"bridge"} | {"podman"} if _is_podman(version) and "bridge" in names else names


def _is_podman(version: dict) -> bool:
    return any("Podman" in str(part.get("Name")) for part in version.get("Components") or [])


def _faults(node: Node, version: dict, about: dict, networks: set[str]):
    api = tuple(int(part) for part in str(version.get("ApiVersion", "0")).split(".")[:2] if part.isdigit())
    if api < _OLDEST_API:
        what = (
            f"The engine {version.get('Version')} is too old: it speaks the Docker API"
            f" {version.get('ApiVersion')}."
        )
        yield wrong(what, "Install Debian 12's podman or docker.io, or newer.", node.name)
    for names, then in _LIMITS.items():
        if names == _CORES and _is_podman(version) and str(about.get("CgroupVersion")) == "2":
            continue  # Podman says no there without having looked; the kernel always has it
        said = [about[name] for name in names if name in about]
        if said and not any(said):
            what = f"The engine says that its limits do not hold ({names[0]} is off): {then}."
            mend = (
                "See `cat /proc/cgroups` there; on Debian boot with cgroup_enable=memory, then restart the"
                " engine."
            )
            yield wrong(what, mend, node.name)
    runtimes = about.get("Runtimes") or {}
    if node.driver == "nvidia" and "nvidia" not in runtimes:
        what = (
            "The node has `driver: nvidia`, and its engine knows no such runtime; no session with a GPU"
            " starts."
        )
        mend = (
            "Install nvidia-container-toolkit, `nvidia-ctk runtime configure --runtime=docker`, restart"
            " docker."
        )
        yield wrong(what, mend, node.name)
    if node.network not in (HOST_NETWORK, PUBLISHED) and node.network not in networks:
        what = f"The engine has no network {node.network!r}; no session starts there."
        mend = (
            f"It has {', '.join(sorted(networks)) or 'none'}: name one in c.ContainerBackend.nodes, or make"
            " it."
        )
        yield wrong(what, mend, node.name)
    cores = about.get("NCPU") or 0
    memory = about.get("MemTotal") or 0
    if memory and node.memory > memory:
        what = f"Sessions may take {node.memory >> 30} GB of a node with {memory >> 30} GB."
        mend = "Set `memory` of the node below what it has: the kernel ends sessions when it runs out."
        yield warning(what, mend, node.name)
    if cores and node.cpus > 8 * cores:
        what = f"Sessions may take {node.cpus:g} cores of a node with {cores}."
        yield warning(what, "Set `cpus` of the node to what sessions shall share.", node.name)


def _files(node: Node) -> list[Finding]:
    """The hub's own certificate for an engine, and the authority that it trusts there."""
    found = []
    for what, path in (("hub's certificate", node.tls.cert), ("authority", node.tls.ca)):
        try:
            mine = certificate.read(Path(path))
        except (OSError, ValueError) as error:
            text = f"The {what} for this engine cannot be read: {worded(error)}."
            found.append(wrong(text, "Put it there, or name the right file under `tls`.", node.name))
            continue
        mend = f"Make {path} anew from the site's authority, and restart the hub."
        found += days_left(mine, f"The {what} for this engine ({path})", mend, node.name)
    return found


def _why(error: Exception, node: Node) -> str:
    text = str(error).removeprefix(f"node {node.name}: ")
    for sign, words in (
        ("FileNotFoundError", "its socket is not there"),
        ("No such file", "its socket is not there"),
        ("ConnectionRefused", "nothing listens there"),
        ("Connection refused", "nothing listens there"),
        ("timed out", _NOT_REACHED[0]),
        ("No route to host", _NOT_REACHED[1]),
        ("CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted"),
        ("RemoteDisconnected", HANGS_UP),
        ("EOF", HANGS_UP),
        ("ConnectionResetError", HANGS_UP),
        ("BrokenPipeError", HANGS_UP),
        ("PermissionError", "this account may not open its socket"),
    ):
        if sign in text:
            return f"{words}, {node.engine}"
    return f"{text[:300]}, {node.engine}"


def _restart(node: Node, why: str = "") -> str:
    """What to do there; where the machine itself is silent, before that whether it is there at all."""
    host = urlsplit(node.engine).hostname
    on = f"On {host}" if host else "On this machine"
    if host and why.startswith(_NOT_REACHED):
        on = f"See whether {host} is up, and lets this machine through its packet filter. There"
    return (
        f"{on}: `systemctl status visa-engine podman.socket docker`, and start what should run there;"
        " nothing else is to be done."
    )
