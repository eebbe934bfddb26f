"""How much the demo's facility holds, and what tells one making of it from another."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Size:
    """How large the measurements are; the detector is one that pyFAI knows by this name."""

    detector: str = "Pilatus1M"
    ramp: int = 8  # frames
    angles: int = 361
    slices: int = 24
    columns: int = 256
    map_rows: int = 48
    map_columns: int = 64
    series: int = 12  # curves


@dataclass(frozen=True)
class Recipe:
    """What to make; `proposals` counts those with data an instrument, of eight, `archive` the rest."""

    seed: int = 2026
    proposals: int = 8
    archive: int = 2000
    size: Size = field(default_factory=Size)

    def fingerprint(self, open_experiments: Iterable[str]) -> str:
        """Changes whenever the data on disk would: with the numbers above, the code, what is open."""
        digest = hashlib.sha256()
        for module in sorted(Path(__file__).parent.glob("*.py")):
            digest.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
        digest.update(json.dumps([asdict(self), sorted(open_experiments)]).encode())
        return digest.hexdigest()
