"""Things that are alike: models by the features that they consume, features by who consumes them.

Apart from what feeds what: alike things need not lie on any way between each other.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass

from lineal.errors import InvalidQuery
from lineal.model import Answer, Cut
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import Thirteen

#: Of what it can be asked what is alike.
COMPARABLE = ("model", "model-version", "feature")
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
    own = sort.had_by(key)
    having = sort.having(own)
    itself = set(things.one([key]).values())
    if sort.type == "model":
        itself |= set(asked.models_of([key]))
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
        theirs = sort.had_by(other)
        both = sorted(
            set(own) & set(theirs) | set(shared[other]), key=lambda one: (-weights[one], uris[one])
        )
        union = sorted({*own, *theirs, *both})
        score = weight(both) / weight(union)
        briefs = things.briefs([other, *both])
        names = [
            f"{briefs[one].name} ({len(having[one])} of {every} {sort.type}s)"
            for one in both[:NAMED]
        ]
        more = f" and {len(both) - NAMED} more" if len(both) > NAMED else ""
        found.append(
            Alike(
                briefs[other],
                round(score, 4),
                tuple(briefs[one] for one in both),
                len(set(own) - set(both)),
                len(set(theirs) - set(both)),
                sort.reason.format(both=len(both), union=len(union), names=", ".join(names) + more),
            )
        )
    found.sort(key=lambda one: (-one.score, one.thing.uri))
    total = len(found) if not why and not asked.why else None
    if len(found) > limit:
        why.append(Cut("list", done=limit, total=len(found)))
    return answer(things.reader, tuple(found[:limit]), why=[*asked.why, *why], total=total)


def _weight(every: int, having: int) -> float:
    return math.log1p(every / max(1, having))
