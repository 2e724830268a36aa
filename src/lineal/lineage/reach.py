"""What can lead to what, by the declared kinds alone: the plan of a walk before it is gone.

A walk that is asked for things of some types need not go on from a thing of a type from which no
such thing can be reached, and a question that no statement could answer is answered at once. The
types stand for their things, so everything here says at most too much: what it calls impossible
is impossible for statements as the shapes declare them, at either grain, whatever is a part of
what. (The idea of planning by the schema is that of Netflix's Graph Abstraction.)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache

from lineal.lineage.laws import LIFTED
from lineal.lineage.walked import Way
from lineal.shapes import Shapes
from lineal.shapes.declarations import EdgeKind


def leading(shapes: Shapes, way: Way, towards: Collection[str]) -> Callable[[str], bool]:
    """
    Return a function that tells whether a step from a type may lead to one of these types.

    A type that is not declared may lead anywhere: nothing is known of it.
    """
    plan = _plan(shapes, way.upstream, way.logical, way.classes, way.kinds)
    wanted = frozenset(towards)
    if wanted - shapes.types.keys():
        return lambda name: True
    found = frozenset(name for name, ends in plan.items() if ends & wanted)
    return lambda name: name in found or name not in plan


def reachable(shapes: Shapes, way: Way, starts: Iterable[str]) -> frozenset[str] | None:
    """
    Return the types of all that a walk from things of these types may come to by a step.

    None where a start is of a type that is not declared.
    """
    plan = _plan(shapes, way.upstream, way.logical, way.classes, way.kinds)
    every = set(starts)
    if every - plan.keys():
        return None
    return frozenset(end for name in every for end in plan[name])


@lru_cache(maxsize=128)
def _plan(
    shapes: Shapes,
    upstream: bool,
    logical: bool,
    classes: frozenset[str],
    kinds: frozenset[str] | None,
) -> Mapping[str, frozenset[str]]:
    """Return for each type all types that a walk from it may come to by at least one step."""
    chosen = shapes.kinds_in(classes)
    followed = [shapes.kinds[name] for name in (chosen if kinds is None else chosen & kinds)]
    wholes = _closed({name: _wholes(shapes, name) for name in shapes.types})
    parts: dict[str, set[str]] = {name: set() for name in shapes.types}
    for name, above in wholes.items():
        for whole in above:
            parts[whole].add(name)
    step: dict[str, frozenset[str]] = {}
    for name in shapes.types:
        ends = {
            end
            for owner in (name, *parts[name])
            for kind in followed
            for end in _ends(shapes, kind, owner, upstream=upstream)
        }
        stood = {at for end in ends for at in _stands(shapes, end, logical=logical)}
        step[name] = frozenset(stood | {whole for at in stood for whole in wholes[at]})
    # A start shows its wholes, and they are gone on from.
    begun = {
        name: frozenset(end for at in (name, *wholes[name]) for end in step[at]) for name in step
    }
    return _closed(begun)


def _wholes(shapes: Shapes, name: str) -> frozenset[str]:
    return frozenset(whole for kind in shapes.level_kinds for whole in shapes.ends(kind, name))


def _ends(shapes: Shapes, kind: EdgeKind, owner: str, *, upstream: bool) -> Iterable[str]:
    """Return the types that a step over an edge of this kind at a thing of this type leads to."""
    flow = shapes.flows(kind.name)
    if flow == 0:
        return ()
    if flow == (-1 if upstream else 1):
        return shapes.ends(kind.name, owner)
    return [name for name in shapes.types if kind.allows(name, owner)]


def _stands(shapes: Shapes, name: str, *, logical: bool) -> Iterable[str]:
    """Return as what the end of an edge may stand: a run for its pipeline, a table's version."""
    if logical:
        lifted = LIFTED.get(name)
        return (name,) if lifted is None else (name, *shapes.ends(lifted, name))
    versions = [one for one in shapes.types if shapes.allows("version_of", one, name)]
    return (name, *versions)


def _closed(step: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return for each type all that is reached from it by one or more of these steps."""
    found = dict(step)
    changed = True
    while changed:
        changed = False
        for name, ends in found.items():
            more = ends | {far for end in ends for far in found[end]}
            if more != ends:
                found[name] = more
                changed = True
    return found
