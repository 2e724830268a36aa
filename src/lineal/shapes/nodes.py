"""A YAML file as its author wrote it: every value with its line, every complaint with a fix.

Only plain mappings, lists, text, numbers and truth values are read; no tag ever makes an object.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

import yaml

from lineal.errors import ShapeError

#: How the names of files begin that came with Lineal.
SHIPPED = "builtin/"

_TAG = "tag:yaml.org,2002:"
_NAMES = {"str": "text", "int": "a number", "float": "a number", "bool": "true or false"} | {
    "null": "nothing",
    "seq": "a list",
    "map": "a mapping",
    "timestamp": "a time",
}
_DAYS = re.compile(r"P([1-9][0-9]{0,4})D")


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file, and where it stands."""

    file: str
    #: Counted from one; of a value in a mapping, the line of its key.
    line: int
    yaml: yaml.Node

    def error(self, message: str, fix: str) -> ShapeError:
        """Return the error to raise about this value."""
        return ShapeError(message, file=self.file, line=self.line, fix=fix)

    @property
    def shipped(self) -> bool:
        """Whether the file came with Lineal."""
        return self.file.startswith(SHIPPED)

    @property
    def sort(self) -> str:
        """What the value is, in words."""
        return _NAMES.get(self.yaml.tag.removeprefix(_TAG), "something else")

    def text(self) -> str:
        """Return the value, which must be text and not empty."""
        if not isinstance(self.yaml, yaml.ScalarNode) or self.yaml.tag != _TAG + "str":
            raise self.error(
                f"Text is expected here, not {self.sort}.",
                "Write one word or sentence, in quotes if it looks like a number or a yes.",
            )
        if not self.yaml.value.strip():
            raise self.error("This text is empty.", "Write it, or leave the key out.")
        return str(self.yaml.value)

    def flag(self) -> bool:
        """Return the value, which must be true or false."""
        if not isinstance(self.yaml, yaml.ScalarNode) or self.yaml.tag != _TAG + "bool":
            raise self.error(f"true or false is expected here, not {self.sort}.", "Write true.")
        return self.yaml.value.lower() in ("true", "yes", "on")

    def count(self) -> int:
        """Return the value, which must be a whole number above zero."""
        whole = isinstance(self.yaml, yaml.ScalarNode) and self.yaml.tag == _TAG + "int"
        if not whole or not re.fullmatch(r"[1-9][0-9]{0,5}", self.yaml.value):
            raise self.error("A whole number above zero is expected here.", "Write one, such as 2.")
        return int(self.yaml.value)

    def days(self) -> timedelta:
        """Return the value, which must be a span in days such as `P90D`."""
        found = _DAYS.fullmatch(self.text())
        if not found:
            raise self.error(
                f"{self.text()!r} is not a span in days.", "Write it in ISO 8601, such as P90D."
            )
        return timedelta(days=int(found[1]))

    def word(self, choices: Collection[str], what: str) -> str:
        """Return the value, which must be one of *choices*; *what* says what they are."""
        text = self.text()
        if text not in choices:
            raise self.error(f"There is no {what} {text!r}.", nearest(text, choices))
        return text

    def items(self) -> Iterator[Node]:
        """Yield the values of a list."""
        if not isinstance(self.yaml, yaml.SequenceNode) or self.yaml.tag != _TAG + "seq":
            raise self.error(
                f"A list is expected here, not {self.sort}.", "Write it in brackets: [a, b]."
            )
        for item in self.yaml.value:
            yield Node(self.file, item.start_mark.line + 1, item)

    def texts(self) -> tuple[str, ...]:
        """Return the values of a list of different texts, which must not be empty."""
        found: list[str] = []
        for item in self.items():
            if item.text() in found:
                raise item.error(f"{item.text()!r} stands here twice.", "Remove one of them.")
            found.append(item.text())
        if not found:
            raise self.error("This list is empty.", "Name at least one, or leave the key out.")
        return tuple(found)

    def entries(self) -> dict[str, Node]:
        """Return the values of a mapping by their keys."""
        if not isinstance(self.yaml, yaml.MappingNode) or self.yaml.tag != _TAG + "map":
            raise self.error(
                f"A mapping is expected here, not {self.sort}.",
                "Write lines of the form key: value.",
            )
        found: dict[str, Node] = {}
        for key_node, value in self.yaml.value:
            key = Node(self.file, key_node.start_mark.line + 1, key_node)
            if key.text() in found:
                raise key.error(
                    f"{key.text()!r} is a duplicate: it stands already in line "
                    f"{found[key.text()].line}.",
                    "Join the two, or give one of them another name.",
                )
            found[key.text()] = Node(self.file, key.line, value)
        return found

    def fields(self, *, allowed: Collection[str], required: Iterable[str] = ()) -> dict[str, Node]:
        """Return the values of a mapping whose keys are known beforehand."""
        found = self.entries()
        for key, value in found.items():
            if key not in allowed:
                raise value.error(f"There is no key {key!r} here.", nearest(key, allowed))
        missing = [key for key in required if key not in found]
        if missing:
            raise self.error(
                f"{_listed(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
                f"Add a line {missing[0]}: …",
            )
        return found


def read(text: str, file: str) -> Node:
    """Return the one document of a YAML *text*; *file* is how errors call it."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "too deep"
        raise ShapeError(
            f"This is not YAML: {problem}.",
            file=file,
            line=mark.line + 1 if mark else None,
            fix="Look for a missing colon, quote or bracket on this line or the one before.",
        ) from error
    if node is None:
        raise ShapeError("The file is empty.", file=file, line=1, fix="Add types: or kinds:.")
    return Node(file, node.start_mark.line + 1, node)


def nearest(word: str, choices: Collection[str]) -> str:
    """Return the fix for a *word* that is none of *choices*."""
    close = get_close_matches(word, choices, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Choose from {_listed(sorted(choices))}."


def _listed(words: Iterable[str]) -> str:
    return ", ".join(repr(word) for word in words)
