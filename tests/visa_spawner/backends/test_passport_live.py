"""The passport in a real container, and a start by the image's digest, on real engines."""

import asyncio
import gzip
import hashlib
import io
import json
import tarfile

import pytest
from container_support import logged, node, plan, settings
from engines import BOOT, HUB, IMAGE, RECIPE

from visa_session.contract import PASSPORT
from visa_spawner.api import bootscripts
from visa_spawner.backends.container import ContainerBackend
from visa_spawner.session import StartRefused

BUSYBOX = {"type": "deb", "name": "busybox", "version": "1:1.35.0-4"}
SILX = {"type": "pypi", "name": "silx", "version": "3.1.3"}
LOOK = f"""
ls -l {PASSPORT}; cat {PASSPORT}; echo; cat /made 2>/dev/null
for what in "echo x >> {PASSPORT}" "rm -f {PASSPORT}" "mv /experiments /other"; do
    sh -c "$what" 2>/dev/null && echo "did: $what"
done; echo done; sleep 100
"""


def stamping(backend):
    """Has the backend stamp its sessions, and notes with which images."""
    seen = []

    def stamp(image):
        seen.append(image)
        return json.dumps(image.about())

    backend.stamp = stamp
    return seen


async def test_the_passport_is_inside_and_nobodys_to_change(engine, make_backend):
    backend = make_backend(settings([node(engine)]), plan(command=("sh", "-c", LOOK)))
    seen = stamping(backend)
    await backend.start()
    lines = await logged(backend, "done")
    (image,) = seen
    assert image.recipe == RECIPE
    assert image.digest == f"sha256:{engine.client.inspect_image(IMAGE)['Id'].removeprefix('sha256:')}"
    assert image.packages == (BUSYBOX, SILX)
    assert lines[0].startswith("-r--r--r--") and " root " in lines[0]
    assert json.dumps(image.about()) in "\n".join(lines)
    assert not [line for line in lines if line.startswith("did: ")]
    # It is that image and no other that runs.
    found = engine.client.inspect_container(backend.object_name)
    assert found["Image"].removeprefix("sha256:") == image.digest.removeprefix("sha256:")
    await backend.stop()


async def test_the_hub_has_the_script_that_the_images_pages_begin_with(engine, make_backend, monkeypatch):
    monkeypatch.setattr(bootscripts, "held", bootscripts.BootScripts())
    backend = make_backend(settings([node(engine)]), plan(command=("sleep", "100")))
    await backend.start()
    zipped = bootscripts.held.get(hashlib.sha256(BOOT).hexdigest())
    assert gzip.decompress(zipped) == BOOT
    # A hub that starts again has it from a container that runs, before anybody starts anything.
    monkeypatch.setattr(bootscripts, "held", again := bootscripts.BootScripts())
    watch = backend.fleet.watches[backend.node_name]
    async with asyncio.timeout(20):
        while again.get(hashlib.sha256(BOOT).hexdigest()) is None:
            await watch.fresh()
    await backend.stop()


async def test_the_packages_of_an_image_are_read_once(podman, make_backend, monkeypatch):
    from visa_spawner.backends import images

    read = []
    text_in = images.text_in
    monkeypatch.setattr(images, "text_in", lambda *asked: (read.append(asked), text_in(*asked))[1])
    config = settings([node(podman)])
    for number in range(2):
        backend = make_backend(config, plan(key=f"alice/s{number}"))
        seen = stamping(backend)
        await backend.start()
        assert seen[0].packages == (BUSYBOX, SILX)
        await backend.stop()
    assert len(read) == 1


@pytest.fixture
def newer(engine):
    """The recipe's image has been built anew: what it was has no name any more; both digests."""
    client = engine.client
    old = client.inspect_image(IMAGE)["Id"]
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        entry = tarfile.TarInfo("made")
        entry.size = 6
        tar.addfile(entry, io.BytesIO(b"anew!\n"))
    made = client.create_container_from_config({"Image": IMAGE, "Cmd": ["true"]})
    client.put_archive(made["Id"], "/", data.getvalue())
    repository, _, tag = IMAGE.rpartition(":")
    client.commit(made["Id"], repository, tag, changes=f"LABEL org.opencontainers.image.title=visa/{RECIPE}")
    client.remove_container(made["Id"])
    new = client.inspect_image(IMAGE)["Id"]
    assert new != old
    yield [f"sha256:{one.removeprefix('sha256:')}" for one in (old, new)]
    client.tag(old, repository, tag)
    client.remove_image(new, force=True)


async def test_a_session_starts_by_digest_what_was_replaced(engine, make_backend, newer):
    old, new = newer
    config = settings([node(engine)])
    for digest, is_new in (("", True), (old, False), (new, True)):
        backend = make_backend(config, plan(command=("sh", "-c", LOOK), digest=digest))
        seen = stamping(backend)
        await backend.start()
        lines = await logged(backend, "done")
        assert ("anew!" in "\n".join(lines)) is is_new
        assert seen[0].digest == (new if is_new else old)
        await backend.stop()
    told = await ContainerBackend.image(RECIPE, "", config)
    assert (told.digest, told.recipe) == (new, RECIPE)
    assert (await ContainerBackend.image(RECIPE, old, config)).digest == old


async def test_an_image_that_is_gone_is_said_and_leaves_nothing(engine, make_backend):
    gone = f"sha256:{'0' * 64}"
    backend = make_backend(settings([node(engine)]), plan(digest=gone))
    seen = stamping(backend)
    with pytest.raises(StartRefused) as refused:
        await backend.start()
    assert (refused.value.field, refused.value.status) == ("image", 409)
    assert "not on this machine any more" in refused.value.words
    assert seen == [] and engine.containers(HUB) == []
    assert backend.fleet.placement.taken == {}
    assert await ContainerBackend.image(RECIPE, gone, backend.config) is None


async def test_a_node_lacks_the_image_that_it_does_not_have(engine):
    config = settings([node(engine)])
    assert await ContainerBackend.lacks(RECIPE, config) is False
    assert await ContainerBackend.lacks("no-such-recipe", config) is True
