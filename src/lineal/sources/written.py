"""A YAML file as plain values and the line of each: what a person wrote, for good error messages.

Scalars are read as JSON reads them (`yes` and `2026-01-01` are text); a key given twice is refused.
No tag ever makes an object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import yaml

from lineal.errors import SourceSpecError
from lineal.model import Json

#: Where a value stands: the keys and positions that lead to it.
Path: TypeAlias = tuple["str | int", ...]

_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
#: Deeper than any file that a person writes.
_DEPTH = 64


@dataclass(frozen=True, slots=True)
class Written:
    """A file's value, its name, and where each part of it stands."""

    file: str
    value: Json
    lines: Mapping[Path, int]

    def line(self, path: Path) -> int | None:
        """Return the line of the value at *path*, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def error(self, message: str, path: Path = (), *, fix: str = "") -> SourceSpecError:
        """Return the error to raise about the value at *path*."""
        return SourceSpecError(message, file=self.file, line=self.line(path), fix=fix)


def read(text: str, file: str, variables: Mapping[str, str]) -> Written:
    """
    Return the one document of a YAML *text*, with ``${NAME}`` filled in from *variables*.

    Raises:
        SourceSpecError: this is not YAML, a key stands twice, or a variable is not known.
    """
    lines: dict[Path, int] = {}
    value = _value(_composed(text, file), (), _Reading(file, variables, lines))
    return Written(file, value, lines)


def documents(text: str) -> Iterator[Json]:
    """Yield the documents of a YAML *text* of data; raises `yaml.YAMLError`."""
    for node in yaml.compose_all(text, Loader=yaml.SafeLoader):
        yield _value(node, (), _Reading("data", None, {}))


@dataclass(frozen=True, slots=True)
class _Reading:
    file: str
    #: None: a file of data, in which nothing is filled in.
    variables: Mapping[str, str] | None
    lines: dict[Path, int]

    def error(self, message: str, node: yaml.Node, fix: str) -> Exception:
        line = node.start_mark.line + 1
        return SourceSpecError(message, file=self.file, line=line, fix=fix)


def _composed(text: str, file: str) -> yaml.Node:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "too deep"
        raise SourceSpecError(
            f"This is not YAML: {problem}.",
            file=file,
            line=mark.line + 1 if mark else None,
            fix="Look for a missing colon, quote or bracket on this line or the one before.",
        ) from error
    if node is None:
        raise SourceSpecError("The file is empty.", file=file, line=1, fix="Begin with source:.")
    return node


def _value(node: yaml.Node, path: Path, reading: _Reading) -> Json:
    reading.lines.setdefault(path, node.start_mark.line + 1)
    if len(path) > _DEPTH:
        raise reading.error("This is nested too deeply.", node, "Make it flatter.")
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, reading)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, at), reading) for at, item in enumerate(node.value)]
    return _scalar(node, reading)


def _mapping(node: yaml.MappingNode, path: Path, reading: _Reading) -> Json:
    found: dict[str, Json] = {}
    for key_node, value_node in node.value:
        key = str(key_node.value)
        if key in found and reading.variables is not None:
            raise reading.error(f"{key!r} stands here twice.", key_node, "Remove one of them.")
        reading.lines[(*path, key)] = key_node.start_mark.line + 1
        found[key] = _value(value_node, (*path, key), reading)
    return found


def _scalar(node: yaml.Node, reading: _Reading) -> Json:
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is None:
        if text in ("", "~", "null"):
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
    return _filled(text, node, reading)


def _filled(text: str, node: yaml.Node, reading: _Reading) -> str:
    known = reading.variables
    if known is None or "${" not in text:
        return text

    def fill(found: re.Match[str]) -> str:
        value = known.get(found[1], found[2])
        if value is None:
            raise reading.error(
                f"The variable {found[1]} is not set.",
                node,
                f"Set it, or write a default: ${{{found[1]}:-value}}.",
            )
        return value

    return _VARIABLE.sub(fill, text)
