"""What an image says of itself: its packages, its name, its kernel's, its applications' icons.

python finish.py ABOUT SITE    ABOUT is made by images/recipe.py, SITE the directory of Python's packages
"""

import json
import re
import shutil
import subprocess
import sys
import uuid
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import quote

VISA = Path("/opt/visa")
KERNEL = VISA / "venv/share/jupyter/kernels/python3/kernel.json"
ICONS = Path("/usr/share/pixmaps")


def debian():
    """Debian's packages: [(name, version, architecture)]."""
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return sorted(tuple(line.split()[1:]) for line in listed.splitlines() if line.startswith("installed "))


def python(site):
    """Python's packages: [(name, version)]; names as PyPI's addresses have them."""
    found = {}
    for it in distributions(path=[site]):
        found[re.sub(r"[-_.]+", "-", it.metadata["Name"]).lower()] = it.version
    return sorted(found.items())


def bill(image, debs, wheels):
    """The packages as CycloneDX 1.6 has them."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    distro = f"debian-{release.get('VERSION_ID', '').strip(chr(34))}"
    components = []
    for name, version, architecture in debs:
        # Epochs and pluses are written as purl wants them.
        purl = f"pkg:deb/debian/{quote(name)}@{quote(version)}?arch={architecture}&distro={distro}"
        components.append({"name": name, "version": version, "purl": purl})
    for name, version in wheels:
        purl = f"pkg:pypi/{quote(name)}@{quote(version)}"
        components.append({"name": name, "version": version, "purl": purl})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        # The same image has the same number, however often it is built.
        "serialNumber": uuid.uuid5(uuid.NAMESPACE_OID, image["revision"]).urn,
        "version": 1,
        "metadata": {
            "timestamp": image["created"],
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": f"visa/{image['recipe']}",
                "version": image["revision"],
                "description": image["title"],
            },
        },
        "components": [{"type": "library", "bom-ref": it["purl"], **it} for it in components],
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


about, site = json.loads(Path(sys.argv[1]).read_text()), sys.argv[2]
debs, wheels = debian(), python(site)
lines = ["# Debian", *(f"{name} {version}" for name, version, _ in debs)]
lines += ["# Python", *(f"{name}=={version}" for name, version in wheels)]
VISA.mkdir(exist_ok=True)
(VISA / "packages.txt").write_text("\n".join(lines) + "\n")
write(VISA / "packages.cdx.json", bill(about["image"], debs, wheels))
write(VISA / "image.json", about["image"])
write(KERNEL, {**json.loads(KERNEL.read_text()), "display_name": about["kernel"]})
for name, source in about["icons"].items():
    source = Path(site, source)  # an absolute one stays
    shutil.copyfile(source, (ICONS / name).with_suffix(source.suffix))
