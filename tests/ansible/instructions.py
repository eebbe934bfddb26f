"""What a page of docs/operators tells an operator to type and to write, taken from the page itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from .playbook import ROOT

PAGE = ROOT / "docs/operators/install.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Instructions:
    """The page's blocks, with one's own words in place of its: each of these has to stand there."""

    own: dict[str, str]
    page: Path = PAGE
    files: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        left = set(self.own)
        for language, block in BLOCK.findall(self.page.read_text()):
            for word, other in self.own.items():
                left -= {word} if word in block else set()
                block = block.replace(word, other)
            if language == "yaml" and block.startswith("# "):
                path, _, text = block.removeprefix("# ").partition("\n")
                self.files[path] = text
            elif not language:
                self.commands.append(block)
        assert left == set(), f"{self.page.name} has no {left} any more"

    def write(self, tree: Path) -> None:
        """Write the files below a tree of VISA."""
        for path, text in self.files.items():
            (tree / path).write_text(text)
