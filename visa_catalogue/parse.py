"""From the text of a catalogue file to its experiments, with the line of whatever is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from .catalogue import CatalogueError
from .model import Dataset, Experiment, is_below

YAML_SUFFIXES = (".yaml", ".yml")
LINES_SUFFIXES = (".jsonl", ".ndjson")

# The C parser is ten times faster; its absence only costs time.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Entry:
    """One experiment of the file, its datasets, and the line where it begins."""

    experiment: Experiment
    datasets: tuple[Dataset, ...]
    line: int


class _Record:
    """One experiment's values and where they stand: on one line."""

    def __init__(self, values: Any, line: int):
        self.values, self.line = values, line

    def line_of(self, *where: str | int) -> int:
        return self.line


class _YamlRecord(_Record):
    """The same, each value on a line of its own."""

    def __init__(self, values: Any, node: yaml.Node):
        super().__init__(values, node.start_mark.line + 1)
        self._node = node

    def line_of(self, *where: str | int) -> int:
        node, line = self._node, self.line
        for step in where:
            if isinstance(node, yaml.MappingNode):
                pair = next((p for p in node.value if p[0].value == step), None)
                if pair is None:
                    break
                line, node = pair[0].start_mark.line + 1, pair[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.start_mark.line + 1
            else:
                break
        return line


def parse_experiments(data: bytes, source: str, suffix: str) -> list[Entry]:
    """All experiments of a file; `source` is its name in messages, `suffix` says how it is written.

    Raises CatalogueError naming the line and the field of the first thing that is wrong, an id used
    twice included.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CatalogueError(source, f"not UTF-8 text ({error.reason})", line=line) from error
    if not text.strip():
        # More likely a file caught while it is being written than a facility without experiments.
        raise CatalogueError(
            source, "the file is empty; a catalogue without experiments is [] in a .yaml file"
        )
    records = _yaml_records(text, source) if suffix in YAML_SUFFIXES else _line_records(text, source)
    entries, lines = [], {}
    for record in records:
        entry = _entry(record, source)
        first = lines.setdefault(entry.experiment.id, record.line_of("id"))
        if len(lines) == len(entries):
            problem = f"the id {entry.experiment.id!r} is used already on line {first}"
            raise CatalogueError(source, problem, line=record.line_of("id"), field="id")
        entries.append(entry)
    return entries


def _line_records(text: str, source: str) -> Iterator[_Record]:
    # Not splitlines(), which also splits at U+2028 inside a title.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, object_pairs_hook=_without_repeats)
        except _Repeated as error:
            raise CatalogueError(source, "written twice", line=number, field=str(error)) from error
        except (ValueError, RecursionError) as error:
            problem = getattr(error, "msg", None) or str(error)
            column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise CatalogueError(source, f"not a JSON object: {problem}{column}", line=number) from error
        yield _Record(values, number)


class _Repeated(Exception):
    """A key that an object holds twice."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values:
            raise _Repeated(key)
        values[key] = value
    return values


def _yaml_records(text: str, source: str) -> Iterator[_Record]:
    loader, line = None, None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if not isinstance(root, yaml.SequenceNode):
            line = root.start_mark.line + 1 if root else None
            raise CatalogueError(
                source, "must be a list of experiments, each beginning with '- id:'", line=line
            )
        for node in root.value:
            line = node.start_mark.line + 1
            repeated = _repeated_key(node)
            if repeated is not None:
                line = repeated.start_mark.line + 1
                raise CatalogueError(source, "written twice", line=line, field=str(repeated.value))
            yield _YamlRecord(loader.construct_object(node, deep=True), node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        raise CatalogueError(source, f"not YAML: {problem}", line=mark.line + 1 if mark else None) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise CatalogueError(source, f"not YAML: {error.reason}", line=line) from error
    except (ValueError, RecursionError) as error:  # a date such as 2024-13-45; lists within lists for ever
        raise CatalogueError(source, f"not YAML: {error}", line=line) from error
    finally:
        if loader is not None:
            loader.dispose()


def _repeated_key(node: yaml.Node) -> yaml.Node | None:
    seen = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key.value, str):
            if key.value in seen:
                return key
            seen.add(key.value)
    return None


def _entry(record: _Record, source: str) -> Entry:
    if not isinstance(record.values, dict):
        raise CatalogueError(source, "must be an experiment with named fields", line=record.line)
    values = dict(record.values)
    listed = values.pop("datasets", None)
    try:
        experiment = Experiment(**values) if all(isinstance(k, str) for k in values) else None
    except ValidationError as error:
        raise _said_of(error, record, source) from error
    if experiment is None:
        raise CatalogueError(source, "a field's name must be text", line=record.line)
    return Entry(experiment, tuple(_datasets(listed, experiment, record, source)), record.line)


def _datasets(listed: Any, experiment: Experiment, record: _Record, source: str) -> Iterator[Dataset]:
    if listed is None:
        return
    if not isinstance(listed, list):
        raise CatalogueError(source, "must be a list", line=record.line_of("datasets"), field="datasets")
    seen = set()
    for index, values in enumerate(listed):
        where = ("datasets", index)
        try:
            known = {"experiment": experiment.id} | values if isinstance(values, dict) else values
            dataset = Dataset.model_validate(known)
        except ValidationError as error:
            raise _said_of(error, record, source, where) from error
        for field, problem in (
            ("experiment", "is another experiment's" if dataset.experiment != experiment.id else ""),
            (
                "path",
                "must be below the experiment's raw" if not is_below(dataset.path, experiment.raw) else "",
            ),
            ("id", f"{dataset.id!r} is used twice in this experiment" if dataset.id in seen else ""),
        ):
            if problem:
                spot = (*where, field)
                raise CatalogueError(source, problem, line=record.line_of(*spot), field=_dotted(spot))
        seen.add(dataset.id)
        yield dataset


def _said_of(
    error: ValidationError, record: _Record, source: str, where: tuple[str | int, ...] = ()
) -> CatalogueError:
    first = error.errors(include_url=False, include_context=False)[0]
    spot = (*where, *first["loc"])
    problem = first["msg"].removeprefix("Value error, ")
    return CatalogueError(source, problem, line=record.line_of(*spot), field=_dotted(spot))


def _dotted(spot: tuple[str | int, ...]) -> str:
    return ".".join(map(str, spot))
