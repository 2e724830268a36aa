"""One thing under many names: who says so, what a merge or a split would do, and what may be one.

A preview changes nothing: it lets the same rules conclude as a commit would, over a reader to whom
the claim is supposed to be held.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from typing import TypeAlias

from lineal.enrich.identity import PERSON
from lineal.lineage import IDENTITY, NOT_SAME, SAME, Joints, Link, joining, pair
from lineal.model import Answer, Claim, Cut, Instant, Json, Layer, Uri
from lineal.query.things import Brief, Things, answer, plain
from lineal.store import Change, Conclusion, Reader, Rules

EdgeName: TypeAlias = "tuple[Uri, str, Uri]"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One claim that two names are one thing, or that they are not: who says so and when."""

    start: Brief
    kind: str
    end: Brief
    claim: Claim
    #: When it was recorded, by whom and why.
    at: Instant
    actor: str
    cause: str
    #: False where a veto stands between the two, and for the veto itself.
    joins: bool
    #: Of what a rule concluded: its reasons in words.
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A thing under all its names, the one that stands for it first."""

    thing: Brief
    names: tuple[Brief, ...]


@dataclass(frozen=True, slots=True)
class Names:
    """All names of a thing, and every claim that joins or parts them."""

    thing: Brief
    names: tuple[Brief, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A single value that names of one thing would have differently."""

    attribute: str
    #: The value that would count comes first.
    values: tuple[tuple[Uri, Json], ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is written about two names: ``same_as``, ``not_same_as``, or that nothing is said."""

    one: Uri
    other: Uri
    kind: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be so after a merge or a split."""

    before: tuple[Named, ...]
    after: tuple[Named, ...]
    decisions: tuple[Decision, ...]
    #: Names of parts that would be joined, or parted.
    parts: tuple[tuple[Uri, Uri], ...]
    disagreements: tuple[Disagreement, ...]
    #: Edges between what is joined or parted: inside one thing they are no steps of a walk.
    inner: tuple[EdgeName, ...]
    #: What rules would conclude, and would not conclude any more.
    appear: tuple[EdgeName, ...]
    vanish: tuple[EdgeName, ...]
    #: What speaks against it, and why it is not done.
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two things that may be one: only ever proposed."""

    one: Brief
    other: Brief
    #: From 0 to 1.
    score: float
    reasons: tuple[str, ...]


# ── Who says so ──────────────────────────────────────────────────────────────────────────────────


def evidence(things: Things, key: int) -> Answer[Names]:
    """Return all names of a thing with every claim held about them, whenever it was so."""
    reader = things.reader
    group = things.groups([key])[key]
    links = [one for one in reader.held(group, IDENTITY) if one.src in group or one.dst in group]
    claims = reader.claims_held([(one.src, one.kind, one.dst) for one in links])
    joined = {pair(one.src, one.dst) for one in joining(links)}
    ends = {end for one in links for end in (one.src, one.dst)} | group
    briefs = {end: plain(things, end) for end in ends}
    when = reader.transactions({claim.t_from for some in claims.values() for claim in some})
    found = [
        Evidence(
            briefs[edge[0]],
            edge[1],
            briefs[edge[2]],
            claim,
            *when.get(claim.t_from, (0, "", "")),
            joins=edge[1] == SAME and pair(edge[0], edge[2]) in joined,
            why=_reasons(reader, edge, claim),
        )
        for edge, some in claims.items()
        for claim in some
    ]
    found.sort(key=lambda one: (one.start.uri, one.end.uri, one.kind, one.claim.source,
                                one.claim.document))  # fmt: skip
    named = _named(things, group)
    return answer(reader, Names(named.thing, named.names, tuple(found)), total=len(named.names))


def _reasons(reader: Reader, edge: tuple[int, str, int], claim: Claim) -> tuple[str, ...]:
    if claim.layer is not Layer.INFERRED:
        return ()
    return tuple(sorted({one.why for one in reader.derivations(edge)}))


def _named(things: Things, group: Collection[int]) -> Named:
    first = things.stands_for(group)
    names = sorted((plain(things, key) for key in group), key=lambda one: one.uri)
    head = plain(things, first)
    return Named(head, (head, *(one for one in names if one.uri != head.uri)))


# ── Previews ─────────────────────────────────────────────────────────────────────────────────────


class Previewing:
    """What a merge or a split would do, by the rules with which the store concludes."""

    def __init__(self, things: Things, rules: Sequence[Rules]) -> None:
        self._things, self._rules = things, rules
        self._reader = things.reader

    def merge(self, one: int, other: int, *, across: bool) -> Answer[Preview]:
        """Return what would be so if two names were one thing."""
        between = _between(self._reader.held([one], IDENTITY), one, other)
        own = self._reader.documents_of(PERSON)
        vetoes = [link for link in between if link.kind == NOT_SAME and link.document in own]
        claimed = any(link.kind == SAME for link in between)
        stated = [] if claimed else [self._link(one, SAME, other)]
        after = self._reader.supposing(stated, vetoes)
        decision = self._decision(one, other, SAME if stated else None)
        warnings, refusals = self._against(one, other, across=across)
        if not refusals and other not in after.groups([one])[one]:
            refusals = ("A source says that they are not one; only it can take that back.",)
        value = self._value({one, other}, after, (decision,), warnings, refusals, merging=True)
        return answer(self._reader, value)

    def split(self, one: int, other: int | None) -> Answer[Preview]:
        """Return what would be so if a name were parted from the other, or from all others."""
        own = joining(self._reader.held([one], IDENTITY))
        direct = own if other is None else _between(own, one, other)
        ends = sorted({end for link in direct for end in (link.src, link.dst)} - {one})
        after = self._reader.supposing([self._link(one, NOT_SAME, end) for end in ends])
        refusals = self._not_parted(one, other, bool(ends), after)
        decisions = tuple(self._parting(one, end, direct) for end in ends)
        value = self._value({one}, after, decisions, (), refusals, merging=False)
        return answer(self._reader, value)

    def _link(self, one: int, kind: str, other: int) -> Link:
        uris = self._reader.uris([one, other])
        start, end = sorted((one, other), key=lambda key: uris[key])
        return Link(start, kind, end, Layer.DECLARED, 0, self._reader.basis.valid_at)

    def _decision(self, one: int, other: int, kind: str | None) -> Decision:
        first, second = sorted(self._reader.uris([one, other]).values())
        return Decision(first, second, kind)

    def _parting(self, one: int, other: int, direct: Sequence[Link]) -> Decision:
        """A person's own claim is taken back; what others claim is vetoed."""
        own = self._reader.documents_of(PERSON)
        claimed = _between(direct, one, other)
        vetoed = any(link.document not in own for link in claimed)
        return self._decision(one, other, NOT_SAME if vetoed else None)

    # ── What speaks against it ───────────────────────────────────────────────────────────────

    def _against(
        self, one: int, other: int, *, across: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        uris = self._reader.uris([one, other])
        groups = self._things.groups([one, other])
        if other in groups[one]:
            return (), ("They are one thing already.",)
        if uris[one].type != uris[other].type:
            told = f"One is a {uris[one].type}, the other a {uris[other].type}."
            return (), (f"{told} Only things of one type can be one thing.",)
        warnings = list(self._doubts(groups[one], groups[other]))
        worlds = [self._words(group, "environment") for group in (groups[one], groups[other])]
        if worlds[0] and worlds[1] and not worlds[0] & worlds[1]:
            text = f"They are of different environments: {_listed(*worlds)}."
            if not across:
                return tuple(warnings), (f"{text} Say that it is meant across environments.",)
            warnings.append(text)
        return tuple(warnings), ()

    def _doubts(self, one: frozenset[int], other: frozenset[int]) -> Iterator[str]:
        forms = [self._words(group, "form") for group in (one, other)]
        if any(("view" in form) for form in forms[0]) != any(("view" in form) for form in forms[1]):
            yield f"Their forms differ ({_listed(*forms)}): a view and its table are two things."
        if any(link.kind == "derived_from" for link in self._crossing([one, other])):
            yield "One is derived from the other: what is made from a thing is not that thing."
        vetoes = self._reader.held(one, (NOT_SAME,))
        for link in vetoes:
            if {link.src, link.dst} & other:
                uris = self._reader.uris([link.src, link.dst])
                yield f"A veto stands between {uris[link.src]} and {uris[link.dst]}."

    def _words(self, group: Iterable[int], attribute: str) -> set[str]:
        said = self._reader.attributes(group).values()
        return {str(one[attribute]).casefold() for one in said if one.get(attribute)}

    def _not_parted(
        self, one: int, other: int | None, direct: bool, after: Reader
    ) -> tuple[str, ...]:
        """Why does this not part them?"""
        if other is None:
            return () if direct else ("It has one name only: there is nothing to part.",)
        if other == one or other not in self._things.groups([one])[one]:
            return ("They are not one thing: there is nothing to part.",)
        if not direct:
            way = self._way(self._reader, one, other)
            return (f"Nothing joins the two directly; they are one by {way}. Part two of these.",)
        if other in after.groups([one])[one]:
            way = self._way(after, one, other)
            return (f"They would still be one by {way}. Part two of these, or one name alone.",)
        return ()

    def _way(self, reader: Reader, one: int, other: int) -> str:
        links = reader.joins([one])
        uris = reader.uris({end for link in links for end in (link.src, link.dst)})
        way = Joints(links, uris).way(one, other)
        return ", ".join(f"{uris[start]} {kind} {uris[end]}" for start, kind, end in way)

    # ── What would be so ─────────────────────────────────────────────────────────────────────

    def _value(
        self,
        keys: set[int],
        after: Reader,
        decisions: tuple[Decision, ...],
        warnings: tuple[str, ...],
        refusals: tuple[str, ...],
        *,
        merging: bool,
    ) -> Preview:
        before = sorted(set(self._things.groups(keys).values()), key=min)
        every = {key for group in before for key in group}
        changed = sorted(set(after.groups(every).values()), key=min)
        edges = {(one.one, kind, one.other) for one in decisions for kind in IDENTITY}
        appear, vanish = _concluded(self._rules, self._things, after, edges)
        moved = appear if merging else vanish
        parts = tuple(sorted((start, end) for start, kind, end in moved if kind == SAME))
        apart = before if merging else changed
        return Preview(
            tuple(_named(self._things, group) for group in before),
            tuple(_named(self._things, group) for group in changed),
            decisions,
            parts,
            tuple(self._disagreements(before)) if merging else (),
            self._names(self._crossing(apart)),
            tuple(sorted(edge for edge in appear if edge[1] != SAME)),
            tuple(sorted(edge for edge in vanish if edge[1] != SAME)),
            warnings,
            refusals,
        )

    def _crossing(self, groups: Sequence[frozenset[int]]) -> list[Link]:
        """Which edges go from one of these groups to another?"""
        of = {key: place for place, group in enumerate(groups) for key in group}
        kinds = frozenset(self._things.shapes.kinds) - set(IDENTITY)
        links = self._reader.outward(of, kinds)
        return [link for link in links if link.dst in of and of[link.src] != of[link.dst]]

    def _names(self, links: Sequence[Link]) -> tuple[EdgeName, ...]:
        uris = self._reader.uris({end for link in links for end in (link.src, link.dst)})
        return tuple(sorted({(uris[one.src], one.kind, uris[one.dst]) for one in links}))

    def _disagreements(self, groups: Sequence[frozenset[int]]) -> Iterator[Disagreement]:
        """Yield what the groups say differently; the word of the name that stands for all first."""
        every = [key for group in groups for key in group]
        first, uris = self._things.stands_for(every), self._reader.uris(every)
        ordered = sorted(groups, key=lambda group: first not in group)
        said = [(self._things.stands_for(group), self._things.together(group)) for group in ordered]
        for name in sorted({name for _, words in said for name in words}):
            values = [(uris[key], words[name]) for key, words in said if name in words]
            single = not any(isinstance(value, list) for _, value in values)
            if single and any(value != values[0][1] for _, value in values):
                yield Disagreement(name, tuple(values))


def _between(links: Iterable[Link], one: int, other: int) -> list[Link]:
    return [link for link in links if pair(link.src, link.dst) == pair(one, other)]


def _listed(one: set[str], other: set[str]) -> str:
    return f"{', '.join(sorted(one)) or 'unsaid'} and {', '.join(sorted(other)) or 'unsaid'}"


def _concluded(
    rules: Sequence[Rules], things: Things, reader: Reader, edges: set[EdgeName]
) -> tuple[set[EdgeName], set[EdgeName]]:
    """Which edges would the rules conclude anew, and which no more, after these edges changed?"""
    appear, vanish = set[EdgeName](), set[EdgeName]()
    for some in rules:
        change = Change(frozenset(), frozenset(edges | appear | vanish))
        for conclusion in some.conclude(change, reader):
            if not isinstance(conclusion, Conclusion):
                # Of too much for one question: what it would give is not told.
                continue
            starts = set(conclusion.starts)
            own = reader.documents_of(f"rule:{conclusion.rule}")
            links = [one for one in reader.held(starts, things.shapes.kinds)
                     if one.document in own and one.src in starts]  # fmt: skip
            wanted = conclusion.edges()
            ends = {end for one in links for end in (one.src, one.dst)}
            uris = reader.uris(ends.union(chain.from_iterable(wanted)))
            standing = {(uris[one.src], one.kind, uris[one.dst]): one for one in links}
            given = {(uris[src], conclusion.kind, uris[dst]): (src, dst) for src, dst in wanted}
            fresh = [
                Link(at[0], edge[1], at[1], Layer.INFERRED, 0, wanted[at].valid_from)
                for edge, at in given.items()
                if edge not in standing
            ]
            reader = reader.supposing(
                fresh, [link for edge, link in standing.items() if edge not in given]
            )
            appear |= given.keys() - standing.keys()
            vanish |= standing.keys() - given.keys()
    return appear, vanish


# ── What may be one ──────────────────────────────────────────────────────────────────────────────

#: The kinds by which a thing has a schema: what its columns or features are called.
SCHEMA = ("column_of", "in_set")
#: How many things are compared at most, and how many of one name.
LOOKED_AT, ALIKE = 20_000, 50


def suggestions(things: Things, key: int | None, *, limit: int) -> Answer[tuple[Suggestion, ...]]:
    """
    Return which things may be one, likeliest first; nothing is ever merged by that.

    Of one type, of different platforms and of no different environments, with the same last part
    of their names and the same columns.
    """
    reader = things.reader
    every, cut = _candidates(things, key)
    uris = reader.uris(every)
    called: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in every:
        called[(uris[one].type, name_parts(uris[one])[-1])].append(one)
    rows = [some for some in called.values() if len(some) > 1 and (key is None or key in some)]
    why = [Cut("candidates", "newest", done=LOOKED_AT)] if cut else []
    crowded = [some for some in rows if len(some) > ALIKE]
    if crowded:
        why.append(Cut("names", "crowded", most=ALIKE, total=len(crowded)))
    rows = [some for some in rows if len(some) <= ALIKE]
    found = list(_compared(things, [one for some in rows for one in some], rows))
    if key is not None:
        found = [one for one in found if uris[key] in (one.one.uri, one.other.uri)]
    found.sort(key=lambda one: (-one.score, one.one.uri, one.other.uri))
    if len(found) > limit:
        why.append(Cut("list", done=limit, total=len(found)))
    return answer(reader, tuple(found[:limit]), why=why, total=None if why else len(found))


def _candidates(things: Things, key: int | None) -> tuple[list[int], bool]:
    shapes, uris = things.shapes, things.reader.uris
    types = {end for kind in SCHEMA for part in shapes.types for end in shapes.ends(kind, part)}
    if key is not None:
        types &= {uris([key])[key].type}
    newest = things.reader.newest(types, LOOKED_AT + 1)
    found = newest[:LOOKED_AT]
    return (found if key is None or key in found else [*found, key]), len(newest) > LOOKED_AT


def _compared(
    things: Things, keys: list[int], rows: Sequence[Sequence[int]]
) -> Iterator[Suggestion]:
    reader, members = things.reader, set(keys)
    uris, groups, said = reader.uris(keys), things.groups(keys), reader.attributes(keys)
    columns: dict[int, set[str]] = defaultdict(set)
    links = [one for one in reader.inward(keys, SCHEMA) if one.dst in members]
    names = reader.uris({one.src for one in links})
    for link in links:
        columns[link.dst].add(names[link.src].name.casefold())
    parted = {pair(one.src, one.dst) for one in reader.held(keys, (NOT_SAME,))}
    for some in rows:
        for pairs in combinations(sorted(some, key=lambda key: uris[key]), 2):
            one, other = pairs
            worlds = {said[key]["environment"] for key in pairs if said[key].get("environment")}
            alike = columns[one] and columns[one] == columns[other]
            apart = other not in groups[one] and pair(one, other) not in parted
            if alike and apart and len(worlds) < 2 and uris[one].platform != uris[other].platform:
                score, reasons = likeness(uris[one], uris[other], len(columns[one]))
                yield Suggestion(plain(things, one), plain(things, other), score, reasons)


def likeness(one: Uri, other: Uri, columns: int) -> tuple[float, tuple[str, ...]]:
    """
    Return how likely two things with the same columns are one, from 0 to 1, and why.

    Half for the same last name and columns; the more columns agree, and the more of the names
    before the last, the likelier.

    >>> a, b = Uri("mlg://dataset/wh/prod.shop.orders"), Uri("mlg://dataset/s3/lake/shop/orders")
    >>> likeness(a, b, 5)
    (0.75, ('the last 2 parts of their names are the same', 'the same 5 columns'))
    """
    parts = [list(reversed(name_parts(uri))) for uri in (one, other)]
    same = 0
    for mine, yours in zip(*parts, strict=False):
        if mine != yours:
            break
        same += 1
    longest = max(min(len(some) for some in parts) - 1, 1)
    score = 0.5 + 0.25 * min((same - 1) / longest, 1) + 0.25 * min(columns / 10, 1)
    plural = "s" if columns != 1 else ""
    names = f"the last {same} parts of their names are" if same > 1 else "the last name is"
    return round(score, 3), (f"{names} the same", f"the same {columns} column{plural}")


def name_parts(uri: Uri) -> tuple[str, ...]:
    """
    Return the parts of a name as names are compared.

    >>> name_parts(Uri("mlg://dataset/wh/Prod.Shop/Orders"))
    ('prod', 'shop', 'orders')
    """
    parts = [part for name in uri.segments for part in re.split(r"[./]", name.casefold()) if part]
    return tuple(parts) or (uri.name.casefold(),)
