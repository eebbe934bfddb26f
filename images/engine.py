"""Podman or Docker, as far as building an image goes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

CONTAINERS_CONF = Path(__file__).with_name("containers.conf")


def podman_environment() -> dict[str, str]:
    """The process environment, with this project's settings for podman.

    A CONTAINERS_CONF that is set already is the machine owner's own and stays.
    """
    return {"CONTAINERS_CONF": str(CONTAINERS_CONF), **os.environ}


class BuildFailed(Exception):
    """A build step failed; the message is for whoever builds."""


@dataclass(frozen=True)
class Engine:
    """One container engine's command line; `log` receives what it prints."""

    program: str
    log: IO[bytes]

    @property
    def environment(self) -> dict[str, str]:
        """That of podman, and BuildKit for docker."""
        return podman_environment() | {"DOCKER_BUILDKIT": "1"}

    def _run(self, arguments: list[str], what: str, **others) -> None:
        self.log.write(f"\n$ {self.program} {' '.join(arguments)}\n".encode())
        self.log.flush()
        command = [self.program, *arguments]
        done = subprocess.run(
            command, stdout=self.log, stderr=self.log, env=self.environment, check=False, **others
        )
        if done.returncode:
            raise BuildFailed(f"{what} failed")

    def inspect(self, image: str) -> dict | None:
        """What the engine knows of an image; None where it has none of that name."""
        done = subprocess.run(
            [self.program, "image", "inspect", image],
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
        )
        if done.returncode == 0:
            return json.loads(done.stdout)[0]
        text = done.stderr.lower()
        if "no such image" in text or "not known" in text or "not found" in text:
            return None
        raise BuildFailed(f"{self.program} does not answer: {done.stderr.strip()}")

    def label(self, image: str, name: str) -> str:
        """One label of an image; empty where the image or the label is not there."""
        found = self.inspect(image)
        return ((found or {}).get("Config") or {}).get("Labels", {}).get(name, "") if found else ""

    def import_root(self, archive: IO[bytes], image: str, labels: Mapping[str, str]) -> None:
        """Make an image of one layer from a root filesystem's tar archive."""
        changes = [a for k, v in labels.items() for a in ("--change", f"LABEL {k}={v}")]
        self._run(["import", *changes, "-", image], f"importing {image}", stdin=archive)

    def build(
        self,
        context: Path,
        image: str,
        *,
        file: str = "Containerfile",
        arguments: Mapping[str, str],
        labels: Mapping[str, str],
        secrets: Mapping[str, Path],
        fresh: bool = False,
    ) -> None:
        """Build a Containerfile of the context.

        On the host's network: a build needs the package mirrors alone, and not every machine can give a
        build container a network of its own.
        """
        command = ["build", "--network", "host", "--tag", image, "--file", str(context / file)]
        command += [a for k, v in arguments.items() for a in ("--build-arg", f"{k}={v}")]
        command += [a for k, v in labels.items() for a in ("--label", f"{k}={v}")]
        command += [a for k, v in secrets.items() for a in ("--secret", f"id={k},src={v}")]
        if self.program == "podman":
            command += ["--layers", "--format", "docker"]
        if fresh:
            command.append("--no-cache")
        self._run([*command, str(context)], f"building {image}")

    def tag(self, image: str, name: str) -> None:
        """Give an image another name."""
        self._run(["tag", image, name], f"naming {image}")

    def tags(self, repository: str) -> list[str]:
        """The tags of a repository's images, newest image first."""
        lines = self._list("--format", "{{.CreatedAt}}|{{.Tag}}", repository)
        return [line.partition("|")[2] for line in sorted(lines, reverse=True)]

    def _list(self, *options: str) -> list[str]:
        """The lines of `images`; asked again when an image goes while podman looks, as others' may."""
        for _ in range(10):
            done = subprocess.run(
                [self.program, "images", *options],
                capture_output=True,
                text=True,
                env=self.environment,
                check=False,
            )
            if done.returncode == 0:
                return done.stdout.splitlines()
            if "not known" not in done.stderr:
                break
        raise BuildFailed(f"{self.program} does not list its images: {done.stderr.strip()}")

    def remove_replaced(self, label: str) -> None:
        """Remove the images with this label (`NAME=VALUE`) that have no name left; one in use stays.

        Without a label of its own, as a build's cached steps are, an image is left alone.
        """
        found = self._list("--quiet", "--filter", "dangling=true", "--filter", f"label={label}")
        for image in dict.fromkeys(found):
            self.remove_image(image)

    def remove_image(self, name: str) -> None:
        """Take a name from an image, and the image away with its last one; one in use stays."""
        subprocess.run(
            [self.program, "rmi", name], stdout=self.log, stderr=self.log, env=self.environment, check=False
        )


def find_engine(names: Iterable[str], log: IO[bytes]) -> Engine:
    """The first of `names` that this machine has; raises BuildFailed when it has none."""
    names = list(names)
    for name in names:
        if shutil.which(name):
            return Engine(name, log)
    raise BuildFailed(
        f"neither of {', '.join(names)} is installed: install podman, or name another with --engine"
    )
