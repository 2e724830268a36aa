"""Conditions on what a pattern's things say, in the Common Expression Language (https://cel.dev).

A condition sees each name of the pattern as what is said of the thing (``t.status``), with its
``uri``, ``type`` and ``id`` beside it; the name of an arrow as what one claim says of the edge
(``p.alias``), with its ``kind`` and ``layer`` beside it. It is true or it is not: where something
that it asks for is not said, it is not (``has(t.status)`` asks whether it is). It sees no clock, so
that what a rule concludes is a function of the graph.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cel_expr_python import cel

from lineal.errors import RuleError
from lineal.model import Json, Uri

#: How many characters a condition may have.
LONGEST = 1_000

_NAME = re.compile(r"(?<![\w.])([A-Za-z_]\w*)(?=\s*[.\[)=!<>&|,]|\s*$)")
_EQUAL = re.compile(r"\s*(\w+)\.(\w+)\s*==\s*(\w+)\.(\w+)\s*")

_OTHER = re.compile(r"\s*([A-Za-z_]\w*)\s*!=\s*([A-Za-z_]\w*)\s*")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, and the names of the pattern that it speaks of."""

    text: str
    names: tuple[str, ...]

    def holds(self, things: Mapping[str, Mapping[str, Json]]) -> bool:
        """Tell whether it is true of things, by their names in the pattern."""
        value: Any = _compiled(self.text, self.names).eval(data=dict(things)).value()
        return value is True


def read_condition(text: str, names: Sequence[str], file: str) -> Condition:
    """
    Read a condition on things that have these names.

    Raises:
        RuleError: it is none, or speaks of other things; with the character where it goes wrong.
    """
    if len(text) > LONGEST:
        raise RuleError(
            f"A condition of {len(text):,} characters is too long.",
            file=file,
            fix=f"Say it in {LONGEST:,} at most, or in several conditions.",
        )
    spoken = tuple(name for name in names if speaks_of(text, name))
    try:
        found = _compiled(text, spoken)
    except RuntimeError as error:
        raise RuleError(
            f"{_where(str(error))} of the condition {text!r}.",
            file=file,
            fix=f"Names of the pattern are {', '.join(names)}.",
        ) from error
    if found.return_type() not in (cel.Type.BOOL, cel.Type.DYN):
        raise RuleError(
            f"The condition {text!r} is neither true nor false.",
            file=file,
            fix="Compare what it says with something, such as t.status == 'running'.",
        )
    return Condition(text, spoken)


def speaks_of(text: str, name: str) -> bool:
    """Tell whether a condition speaks of what has this name."""
    return re.search(rf"(?<![\w.\"']){name}\b", text) is not None


def equal_values(text: str) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """Return the two (name, attribute) that a text says are equal, if it says just that."""
    found = _EQUAL.fullmatch(text)
    return None if found is None else ((found[1], found[2]), (found[3], found[4]))


def other_things(text: str) -> tuple[str, ...]:
    """Return the two names of which a text says just that they are of different things, or none."""
    found = _OTHER.fullmatch(text)
    return () if found is None else (found[1], found[2])


def seen(uri: Uri, attributes: Mapping[str, Json]) -> dict[str, Json]:
    """Return a thing as conditions see it."""
    return {**attributes, "uri": str(uri), "type": uri.type, "id": "/".join(uri.segments)}


@lru_cache(maxsize=1_024)
def _compiled(text: str, names: tuple[str, ...]) -> cel.Expression:
    return cel.NewEnv(variables=dict.fromkeys(names, cel.Type.DYN)).compile(text)


def _where(message: str) -> str:
    """Put what the reader of expressions complains about, and where, in one line."""
    found = re.search(r"ERROR: <input>:\d+:(\d+): (.*)", message)
    if found is None:
        return f"{message.splitlines()[0]}: in some part"
    return f"{found[2].removesuffix('.')}: at character {int(found[1]) + 1}"
