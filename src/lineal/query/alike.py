"""Models that are alike: by the features that they consume, apart from what feeds what."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from lineal.model import Answer
from lineal.query.things import Brief, Things, answer
from lineal.query.thirteen import Thirteen

#: Of how many models, those that share most, the score is computed.
COMPARED = 200
#: How many features a reason names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Alike:
    """A model that is like another one."""

    model: Brief
    #: The weighted Jaccard index of their features, from 0 to 1; see `similar`.
    score: float
    #: What they share, the rarest first, and how many features there are of each alone.
    features: tuple[Brief, ...]
    only_this: int
    only_other: int
    reason: str


def similar(things: Things, asked: Thirteen, key: int, *, limit: int) -> Answer[tuple[Alike, ...]]:
    """
    Return the models that consume like features, the most alike first.

    The score is the weighted Jaccard index: what both consume, over what either does (P. Jaccard,
    "Etude comparative de la distribution florale", 1901), each feature weighed by how rare it is:
    ln(1 + N / n) for one that n of N models consume (after K. Sparck Jones, "A statistical
    interpretation of term specificity", 1972). So a feature that all consume makes few alike.
    """
    own = asked.features(key)
    consuming = asked.consuming(own)
    itself = set(things.one([key]).values()) | set(asked.models_of([key]))
    shared: dict[int, list[int]] = defaultdict(list)
    for feature, models in consuming.items():
        for model in models:
            if model not in itself:
                shared[model].append(feature)
    every = max(1, len(things.reader.of_types(("model",))))
    uris = things.reader.uris({*shared, *own})
    weights = {feature: _weight(every, len(models)) for feature, models in consuming.items()}

    def weight(features: list[int]) -> float:
        missing = [one for one in features if one not in weights]
        for one, models in asked.consuming(missing).items():
            weights[one] = _weight(every, len(models))
        return math.fsum(weights[one] for one in features)

    ordered = sorted(shared, key=lambda one: (-weight(shared[one]), uris[one]))
    why = []
    if len(ordered) > COMPARED:
        why.append(f"list: {COMPARED} of {len(ordered)} models that share features were compared")
    found = []
    for at, model in enumerate(ordered[:COMPARED]):
        if things.must_end():
            why.append(f"time: {at} of {len(ordered)} models that share features were compared")
            break
        theirs = asked.features(model)
        both = sorted(
            set(own) & set(theirs) | set(shared[model]), key=lambda one: (-weights[one], uris[one])
        )
        union = sorted({*own, *theirs, *both})
        score = weight(both) / weight(union)
        briefs = things.briefs([model, *both])
        found.append(
            Alike(
                briefs[model],
                round(score, 4),
                tuple(briefs[one] for one in both),
                len(set(own) - set(both)),
                len(set(theirs) - set(both)),
                _reason(briefs, both, len(union), consuming, every),
            )
        )
    found.sort(key=lambda one: (-one.score, one.model.uri))
    total = len(found) if not why and not asked.why else None
    if len(found) > limit:
        why.append(f"list: {limit} of {len(found)} are listed")
    return answer(things.reader, tuple(found[:limit]), why=[*asked.why, *why], total=total)


def _weight(every: int, consuming: int) -> float:
    return math.log1p(every / max(1, consuming))


def _reason(
    briefs: dict[int, Brief],
    both: list[int],
    union: int,
    consuming: dict[int, list[int]],
    every: int,
) -> str:
    """Say in words what makes two models alike."""
    named = [
        f"{briefs[one].name} ({len(consuming[one])} of {every} models)" for one in both[:NAMED]
    ]
    more = f" and {len(both) - NAMED} more" if len(both) > NAMED else ""
    return f"Both consume {len(both)} of the {union} features of either: {', '.join(named)}{more}."
