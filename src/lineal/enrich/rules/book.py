"""All rules together, as the store asks them at each commit.

A changed edge is walked back along the pattern to the starts that it may touch; for these the rule
concludes everything anew, and the store writes the difference. So the result is always that of a
computation from scratch. Rules come in an order in which each follows those whose edges it looks
at, so that within one commit none has to be asked twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from lineal.enrich.rules.matching import Matching, TooMany, Way
from lineal.enrich.rules.reading import in_order
from lineal.enrich.rules.rule import Rule
from lineal.enrich.rules.touching import START, Touched, Touching
from lineal.model import Json, Uri
from lineal.shapes import Shapes
from lineal.store import (
    Change,
    Concluded,
    Conclusion,
    Derivation,
    Failed,
    Program,
    PutOff,
    Reader,
    Step,
)

#: How many ways of a rule are followed at once in a commit, and in a transaction of their own.
ROOM, MOST = 10_000, 200_000
#: How many derivations of one edge are kept; of more only the number.
KEPT = 20


class RuleBook:
    """
    Rules that stand in one order.

    Raises:
        RuleError: two have one name, or some look in a circle at what they give.
    """

    def __init__(self, rules: Sequence[Rule], shapes: Shapes | None = None) -> None:
        self.rules = in_order(rules)
        self._shapes = Shapes.builtin() if shapes is None else shapes
        self._named = {rule.name: rule for rule in self.rules}

    @property
    def seeds(self) -> frozenset[str]:
        """No kind of edge: what rules conclude anew, they conclude by their `programs`."""
        return frozenset()

    @property
    def programs(self) -> tuple[Program, ...]:
        """The rules as the store keeps them up, in their order."""
        return tuple(
            Program(rule.name, rule.digest, rule.path.types[0], self._version(rule))
            for rule in self.rules
        )

    @staticmethod
    def _version(rule: Rule) -> str:
        return rule.version

    # ── In a commit ──────────────────────────────────────────────────────────────────────────

    def conclude(self, change: Change, reader: Reader, most: int | None = None) -> Iterator[Step]:
        """
        Conclude anew for every start that the changed edges may touch.

        More than *most* of one rule are put off; None: none is. What a rule concludes is in
        *change* when the next one is asked.
        """
        for rule in self.rules:
            if rule.name in change.idle:
                continue
            touching = Touching(rule, reader, self._shapes, change)
            touched = touching.by_change(_UNBOUND if most is None else most)
            yield from self._followed(rule, touched, reader, MOST if most is None else ROOM)

    def _followed(self, rule: Rule, touched: Touched, reader: Reader, room: int) -> Iterator[Step]:
        if touched.later:
            yield PutOff(rule.name, tuple(sorted(touched.later)))
        if touched.starts:
            try:
                yield self._conclusion(rule, touched.starts, reader, room)
            except TooMany:
                yield PutOff(rule.name, tuple((START, key) for key in sorted(touched.starts)))

    # ── What was put off ─────────────────────────────────────────────────────────────────────

    def go_on(
        self, name: str, position: int, keys: Sequence[int], after: int, reader: Reader, most: int
    ) -> Iterator[Step]:
        """
        Go on with some things at a position of a rule that were put off, a slice of the work.

        Says by `Step` what follows, and at the end by `PutOff.after` how far it came.
        """
        rule = self._named[name]
        if position == START:
            yield from self.conclude_for(name, keys, reader)
            return
        touching = Touching(rule, reader, self._shapes, Change(frozenset(), frozenset()))
        touched, onward = touching.page(keys[0], position, after, most)
        yield from self._followed(rule, touched, reader, MOST)
        if onward is not None:
            yield PutOff(rule.name, ((position, keys[0]),), after=onward)

    def conclude_for(self, name: str, starts: Sequence[int], reader: Reader) -> Iterator[Step]:
        """Conclude everything for these starts; in parts where there are too many ways."""
        rule = self._named[name]
        uris = reader.uris(starts)
        fit = [key for key in starts if uris[key].type in rule.path.types[0]]
        parts = [fit] if fit else []
        while parts:
            part = parts.pop()
            try:
                yield self._conclusion(rule, part, reader, MOST)
            except TooMany as error:
                if len(part) == 1:
                    yield Failed(name, part[0], error.message)
                    continue
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]

    # ── Conclusions ──────────────────────────────────────────────────────────────────────────

    def _conclusion(
        self, rule: Rule, starts: Collection[int], reader: Reader, room: int
    ) -> Conclusion:
        ways = Matching(rule, reader, self._shapes, room).ways(starts)
        things = {key for way in ways for key in way.things}
        things.update(key for way in ways for start, _, end in way.supports for key in (start, end))
        things.update(starts)
        uris = reader.uris(things)
        edges: dict[tuple[int, int], dict[tuple[tuple[int, str, int], ...], Way]] = defaultdict(
            dict
        )
        for way in ways:
            edges[way.things[rule.start], way.things[rule.end]].setdefault(way.supports, way)
        derivations: list[Derivation] = []
        concluded: dict[tuple[Uri, str, Uri], Concluded] = {}
        called: dict[int, str] = {}
        for (start, end), by_supports in edges.items():
            if start == end or not self._allows(rule, uris[start], uris[end]):
                continue
            every = list(by_supports.values())
            edge = (uris[start], rule.gives, uris[end])
            concluded[edge] = _concluded(rule, every)
            for way in _kept(every, uris):
                derivations.append(_derivation(rule, edge, way, uris, called))
        return Conclusion(
            rule.name,
            rule.version,
            frozenset(uris[key] for key in starts),
            tuple(derivations),
            edges=concluded,
            layer=rule.layer,
            by_start=rule.by_start,
        )

    def _allows(self, rule: Rule, start: Uri, end: Uri) -> bool:
        return self._shapes.allows(rule.gives, start.type, end.type)


#: More than any change touches.
_UNBOUND = 1 << 60


def _concluded(rule: Rule, ways: Sequence[Way]) -> Concluded:
    """Return an edge as its ways together give it: over all the time that any of them covers."""
    ends = [way.until for way in ways if way.until is not None]
    until = max(ends) if len(ends) == len(ways) else None
    about: dict[str, Json] = {}
    if rule.confidence < 1:
        about["confidence"] = rule.confidence
    if len(ways) > KEPT:
        about["derivations"] = len(ways)
    return Concluded(min(way.since for way in ways), until, about)


def _kept(ways: list[Way], uris: Mapping[int, Uri]) -> list[Way]:
    """Return those ways of which the supports are kept: the first by name, however they came."""
    if len(ways) <= KEPT:
        return ways
    named = sorted(
        (tuple((uris[start], kind, uris[end]) for start, kind, end in way.supports), at)
        for at, way in enumerate(ways)
    )
    return [ways[at] for _, at in named[:KEPT]]


def _derivation(
    rule: Rule,
    edge: tuple[Uri, str, Uri],
    way: Way,
    uris: Mapping[int, Uri],
    called: dict[int, str],
) -> Derivation:
    for key in way.things:
        if key not in called:
            # The id of a thing never changes, so that a rename changes no reason.
            called[key] = "/".join(uris[key].segments)
    words = {
        name: called[key]
        for name, key in zip(rule.path.names, way.things, strict=True)
        if name is not None
    }
    supports = tuple([(uris[start], kind, uris[end]) for start, kind, end in way.supports])
    return Derivation(*edge, supports, way.since, way.until, rule.why.format_map(words))
