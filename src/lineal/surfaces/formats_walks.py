"""Answers of walks as plain JSON values, in the way of `lineal.surfaces.formats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lineal.model import Answer, Json, Uri
from lineal.surfaces.formats import Object, counted, envelope, thing, things

if TYPE_CHECKING:
    from lineal.query import Arrow, Common, Cycle, Impact, Lineage, Path


def lineage(
    answer: Answer[Lineage], places: Mapping[str, tuple[float, float]] | None = None
) -> Object:
    """Return a lineage; where *places* are given, each node has its x and y."""
    value = answer.value
    body: Object = {
        "starts": things(value.starts),
        "grain": value.grain,
        "nodes": [
            {
                **thing(node.thing),
                "depth": node.depth,
                "other_depth": node.other_depth,
                "possible": node.possible,
                "approximate": node.approximate,
                "live": node.live,
                **_place(node.thing.uri, places),
            }
            for node in value.nodes
        ],
        "arrows": [_arrow(one) for one in value.arrows],
        "upstream": counted(value.upstream),
        "downstream": counted(value.downstream),
        "cycles": [_cycle(one) for one in value.cycles],
    }
    return envelope(answer, body)


def _cycle(one: Cycle) -> Object:
    return {
        "things": things(one.things),
        "words": one.words,
        "size": one.size,
        "feedback": one.feedback,
    }


def _place(uri: Uri, places: Mapping[str, tuple[float, float]] | None) -> Object:
    if places is None or uri not in places:
        return {}
    x, y = places[uri]
    return {"x": x, "y": y}


def _arrow(one: Arrow) -> Object:
    return {
        "start": str(one.start),
        "kind": one.kind,
        "end": str(one.end),
        "layer": one.layer,
        "possible": one.possible,
        "feedback": one.feedback,
        "edge": _ends(one.edge),
    }


def _ends(named: tuple[Uri, str, Uri] | None) -> Json:
    if named is None:
        return None
    start, kind, end = named
    return {"start": str(start), "kind": kind, "end": str(end)}


def paths(answer: Answer[tuple[Path, ...]]) -> Object:
    """Return the shortest ways from one thing to another."""
    value: list[Json] = [
        {
            "words": path.words,
            "weakest": path.weakest,
            "weakest_link": None if path.weakest_link is None else _arrow(path.weakest_link),
            "arrows": [_arrow(arrow) for arrow in path.arrows],
        }
        for path in answer.value
    ]
    return envelope(answer, value)


def common(answer: Answer[Common]) -> Object:
    """Return what several things have in common on one side."""
    value = answer.value
    body: Object = {
        "starts": things(value.starts),
        "upstream": value.upstream,
        "things": [
            {
                **thing(one.thing),
                "depths": list(one.depths),
                "possible": one.possible,
                "live": one.live,
                "nearest": one.nearest,
            }
            for one in value.things
        ],
        "by_type": counted(value.by_type),
    }
    return envelope(answer, body)


def impact(answer: Answer[Impact]) -> Object:
    """Return what a change would touch, worst first, and who must be told."""
    value = answer.value
    hits: list[Json] = [
        {
            **thing(hit.thing),
            "depth": hit.depth,
            "layer": hit.layer,
            "live": hit.live,
            "possible": hit.possible,
            "owners": things(hit.owners),
            "path": hit.path,
        }
        for hit in value.hits
    ]
    owners: list[Json] = [
        {"owner": None if owner is None else thing(owner), "things": things(touched)}
        for owner, touched in value.by_owner
    ]
    body: Object = {
        "starts": things(value.starts),
        "live": value.live,
        "by_type": counted(value.by_type),
        "by_owner": owners,
        "hits": hits,
    }
    return envelope(answer, body)
