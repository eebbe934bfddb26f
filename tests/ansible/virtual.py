"""A machine to deploy to that is a virtual one: with a kernel and boots of its own, and cgroups of version 2.

QEMU runs it in software, five to twenty times slower than a machine is. So the larger packages of Debian's
that the roles want are on its disk already, as is the list of those that can be had, of the same day.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import ansible
from images import disk
from images.engine import Engine, podman_environment
from images.results import mounted
from tests.images.guest import Guest

from . import packages, playbook
from .machines import RELEASE, Machine, build, image, podman

IMAGE = "localhost/visa-test/virtual:{release}"
#: What the root file system has left for images of sessions, and the memory that it has in MB.
ROOM, MEMORY = 9 << 30, 3500
#: Its interface here, a port of its network's bridge.
TAP = "visa-test-tap"
#: A file with another content at each boot.
BOOT = "/proc/sys/kernel/random/boot_id"
#: The installer's kernel, network and ssh server, and nothing else that a role would set up but packages.
#: What a container must not have, and a machine has, is let in again.
CONTAINERFILE = """
ARG ROOT
FROM ${ROOT}
COPY . /etc/initramfs-tools/
RUN DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \\
    linux-image-amd64 initramfs-tools systemd-boot-efi udev zstd kmod e2fsprogs \\
    openssh-server qemu-guest-agent ca-certificates logrotate openssl \\
    podman netavark aardvark-dns conmon runc iptables nftables && apt-get -q clean \\
    && rm -rf /etc/initramfs-tools/Containerfile
RUN systemctl unmask podman-auto-update.timer podman-auto-update.service podman-restart.service \\
    systemd-networkd-wait-online.service systemd-sysctl.service \\
    && systemctl enable systemd-networkd.service ssh.service
RUN printf '[Match]\\nName=en*\\n[Network]\\nAddress=ADDRESS/24\\nGateway=GATEWAY\\n' \\
    > /etc/systemd/network/50-lan.network
"""


def bare_disk(address: str, gateway: str, release: str = RELEASE) -> Path:
    """The disk of a machine with this address, as its installer leaves it; kept for the day's next run."""
    text = CONTAINERFILE.replace("ADDRESS", address).replace("GATEWAY", gateway)
    name = IMAGE.format(release=release)
    build(name, text, release, image(release), disk.MACHINE / "files/etc/initramfs-tools")
    made = podman("image", "inspect", "--format", "{{.Id}}", name).stdout.strip()[:16]
    place = packages.CACHE / f"disk-{release}-{made}.qcow2"
    if not place.exists():
        packages.CACHE.mkdir(parents=True, exist_ok=True)
        for old in packages.CACHE.glob(f"disk-{release}-*"):
            old.unlink()
        with tempfile.TemporaryDirectory(prefix=".disk-", dir=packages.CACHE) as folder:
            raw, scratch = Path(folder, "raw"), Path(folder, "scratch")
            scratch.mkdir()
            with Path(folder, "log").open("w+b", buffering=0) as log:
                engine = Engine("podman", log)
                with mounted(name, engine) as root:
                    disk.lay_out(root, raw, scratch, log, ROOM)
            new = Path(folder, "new")
            convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, new]
            subprocess.run(convert, check=True)
            new.rename(place)
    return place


def images_disk(image: str) -> Path:
    """A disk with a store of Podman's that has one of this machine's images; kept while that is the same.

    In software it takes six minutes to load one of two gigabytes.
    """
    made = podman("image", "inspect", "--format", "{{.Id}}", image).stdout.strip()[:16]
    place = packages.CACHE / f"images-{made}.raw"
    if not place.exists():
        for old in packages.CACHE.glob("images-*.raw"):
            old.unlink()
        with tempfile.TemporaryDirectory(prefix=".images-", dir=packages.CACHE) as scratch:
            store = Path(scratch, "store")
            words = ["podman", "--root", store, "--runroot", Path(scratch, "run"), "--storage-driver=overlay"]
            saved = subprocess.Popen(
                ["podman", "save", image], stdout=subprocess.PIPE, env=podman_environment()
            )
            try:
                load = [*words, "load", "--quiet"]
                subprocess.run(
                    load, stdin=saved.stdout, env=podman_environment(), check=True, capture_output=True
                )
                data_disk(Path(scratch), store, "images", 4).rename(place)
            finally:
                saved.stdout.close()
                saved.wait()
                subprocess.run(["umount", store / "overlay"], capture_output=True)  # which podman mounts
    return place


