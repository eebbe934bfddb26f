"""A virtual machine without KVM, and its guest agent: what a hypervisor's driver does, in short."""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from demo.processes import die_with_parent

OVMF = Path("/usr/share/OVMF")


def _say(line: socket.socket, what: str, **arguments) -> None:
    line.sendall(json.dumps({"execute": what, "arguments": arguments}).encode() + b"\n")


class Guest:
    """A machine that runs from an overlay of a disk; `stop` ends it, and so does the end of the tests.

    `disks` are more of them, raw, which are written to.
    """

    def __init__(
        self,
        disk: Path,
        folder: Path,
        uefi: bool = False,
        gigabytes: int = 0,
        memory: int = 1500,
        network: str = "user,restrict=on",
        disks: Sequence[Path] = (),
    ):
        self.agent, self.console = folder / "agent", folder / "console"
        overlay = folder / "overlay.qcow2"
        size = [f"{gigabytes}G"] if gigabytes else []
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", disk, overlay, *size]
        subprocess.run(words, check=True)
        command = ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512"]
        command += [
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            str(memory),
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
        ]
        command += [
            "-serial",
            f"file:{self.console}",
            "-device",
            "virtio-rng-pci",
            "-device",
            "virtio-serial-pci",
        ]
        command += ["-drive", f"if=none,id=disk,file={overlay},format=qcow2,cache=unsafe"]
        command += ["-device", "virtio-blk-pci,drive=disk", "-device", "virtio-net-pci,netdev=net"]
        command += [
            "-netdev",
            f"{network},id=net",
            "-device",
            "virtserialport,chardev=agent,name=org.qemu.guest_agent.0",
        ]
        command += ["-chardev", f"socket,id=agent,path={self.agent},server=on,wait=off"]
        for number, disk in enumerate(disks):
            command += ["-drive", f"if=none,id=more{number},file={disk},format=raw,cache=unsafe"]
            command += ["-device", f"virtio-blk-pci,drive=more{number}"]
        if uefi:
            variables = folder / "variables"
            shutil.copy(OVMF / "OVMF_VARS_4M.fd", variables)
            command += ["-drive", f"if=pflash,format=raw,readonly=on,file={OVMF / 'OVMF_CODE_4M.fd'}"]
            command += ["-drive", f"if=pflash,format=raw,file={variables}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, preexec_fn=partial(die_with_parent, signal.SIGKILL)
        )

    def until_up(self, seconds: float) -> None:
        """Wait for its agent; fails with what it said on the console."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.said()
            try:
                self.ask("guest-ping", timeout=2)
                return
            except (OSError, ValueError):
                time.sleep(0.2)  # between two looks, up to `end`
        raise AssertionError(f"its agent does not answer: {self.said()}")

    def said(self) -> str:
        """The end of its console."""
        return self.console.read_text(errors="replace")[-3000:] if self.console.exists() else ""

    def ask(self, what: str, timeout: float = 20, **arguments):
        """One question to the agent; raises OSError or ValueError where it does not answer in time."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(timeout)
            line.connect(str(self.agent))
            mark = secrets.randbelow(1 << 31)
            heard = line.makefile("rb")
            # Answers to those who asked before it was up and went away come first.
            _say(line, "guest-sync-delimited", id=mark)
            while json.loads(heard.readline().rpartition(b"\xff")[2] or "null") != {"return": mark}:
                pass
            _say(line, what, **arguments)
            answer = json.loads(heard.readline() or "null")
        if not isinstance(answer, dict) or "return" not in answer:
            raise ValueError(f"{what}: {answer}")
        return answer["return"]

    def run(self, *command: str, given: bytes = b"", seconds: float = 60) -> tuple[int, str]:
        """Run a command in it as root, with this on its standard input; its exit code and all it said."""
        done = self.done(*command, given=given, seconds=seconds)
        return done.returncode, done.stdout + done.stderr

    def done(
        self, *command: str, given: bytes = b"", seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """The same, with what it said apart from its errors."""
        more = {"input-data": base64.b64encode(given).decode()} if given else {}
        more |= {"capture-output": True}
        process = self.ask("guest-exec", path=command[0], arg=list(command[1:]), **more)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            done = self.ask("guest-exec-status", pid=process["pid"])
            if done["exited"]:
                said = (base64.b64decode(done.get(name, "")).decode() for name in ("out-data", "err-data"))
                return subprocess.CompletedProcess(command, done.get("exitcode", -1), *said)
            time.sleep(0.1)  # between two looks, up to `end`
        raise AssertionError(f"{command} takes longer than {seconds} s")

    def stop(self) -> None:
        """End it at once."""
        self.process.kill()
        self.process.wait()
