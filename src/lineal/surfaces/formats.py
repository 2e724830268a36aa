"""Every answer as plain JSON values: what the REST API sends and the command line prints.

Pure, and light to import: nothing of the store, of a walk or of the web is loaded here. Times are
ISO 8601 in UTC. A thing is always ``{uri, type, name, state, status}``, plus what is known of it
where it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from lineal.model import Answer, Claim, Cut, Edge, Entity, Instant, Json, Response, Said, iso
from lineal.surfaces.cuts import worded

if TYPE_CHECKING:
    from lineal.query import (
        Brief,
        Consumer,
        Described,
        Explanation,
        Feeds,
        Finding,
        Found,
        Happening,
        Neighbour,
        Owned,
        Recent,
        Sharer,
        Trial,
    )
    from lineal.query.explaining import Reason, Skew, Stated, Support, Valued
    from lineal.shapes import Shapes
    from lineal.shapes.declarations import Attribute, EdgeKind, EntityType

Object = dict[str, Json]

# ── The envelope ─────────────────────────────────────────────────────────────────────────────────


def envelope(answer: Answer[object], value: Json) -> Object:
    """Return *value* with what the answer says of its own worth."""
    return {
        "value": value,
        "complete": answer.complete,
        "why": [worded(cut) for cut in answer.why],
        "cuts": [_cut(cut) for cut in answer.why],
        "total": answer.total,
        "basis_t": answer.basis_t,
        "known_at": iso(answer.known_at),
        "valid_at": iso(answer.valid_at),
        "fresh_at": when(answer.fresh_at),
        "notes": list(answer.notes),
        "inferred_t": answer.inferred_t,
        "pending": answer.pending,
    }


def _cut(cut: Cut) -> Object:
    """Return why an answer is not complete, as values."""
    return {
        "limit": cut.limit,
        "what": cut.what,
        "part": list(cut.part),
        "done": cut.done,
        "most": cut.most,
        "total": cut.total,
    }


def when(at: Instant | None) -> str | None:
    """
    Return an instant as ISO 8601, None where there is none.

    >>> when(0), when(None)
    ('1970-01-01T00:00:00Z', None)
    """
    return None if at is None else iso(at)


# ── Things and edges ─────────────────────────────────────────────────────────────────────────────


def thing(brief: Brief) -> Object:
    """Return a thing in one line."""
    return {
        "uri": str(brief.uri),
        "type": brief.type,
        "name": brief.name,
        "state": str(brief.state),
        "status": brief.status,
    }


def things(briefs: Iterable[Brief]) -> list[Json]:
    """Return several things, each in one line."""
    return [thing(brief) for brief in briefs]


def entity(answer: Answer[Described]) -> Object:
    """Return a thing as all its sources together say, each source's own word, and findings."""
    found = [_finding(one) for one in answer.value.findings]
    value = answer.value
    said: list[Json] = [_said(one) for one in value.said]
    return envelope(answer, {**said_in_all(value), "said": said, "findings": found})


def _finding(one: Finding) -> Json:
    return {
        "start": thing(one.start),
        "kind": one.kind,
        "end": thing(one.end),
        "meaning": one.meaning,
        "why": list(one.why),
    }


def said_in_all(found: Entity) -> Object:
    """Return a thing in one line, and all that its sources together say of it."""
    status = found.attributes.get("status")
    return {
        "uri": str(found.uri),
        "type": found.type,
        "name": found.name,
        "state": str(found.state),
        "status": status if isinstance(status, str) else None,
        "attributes": dict(found.attributes),
        "also": [str(uri) for uri in found.also],
        "confirmed_at": when(found.confirmed_at),
    }


def _said(one: Said) -> Object:
    return {
        "source": one.source,
        "document": one.document,
        "attributes": dict(one.attributes),
        **_life(one),
        "response": _response(one.response),
    }


def _life(row: Said | Claim) -> Object:
    return {
        "t_from": row.t_from,
        "t_to": row.t_to,
        "valid_from": iso(row.valid_from),
        "valid_to": when(row.valid_to),
        "valid_said": row.valid_said,
        "ended": row.ended,
    }


