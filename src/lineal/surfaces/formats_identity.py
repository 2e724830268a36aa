"""Answers about names as plain JSON values, in the way of `lineal.surfaces.formats`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lineal.model import Answer, Json, iso
from lineal.surfaces.formats import Object, _claim, envelope, thing, things

if TYPE_CHECKING:
    from lineal.query import Evidence, Names, Preview, Suggestion
    from lineal.query.identity import EdgeName, Named


def names(answer: Answer[Names]) -> Object:
    """Return all names of a thing, and every claim that joins or parts them."""
    found = answer.value
    value: Object = {
        "thing": thing(found.thing),
        "names": things(found.names),
        "evidence": [_evidence(one) for one in found.evidence],
    }
    return envelope(answer, value)


def _evidence(one: Evidence) -> Object:
    return {
        "start": thing(one.start),
        "kind": one.kind,
        "end": thing(one.end),
        "joins": one.joins,
        "at": iso(one.at),
        "actor": one.actor,
        "cause": one.cause,
        "claim": _claim(one.claim),
        "why": list(one.why),
    }


def preview(answer: Answer[Preview]) -> Object:
    """Return what would be so after a merge or a split."""
    found = answer.value
    value: Object = {
        "before": [_named(one) for one in found.before],
        "after": [_named(one) for one in found.after],
        "decisions": [
            {"one": str(each.one), "other": str(each.other), "kind": each.kind}
            for each in found.decisions
        ],
        "parts": [[str(one), str(other)] for one, other in found.parts],
        "disagreements": [
            {
                "attribute": each.attribute,
                "values": [{"uri": str(uri), "value": value} for uri, value in each.values],
            }
            for each in found.disagreements
        ],
        "inner": _edges(found.inner),
        "appear": _edges(found.appear),
        "vanish": _edges(found.vanish),
        "warnings": list(found.warnings),
        "refusals": list(found.refusals),
    }
    return envelope(answer, value)


def _named(one: Named) -> Object:
    return {"thing": thing(one.thing), "names": things(one.names)}


def _edges(edges: Iterable[EdgeName]) -> list[Json]:
    return [{"start": str(start), "kind": kind, "end": str(end)} for start, kind, end in edges]


def suggestions(answer: Answer[tuple[Suggestion, ...]]) -> Object:
    """Return which things may be one, likeliest first."""
    value: list[Json] = [
        {
            "one": thing(each.one),
            "other": thing(each.other),
            "score": each.score,
            "reasons": list(each.reasons),
        }
        for each in answer.value
    ]
    return envelope(answer, value)
