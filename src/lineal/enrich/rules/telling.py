"""A rule for people: as it was written, and its path step by step in the words of its kinds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import yaml

from lineal.enrich.rules.conditions import speaks_of
from lineal.enrich.rules.rule import BELIEVED, Absent, Leg, Path, Rule
from lineal.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Written:
    """What stands in a rule's file."""

    match: str
    where: tuple[str, ...]
    #: Paths that there must not be, each with the conditions that speak of it.
    unless: tuple[str, ...]
    gives: str


@dataclass(frozen=True, slots=True)
class Stop:
    """A thing of a path."""

    #: What the path calls it; empty where it has no name.
    name: str
    #: The types it may have; empty where that is any.
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Onward:
    """What leads from a thing of a path to the next."""

    #: The relations as read along the path: kinds or their inverses.
    relations: tuple[str, ...]
    #: How often it is gone.
    least: int
    most: int
    #: Of which layers the edges are to be; empty where all that are believed will do.
    layers: tuple[str, ...]
    #: The attributes of the two things that are to be equal; then there is no edge.
    equal: tuple[str, str] | None
    to: Stop
    #: By which name conditions speak of the edge; empty where they do not.
    name: str = ""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A path from its first thing on."""

    start: Stop
    steps: tuple[Onward, ...]


def written(rule: Rule) -> Written:
    """Return the parts of a rule as they stand in its file, each on one line."""
    document = yaml.safe_load(rule.text)
    where, unless = _lines(document.get("where")), list(_lines(document.get("unless")))
    own = []
    for condition in where:
        at = next((at for at, one in enumerate(rule.unless) if _is_of(condition, one, rule)), None)
        if at is None:
            own.append(condition)
        else:
            unless[at] += f" {'and' if ' where ' in unless[at] else 'where'} {condition}"
    return Written(_line(document["match"]), tuple(own), tuple(unless), _line(document["gives"]))


def _is_of(condition: str, absent: Absent, rule: Rule) -> bool:
    """Does a condition speak of an arrow, or of the end, of a path that there must not be?"""
    arrows = [leg.name for leg in absent.path.legs]
    names = [one for one in (*arrows, absent.path.names[-1]) if one and one not in rule.path.names]
    return any(speaks_of(condition, name) for name in names)


def _line(text: object) -> str:
    return " ".join(str(text).split())


def _lines(said: object) -> tuple[str, ...]:
    if said is None:
        return ()
    return tuple(_line(one) for one in (said if isinstance(said, list) else [said]))


def drawn(rule: Rule, shapes: Shapes) -> Drawn:
    """Return the path of a rule, begun where its conclusions are kept."""
    path = rule.path
    steps = (
        _onward(leg, _stop(path, place, shapes), shapes) for place, leg in enumerate(path.legs, 1)
    )
    return Drawn(_stop(path, 0, shapes), tuple(steps))


def _stop(path: Path, place: int, shapes: Shapes) -> Stop:
    types = path.types[place]
    every = types >= frozenset(shapes.types)
    return Stop(path.names[place] or "", () if every else tuple(sorted(types)))


def _onward(leg: Leg, to: Stop, shapes: Shapes) -> Onward:
    relations = tuple(kind if leg.forward else shapes.kinds[kind].inverse for kind in leg.kinds)
    layers = () if leg.layers == BELIEVED else tuple(sorted(leg.layers))
    return Onward(relations, leg.least, leg.most, layers, leg.values, to, leg.name or "")


def in_words(rule: Rule, shapes: Shapes) -> str:
    """
    Return the pattern of a rule as a sentence.

    >>> from lineal.enrich.rules import builtin_rules
    >>> rule = next(one for one in builtin_rules() if one.name == "superseded_version")
    >>> in_words(rule, Shapes.builtin()).split(", ")[:2]
    ['old (model version) version of m (model)', 'points to (as p) new (model version)']
    """
    path = drawn(rule, shapes)
    told = [_called(path.start), *(_step(one) for one in path.steps)]
    text = written(rule)
    rest = [f"where {one}" for one in text.where] + [f"unless {one}" for one in text.unless]
    return ", ".join([" ".join(told[:2]), *told[2:], *rest])


def _step(one: Onward) -> str:
    if one.equal is not None:
        mine, other = one.equal
        return f"with the {_spoken(mine)} that is the {_spoken(other)} of {_called(one.to)}"
    words = _or(_spoken(name) for name in one.relations)
    times = "" if (one.least, one.most) == (1, 1) else f" ({one.least} to {one.most} times)"
    layers = f", {_or(one.layers)}," if one.layers else ""
    name = f" (as {one.name})" if one.name else ""
    return f"{words}{name}{times}{layers} {_called(one.to)}"


def _called(stop: Stop) -> str:
    types = _or(_spoken(name) for name in stop.types) or "anything"
    return f"{stop.name} ({types})" if stop.name else types


def _or(words: Iterable[str]) -> str:
    return " or ".join(words)


def _spoken(word: str) -> str:
    return word.replace("_", " ").replace("-", " ")
