"""Things that are alike: models by the features that they consume, features by who consumes them.

Apart from what feeds what: alike things need not lie on any way between each other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from lineal.errors import InvalidQuery
from lineal.model import Answer, Cut
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import Thirteen

#: Of what it can be asked what is alike, and of what which features it may want.
COMPARABLE = ("model", "model-version", "feature")
WANTING = ("model", "model-version", "pipeline")
#: Of how many things, those that share most, the score is computed.
COMPARED = 200
#: How many of the shared a reason names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Alike:
    """A model or feature that is like another one."""

    thing: Brief
    #: The weighted Jaccard index of what each has, from 0 to 1; see `similar`.
    score: float
    #: What both have (features of models, models of features), the rarest first, and how many
    #: each has alone.
    shared: tuple[Brief, ...]
    only_this: int
    only_other: int
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A feature that a model, or those a pipeline trains, do not consume and models alike do."""

    thing: Brief
    #: How much of the likeness of all that are alike is of those that consume it, from 0 to 1.
    score: float
    #: These, the most alike first.
    by: tuple[Brief, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class _Other:
    """One of the things that were compared."""

    key: int
    score: float
    #: What both have, the rarest first, and what the other has.
    both: tuple[int, ...]
    theirs: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Compared:
    """What a thing has, and everything that has some of it, the most alike first."""

    own: frozenset[int]
    others: tuple[_Other, ...]
    #: How many things have each of the traits, and how many things there are in all.
    having: dict[int, int]
    every: int
    why: tuple[Cut, ...]


@dataclass(frozen=True, slots=True)
class _Sort:
    """By what things of a sort are compared."""

    type: str
    #: What a thing has, and which things of the sort have each of some such.
    had_by: Callable[[int], list[int]]
    having: Callable[[Collection[int]], dict[int, list[int]]]
    #: With the number of what both have, of what either has, and the names: a sentence.
    reason: str


def _sort(asked: Thirteen, kind: str) -> _Sort:
    """Return how things of a type are compared; raises `InvalidQuery` where they are not."""
    if kind in ("model", "model-version"):
        reason = "Both consume {both} of the {union} features of either: {names}."
        return _Sort("model", asked.features, asked.consuming, reason)
    if kind != "feature":
        raise InvalidQuery(
            f"A {kind} consumes no features.", fix="Ask of a model, a version or a feature."
        )

    def consumers(feature: int) -> list[int]:
        return asked.consuming([feature])[feature]

    def consumed(models: Collection[int]) -> dict[int, list[int]]:
        return {model: asked.features(model) for model in models}

    reason = "{both} of the {union} models that consume either consume both: {names}."
    return _Sort("feature", consumers, consumed, reason)


def similar(things: Things, asked: Thirteen, key: int, *, limit: int) -> Answer[tuple[Alike, ...]]:
    """
    Return the models that consume like features, or the features that like models consume.

    The most alike come first. The score is the weighted Jaccard index: what both have, over what
    either does (P. Jaccard, "Etude comparative de la distribution florale", 1901), each weighed by
    how rare it is: ln(1 + N / n) for a feature that n of N models consume, or a model that consumes
    n of N features (after K. Sparck Jones, "A statistical interpretation of term specificity",
    1972). So a feature that all consume makes few models alike.
    """
    sort = _sort(asked, things.reader.uris([key])[key].type)
    compared = _compared(things, asked, sort, [key])
    shown = compared.others[:limit]
    briefs = things.briefs({one for other in shown for one in (other.key, *other.both)})
    found = tuple(_alike(other, compared, sort, briefs) for other in shown)
    why = [*asked.why, *compared.why]
    total = None if why else len(compared.others)
    if len(compared.others) > limit:
        why.append(Cut("list", done=limit, total=len(compared.others)))
    return answer(things.reader, found, why=why, total=total)


def wanted(
    things: Things, asked: Thirteen, key: int, *, limit: int, without: Collection[int] = ()
) -> Answer[tuple[Wanted, ...]]:
    """
    Return the features that a model does not consume and that models like it do, most wanted first.

    Of a pipeline it is asked for the models that it trains, as if they were one. The score of a
    feature is the likeness of the models that consume it, over that of all that are alike
    (`similar`): a vote of neighbours, each weighed by how near it is. A suggestion is no edge: it
    is in no lineage and no impact. *without* are features to hold for not consumed.
    """
    kind = things.reader.uris([key])[key].type
    if kind not in WANTING:
        raise InvalidQuery(
            f"Features are suggested for models, and this is a {kind}.",
            fix="Ask of a model, one of its versions, or a pipeline that trains models.",
        )
    asking = asked.trained_by(key) if kind == "pipeline" else [key]
    compared = _compared(things, asked, _sort(asked, "model"), asking, frozenset(without))
    every = math.fsum(other.score for other in compared.others)
    votes: dict[int, list[_Other]] = defaultdict(list)
    for other in compared.others:
        for feature in other.theirs - compared.own:
            votes[feature].append(other)
    uris = things.reader.uris(votes)
    score = {
        feature: math.fsum(other.score for other in some) / every for feature, some in votes.items()
    }
    ordered = sorted(votes, key=lambda one: (-score[one], uris[one]))
    shown = ordered[:limit]
    briefs = things.briefs({*shown, *(o.key for one in shown for o in votes[one][:NAMED])})
    found = tuple(
        Wanted(
            briefs[one],
            round(score[one], 4),
            tuple(briefs[other.key] for other in votes[one][:NAMED]),
            _vote(votes[one], compared, briefs),
        )
        for one in shown
    )
    why = [*asked.why, *compared.why]
    total = None if why else len(ordered)
    if len(ordered) > limit:
        why.append(Cut("list", done=limit, total=len(ordered)))
    return answer(things.reader, found, why=why, total=total)


def _vote(some: list[_Other], compared: _Compared, briefs: Mapping[int, Brief]) -> str:
    names = ", ".join(briefs[other.key].name for other in some[:NAMED])
    more = f" and {len(some) - NAMED} more" if len(some) > NAMED else ""
    alike = len(compared.others)
    return f"{len(some)} of the {alike} models that are alike consume it: {names}{more}."


def _alike(other: _Other, compared: _Compared, sort: _Sort, briefs: Mapping[int, Brief]) -> Alike:
    both, own = set(other.both), compared.own
    names = [
        f"{briefs[one].name} ({compared.having[one]} of {compared.every} {sort.type}s)"
        for one in other.both[:NAMED]
    ]
    more = f" and {len(both) - NAMED} more" if len(both) > NAMED else ""
    return Alike(
        briefs[other.key],
        round(other.score, 4),
        tuple(briefs[one] for one in other.both),
        len(own - both),
        len(other.theirs - both),
        sort.reason.format(
            both=len(both),
            union=len({*own, *other.theirs, *both}),
            names=", ".join(names) + more,
        ),
    )


def _compared(
    things: Things,
    asked: Thirteen,
    sort: _Sort,
    keys: list[int],
    without: frozenset[int] = frozenset(),
) -> _Compared:
    """Compare things, taken as one, with all that has something that they have."""
    every_own = things.unique([one for key in keys for one in sort.had_by(key)])
    own = [one for one in every_own if one not in without]
    having = sort.having(own)
    itself = set(things.one(keys).values())
    if sort.type == "model":
        itself |= set(asked.models_of(keys))
    shared: dict[int, list[int]] = defaultdict(list)
    for trait, some in having.items():
        for one in some:
            if one not in itself:
                shared[one].append(trait)
    every = max(1, len(things.reader.of_types((sort.type,))))
    uris = things.reader.uris({*shared, *own})
    weights = {trait: _weight(every, len(some)) for trait, some in having.items()}

    def weight(traits: Collection[int]) -> float:
        missing = [one for one in traits if one not in weights]
        for one, some in sort.having(missing).items():
            weights[one] = _weight(every, len(some))
        return math.fsum(weights[one] for one in traits)

    ordered = sorted(shared, key=lambda one: (-weight(shared[one]), uris[one]))
    why: list[Cut] = []
    if len(ordered) > COMPARED:
        why.append(Cut("list", "compared", done=COMPARED, total=len(ordered)))
    found = []
    for at, other in enumerate(ordered[:COMPARED]):
        if things.must_end():
            why.append(Cut("time", "compared", done=at, total=len(ordered)))
            break
        theirs = frozenset(sort.had_by(other))
        both = sorted(
            set(own) & theirs | set(shared[other]), key=lambda one: (-weights[one], uris[one])
        )
        score = weight(both) / weight(sorted({*own, *theirs, *both}))
        found.append(_Other(other, score, tuple(both), theirs))
    found.sort(key=lambda one: (-round(one.score, 4), uris[one.key]))
    counts = {trait: len(some) for trait, some in having.items()}
    return _Compared(frozenset(own), tuple(found), counts, every, tuple(why))


def _weight(every: int, having: int) -> float:
    return math.log1p(every / max(1, having))
