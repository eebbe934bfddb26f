"""What is inside an image: asked of its engine, by a container that never runs, or read in its tree."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import requests
from docker.errors import APIError, DockerException, NotFound

from . import software
from .spec import image_name

#: Where the desktop entries of applications are.
APPLICATIONS = "/usr/share/applications"
#: Bytes of an archive that are looked at: all desktop entries of an image have a tenth of it.
_LARGEST = 16 << 20


class NoImage(Exception):
    """There is no such image, or it cannot be looked into; the text says so and what to do."""


def text_in(client: docker.APIClient, container: str, place: str) -> str:
    """A small text file inside a container; empty where there is none. Raises what docker-py raises."""
    return bytes_in(client, container, place, software.LARGEST).decode("utf-8", "replace")


def bytes_in(client: docker.APIClient, container: str, place: str, largest: int) -> bytes:
    """A file of at most so many bytes inside a container; nothing where there is none, or a larger one.

    Raises what docker-py raises.
    """
    for entry, tar in _members(client, container, place):
        file = tar.extractfile(entry) if entry.isreg() and entry.size <= largest else None
        return file.read() if file else b""
    return b""


def _members(client: docker.APIClient, container: str, place: str) -> Iterator[tuple]:
    try:
        pieces, _ = client.get_archive(container, place)
    except NotFound:
        return
    held = io.BytesIO()
    for piece in pieces:
        held.write(piece)
        if held.tell() > _LARGEST:
            raise DockerException(f"{place} is larger than {_LARGEST} bytes")
    held.seek(0)
    with tarfile.open(fileobj=held) as tar:
        for entry in tar:
            yield entry, tar


class LocalImages:
    """The images of one engine, for a command that looks once and is done."""

    def __init__(self, address: str, template: str):
        """`address` as `unix:///run/podman/podman.sock`; `template` as the container backend's."""
        self.address, self.template = address, template

    def applications(self, recipe: str) -> set[str]:
        """The names of an image's desktop entries; raises NoImage."""
        image = image_name(self.template, recipe)
        try:
            client = docker.APIClient(base_url=self.address, version="auto", timeout=60)
            try:
                with _made(client, image) as container:
                    entries = [entry.name for entry, _ in _members(client, container, APPLICATIONS)]
            finally:
                client.close()
        except NotFound as error:
            words = f"there is no image {image} at {self.address}; `python -m images.build {recipe}` makes it"
            raise NoImage(words) from error
        except APIError as error:
            raise NoImage(f"{self.address} cannot look into {image}: {error.explanation or error}") from error
        except (DockerException, requests.RequestException, OSError) as error:
            raise NoImage(f"the engine at {self.address} does not answer: {error}") from error
        return {Path(name).stem for name in entries if name.endswith(".desktop")}


@contextmanager
def _made(client: docker.APIClient, image: str) -> Iterator[str]:
    """A container of the image that is never started, gone afterwards."""
    name = f"visa-look-{secrets.token_hex(6)}"
    client.create_container_from_config({"Image": image, "Cmd": ["true"]}, name)
    try:
        yield name
    finally:
        client.remove_container(name, force=True, v=True)


class Trees:
    """Images unpacked for a cluster; `template` as the Slurm backend's."""

    def __init__(self, template: str):
        self.template = template

    def applications(self, recipe: str) -> set[str]:
        """The names of an image's desktop entries; raises NoImage."""
        tree = Path(image_name(self.template, recipe))
        if not tree.is_dir():
            made_by = f"`python -m images.unpack {recipe} {tree.parent}`"
            raise NoImage(f"there is no unpacked image {tree}; {made_by} makes it")
        return {entry.stem for entry in Path(f"{tree}{APPLICATIONS}").glob("*.desktop")}
