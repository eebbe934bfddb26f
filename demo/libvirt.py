"""Libvirt where no init system runs it: the daemon and its log's, as long as whoever needs them is there.

One that runs already is used as it is, and stays.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOCKET = Path("/run/libvirt/libvirt-sock")
DAEMONS = ("/usr/sbin/virtlogd", "/usr/sbin/libvirtd")
#: QEMU without a namespace of its own for devices, which libvirt cannot make where some of /dev is mounted.
SETTINGS = "namespaces = []\n"
#: Seconds for it to answer: it looks at QEMU first.
PATIENCE = 60.0


def missing() -> str:
    """What this machine lacks for machines of its own, as Debian's packages; "" for nothing."""
    wanted = {DAEMONS[1]: "libvirt-daemon-system", "/usr/bin/qemu-system-x86_64": "qemu-system-x86"}
    wanted |= {"/usr/sbin/diod": "diod", "/usr/bin/qemu-img": "qemu-utils", "/usr/bin/bwrap": "bubblewrap"}
    lacking = [package for program, package in wanted.items() if not os.path.exists(program)]
    try:
        import libvirt  # noqa: F401 - whether it is there
    except ImportError:
        lacking.append("libvirt-dev")
    return " ".join(lacking)


def answers() -> bool:
    """Whether libvirt answers."""
    done = subprocess.run(
        ["virsh", "-q", "-c", "qemu:///system", "version", "--daemon"], capture_output=True, timeout=PATIENCE
    )
    return done.returncode == 0


def is_nested() -> bool:
    """Whether this is a virtual machine itself, whose own virtual machines often fail in hardware."""
    return " hypervisor" in Path("/proc/cpuinfo").read_text()


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Have libvirt answer while inside; `folder` is for its few files. Raises RuntimeError."""
    if answers():
        yield
        return
    processes: list[int] = []
    try:
        start(folder, processes)
        yield
    finally:
        stop(processes)


def start(folder: Path, processes: list[int]) -> None:
    """Start both daemons; their process ids are appended as they come. Machines outlive them."""
    folder.mkdir(parents=True, exist_ok=True)
    if not _runs("virtlogd"):
        processes.append(_begun(DAEMONS[0]))
    processes.append(_libvirtd(folder))
    end = time.monotonic() + PATIENCE
    while not (SOCKET.exists() and answers()):
        if time.monotonic() > end:
            raise RuntimeError("libvirtd does not answer: see /var/log/libvirt/libvirtd.log")
        time.sleep(0.2)


def _libvirtd(folder: Path) -> int:
    """Libvirt with mounts of its own: settings of ours, and no KVM where that does not work."""
    settings, nothing = folder / "qemu.conf", folder / "no-kvm"
    settings.write_text(SETTINGS)
    nothing.touch()
    nothing.chmod(0)
    script = 'mount --bind "$1" /etc/libvirt/qemu.conf; [ -z "$2" ] || mount --bind "$2" /dev/kvm; exec "$3"'
    # Libvirt looks at QEMU anew at each call while root can use KVM and QEMU's account cannot.
    hidden = str(nothing) if is_nested() and os.path.exists("/dev/kvm") else ""
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(settings), hidden, DAEMONS[1]]
    return _begun(*command)


def _begun(*command: str) -> int:
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, start_new_session=True, **quiet).pid


def stop(processes: list[int]) -> None:
    """End what `start` began, the last first; machines that are left go on without."""
    while processes:
        pid = processes.pop()
        try:
            os.kill(pid, signal.SIGTERM)
            _await_end(pid)
        except (ProcessLookupError, ChildProcessError):
            pass


def _await_end(pid: int) -> None:
    end = time.monotonic() + 15
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _runs(name: str) -> bool:
    return shutil.which("virsh") is not None and any(
        _comm(place) == name for place in Path("/proc").glob("[0-9]*")
    )


def _comm(place: Path) -> str:
    try:
        return (place / "comm").read_text().strip()
    except OSError:
        return ""
