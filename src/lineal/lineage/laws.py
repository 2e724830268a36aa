"""The kinds and types of the laws of a walk: for the walk, its plan and its compiled form."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from lineal.lineage.graph import Link
from lineal.shapes import Shapes

#: Kinds that join an occurrence or a version to its whole: lifted in a logical walk.
LIFTED = {"run": "run_of", "model-version": "version_of", "dataset-version": "version_of"}
#: Edges of a whole that give way where the same document stated them for its parts (law 3).
COARSE = frozenset({"produced_by", "derived_from"})
#: Wholes in whose place an exact walk goes to the part that was current at the edge's time.
CURRENT = ("dataset", "model", "pipeline")
#: The layers of what somebody said or a rule concluded; what is only suggested is in none of them.
BELIEVED = frozenset({"declared", "observed", "inferred"})


def believed(links: Iterable[Link]) -> list[Link]:
    """
    Leave out what is only suggested: it is at most a step of a walk that asks for it.

    It makes nothing a part and no version active, and no other statement gives way to it.
    """
    return [link for link in links if link.layer in BELIEVED]


@cache
def fine_types(shapes: Shapes) -> frozenset[str]:
    """Return the types of which finer edges may be stated (law 3): columns, features, not runs."""
    return frozenset(
        name for name in shapes.types
        if shapes.whole_kinds(name) and shapes.types[name].grain == "logical"
    )  # fmt: skip
