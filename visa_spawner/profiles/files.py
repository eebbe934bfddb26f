"""Reading profiles from their files: what they say, and every mistake with its file, line and field."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from .model import Profile


@dataclass(frozen=True)
class Mistake:
    """What is wrong with a file. `line` counts from 1, 0 where it is none's; `field` is a path in it."""

    file: Path
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        where = [str(self.file), *([f"line {self.line}"] if self.line else []), self.field]
        return f"{', '.join(filter(None, where))}: {self.problem}"


class ProfileError(Exception):
    """Profiles cannot be used: the message names each mistake's file, line and field."""

    def __init__(self, mistakes: list[Mistake]):
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


class ProfileFile:
    """One file: `mistakes` are all that it has, and `profile` is None where there are any."""

    def __init__(self, path: Path, backends: Collection[str] | None = None):
        self.path = path
        self.profile: Profile | None = None
        self.mistakes: list[Mistake] = []
        self._lines: dict[tuple, int] = {}
        self._read(backends)

    def mistake(self, path: tuple, problem: str) -> Mistake:
        """A mistake at a place inside the file, such as `("plans", "gpu", "cpus")`."""
        known = path
        while known and known not in self._lines:
            known = known[:-1]
        where = ".".join(str(part) for part in path) or "the file"
        return Mistake(self.path, self._lines.get(known, 1), where, problem)

    def _read(self, backends: Collection[str] | None) -> None:
        try:
            values = self._values()
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            self._wrong(line, f"not valid YAML: {error.problem}")
            return
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            self._wrong(0, f"not valid YAML: {error}")
            return
        except OSError as error:
            self._wrong(0, error.strerror or str(error))
            return
        if values is None:
            self.mistakes.append(self.mistake((), "is empty"))
            return
        if self.path.suffix != ".yaml":
            self._wrong(0, "the file's name must end in .yaml")
        name = values.get("name") if isinstance(values, dict) else self.path.stem
        if isinstance(name, str) and name != self.path.stem:
            self.mistakes.append(self.mistake(("name",), f"must be the file's name, {self.path.stem!r}"))
        if isinstance(values, dict) and backends is not None:
            self.mistakes += self._backends(values.get("plans"), backends)
        try:
            profile = Profile.model_validate(values)
        except ValidationError as error:
            # A misspelt field is told before the one that is missing because of it.
            for one in sorted(error.errors(), key=lambda one: one["type"] == "missing"):
                # pydantic marks the key of a mapping, where the key itself is wrong, with an extra "[key]".
                path = tuple(part for part in one["loc"] if part != "[key]")
                self.mistakes.append(self.mistake(path, _plain(one)))
            return
        if not self.mistakes:
            self.profile = profile

    def _wrong(self, line: int, problem: str) -> None:
        self.mistakes.append(Mistake(self.path, line, "", problem))

    def _backends(self, plans: object, backends: Collection[str]) -> Iterator[Mistake]:
        for name, plan in plans.items() if isinstance(plans, dict) else ():
            backend = plan.get("backend") if isinstance(plan, dict) else None
            if isinstance(backend, str) and backend not in backends:
                known = ", ".join(sorted(backends))
                yield self.mistake(("plans", name, "backend"), f"no such backend; known: {known}")

    def _values(self) -> object:
        """The file's values; notes the line (from 1) on which each stands, by its path inside the file."""
        loader = yaml.SafeLoader(self.path.read_text(encoding="utf-8"))
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            self._mark(node, ())
            return loader.construct_document(node)
        finally:
            loader.dispose()

    def _mark(self, node: yaml.Node, path: tuple) -> None:
        self._lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen = set()
            for key, value in node.value:
                inner = (*path, key.value if isinstance(key, yaml.ScalarNode) else str(key.tag))
                self._lines[inner] = key.start_mark.line + 1
                if inner in seen:
                    self.mistakes.append(self.mistake(inner, "stands there twice"))
                seen.add(inner)
                self._mark(value, inner)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._mark(value, (*path, index))


def read_profiles(directory: str | Path, backends: Collection[str] | None = None) -> list[ProfileFile]:
    """Each profile file of a directory, in the order of their names; raises ProfileError where there is none.

    `backends`: the names a plan may use; None does not check them.
    """
    directory = Path(directory)
    try:
        files = sorted(path for path in directory.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError as error:
        raise ProfileError([Mistake(directory, 0, "", error.strerror or str(error))]) from error
    if not files:
        raise ProfileError([Mistake(directory, 0, "", "there is no profile (a file NAME.yaml) here")])
    return [ProfileFile(file, backends) for file in files]


def load_profiles(directory: str | Path, backends: Collection[str] | None = None) -> dict[str, Profile]:
    """All profiles of a directory, by name, in the order of their titles.

    Raises ProfileError naming file, line and field of everything that is wrong.
    """
    files = read_profiles(directory, backends)
    mistakes = [mistake for file in files for mistake in file.mistakes]
    if mistakes:
        raise ProfileError(mistakes)
    profiles = sorted((file.profile for file in files), key=lambda profile: (profile.title, profile.name))
    return {profile.name: profile for profile in profiles}


def _plain(error: Mapping) -> str:
    match error["type"]:
        case "missing":
            return "is missing"
        case "extra_forbidden":
            return "no such field"
        case "value_error":
            return str(error["ctx"]["error"])
        case _:
            message = error["msg"]
            return message[0].lower() + message[1:]
