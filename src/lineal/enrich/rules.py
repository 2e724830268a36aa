"""Rules: a path pattern and the edge that follows from it, declared as data.

A rule is a YAML file with ``name``, ``version``, ``match`` (a path in openCypher's notation),
``gives`` (the edge, between things of the path) and ``why`` (a sentence with the path's names in
braces). Code that derives edges lives here only.

A changed edge is walked back along the pattern to the starts it may touch; for these the rule
concludes everything anew, and the store writes the difference. So the result is always that of a
computation from scratch. Things are matched under all their names, and what joins the names is
among the supports of what is concluded, so that it goes when the names are parted.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from string import Formatter

import yaml

from lineal.errors import RuleError
from lineal.lineage import IDENTITY, Joints, Link
from lineal.model import Instant, Uri
from lineal.shapes import Shapes
from lineal.store import Change, Conclusion, Derivation, Reader

_NODE = re.compile(r"\(\s*(\w+)\s*(?::\s*([a-z][a-z0-9-]*)\s*)?\)")
_ARROW = re.compile(r"(<)?-\s*\[\s*:\s*(\w+)\s*\]\s*-(>)?")


@dataclass(frozen=True, slots=True)
class Hop:
    """One arrow of a pattern: a kind, and whether it points along the path."""

    kind: str
    forward: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A path pattern and the edge that it gives."""

    name: str
    version: str
    #: The names and types along the path.
    names: tuple[str, ...]
    types: tuple[str, ...]
    hops: tuple[Hop, ...]
    gives: str
    start: int
    end: int
    why: str

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that the pattern goes over."""
        return frozenset(hop.kind for hop in self.hops)


# ── Reading rules ────────────────────────────────────────────────────────────────────────────────


def read_rule(text: str, *, file: str, shapes: Shapes) -> Rule:
    """
    Read one rule from YAML.

    Raises:
        RuleError: what is wrong, at which character of the pattern, and how to mend it.
    """
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise RuleError(f"This is not YAML: {error}.", file=file) from error
    wanted = {"name", "version", "match", "gives", "why"}
    if not isinstance(document, dict) or set(document) != wanted:
        raise RuleError(
            "A rule has exactly name, version, match, gives and why.",
            file=file,
            fix=f"Found: {sorted(document) if isinstance(document, dict) else document!r}.",
        )
    names, types, hops = _path(str(document["match"]), file)
    _check(types, hops, shapes, file)
    start, kind, end = _given(str(document["gives"]), names, file)
    _check_kind(kind, types[start], types[end], shapes, file)
    if start == len(names) - 1:
        names, types, hops = names[::-1], types[::-1], _turned(hops)
        start, end = 0, len(names) - 1 - end
    if start != 0:
        raise RuleError(
            f"{names[start]!r} stands inside the pattern.",
            file=file,
            fix="Let the edge that is given begin at an end of the pattern.",
        )
    why = _reason(str(document["why"]), names, file)
    name, version = str(document["name"]), str(document["version"])
    return Rule(name, version, names, types, hops, kind, start, end, why)


def _turned(hops: Sequence[Hop]) -> tuple[Hop, ...]:
    return tuple(Hop(hop.kind, forward=not hop.forward) for hop in reversed(hops))


def _reason(why: str, names: Sequence[str], file: str) -> str:
    for _, name, _, _ in Formatter().parse(why):
        if name is not None and name not in names:
            raise RuleError(
                f"The reason speaks of {{{name}}}, which is not in the pattern.",
                file=file,
                fix=f"Names of the pattern are {', '.join(names)}.",
            )
    return why


def _path(pattern: str, file: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[Hop, ...]]:
    names: list[str] = []
    types: list[str] = []
    hops: list[Hop] = []
    at = 0
    while True:
        node = _NODE.match(pattern, at)
        if node is None or node.group(2) is None:
            raise RuleError(
                f"Expected (name:type) at character {at + 1} of {pattern!r}.", file=file
            )
        names.append(node.group(1))
        types.append(node.group(2))
        at = node.end()
        if at == len(pattern):
            return tuple(names), tuple(types), tuple(hops)
        arrow = _ARROW.match(pattern, at)
        if arrow is None or bool(arrow.group(1)) == bool(arrow.group(3)):
            raise RuleError(
                f"Expected -[:kind]-> or <-[:kind]- at character {at + 1} of {pattern!r}.",
                file=file,
            )
        hops.append(Hop(arrow.group(2), forward=arrow.group(3) is not None))
        at = arrow.end()


def _check(types: Sequence[str], hops: Sequence[Hop], shapes: Shapes, file: str) -> None:
    for place, hop in enumerate(hops):
        ends = (types[place], types[place + 1])
        _check_kind(hop.kind, *(ends if hop.forward else ends[::-1]), shapes, file)


def _check_kind(kind: str, start: str, end: str, shapes: Shapes, file: str) -> None:
    if kind not in shapes.kinds:
        raise RuleError(
            f"There is no kind {kind!r}.",
            file=file,
            fix="Write a kind itself, with the arrow turned, not its inverse.",
        )
    if kind in IDENTITY:
        raise RuleError(
            f"A rule cannot speak of {kind}.",
            file=file,
            fix="Leave it out: standing at a thing is standing at all names of it.",
        )
    if not shapes.allows(kind, start, end):
        raise RuleError(
            f"{kind} does not go from {start} to {end}.",
            file=file,
            fix="Give an edge that the kind's shape allows.",
        )


def _given(text: str, names: Sequence[str], file: str) -> tuple[int, str, int]:
    found = re.fullmatch(rf"{_NODE.pattern}{_ARROW.pattern}{_NODE.pattern}", text.strip())
    if found is None or found.group(5) is None:
        raise RuleError(f"{text!r} is not an edge.", file=file, fix="Write (a)-[:kind]->(b).")
    start, end = found.group(1), found.group(6)
    for name in (start, end):
        if name not in names:
            raise RuleError(f"{name!r} is not a name of the pattern.", file=file)
    return names.index(start), found.group(4), names.index(end)


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


# ── Concluding ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Match:
    """One way along the pattern: the things as they were reached, and what it went over."""

    things: tuple[int, ...]
    links: tuple[Link, ...]
    #: The links, and between them what joins the name reached to the name gone on from.
    supports: tuple[tuple[int, str, int], ...]


class RuleBook:
    """
    All rules together, as the store asks them at each commit.

    Standing at a thing is standing at all names of it. The edge is given to those names that stood
    in the pattern, and what joins names is among its supports.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    @property
    def seeds(self) -> frozenset[str]:
        """The kinds of the first hop of each rule: all that it concludes begins with one."""
        return frozenset(rule.hops[0].kind for rule in self._rules)

    def conclude(self, change: Change, reader: Reader) -> Iterator[Conclusion]:
        """Conclude anew for every start that the changed edges may touch."""
        for rule in self._rules:
            starts = _touched(rule, change, reader)
            if starts:
                yield _conclusion(rule, starts, reader)