def _response(response: Response | None) -> Json:
    if response is None:
        return None
    return {
        "url": response.url,
        "sha256": response.sha256,
        "at": iso(response.at),
        "etag": response.etag,
    }


def _claim(claim: Claim) -> Object:
    return {
        "source": claim.source,
        "document": claim.document,
        "layer": str(claim.layer),
        **_life(claim),
        "attributes": dict(claim.attributes),
    }


def edge(found: Edge) -> Object:
    """Return an edge with the claims it rests on."""
    return {
        "uri": str(found.uri),
        "start": str(found.start),
        "kind": found.kind,
        "end": str(found.end),
        "layer": str(found.layer),
        "attributes": dict(found.attributes),
        "claims": [_claim(claim) for claim in found.claims],
    }


def neighbours(answer: Answer[tuple[Neighbour, ...]]) -> Object:
    """Return what a thing is joined to."""
    value: list[Json] = [
        {"relation": one.relation, "other": thing(one.other), "edge": edge(one.edge)}
        for one in answer.value
    ]
    return envelope(answer, value)


# ── Why and since when ───────────────────────────────────────────────────────────────────────────


def explanation(answer: Answer[Explanation]) -> Object:
    """Return why an edge is believed, down to the answers of sources."""
    found = answer.value
    value: Object = {
        "edge": edge(found.edge),
        "start": thing(found.start),
        "end": thing(found.end),
        "words": found.words,
        "stated": [_stated(one) for one in found.stated],
        "reasons": [_reason(reason) for reason in found.reasons],
        "derivations": found.derivations,
    }
    return envelope(answer, value)


def _stated(one: Stated) -> Object:
    return {**_claim(one.claim), "response": _response(one.response), **_observed(one)}


def _observed(one: Stated | Valued) -> Object:
    return {"observed_at": iso(one.observed_at), "confirmed_at": when(one.confirmed_at)}


def _reason(reason: Reason) -> Object:
    return {
        "rule": reason.rule,
        "version": reason.version,
        "why": reason.why,
        "confidence": reason.confidence,
        "skew": None if reason.skew is None else _skew(reason.skew),
        "supports": [_support(support) for support in reason.supports],
    }


def _skew(skew: Skew) -> Object:
    return {"seconds": round(skew.gap / 1_000_000, 3), "words": skew.words}


def _support(support: Support) -> Object:
    return {
        "start": thing(support.start),
        "kind": support.kind,
        "end": thing(support.end),
        "stated": [_stated(one) for one in support.claims],
        "values": [_valued(one) for one in support.values],
        "reasons": [_reason(reason) for reason in support.reasons],
    }


def _valued(one: Valued) -> Object:
    return {
        "thing": thing(one.thing),
        "attribute": one.attribute,
        "value": one.value,
        "source": one.source,
        "document": one.document,
        "response": _response(one.response),
        **_observed(one),
    }


def history(answer: Answer[tuple[Happening, ...]]) -> Object:
    """Return what happened to a thing, newest first."""
    return envelope(answer, [_happening(one) for one in answer.value])


def _happening(one: Happening) -> Object:
    return {
        "t": one.t,
        "at": iso(one.at),
        "actor": one.actor,
        "cause": one.cause,
        "what": one.what,
        "source": one.source,
        "details": {
            name: {"before": before, "after": after}
            for name, (before, after) in one.details.items()
        },
        "other": None if one.other is None else thing(one.other),
    }


def recent(answer: Answer[tuple[Recent, ...]]) -> Object:
    """Return what the last transactions changed, newest first."""
    return envelope(
        answer,
        [
            {
                "t": one.t,
                "at": iso(one.at),
                "actor": one.actor,
                "cause": one.cause,
                "changed": one.changed,
                "things": things(one.things),
            }
            for one in answer.value
        ],
    )


# ── Finding ──────────────────────────────────────────────────────────────────────────────────────


