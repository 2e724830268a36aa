"""Rules read from YAML files, checked against the shapes, and put into an order.

A rule has ``name``, ``version``, ``match`` (paths), ``gives`` (the edge, between things of the
path) and ``why`` (a sentence with the path's names in braces); and, where it needs them, ``where``
(conditions), ``unless`` (paths that there must not be), ``layer`` (``inferred`` or ``suggested``),
``confidence``, ``by`` (by which end of the edge conclusions are kept), ``enabled`` (whether it
concludes before anybody says so), ``means`` and ``wrong_when``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from itertools import pairwise
from pathlib import Path as FilePath
from string import Formatter

import msgspec
import yaml

from lineal.enrich.rules.conditions import (
    Condition,
    equal_values,
    other_things,
    read_condition,
)
from lineal.enrich.rules.language import Arrow, Chain, read_chains
from lineal.enrich.rules.rule import BELIEVED, Absent, Leg, Path, Rule
from lineal.errors import RuleError
from lineal.lineage import IDENTITY
from lineal.shapes import Shapes

_NEEDED = frozenset({"name", "version", "match", "gives", "why"})
_ALLOWED = _NEEDED | {
    *("where", "unless", "layer", "confidence", "by", "enabled", "means", "wrong_when"),
}
_CALLED = re.compile(r"[a-z][a-z0-9_]{0,63}")
_GIVEN = re.compile(r"\(\s*(\w+)\s*\)-\s*\[\s*:\s*(\w+)\s*\]\s*->\(\s*(\w+)\s*\)")


def read_rule(text: str, *, file: str, shapes: Shapes) -> Rule:
    """
    Read one rule from YAML.

    Raises:
        RuleError: what is wrong, at which character of the pattern, and how to mend it.
    """
    document = _document(text, file)
    name, version = str(document["name"]), str(document["version"])
    if not _CALLED.fullmatch(name):
        raise RuleError(
            f"{name!r} is no name of a rule.", file=file, fix="Write it like `trained_for`."
        )
    conditions = [str(one) for one in _listed(document.get("where"), "where", file)]
    path, conditions = _joined(read_chains(str(document["match"]), file), conditions, shapes, file)
    given = _given(str(document["gives"]), path, shapes, file)
    path = _begun_at(path, document.get("by"), given, file)
    named = [one for one in path.names if one is not None]
    unless = [
        _absent(str(one), path, shapes, file)
        for one in _listed(document.get("unless"), "unless", file)
    ]
    unless, conditions = _others(unless, conditions, path, file)
    where, of_arrows = _conditions(conditions, named, _arrows((path, *unless), named, file), file)
    return Rule(
        name,
        version,
        _conditioned(path, of_arrows),
        where,
        tuple(replace(one, path=_conditioned(one.path, of_arrows)) for one in unless),
        given[1],
        path.names.index(given[0]),
        path.names.index(given[2]),
        _word(document.get("layer", "inferred"), ("inferred", "suggested"), "layer", file),
        _confidence(document.get("confidence", 1.0), file),
        _reason(str(document["why"]), named, file),
        str(document.get("means", "")),
        str(document.get("wrong_when", "")),
        _switch(document.get("enabled", True), file),
        blake2b(
            msgspec.json.encode(sorted(document.items()), enc_hook=str), digest_size=16
        ).digest(),
        text,
        file,
    )


def read_rules(folder: FilePath, *, shapes: Shapes) -> tuple[Rule, ...]:
    """
    Read all rules of a folder, in the order of their files' names.

    Raises:
        RuleError: a file cannot be read, or is wrong.
    """
    if not folder.is_dir():
        raise RuleError(
            "There is no such folder of rules.",
            file=str(folder),
            fix="Make it, or mend `rules` in the configuration.",
        )
    found = []
    for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RuleError(f"The file cannot be read: {error}.", file=str(path)) from error
        found.append(read_rule(text, file=str(path), shapes=shapes))
    return tuple(found)


@cache
def builtin_rules() -> tuple[Rule, ...]:
    """Return the rules that come with Lineal."""
    shapes = Shapes.builtin()
    folder = files("lineal.enrich") / "builtin"
    found = sorted(item.name for item in folder.iterdir() if item.name.endswith(".yaml"))
    return tuple(
        read_rule((folder / name).read_text(encoding="utf-8"), file=name, shapes=shapes)
        for name in found
    )


def fixture_of(rule: Rule) -> str | None:
    """Return the fixture that lies beside a rule that comes with Lineal or lies in a file."""
    if "/" in rule.file or "\\" in rule.file:
        beside = FilePath(rule.file).with_suffix(".txt")
        return beside.read_text("utf-8") if beside.is_file() else None
    inside = files("lineal.enrich") / "builtin" / f"{rule.file.removesuffix('.yaml')}.txt"
    return inside.read_text("utf-8") if inside.is_file() else None


# ── The document ─────────────────────────────────────────────────────────────────────────────────


def _document(text: str, file: str) -> Mapping[str, object]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"This is not YAML: {error}.", file=file) from error
    if not isinstance(document, dict) or not _NEEDED <= set(document) <= _ALLOWED:
        raise RuleError(
            "A rule has exactly name, version, match, gives and why; and it may have "
            f"{', '.join(sorted(_ALLOWED - _NEEDED))}.",
            file=file,
            fix=f"Found: {sorted(map(str, document)) if isinstance(document, dict) else document}.",
        )
    return document


def _listed(value: object, key: str, file: str) -> list[object]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return list(value)
    raise RuleError(f"{key} is a text or a list of texts.", file=file)


def _word(value: object, words: Sequence[str], key: str, file: str) -> str:
    if value not in words:
        raise RuleError(f"{key} is {value!r}.", file=file, fix=f"Say {' or '.join(words)}.")
    return str(value)


def _switch(value: object, file: str) -> bool:
    if not isinstance(value, bool):
        raise RuleError(f"enabled is {value!r}.", file=file, fix="Say true or false.")
    return value


def _confidence(value: object, file: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise RuleError(
            f"confidence is {value!r}.", file=file, fix="Write a number above 0 and up to 1."
        )
    return float(value)


def _reason(why: str, names: Sequence[str], file: str) -> str:
    for _, name, _, _ in Formatter().parse(why):
        if name is not None and name not in names:
            raise RuleError(
                f"The reason speaks of {{{name}}}, which is not in the pattern.",
                file=file,
                fix=f"Names of the pattern are {', '.join(names)}.",
            )
    return why


# ── Conditions ───────────────────────────────────────────────────────────────────────────────────


def _arrows(paths: Iterable[Path | Absent], named: Sequence[str], file: str) -> list[str]:
    """Return the names of all arrows; raises where one is that of something else."""
    legs = [leg for one in paths for leg in (one.path if isinstance(one, Absent) else one).legs]
    arrows = [leg.name for leg in legs if leg.name is not None]
    for name in sorted(set(arrows)):
        if name in named or arrows.count(name) > 1:
            raise RuleError(
                f"{name!r} stands twice in the rule, once of an arrow.",
                file=file,
                fix="Give each thing and each arrow a name of its own.",
            )
    return arrows


def _conditions(
    texts: Sequence[str], named: Sequence[str], arrows: Sequence[str], file: str
) -> tuple[tuple[Condition, ...], dict[str, tuple[Condition, ...]]]:
    """Read conditions: those on things, and by the name of an arrow those on its edge."""
    things: list[Condition] = []
    of_arrows: dict[str, tuple[Condition, ...]] = {}
    for text in texts:
        condition = read_condition(text, [*named, *arrows], file)
        arrow = next((name for name in condition.names if name in arrows), None)
        if arrow is None:
            things.append(condition)
            continue
        if len(condition.names) > 1:
            others = ", ".join(name for name in condition.names if name != arrow)
            raise RuleError(
                f"The condition {text!r} speaks of the arrow {arrow} and of {others}.",
                file=file,
                fix="Let a condition speak of one arrow alone, or of things alone.",
            )
        of_arrows[arrow] = (*of_arrows.get(arrow, ()), condition)
    return tuple(things), of_arrows


def _conditioned(path: Path, of_arrows: Mapping[str, tuple[Condition, ...]]) -> Path:
    """Return a path whose legs know what must hold of their edges."""
    legs = (replace(leg, where=of_arrows.get(leg.name or "", ())) for leg in path.legs)
    return replace(path, legs=tuple(legs))


# ── The path ─────────────────────────────────────────────────────────────────────────────────────


def _joined(
    chains: Sequence[Chain], conditions: Sequence[str], shapes: Shapes, file: str
) -> tuple[Path, list[str]]:
    """Make one path of chains: each begins with what has a value of the end of the one before."""
    left = list(conditions)
    path = _path(chains[0], shapes, file)
    for before, chain in pairwise(chains):
        ends = (before.places[-1].name, chain.places[0].name)
        for text in left:
            equal = equal_values(text)
            if equal is None or {name for name, _ in equal} != set(ends):
                continue
            values = dict(equal)
            left.remove(text)
            break
        else:
            raise RuleError(
                f"Nothing joins {ends[0]!r} and {ends[1]!r}, on both sides of a comma.",
                file=file,
                fix=f"Say in `where` which of their values are equal: {ends[0]}.x == {ends[1]}.y.",
            )
        onward = _path(chain, shapes, file)
        leg = Leg((), values=(values[str(ends[0])], values[str(ends[1])]))
        path = Path(
            (*path.names, *onward.names),
            (*path.types, *onward.types),
            (*path.legs, leg, *onward.legs),
        )
    names = [name for name in path.names if name is not None]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RuleError(
            f"{twice[0]!r} stands twice in the pattern.",
            file=file,
            fix="Give each thing a name of its own.",
        )
    return path, left


def _path(chain: Chain, shapes: Shapes, file: str) -> Path:
    types = [place.types for place in chain.places]
    for place in chain.places:
        for name in sorted(place.types or ()):
            if name not in shapes.types and not chain.arrows:
                raise RuleError(f"There is no type {name!r}{_where(place.at)}.", file=file)
    for at, arrow in enumerate(chain.arrows):
        types[at], types[at + 1] = _fitting(arrow, (types[at], types[at + 1]), shapes, file)
    known = [frozenset(shapes.types) if one is None else one for one in types]
    legs = tuple(
        Leg(
            arrow.kinds,
            arrow.forward,
            arrow.layers or BELIEVED,
            arrow.least,
            arrow.most,
            name=arrow.name,
        )
        for arrow in chain.arrows
    )
    return Path(tuple(place.name for place in chain.places), tuple(known), legs)


_Types = frozenset[str] | None


def _fitting(
    arrow: Arrow, types: tuple[_Types, _Types], shapes: Shapes, file: str
) -> tuple[_Types, _Types]:
    """Return the types that the two ends may have; raise where the arrow does not fit them."""
    for kind in arrow.kinds:
        _check_kind(kind, shapes, file, arrow.at)
    ends = types if arrow.forward else types[::-1]
    every = frozenset(shapes.types)
    starts, stops = (every if one is None else one for one in ends)
    if (arrow.least, arrow.most) != (1, 1):
        for kind in arrow.kinds:
            outset = {one for one in every if shapes.ends(kind, one)}
            if arrow.least and not outset & starts:
                raise _misfit(kind, ends, file, arrow.at)
        return types
    allowed = {
        kind: {
            (one, other)
            for one in starts & every
            for other in stops & every
            if shapes.allows(kind, one, other)
        }
        for kind in arrow.kinds
    }
    for kind, pairs in allowed.items():
        if not pairs:
            raise _misfit(kind, ends, file, arrow.at)
    pairs = set[tuple[str, str]]().union(*allowed.values())
    fit = (frozenset(one for one, _ in pairs), frozenset(other for _, other in pairs))
    for kept, asked, side in zip(fit, ends, (0, 1), strict=True):
        for name in sorted((asked or frozenset()) - kept):
            one_of = [frozenset({name}), frozenset({name})]
            one_of[1 - side] = ends[1 - side] or every
            raise _misfit("|".join(arrow.kinds), (one_of[0], one_of[1]), file, arrow.at)
    return fit if arrow.forward else fit[::-1]


def _misfit(kind: str, ends: tuple[_Types, _Types], file: str, at: int | None = None) -> RuleError:
    called = ["anything" if one is None else "|".join(sorted(one)) for one in ends]
    return RuleError(
        f"{kind} does not go from {called[0]} to {called[1]}{_where(at)}.",
        file=file,
        fix="Give an edge that the kind's shape allows.",
    )


def _where(at: int | None) -> str:
    return "" if at is None else f", at character {at} of the pattern"


def _check_kind(kind: str, shapes: Shapes, file: str, at: int | None = None) -> None:
    if kind not in shapes.kinds:
        raise RuleError(
            f"There is no kind {kind!r}{_where(at)}.",
            file=file,
            fix="Write a kind itself, with the arrow turned, not its inverse.",
        )
    if kind in IDENTITY:
        raise RuleError(
            f"A rule cannot speak of {kind}{_where(at)}.",
            file=file,
            fix="Leave it out: standing at a thing is standing at all names of it.",
        )


# ── What it gives, and what there must not be ────────────────────────────────────────────────────


def _given(text: str, path: Path, shapes: Shapes, file: str) -> tuple[str, str, str]:
    found = _GIVEN.fullmatch(text.strip())
    if found is None:
        raise RuleError(f"{text!r} is not an edge.", file=file, fix="Write (a)-[:kind]->(b).")
    start, kind, end = found.groups()
    for name in (start, end):
        if name not in path.names:
            raise RuleError(f"{name!r} is not a name of the pattern.", file=file)
    if start == end:
        raise RuleError(f"An edge from {start!r} to itself says nothing.", file=file)
    _check_kind(kind, shapes, file)
    ends = (path.types[path.names.index(start)], path.types[path.names.index(end)])
    if not any(shapes.allows(kind, one, other) for one in ends[0] for other in ends[1]):
        raise _misfit(kind, ends, file)
    return start, kind, end


def _begun_at(path: Path, by: object, given: tuple[str, str, str], file: str) -> Path:
    """Turn a path so that it begins at that end of the edge by which conclusions are kept."""
    name = given[0] if by is None else str(by)
    if name not in (given[0], given[2]):
        raise RuleError(
            f"Conclusions are kept by an end of the edge that is given, not by {name!r}.",
            file=file,
            fix=f"Let `by` be {given[0]} or {given[2]}.",
        )
    at = path.names.index(name)
    if at == len(path.names) - 1:
        return path.turned()
    if at != 0:
        raise RuleError(
            f"{name!r} stands inside the pattern.",
            file=file,
            fix="Let the edge that is given begin at an end of the pattern, or say `by` which of "
            "its ends stands at one.",
        )
    return path


def _others(
    unless: Sequence[Absent], conditions: Sequence[str], path: Path, file: str
) -> tuple[list[Absent], list[str]]:
    """Take the conditions that the end of a path that there must not be is another thing."""
    found, left = list(unless), []
    ends = [None if one.end is not None else one.path.names[-1] for one in unless]
    for text in conditions:
        spoken = [name for name in other_things(text) if name in ends]
        if not spoken:
            left.append(text)
            continue
        at, others = ends.index(spoken[0]), set(other_things(text)) & set(path.names)
        if not others or ends.count(spoken[0]) > 1 or found[at].other is not None:
            raise RuleError(
                f"The condition {text!r} does not say than what {spoken[0]} is another.",
                file=file,
                fix="Give the end of one `unless` a name, and compare it once with a name of the "
                "pattern: e != d.",
            )
        found[at] = replace(found[at], other=path.names.index(others.pop()))
    return found, left


def _absent(text: str, path: Path, shapes: Shapes, file: str) -> Absent:
    chains = read_chains(text, file)
    chain = chains[0]
    ends = (chain.places[0].name, chain.places[-1].name)
    if len(chains) > 1 or not chain.arrows or not set(ends) & {n for n in path.names if n}:
        raise RuleError(
            f"{text!r} cannot be looked for.",
            file=file,
            fix="Let `unless` be a path with arrows that begins or ends at a name of the pattern.",
        )
    if ends[0] not in path.names:
        chain, ends = chain.turned(), ends[::-1]
    inner = [place.name for place in chain.places[1:-1] if place.name is not None]
    if inner:
        raise RuleError(
            f"{inner[0]!r} stands inside a path that there must not be.",
            file=file,
            fix="Leave the name out: nothing that is not there can be spoken of.",
        )
    anchor = path.names.index(ends[0])
    end = path.names.index(ends[1]) if ends[1] in path.names else None
    places = list(chain.places)
    for at, place in ((0, anchor), (-1, end)):
        if place is not None and places[at].types is None:
            one = places[at]
            places[at] = type(one)(one.name, path.types[place], one.at)
    return Absent(_path(Chain(tuple(places), chain.arrows), shapes, file), anchor, end)


def conditions_at(rule: Rule) -> dict[int, list[Condition]]:
    """Return the conditions by the place at which all that they speak of is known."""
    found: dict[int, list[Condition]] = {}
    for condition in rule.where:
        at = max((rule.path.names.index(name) for name in condition.names), default=0)
        found.setdefault(at, []).append(condition)
    return found
