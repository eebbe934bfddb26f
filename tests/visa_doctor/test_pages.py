"""What operators' pages say of settings: each is there, and what is to be written into a file can be."""

import re
from pathlib import Path

import pytest
from traitlets.config import Config

from visa_doctor.settings import faults
from visa_spawner.site import BACKENDS

OPERATORS = Path(__file__).parents[2] / "docs/operators"
#: As jupyterhub_config.py has them.
CLASSES = {
    "proxy_class": "visa_spawner.running.proxy.WatchedProxy",
    "authenticator_class": "visa_authenticator.authenticator.VisaAuthenticator",
    "spawner_class": "visa_spawner.spawner.VisaSpawner",
}


def pages() -> list[Path]:
    return sorted(OPERATORS.glob("*.md"))


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.stem)
def test_every_setting_that_a_page_names_is_there(page):
    """As `visa doctor` knows the settings: `c.CLASS.NAME`."""
    found = Config(JupyterHub=Config(CLASSES))
    for section, name in set(re.findall(r"\bc\.([A-Z]\w+)\.([a-z]\w+)", page.read_text())):
        # By the backends the doctor knows which classes there are.
        found.setdefault(section, Config()).setdefault(name, BACKENDS if name == "backends" else None)
    unknown = [one.name for one in faults(found) if re.search("no such setting|nothing here", one.problem)]
    assert unknown == []


def examples() -> list:
    """Lines of Python about settings, by their page; `[...]` stands for something of the reader's."""
    found = []
    for page in pages():
        text = page.read_text()
        inline = re.findall(r"`(c\.[A-Z][^`\n]*)`", text)
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        found += [
            pytest.param(one, id=f"{page.stem}-{number}")
            for number, one in enumerate(blocks + [one for one in inline if re.search(r"[^=]=[^=]|\(", one)])
            if re.search(r"\bc\.[A-Z]", one) and "[...]" not in one
        ]
    return found


@pytest.mark.parametrize("text", examples())
def test_an_example_can_be_written_into_a_file_of_settings(doctor, text):
    """Of `jupyterhub_config.d/`, whose `c` knows nothing of what the files before it have set."""
    doctor.say(f"import os\n{text}")
    assert doctor.wrong("configuration") == []