def found(answer: Answer[Found]) -> Object:
    """Return what a search found, with the counts of its facets."""
    facets: Object = {name: counted(values) for name, values in answer.value.facets.items()}
    return envelope(answer, {"hits": things(answer.value.hits), "facets": facets})


def counts(answer: Answer[dict[str, int]]) -> Object:
    """Return how many things of each type are known."""
    return envelope(answer, counted(answer.value))


def counted(values: Mapping[str, int]) -> Object:
    """Return how many there are of each."""
    return dict(values)


# ── The thirteen ─────────────────────────────────────────────────────────────────────────────────


def listed(answer: Answer[tuple[Brief, ...]]) -> Object:
    """Return things that answer a question (Q2, Q3, Q7, Q10, Q13)."""
    return envelope(answer, things(answer.value))


def feeds(answer: Answer[Feeds]) -> Object:
    """Return features and the data sets that can feed them (Q1)."""
    value = answer.value
    body: Object = {"features": things(value.features), "data_sets": things(value.data_sets)}
    return envelope(answer, body)


def testings(answer: Answer[tuple[Trial, ...]]) -> Object:
    """Return A/B tests and model versions, and how they are joined (Q5, Q6)."""
    value: list[Json] = [
        {
            "test": thing(one.test),
            "version": thing(one.version),
            "how": one.how,
            "running": one.running,
        }
        for one in answer.value
    ]
    return envelope(answer, value)


def consumers(answer: Answer[tuple[Consumer, ...]]) -> Object:
    """Return the models that consume a feature, and their teams (Q8)."""
    value: list[Json] = [
        {"model": thing(one.model), "teams": things(one.teams)} for one in answer.value
    ]
    return envelope(answer, value)


def sharers(answer: Answer[tuple[Sharer, ...]]) -> Object:
    """Return the models that share features with one, and which (Q9)."""
    value: list[Json] = [
        {"model": thing(one.model), "features": things(one.features)} for one in answer.value
    ]
    return envelope(answer, value)


def around(answer: Answer[tuple[tuple[Brief, ...], tuple[Brief, ...]]]) -> Object:
    """Return the data sets upstream and the A/B tests downstream (Q11)."""
    data_sets, tests = answer.value
    return envelope(answer, {"data_sets": things(data_sets), "tests": things(tests)})


def owned(answer: Answer[tuple[Owned, ...]]) -> Object:
    """Return things and who owns each (Q12)."""
    value: list[Json] = [
        {"thing": thing(one.thing), "owners": things(one.owners)} for one in answer.value
    ]
    return envelope(answer, value)


# ── How the installation stands ──────────────────────────────────────────────────────────────────


def shapes(declared: Shapes) -> Object:
    """Return every type and every kind of edge, as declared."""
    value: Object = {
        "version": declared.version,
        "types": [_type(one) for one in declared.types.values()],
        "kinds": [_kind(one) for one in declared.kinds.values()],
    }
    return {"value": value}


def _type(one: EntityType) -> Object:
    return {
        "name": one.name,
        "title": one.title,
        "plural": one.plural,
        "domain": one.domain,
        "description": one.description,
        "grain": one.grain,
        "part_of_kind": one.part_of_kind,
        "live": list(one.live),
        "attributes": [_attribute(attribute) for attribute in one.attributes],
    }


def _kind(one: EdgeKind) -> Object:
    return {
        "name": one.name,
        "inverse": one.inverse,
        "description": one.description,
        "class": one.class_,
        "flow": one.flow,
        "layer": str(one.layer),
        "from_types": list(one.from_types),
        "to_types": list(one.to_types),
        "attributes": [_attribute(attribute) for attribute in one.attributes],
    }


def _attribute(one: Attribute) -> Object:
    return {
        "name": one.name,
        "type": one.type,
        "description": one.description,
        "values": list(one.values),
        "search": one.search,
        "facet": one.facet,
        "personal": one.personal,
        "deprecated": one.deprecated or None,
    }
