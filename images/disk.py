"""An image as the disk of a virtual machine: `python -m images.disk NAME FOLDER`.

`FOLDER/NAME.qcow2` boots by BIOS and by UEFI, with no kernel given from outside, which OpenStack has not. It
comes up with its guest agent and the network's address, and waits; nobody can log in. It is put together in a
file, without being mounted and without a loop device.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from . import host
from .build import RELEASE, TITLE_LABEL, one_at_a_time
from .engine import BuildFailed, Engine
from .recipe import IMAGES
from .results import KEEP_HOURS, Image, built, command, mounted, publish, remove, run

ENDING = ".qcow2"
MACHINE = IMAGES / "machine"
SYSLINUX = Path("/usr/lib/syslinux/mbr/gptmbr.bin")
MIB = 1 << 20
#: Where the boot partition begins, its size, and what the root file system has left for its machine.
BOOT_START, BOOT_SIZE, ROOM = 1 * MIB, 127 * MIB, 2048 * MIB
EFI_SYSTEM, ROOT_X86_64 = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
#: What the kernel is told: the serial console last, so that the machine's own words are in its log.
KERNEL = "root=LABEL=visa-root rw console=tty0 console=ttyS0 quiet systemd.show_status=1"


def disk(engine: Engine, name: str, folder: Path, keep_hours: float = KEEP_HOURS) -> bool:
    """Bring `folder/NAME.qcow2` up to date with the image; whether it had to be made. As `unpack` else."""
    image = built(engine, name)

    def make(new: Path) -> None:
        scratch = folder / f".{name}.scratch"
        remove(scratch)  # of one that was killed
        scratch.mkdir(mode=0o700)
        try:
            raw = scratch / "disk"
            with mounted(machine(engine, image), engine) as root:
                lay_out(root, raw, scratch, engine.log)
            words = ["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd"]
            run([*words, str(raw), str(new)], engine.log, "making the qcow2 file")
        finally:
            remove(scratch)
        new.chmod(0o644)

    return publish(engine, folder, image, ENDING, make, keep_hours, version=_version(image))


def _version(image: Image) -> str:
    """Changes with the image, and with what makes a machine of it."""
    digest = hashlib.sha256(image.digest.encode() + Path(__file__).read_bytes())
    for path in sorted(path for path in MACHINE.rglob("*") if path.is_file()):
        digest.update(f"\0{path.relative_to(MACHINE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def machine(engine: Engine, image: Image) -> str:
    """Build the image that a disk is made from, which has a kernel; its name."""
    title = f"visa/machine/{image.name}"
    made = f"localhost/{title}:latest"
    with one_at_a_time(), tempfile.TemporaryDirectory(prefix="visa-machine-") as scratch:
        context, secrets = Path(scratch, "context"), Path(scratch, "secrets")
        shutil.copytree(MACHINE, context)
        (context / "machine.Containerfile").rename(context / "Containerfile")
        secrets.mkdir(mode=0o700)
        engine.build(
            context,
            made,
            arguments={"IMAGE": image.digest},
            labels={TITLE_LABEL: title, "org.visa.image": f"sha256:{image.digest}"},
            secrets=host.write_secrets(secrets, RELEASE),
        )
        engine.remove_replaced(f"{TITLE_LABEL}={title}")
    return made


def lay_out(root: Path, raw: Path, scratch: Path, log, room: int = ROOM) -> None:
    """Write a whole disk into a sparse file: what boots, and the root file system, with `room` left in it.

    Raises BuildFailed.
    """
    if not SYSLINUX.exists():
        raise BuildFailed("making the disk failed: syslinux-common is not installed")
    used = int(subprocess.run(["du", "-sxB1", root], capture_output=True, check=True).stdout.split()[0])
    start = BOOT_START + BOOT_SIZE
    # A whole number of GiB, which flavours have, and a last MiB for the second table of partitions.
    size = -(-(start + used + used // 8 + room) // (1 << 30)) * (1 << 30)
    with raw.open("wb") as file:
        file.truncate(size)
    _partition(raw, start, log)
    blocks = (size - start - MIB) // 4096
    words = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-L", "visa-root"]
    words += [
        "-E",
        f"offset={start},root_owner=0:0,lazy_itable_init=1",
        "-d",
        str(root),
        str(raw),
        str(blocks),
    ]
    run(words, log, "writing the root file system")
    _boot(root, raw, scratch, log)


def _partition(raw: Path, start: int, log) -> None:
    table = (
        "label: gpt\n"
        f"start={BOOT_START >> 9}, size={BOOT_SIZE >> 9}, type={EFI_SYSTEM}, name=visa-boot,"
        " attrs=LegacyBIOSBootable\n"
        f"start={start >> 9}, type={ROOT_X86_64}, name=visa-root\n"
    )
    done = subprocess.run(["/usr/sbin/sfdisk", "--quiet", raw], input=table.encode(), stdout=log, stderr=log)
    if done.returncode:
        raise BuildFailed("writing the table of partitions failed")
    with raw.open("r+b") as file:
        # BIOS starts this, which starts the partition that is marked.
        file.write(SYSLINUX.read_bytes()[:440])


def _boot(root: Path, raw: Path, scratch: Path, log) -> None:
    """The boot partition: kernel and initrd once, syslinux for BIOS and systemd-boot for UEFI."""
    (kernel,), (initrd,) = (list((root / "boot").glob(f"{name}-*")) for name in ("vmlinuz", "initrd.img"))
    texts = {
        "syslinux.cfg": f"DEFAULT visa\nLABEL visa\n  LINUX /vmlinuz\n  INITRD /initrd\n  APPEND {KERNEL}\n",
        "loader.conf": "timeout 0\ndefault visa.conf\neditor no\n",
        "visa.conf": f"title VISA\nlinux /vmlinuz\ninitrd /initrd\noptions {KERNEL}\n",
    }
    for name, text in texts.items():
        (scratch / name).write_text(text)
    efi = root / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    place, what = f"{raw}@@{BOOT_START}", "writing the boot partition"
    kilobytes = str(BOOT_SIZE >> 10)
    words = [
        "mkfs.vfat",
        "-F",
        "16",
        "-n",
        "VISA-BOOT",
        "--offset",
        str(BOOT_START >> 9),
        str(raw),
        kilobytes,
    ]
    run(words, log, what)
    run(["mmd", "-i", place, "::EFI", "::EFI/BOOT", "::loader", "::loader/entries"], log, what)
    for source, target in (
        (kernel, "vmlinuz"),
        (initrd, "initrd"),
        (scratch / "syslinux.cfg", "syslinux.cfg"),
        (efi, "EFI/BOOT/BOOTX64.EFI"),
        (scratch / "loader.conf", "loader/loader.conf"),
        (scratch / "visa.conf", "loader/entries/visa.conf"),
    ):
        run(["mcopy", "-i", place, str(source), f"::{target}"], log, what)
    run(["syslinux", "--install", "--offset", str(BOOT_START), str(raw)], log, what)


def main(arguments: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    return command("disk", __doc__.partition(":")[0], ENDING, disk, arguments)


if __name__ == "__main__":
    sys.exit(main())
