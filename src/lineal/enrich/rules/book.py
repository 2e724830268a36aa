"""All rules together, as the store asks them at each commit.

A changed edge is walked back along the pattern to the starts that it may touch; for these the rule
concludes everything anew, and the store writes the difference. So the result is always that of a
computation from scratch. Rules come in an order in which each follows those whose edges it looks
at, so that within one commit none has to be asked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, product
from string import Formatter

from lineal.enrich.rules.matching import Matching, Support, TooMany, Way
from lineal.enrich.rules.ordering import in_order
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
    uncollected,
)

#: How many ways of a rule are followed at once in a transaction, and how many for one thing, for
#: which it is done whole or not at all.
ROOM, MOST = 5_000, 200_000
#: From how many starts on ways are followed in columns.
WIDE = 100
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
        #: The rules as the store keeps them up, in their order.
        self.programs = tuple(
            Program(rule.name, rule.digest, rule.path.types[0], rule.version, rule.enabled)
            for rule in self.rules
        )

    @property
    def seeds(self) -> frozenset[str]:
        """No kind of edge: what rules conclude anew, they conclude by their `programs`."""
        return frozenset()

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
                starts = _fitting(rule, sorted(touched.starts), reader)
                yield from self._for(rule, starts, reader, room)

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
            yield from self._for(rule, _fitting(rule, keys, reader), reader, ROOM)
            return
        nothing = Change(frozenset(), frozenset())
        touching = Touching(rule, self._sights[name], reader, self._shapes, nothing)
        touched, onward = touching.page(keys[0], position, after, most)
        if touched.later:
            yield PutOff(rule.name, tuple(sorted(touched.later)))
        if touched.starts:
            starts = _fitting(rule, sorted(touched.starts), reader)
            yield from self._for(rule, starts, reader, ROOM)
        if onward is not None:
            yield PutOff(rule.name, ((position, keys[0]),), after=onward)

    def may_conclude(self, name: str, knows: Callable[[Collection[str]], Collection[int]]) -> bool:
        """Return False where a rule needs edges of a kind of which there never was one."""
        return self._named[name].may_conclude(knows)

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
        """Conclude for as many of these, all of which fit, as there is room for; put off others."""
        if not rule.may_conclude(reader.kinds):
            # Nothing ever followed, and nothing does now.
            return
        fit = starts
        while fit:
            try:
                with uncollected():
                    found = self._conclusion(rule, fit, reader, room if len(fit) > 1 else MOST)
                yield found
            except TooMany as error:
                if len(fit) == 1:
                    # What was concluded when there were fewer ways goes too.
                    yield _conclusion(rule, fit, (), {})
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
        alone, ways = self._ways(rule, starts, reader, room)
        edges: dict[tuple[int, int], list[Way]] = {}
        begin, end = rule.start, rule.end
        for way in ways:
            ends = way[0][begin], way[0][end]
            known = edges.get(ends)
            if known is None:
                edges[ends] = [way]
            else:
                known.append(way)
        derivations: list[Derivation] = []
        told: dict[tuple[int, int], Concluded] = {}
        for ends, some in self._allowed_of(rule, edges, reader).items():
            every = _distinct(some)
            if len(every) > 1 or rule.confidence < 1:
                told[ends] = _concluded(rule, every)
            for things, _, supports, since, until in _kept(every, reader):
                derivations.append(Derivation(*ends, supports, since, until, things))
        if not derivations:
            return _conclusion(rule, starts, alone, told)
        return _conclusion(rule, starts, [*alone, *derivations], told)

    def _ways(
        self, rule: Rule, starts: Collection[int], reader: Reader, room: int
    ) -> tuple[Collection[Derivation], list[Way]]:
        """
        Return all ways along a rule's path: of many starts in columns, as far as that can be.

        What is derived in one way alone is told as it is in columns; of the rest the ways are.
        """
        alone: Collection[Derivation] = ()
        ways, left = list[Way](), starts
        if len(starts) >= WIDE:
            # NumPy is imported where there is much to do.
            from lineal.enrich.rules import columns  # noqa: PLC0415

            if columns.is_plain(rule, reader):
                laid, left = columns.Columns(rule, reader, self._shapes, room).laid(starts)
                if rule.confidence == 1 and self._allows_all(rule):
                    alone, laid = laid.proper().parted()
                ways = laid.ways()
        if left:
            ways += Matching(rule, reader, self._shapes, room).ways(left)
        return alone, ways

    def _allowed_of(
        self, rule: Rule, edges: dict[tuple[int, int], list[Way]], reader: Reader
    ) -> dict[tuple[int, int], list[Way]]:
        """Leave out edges from a thing to itself, and between types that no shape allows."""
        if self._allows_all(rule):
            return {ends: ways for ends, ways in edges.items() if ends[0] != ends[1]}
        named = reader.types(chain.from_iterable(edges))
        return {
            (start, end): ways
            for (start, end), ways in edges.items()
            if start != end and self._allows(rule, named[start], named[end])
        }

    def _allows_all(self, rule: Rule) -> bool:
        """Do shapes allow the edge between whatever may stand at the two places?"""
        types = rule.path.types
        pairs = product(types[rule.start], types[rule.end])
        return all(self._allows(rule, start, end) for start, end in pairs)

    def _allows(self, rule: Rule, start: str, end: str) -> bool:
        name = (rule.gives, start, end)
        if name not in self._allowed:
            self._allowed[name] = self._shapes.allows(*name)
        return self._allowed[name]


def _fitting(rule: Rule, keys: Sequence[int], reader: Reader) -> list[int]:
    """Leave out what is of no type that a rule's path begins with."""
    uris, types = reader.uris(keys), rule.path.types[0]
    return [key for key in keys if uris[key].type in types]