def _touched(rule: Rule, change: Change, reader: Reader) -> set[int]:
    """Walk back from each changed edge to the beginnings of the pattern."""
    kinds = rule.kinds
    edges = [edge for edge in change.edges if edge[1] in kinds and _fits_any(edge, rule)]
    inside = set(rule.types[1:-1])
    named = [edge for edge in change.edges if edge[1] in IDENTITY and edge[0].type in inside]
    keys = reader.keys({uri for edge in (*edges, *named) for uri in (edge[0], edge[2])})
    found: set[int] = set()
    for place, hop in enumerate(rule.hops):
        near = {
            keys[edge[0] if hop.forward else edge[2]]
            for edge in edges
            if edge[1] == hop.kind and _fits(edge, rule, place)
        }
        if place > 0:
            near |= {
                keys[uri]
                for edge in named
                for uri in (edge[0], edge[2])
                if uri.type == rule.types[place]
            }
        for back in range(place - 1, -1, -1) if near else ():
            near = {
                link.src if rule.hops[back].forward else link.dst
                for link in _backward(rule.hops[back], _all_names(near, reader), reader)
            }
        found |= near
    uris = reader.uris(found)
    return {key for key in found if uris[key].type == rule.types[0]}


def _all_names(keys: set[int], reader: Reader) -> set[int]:
    return {member for group in reader.groups(keys).values() for member in group}


def _fits_any(edge: tuple[Uri, str, Uri], rule: Rule) -> bool:
    """Return whether an edge can stand anywhere in a pattern."""
    return any(
        hop.kind == edge[1] and _fits(edge, rule, place) for place, hop in enumerate(rule.hops)
    )


def _fits(edge: tuple[Uri, str, Uri], rule: Rule, place: int) -> bool:
    ends = (edge[0].type, edge[2].type)
    wanted = (rule.types[place], rule.types[place + 1])
    return ends == (wanted if rule.hops[place].forward else wanted[::-1])


