"""A lineage as the nodes and links of a drawing: one way to draw it for every surface. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lineal.model import State, Uri
from lineal.surfaces.drawing import Link, Node

if TYPE_CHECKING:
    from lineal.query import Arrow, Lineage
    from lineal.query import Node as Stop
    from lineal.shapes import Shapes


@dataclass(frozen=True, slots=True)
class Shown:
    """The part of a lineage that is drawn."""

    nodes: tuple[Node, ...]
    links: tuple[Link, ...]
    #: What the drawing is about: its place stays where it is.
    focus: str | None


def shown(
    lineage: Lineage,
    shapes: Shapes,
    *,
    only: Collection[Uri] | None = None,
    href: Callable[[Uri], str] | None = None,
) -> Shown:
    """
    Return the drawing of a lineage, or of those things of it that are in *only*.

    The other end of a feedback loop that lies outside is drawn faded; what else is not drawn is
    counted on its neighbours.
    """
    kept = {
        stop.thing.uri: stop for stop in lineage.nodes if only is None or stop.thing.uri in only
    }
    known = {stop.thing.uri for stop in lineage.nodes}
    starts = {brief.uri for brief in lineage.starts}
    arrows = [arrow for arrow in lineage.arrows if arrow.start in kept or arrow.end in kept]
    ups, downs = _hidden(arrows, known - kept.keys())
    nodes = [
        _node(stop, uri in starts, (len(ups[uri]), len(downs[uri])), href)
        for uri, stop in kept.items()
    ]
    nodes += _beyond(arrows, known, href)
    links = [_link(arrow, shapes) for arrow in arrows]
    focus = min(starts & kept.keys(), default=None)
    return Shown(tuple(nodes), tuple(links), focus)


def label(arrow: Arrow, shapes: Shapes) -> str:
    """Return the relation as it reads along an arrow, in which data goes from start to end."""
    kind = shapes.kinds[arrow.kind]
    name = kind.inverse if shapes.flows(arrow.kind) < 0 else kind.name
    return name.replace("_", " ")


def _node(
    stop: Stop, focus: bool, more: tuple[int, int], href: Callable[[Uri], str] | None
) -> Node:
    thing = stop.thing
    notes = [thing.status, _STATES.get(thing.state), "approximate" if stop.approximate else None]
    return Node(
        thing.uri,
        thing.name,
        thing.type,
        ", ".join(filter(None, notes)),
        href(thing.uri) if href else None,
        focus=focus,
        live=stop.live,
        faded=thing.state in _FADED,
        upstream_more=more[0],
        downstream_more=more[1],
    )


#: States of which nothing is there to be seen.
_FADED = (State.DELETED, State.MISSING, State.FORGOTTEN, State.NOT_OBSERVED)
_STATES = {
    State.REFERENCED: "not described",
    State.STALE: "stale",
    State.MISSING: "missing",
    State.DELETED: "deleted",
    State.FORGOTTEN: "forgotten",
    State.NOT_OBSERVED: "not observed",
}


def _hidden(
    arrows: Iterable[Arrow], hidden: Collection[Uri]
) -> tuple[dict[Uri, set[Uri]], dict[Uri, set[Uri]]]:
    """Return for each thing its neighbours upstream and downstream that are not drawn."""
    ups: dict[Uri, set[Uri]] = defaultdict(set)
    downs: dict[Uri, set[Uri]] = defaultdict(set)
    for arrow in arrows:
        if arrow.feedback:
            continue
        if arrow.start in hidden:
            ups[arrow.end].add(arrow.start)
        if arrow.end in hidden:
            downs[arrow.start].add(arrow.end)
    return ups, downs


def _beyond(
    arrows: Iterable[Arrow], known: Collection[Uri], href: Callable[[Uri], str] | None
) -> list[Node]:
    """Return the ends of feedback loops that no walk entered."""
    ends = {end for arrow in arrows if arrow.feedback for end in (arrow.start, arrow.end)}
    return [
        Node(uri, uri.name, uri.type, href=href(uri) if href else None, faded=True)
        for uri in sorted(ends - set(known))
    ]


def _link(arrow: Arrow, shapes: Shapes) -> Link:
    return Link(
        arrow.start,
        arrow.end,
        label(arrow, shapes),
        arrow.layer,
        feedback=arrow.feedback,
        possible=arrow.possible,
    )
