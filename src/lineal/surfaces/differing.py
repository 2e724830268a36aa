"""What differs between two moments as plain JSON values, in the words of `formats`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lineal.model import Answer, iso
from lineal.surfaces import formats

if TYPE_CHECKING:
    from lineal.query.diff import (
        Because,
        ClaimChange,
        Differences,
        EdgeChange,
        NameChange,
        ThingChange,
    )
    from lineal.store import Basis


def differences(answer: Answer[Differences]) -> formats.Object:
    """Return what differs between two moments, and why."""
    value = answer.value
    counts: formats.Object = {name: dict(some) for name, some in value.counts.items()}
    body: formats.Object = {
        "before": basis(value.before),
        "after": basis(value.after),
        "along": value.along,
        "counts": counts,
        "things": [_thing_change(one) for one in value.things],
        "edges": [_edge_change(one) for one in value.edges],
        "names": [_name_change(one) for one in value.names],
    }
    return formats.envelope(answer, body)


def basis(one: Basis) -> formats.Object:
    """Return one of the two moments."""
    return {"t": one.t, "known_at": iso(one.known_at), "valid_at": iso(one.valid_at)}


def because(why: Because) -> formats.Object:
    """Return what made something differ."""
    return {
        "how": why.how,
        "t": why.t,
        "at": formats.when(why.at),
        "actor": why.actor,
        "cause": why.cause,
    }


def _thing_change(one: ThingChange) -> formats.Object:
    return {
        "what": one.what,
        "thing": formats.thing(one.thing),
        "before": None if one.before is None else str(one.before),
        "after": None if one.after is None else str(one.after),
        "changes": [
            {
                "name": change.name,
                "before": change.before,
                "after": change.after,
                "because": because(change.because),
            }
            for change in one.changes
        ],
        "because": because(one.because),
    }


def _edge_change(one: EdgeChange) -> formats.Object:
    return {
        "what": one.what,
        "start": formats.thing(one.start),
        "kind": one.kind,
        "end": formats.thing(one.end),
        "claims": [_claim_change(claim) for claim in one.claims],
        "because": because(one.because),
    }


def _claim_change(one: ClaimChange) -> formats.Object:
    return {
        "what": one.what,
        "source": one.source,
        "document": one.document,
        "before": one.before,
        "after": one.after,
        "attributes": {
            name: {"before": before, "after": after}
            for name, (before, after) in one.attributes.items()
        },
        "because": because(one.because),
    }


def _name_change(one: NameChange) -> formats.Object:
    return {
        "what": one.what,
        "thing": formats.thing(one.thing),
        "name": str(one.name),
        "because": because(one.because),
    }