def data_disk(folder: Path, of: Path, label: str, gigabytes: int) -> Path:
    """A disk with a file system that has what a folder has."""
    place = folder / f"{label}.raw"
    with place.open("wb") as file:
        file.truncate(gigabytes << 30)
    words = ["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-m", "0", "-L", label, "-d", of, place]
    subprocess.run(words, check=True)
    return place


@dataclass
class Virtual(Machine):
    """One such machine, on the bridge of a network of podman's, while something else is on that."""

    guest: Guest | None = None
    #: Where its overlay, console and agent's socket are: short, for the socket's sake.
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="visa-virtual-")))

    def start(self, options: Sequence[Path] = (), release: str = RELEASE) -> None:
        """Have it boot; `options` are its other disks. `until_up` waits for it."""
        bridge = podman(
            "network", "inspect", "--format", "{{.NetworkInterface}}", self.network
        ).stdout.strip()
        gateway = podman("network", "inspect", "--format", "{{(index .Subnets 0).Gateway}}", self.network)
        base = bare_disk(self.address, gateway.stdout.strip(), release)
        _ip("link", "delete", TAP, check=False)  # of a run that was killed
        _ip("tuntap", "add", "dev", TAP, "mode", "tap")
        # The highest hardware address of the bridge's ports: it keeps the one that it has.
        _ip("link", "set", TAP, "address", "fe:56:00:00:00:01", "master", bridge, "up")
        network = f"tap,ifname={TAP},script=no,downscript=no"
        self.guest = Guest(base, self.folder, memory=MEMORY, network=network, disks=options)

    def until_up(self) -> None:
        """Wait for what systemd starts at a boot, some minutes in software."""
        self.guest.until_up(240)
        self.until("systemctl is-system-running --wait | grep -qE 'running|degraded'", 240)

    def run(self, script: str, check: bool = True, timeout: float = 300) -> subprocess.CompletedProcess:
        """Run a shell script in it, as root: by its agent, whatever its network does."""
        try:
            done = self.guest.done("/bin/sh", "-c", script, seconds=timeout)
        except (OSError, ValueError) as error:  # it boots, or is off
            done = subprocess.CompletedProcess(script, 255, "", f"no answer: {error}")
        assert not check or done.returncode == 0, f"{script}: {done.stderr}{done.stdout}"
        return done

    def write(self, content: bytes, script: str) -> None:
        done = self.guest.done("/bin/sh", "-c", script, given=content, seconds=120)
        assert done.returncode == 0, done.stderr

    def hasten(self) -> None:
        """As `playbook.hasten`, with a copy of this Ansible's modules, since nothing is bound there."""
        own, place = Path(ansible.__file__).parent, "/usr/local/lib/visa-test"
        parts = ("__init__.py", "release.py", "_vendor", "modules", "module_utils")
        pack = ["tar", "-cz", "--exclude=__pycache__", "-C", own.parent]
        packed = subprocess.run(
            [*pack, *(f"ansible/{one}" for one in parts)], capture_output=True, check=True
        )
        self.write(packed.stdout, f"mkdir -p {place} && tar -xz --no-same-owner -C {place}")
        playbook.hasten(self, place)

    def until_booted(self, before: str) -> None:
        """Wait until it is up, by another boot than this one."""
        self.until(f"test $(cat {BOOT}) != {before}", 300)
        self.until_up()

    def stop(self) -> None:
        self.guest.stop()

    def boot(self) -> None:
        raise NotImplementedError("it is gone for good")

    def remove(self) -> None:
        if self.guest:
            self.guest.stop()
        _ip("link", "delete", TAP, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
