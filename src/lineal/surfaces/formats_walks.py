"""Answers of walks as plain JSON values, in the way of `lineal.surfaces.formats`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from lineal.model import Answer, Json, Uri
from lineal.surfaces.differing import basis, because
from lineal.surfaces.formats import (
    Object,
    counted,
    envelope,
    said_in_all,
    thing,
    things,
    when,
)

if TYPE_CHECKING:
    from lineal.query import (
        Alike,
        Arrow,
        Asset,
        Change,
        Closure,
        Common,
        Cycle,
        Hit,
        Impact,
        Lineage,
        Path,
        SchemaChange,
        SchemaChanges,
        Touched,
        Unused,
        Wanted,
    )


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


def closure(answer: Answer[Closure]) -> Object:
    """Return all that a walk comes to: counts, and a page of things."""
    value = answer.value
    body: Object = {
        "starts": things(value.starts),
        "upstream": value.upstream,
        "grain": value.grain,
        "things": [
            {
                **said_in_all(one.entity),
                "depth": one.depth,
                "possible": one.possible,
                "approximate": one.approximate,
                "live": one.live,
            }
            for one in value.members
        ],
        "by_type": counted(value.by_type),
        "by_stage": counted(value.by_stage),
        "by_depth": {str(depth): count for depth, count in value.by_depth.items()},
        "by_owner": [
            {"owner": None if owner is None else thing(owner), "count": count}
            for owner, count in value.by_owner
        ],
        "owners": value.owners,
        "by_domain": [
            {"domain": None if domain is None else thing(domain), "count": count}
            for domain, count in value.by_domain
        ],
        "domains": value.domains,
        "live": value.live,
    }
    return envelope(answer, body)


def impact(answer: Answer[Impact]) -> Object:
    """Return what a change would touch, worst first, and who must be told."""
    value = answer.value
    body: Object = {
        "starts": things(value.starts),
        "change": None if value.change is None else _change(value.change),
        "live": value.live,
        "in_use": value.in_use,
        "by_type": counted(value.by_type),
        "by_effect": counted(value.by_effect),
        "by_owner": [_touched(one) for one in value.by_owner],
        "hits": [_hit(one) for one in value.hits],
    }
    return envelope(answer, body)


def _change(one: Change) -> Object:
    return {"what": one.what, "to": one.to}


def _hit(hit: Hit) -> Object:
    return {
        **thing(hit.thing),
        "depth": hit.depth,
        "layer": hit.layer,
        "live": hit.live,
        "in_use": hit.in_use,
        "possible": hit.possible,
        "owners": things(hit.owners),
        "path": hit.path,
        "effect": hit.effect,
        "why": hit.why,
    }


def _touched(one: Touched) -> Object:
    return {
        "owner": None if one.owner is None else thing(one.owner),
        "contacts": list(one.contacts),
        "count": one.count,
        "live": one.live,
        "by_type": counted(one.by_type),
        "things": things(one.things),
    }


def schema_changes(answer: Answer[SchemaChanges]) -> Object:
    """Return the schema changes of a period, and whom each touches."""
    value = answer.value
    body: Object = {
        "before": basis(value.before),
        "after": basis(value.after),
        "by_what": counted(value.by_what),
        "changes": [_schema_change(one) for one in value.changes],
    }
    return envelope(answer, body)


def _schema_change(one: SchemaChange) -> Object:
    return {
        "what": one.what,
        "thing": thing(one.thing),
        "attribute": one.attribute,
        "before": one.before,
        "after": one.after,
        "because": because(one.because),
        "touched": one.touched,
        "live": one.live,
        "by_owner": [_touched(owner) for owner in one.by_owner],
        "hits": [_hit(hit) for hit in one.hits],
    }


# ── Use ──────────────────────────────────────────────────────────────────────────────────────────


def shared(answer: Answer[tuple[Asset, ...]]) -> Object:
    """Return the assets that most live consumers rest on."""
    value: list[Json] = [
        {
            **thing(one.thing),
            "consumers": one.consumers,
            "teams": one.teams,
            "consumed_by": things(one.consumed_by),
            "of_teams": things(one.of_teams),
        }
        for one in answer.value
    ]
    return envelope(answer, value)


def unused(answer: Answer[tuple[Unused, ...]]) -> Object:
    """Return what nothing live or recent is made from, and since when."""
    value: list[Json] = [
        {
            **thing(one.thing),
            "since": when(one.since),
            "last_used_at": when(one.last_used_at),
            "last_used_by": None if one.last_used_by is None else thing(one.last_used_by),
            "owners": things(one.owners),
        }
        for one in answer.value
    ]
    return envelope(answer, value)


def wanted(answer: Answer[tuple[Wanted, ...]]) -> Object:
    """Return the features that models like one consume, with their score and the reason."""
    value: list[Json] = [
        {
            "thing": thing(one.thing),
            "score": one.score,
            "by": things(one.by),
            "reason": one.reason,
        }
        for one in answer.value
    ]
    return envelope(answer, value)


def similar(answer: Answer[tuple[Alike, ...]]) -> Object:
    """Return what is like a model or feature, with its score and the reason."""
    value: list[Json] = [
        {
            "thing": thing(one.thing),
            "score": one.score,
            "shared": things(one.shared),
            "only_this": one.only_this,
            "only_other": one.only_other,
            "reason": one.reason,
        }
        for one in answer.value
    ]
    return envelope(answer, value)