def _forward(hop: Hop, keys: Iterable[int], reader: Reader) -> list[Link]:
    return (reader.outward if hop.forward else reader.inward)(keys, (hop.kind,))


def _backward(hop: Hop, keys: Iterable[int], reader: Reader) -> list[Link]:
    return (reader.inward if hop.forward else reader.outward)(keys, (hop.kind,))


def _conclusion(rule: Rule, starts: set[int], reader: Reader) -> Conclusion:
    matches = list(_matches(rule, starts, reader))
    things = {key for match in matches for key in match.things} | starts
    things |= {key for match in matches for one in match.supports for key in (one[0], one[2])}
    uris = reader.uris(things)
    called = _names(uris)
    derivations = [_derivation(rule, match, uris, called) for match in matches]
    return Conclusion(
        rule.name,
        rule.version,
        frozenset(uris[key] for key in starts),
        tuple(each for each in derivations if each is not None),
    )


def _matches(rule: Rule, starts: set[int], reader: Reader) -> Iterator[_Match]:
    """Follow the pattern from the starts, a hop at a time for all of them."""
    matches = [_Match((key,), (), ()) for key in sorted(starts)]
    for place, hop in enumerate(rule.hops):
        reached = {match.things[-1] for match in matches}
        joints = _joints(reached, reader) if place > 0 else Joints((), {})
        onward: dict[int, list[Link]] = defaultdict(list)
        names = {name for key in reached for name in joints.group(key)}
        for link in _strongest(_forward(hop, names, reader)):
            onward[link.src if hop.forward else link.dst].append(link)
        others = {
            link.dst if hop.forward else link.src for some in onward.values() for link in some
        }
        uris = reader.uris(others)
        matches = [
            _longer(match, name, link, other, joints)
            for match in matches
            for name in sorted(joints.group(match.things[-1]))
            for link in onward[name]
            if uris[other := (link.dst if hop.forward else link.src)].type == rule.types[place + 1]
        ]
    yield from matches


def _joints(keys: set[int], reader: Reader) -> Joints:
    links = reader.joins(keys)
    return Joints(links, reader.uris({end for link in links for end in (link.src, link.dst)}))


def _longer(match: _Match, name: int, link: Link, other: int, joints: Joints) -> _Match:
    """Go on from another name of what was reached: what joins the two is a support as well."""
    way = joints.way(match.things[-1], name)
    supports = (*match.supports, *way, (link.src, link.kind, link.dst))
    return _Match((*match.things, other), (*match.links, link), supports)


def _strongest(links: Iterable[Link]) -> list[Link]:
    """Several claims of one edge count once, over all the time that any of them covers."""
    joined: dict[tuple[int, str, int], Link] = {}
    for link in links:
        name = (link.src, link.kind, link.dst)
        known = joined.get(name)
        if known is None:
            joined[name] = link
            continue
        ends = (
            None
            if None in (known.valid_to, link.valid_to)
            else max(known.valid_to or 0, link.valid_to or 0)
        )
        start = min(known.valid_from, link.valid_from)
        joined[name] = Link(*name, known.layer, known.document, start, ends)
    return list(joined.values())


def _derivation(
    rule: Rule, match: _Match, uris: Mapping[int, Uri], called: Mapping[int, str]
) -> Derivation | None:
    span = _span(match.links)
    if span is None:
        return None
    words = {name: called[key] for name, key in zip(rule.names, match.things, strict=True)}
    supports = tuple((uris[start], kind, uris[end]) for start, kind, end in match.supports)
    return Derivation(
        uris[match.things[rule.start]],
        rule.gives,
        uris[match.things[rule.end]],
        supports,
        span[0],
        span[1],
        rule.why.format(**words),
    )


def _span(links: Sequence[Link]) -> tuple[Instant, Instant | None] | None:
    """
    When all premises are so at once: a state while it lasts, what happened from then on.

    That two names are one bounds nothing: if it is so, it always was.
    """
    start = max(link.valid_from for link in links)
    ends = [link.valid_to for link in links if link.valid_to is not None]
    end = min(ends) if ends else None
    return None if end is not None and end <= start else (start, end)


def _names(uris: Mapping[int, Uri]) -> dict[int, str]:
    """The ids of things: names that never change, so that a rename changes no reason."""
    return {key: "/".join(uri.segments) for key, uri in uris.items()}
