"""Fixtures of rules: a few edges and values, and what is to follow from them, as plain text.

A paragraph is a case. ``#`` says what it is about, ``given`` is an edge, ``said`` a value, and
``expect`` an edge that is to follow, or ``nothing``; things are a type and a name, and ``with``
tells a value that is said of the edge::

    # A test is reached through the run and the cell.
    given   model-version m1  produced_by   run r1
    given   model m           points_to     model-version m1  with alias production
    given   run r1            executed_for  ab-cell c2
    given   ab-cell c2        cell_of       ab-test t9
    said    ab-test t9        status        running
    expect  model-version m1  trained_for   ab-test t9
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from lineal.enrich.rules.book import RuleBook
from lineal.enrich.rules.rule import Rule
from lineal.errors import RuleError
from lineal.model import EdgeStatement, Json, Record, Statement, Uri, Viewer
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from lineal.store.text import Describe

Edge: TypeAlias = "tuple[Uri, str, Uri]"
Value: TypeAlias = "tuple[Uri, str, Json]"

_WORDS = {"given": 5, "said": 4, "expect": 5}


@dataclass(frozen=True, slots=True)
class Case:
    """What is given and what is to follow from it."""

    says: str
    #: Edges with what is said of each.
    given: tuple[tuple[Edge, Mapping[str, Json]], ...]
    said: tuple[Value, ...]
    expected: frozenset[Edge]


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a case: nothing is missing and nothing is too much where it holds."""

    case: Case
    missing: frozenset[Edge]
    surplus: frozenset[Edge]

    @property
    def holds(self) -> bool:
        """Whether just what was expected followed."""
        return not self.missing and not self.surplus


def read_cases(text: str, *, file: str) -> tuple[Case, ...]:
    """
    Read a fixture.

    Raises:
        RuleError: a line is none of a fixture, or a case expects neither edges nor nothing.
    """
    found = []
    for paragraph in text.split("\n\n"):
        lines = [line for line in paragraph.splitlines() if line.strip()]
        if lines:
            found.append(_case(lines, file))
    return tuple(found)


def _case(lines: Sequence[str], file: str) -> Case:
    says: list[str] = []
    given: list[tuple[Edge, Mapping[str, Json]]] = []
    said: list[Value] = []
    expected: set[Edge] = set()
    asks = False
    for line in lines:
        word, *rest = line.split()
        if word == "#":
            says += rest
        elif line.split() == ["expect", "nothing"]:
            asks = True
        elif word in _WORDS and len(rest) >= _WORDS[word] - 1 + (word != "said"):
            about = Uri.of(rest[0], "here", rest[1])
            if word == "said":
                said.append((about, rest[2], _value(" ".join(rest[3:]))))
                continue
            edge = (about, rest[2], Uri.of(rest[3], "here", rest[4]))
            if word == "given":
                given.append((edge, _said_of_edge(rest[5:], line, file)))
            else:
                asks = True
                expected.add(edge)
        else:
            raise RuleError(
                f"{line.strip()!r} is no line of a fixture.",
                file=file,
                fix="Write `given run r1 executed_for ab-cell c2`, `said run r1 status succeeded`, "
                "`expect model-version m1 trained_for ab-test t9` or `expect nothing`.",
            )
    if not asks:
        raise RuleError(
            f"The case {' '.join(says)!r} expects neither edges nor nothing.", file=file
        )
    return Case(" ".join(says), tuple(given), tuple(said), frozenset(expected))


def _said_of_edge(words: Sequence[str], line: str, file: str) -> dict[str, Json]:
    """Read what is said of an edge: ``with alias production``, as often as there is something."""
    found: dict[str, Json] = {}
    for at in range(0, len(words), 3):
        if len(words) < at + 3 or words[at] != "with":
            raise RuleError(
                f"{line.strip()!r} is no line of a fixture.",
                file=file,
                fix="Write what is said of an edge behind it, such as `with alias production`.",
            )
        found[words[at + 1]] = _value(words[at + 2])
    return found


def _value(text: str) -> Json:
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return text


def try_cases(
    rules: Sequence[Rule], cases: Sequence[Case], *, shapes: Shapes, describe: Describe
) -> Iterator[Tried]:
    """Try cases, each in an empty database; yield what came of each."""
    for case in cases:
        with (
            tempfile.TemporaryDirectory() as folder,
            closing(
                Store(
                    Path(folder) / "case.db",
                    shapes=shapes,
                    rules=[RuleBook(rules, shapes)],
                    describe=describe,
                )
            ) as store,
        ):
            for at, word in enumerate(records_of(case)):
                store.commit(Batch((word,), "fixture", f"line {at}"))
            found = inferred(store)
        yield Tried(case, case.expected - found, found - case.expected)


def records_of(case: Case) -> Iterator[Record]:
    """Yield what is given and said as records of a source, one document each."""
    subject = Uri.of("source", "here", "fixture")
    for at, (edge, said_of_it) in enumerate(case.given):
        edges = (EdgeStatement(*edge, said_of_it),)
        yield Record("fixture", f"given {at}", subject, (), edges, at + 1)
    by_thing: dict[Uri, dict[str, Json]] = {}
    for thing, name, value in case.said:
        by_thing.setdefault(thing, {})[name] = value
    for at, (thing, said) in enumerate(by_thing.items(), len(case.given)):
        yield Record("fixture", f"said {at}", thing, (Statement(thing, said),), (), at + 1)


def inferred(store: Store) -> frozenset[Edge]:
    """Return all edges that rules conclude, suggestions too."""
    with store.read(Viewer("system")) as reader:
        keys = reader.of_types(store.shapes.types)
        links = reader.outward(keys, frozenset(store.shapes.kinds))
        uris = reader.uris(keys)
        return frozenset(
            (uris[one.src], one.kind, uris[one.dst])
            for one in links
            if one.layer in ("inferred", "suggested")
        )
