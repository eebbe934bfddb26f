"""Experiments and datasets: what there is, where it lies, who may see it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from .catalogue import (
    Catalogue,
    CatalogueError,
    DatasetPage,
    Kinds,
    Page,
    Query,
    UnknownExperiment,
    kinds_of,
)

__all__ = [
    "Catalogue",
    "CatalogueError",
    "DatasetPage",
    "Kinds",
    "Page",
    "Query",
    "UnknownExperiment",
    "kinds_of",
    "open_catalogue",
]


def open_catalogue(address: str) -> Catalogue:
    """The catalogue at an address: `file:///path/experiments.jsonl`, or `.yaml`.

    Raises ValueError for an address that is none, CatalogueError when what it names cannot be read.
    """
    parts = urlsplit(address)
    if parts.scheme != "file":
        raise ValueError(f"catalogue address {address!r}: it must begin with file://")
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise ValueError(f"catalogue address {address!r}: write file:///absolute/path")
    if parts.query or parts.fragment:
        raise ValueError(f"catalogue address {address!r}: '?' and '#' must be written %3F and %23")
    from .file import FileCatalogue

    return FileCatalogue(Path(unquote(parts.path)))
