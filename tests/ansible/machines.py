"""Machines to deploy to: containers that boot Debian's systemd, as bare as its installer leaves a machine."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from images import host
from images.engine import Engine, podman_environment
from images.root import RECIPE_LABEL, ensure_root, root_name

RELEASE = "bookworm"
IMAGE = "localhost/visa-test/machine:{release}"
#: What Ansible asks of a machine, and an init system. The lists of apt stay: they are a day old at most. The
#: kernel is the machine's around it, whose settings are not set anew at each boot. Without an id, each boot
#: would be the first one, at which systemd enables whatever is installed.
CONTAINERFILE = """
ARG ROOT
FROM ${ROOT}
RUN --mount=type=secret,id=apt.list rm -f /etc/apt/sources.list.d/* \\
    && cp /run/secrets/apt.list /etc/apt/sources.list && apt-get -q update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends \\
    systemd systemd-sysv dbus python3 python3-apt iproute2 procps curl \\
    && rm -f /usr/sbin/policy-rc.d && systemd-machine-id-setup && apt-get -q clean \\
    && systemctl mask podman-auto-update.timer podman-auto-update.service podman-restart.service \\
    systemd-networkd-wait-online.service getty.target console-getty.service systemd-sysctl.service
# What is lost when the power fails is of no matter here.
RUN echo force-unsafe-io > /etc/dpkg/dpkg.cfg.d/unsafe-io
CMD ["/sbin/init"]
"""


def image(release: str = RELEASE) -> str:
    """The name of a machine's image, once it is there; made on the root that sessions' images stand on."""
    return build(IMAGE.format(release=release), CONTAINERFILE, release, root_name(release))


def build(name: str, containerfile: str, release: str, root: str, files: Path | None = None) -> str:
    """Make an image on another one, with what Debian has today; its name. `files` are what it may copy."""
    mark = hashlib.sha256(f"{containerfile}{time.strftime('%Y-%j')}".encode()).hexdigest()
    with tempfile.TemporaryDirectory(prefix="visa-machine-") as folder:
        context, secrets = Path(folder, "context"), Path(folder, "secrets")
        if files:
            shutil.copytree(files, context)
        else:
            context.mkdir()
        secrets.mkdir(mode=0o700)
        with Path(folder, "log").open("w+b", buffering=0) as log:
            engine = Engine("podman", log)
            if engine.label(name, RECIPE_LABEL) == mark:
                return name
            ensure_root(engine, release)
            (context / "Containerfile").write_text(containerfile)
            engine.build(
                context,
                name,
                arguments={"ROOT": root},
                labels={RECIPE_LABEL: mark},
                secrets=host.write_secrets(secrets, release),
                fresh=True,
            )
    return name


def podman(*arguments: str, check: bool = True, stdin: bytes | None = None, timeout: float = 120):
    """Run podman; gives the finished process, whose words are text."""
    done = subprocess.run(
        ["podman", *arguments], input=stdin, capture_output=True, env=podman_environment(), timeout=timeout
    )
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode(errors="replace")
    assert not check or done.returncode == 0, f"podman {' '.join(arguments[:6])}: {done.stderr}{done.stdout}"
    return done


@dataclass
class Machine:
    """One machine; `address` is its own on `network`, by default podman's, where sessions are too.

    `ansible` is the program that plays there, where that is not the test environment's.
    """

    name: str
    address: str
    ansible: str = ""
    network: str = "podman"

    def start(self, options: list[str], release: str = RELEASE) -> None:
        """Boot it; what a killed run has left goes first."""
        self.remove()
        what = ["--name", self.name, "--hostname", self.name, "--systemd=always", "--stop-timeout", "5"]
        # Who has talked to this address goes on at once, when it boots again or another machine has it.
        hardware = ":".join(["02", "56", *(f"{int(part):02x}" for part in self.address.split("."))])
        what += ["--network", self.network, "--ip", self.address, "--mac-address", hardware]
        what += ["--cap-add", "NET_ADMIN"]
        podman("run", "--detach", *what, *options, image(release))
        self.until_up()

    def until_up(self) -> None:
        """Wait for what systemd starts at a boot."""
        self.until("systemctl is-system-running | grep -qE 'running|degraded'", 60)

    def run(self, script: str, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess:
        """Run a shell script in it, as root."""
        return podman("exec", self.name, "sh", "-c", script, check=check, timeout=timeout)

    def write(self, content: bytes, script: str) -> None:
        """Run a script that has this on its standard input."""
        podman("exec", "-i", self.name, "sh", "-c", script, stdin=content)

    def install(self, *names: str) -> None:
        """Install packages of Debian's, which no role does."""
        command = "DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends"
        self.run(f"{command} {' '.join(names)}", timeout=300)

    def said(self, script: str) -> str:
        return self.run(script).stdout.strip()

    def until(self, script: str, seconds: float) -> str:
        """Run a script until it succeeds; gives what it says."""
        end = time.monotonic() + seconds
        while (done := self.run(script, check=False)).returncode:
            said = done.stdout + done.stderr
            assert time.monotonic() < end, f"{self.name}: not in {seconds} s: {script}\n{said}"
            time.sleep(0.3)  # between two looks, up to `end`
        return done.stdout.strip()

    def log(self, unit: str, lines: int = 60) -> str:
        return self.run(f"journalctl --no-pager -n {lines} -u {unit}", check=False).stdout

    def stop(self) -> None:
        podman("stop", self.name)

    def boot(self) -> None:
        """Boot it again, once it was stopped."""
        podman("start", self.name)
        self.until_up()

    def remove(self) -> None:
        podman("rm", "--force", "--volumes", "--time", "0", self.name, check=False)
