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
from lineal.enrich.rules.touching import START, Sight, Touching
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

#: How many ways of a rule are followed at once in a transaction, and how many for one thing, for
#: which it is done whole or not at all.
ROOM, MOST = 5_000, 200_000
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
        self._sights = {rule.name: Sight(rule) for rule in self.rules}
        self._allowed: dict[tuple[str, str, str], bool] = {}

    @property
    def seeds(self) -> frozenset[str]:
        """No kind of edge: what rules conclude anew, they conclude by their `programs`."""
        return frozenset()

    @property
    def programs(self) -> tuple[Program, ...]:
        """The rules as the store keeps them up, in their order."""
        return tuple(
            Program(rule.name, rule.digest, rule.path.types[0], rule.version, rule.enabled)
            for rule in self.rules
        )

    # ── In a commit ──────────────────────────────────────────────────────────────────────────

    def conclude(self, change: Change, reader: Reader, most: int | None = None) -> Iterator[Step]:
        """
        Conclude anew for every start that the changed edges may touch.

        More than *most* of one rule are put off; None: none is. What a rule concludes is in
        *change* when the next one is asked.
        """
        types, kinds, known = {uri.type for uri in change.things}, set[str](), 0
        for rule in self.rules:
            if len(change.edges) > known:
                kinds, known = {kind for _, kind, _ in change.edges}, len(change.edges)
            sight = self._sights[rule.name]
            if rule.name in change.idle or not sight.is_touched(kinds, types):
                continue
            if not rule.may_conclude(reader.kinds):
                continue
            touching = Touching(rule, sight, reader, self._shapes, change)
            touched = touching.by_change(_UNBOUND if most is None else most)
            if touched.later:
                yield PutOff(rule.name, tuple(sorted(touched.later)))
            if touched.starts:
                room = MOST if most is None else max(ROOM, most)
                yield from self._for(rule, sorted(touched.starts), reader, room)

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
            yield from self._for(rule, keys, reader, ROOM)
            return
        nothing = Change(frozenset(), frozenset())
        touching = Touching(rule, self._sights[name], reader, self._shapes, nothing)
        touched, onward = touching.page(keys[0], position, after, most)
        if touched.later:
            yield PutOff(rule.name, tuple(sorted(touched.later)))
        if touched.starts:
            yield from self._for(rule, sorted(touched.starts), reader, ROOM)
        if onward is not None:
            yield PutOff(rule.name, ((position, keys[0]),), after=onward)

    def conclude_for(self, name: str, starts: Sequence[int], reader: Reader) -> Iterator[Step]:
        """Conclude everything for these starts, however many ways there are from them."""
        rule, parts = self._named[name], [list(starts)]
        while parts:
            part = parts.pop()
            for step in self._for(rule, part, reader, MOST):
                if isinstance(step, PutOff):
                    left = [key for _, key in step.places]
                    middle = len(left) // 2
                    parts += [some for some in (left[middle:], left[:middle]) if some]
                else:
                    yield step

    def _for(self, rule: Rule, starts: Sequence[int], reader: Reader, room: int) -> Iterator[Step]:
        """Conclude for as many of these starts as there is room for; put off the rest."""
        if not rule.may_conclude(reader.kinds):
            # Nothing ever followed, and nothing does now.
            return
        uris = reader.uris(starts)
        fit = [key for key in starts if uris[key].type in rule.path.types[0]]
        while fit:
            try:
                yield self._conclusion(rule, fit, reader, room if len(fit) > 1 else MOST)
            except TooMany as error:
                if len(fit) == 1:
                    yield Failed(rule.name, fit[0], error.message)
                    return
                middle = len(fit) // 2
                yield PutOff(rule.name, tuple((START, key) for key in fit[middle:]))
                fit = fit[:middle]
            else:
                return

    # ── Conclusions ──────────────────────────────────────────────────────────────────────────

    def _conclusion(
        self, rule: Rule, starts: Collection[int], reader: Reader, room: int
    ) -> Conclusion:
        ways = Matching(rule, reader, self._shapes, room).ways(starts)
        things = set(starts)
        edges: dict[tuple[int, int], dict[tuple[tuple[int, str, int], ...], Way]] = defaultdict(
            dict
        )
        for way in ways:
            passed, _, supports, _, _ = way
            things.update(passed)
            for start, _, end in supports:
                things.add(start)
                things.add(end)
            edges[passed[rule.start], passed[rule.end]].setdefault(supports, way)
        uris = reader.uris(things)
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
        name = (rule.gives, start.type, end.type)
        if name not in self._allowed:
            self._allowed[name] = self._shapes.allows(*name)
        return self._allowed[name]


#: More than any change touches.
_UNBOUND = 1 << 60


def _concluded(rule: Rule, ways: Sequence[Way]) -> Concluded:
    """Return an edge as its ways together give it: over all the time that any of them covers."""
    if len(ways) == 1 and rule.confidence == 1:
        return Concluded(ways[0][3], ways[0][4])
    ends = [until for _, _, _, _, until in ways if until is not None]
    until = max(ends) if len(ends) == len(ways) else None
    about: dict[str, Json] = {}
    if rule.confidence < 1:
        about["confidence"] = rule.confidence
    if len(ways) > KEPT:
        about["derivations"] = len(ways)
    return Concluded(min(way[3] for way in ways), until, about)


def _kept(ways: list[Way], uris: Mapping[int, Uri]) -> list[Way]:
    """Return those ways of which the supports are kept: the first by name, however they came."""
    if len(ways) <= KEPT:
        return ways
    named = sorted(
        (tuple((uris[start], kind, uris[end]) for start, kind, end in way[2]), at)
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
    things, _, supports, since, until = way
    for key in things:
        if key not in called:
            # The id of a thing never changes, so that a rename changes no reason.
            called[key] = "/".join(uris[key].segments)
    words = {
        name: called[key]
        for name, key in zip(rule.path.names, things, strict=True)
        if name is not None
    }
    told = tuple([(uris[start], kind, uris[end]) for start, kind, end in supports])
    return Derivation(*edge, told, since, until, rule.why.format_map(words))
