"""`make clean` takes the images away that carry the project's label, and nobody's session with them."""

from __future__ import annotations

import subprocess
import tarfile
import uuid
from io import BytesIO

from demo.clean import remove_images
from images.engine import podman_environment


def podman(*words: str, **options) -> str:
    environment = podman_environment()
    done = subprocess.run(["podman", *words], capture_output=True, check=True, env=environment, **options)
    return done.stdout.decode()


def test_images_go_by_label_named_or_not_and_one_in_use_stays():
    mark = f"visa-test-demo={uuid.uuid4().hex}"
    empty = BytesIO()
    tarfile.open(fileobj=empty, mode="w").close()

    def image(*names: str) -> str:
        change = ("--change", f"LABEL {mark}", "--message", uuid.uuid4().hex)
        made = podman("import", *change, "-", input=empty.getvalue()).split()[-1]
        for name in names:
            podman("tag", made, f"localhost/visa-test-demo:{name}")
        return made

    image(), image("one", "two")
    used = image("used")
    container = podman("create", used, "/x").strip()
    try:
        left = remove_images(mark)
        assert left == ["localhost/visa-test-demo:used"]
        assert podman("images", "-q", "--no-trunc", "--filter", f"label={mark}").split() == [used]
    finally:
        podman("rm", "-f", container)
        assert remove_images(mark) == []