#: More than any change touches.
_UNBOUND = 1 << 60


def _conclusion(
    rule: Rule,
    starts: Collection[int],
    derivations: Collection[Derivation],
    told: Mapping[tuple[int, int], Concluded],
) -> Conclusion:
    """Return all that a rule concludes for some starts."""
    return Conclusion(
        rule.name, rule.version, rule.gives, starts, derivations, told,
        _Why(rule), rule.layer, rule.by_start,
    )  # fmt: skip


def _distinct(ways: list[Way]) -> list[Way]:
    """Of ways that rest on the same, return the first."""
    if len(ways) == 1:
        return ways
    found: dict[tuple[Support, ...], Way] = {}
    for way in ways:
        found.setdefault(way[2], way)
    return list(found.values())


def _concluded(rule: Rule, ways: Sequence[Way]) -> Concluded:
    """Return an edge as its ways together give it: over all the time that any of them covers."""
    ends = [until for _, _, _, _, until in ways if until is not None]
    until = max(ends) if len(ends) == len(ways) else None
    about: dict[str, Json] = {}
    if rule.confidence < 1:
        about["confidence"] = rule.confidence
    if len(ways) > KEPT:
        about["derivations"] = len(ways)
    return Concluded(min(way[3] for way in ways), until, about)


def _kept(ways: list[Way], reader: Reader) -> list[Way]:
    """Return those ways of which the supports are kept: the first by name, however they came."""
    if len(ways) <= KEPT:
        return ways
    uris = reader.uris(key for way in ways for support in way[2] for key in support[::2])
    named = sorted(
        (tuple((uris[start], kind, uris[end]) for start, kind, end in way[2]), at)
        for at, way in enumerate(ways)
    )
    return [ways[at] for _, at in named[:KEPT]]


class _Why:
    """The reasons of a rule in words: its sentence, with the ids of things in their places."""

    def __init__(self, rule: Rule) -> None:
        self._sentence = _by_place(rule.why, rule.path.names)
        self._called: dict[int, str] = {}

    def __call__(self, each: Derivation, uris: Mapping[int, Uri]) -> str:
        called, things = self._called, each.things
        for key in things:
            if key not in called:
                # The id of a thing never changes, so that a rename changes no reason.
                called[key] = "/".join(uris[key].segments)
        return self._sentence.format(*[called[key] for key in things])


@lru_cache(maxsize=256)
def _by_place(sentence: str, names: tuple[str | None, ...]) -> str:
    """Return a sentence with places for names, which is filled in twice as fast."""
    parts = []
    for text, name, form, conversion in Formatter().parse(sentence):
        parts.append(text.replace("{", "{{").replace("}", "}}"))
        if name is not None:
            place = names.index(name)
            told = f"!{conversion}" if conversion else ""
            parts.append(f"{{{place}{told}:{form}}}")
    return "".join(parts)
