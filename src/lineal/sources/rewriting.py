"""What a record names is also another by a configured rewrite: said in the record, as evidence."""

from __future__ import annotations

from dataclasses import replace

from lineal import normalise
from lineal.model import EdgeStatement, Record, Uri
from lineal.normalise import Platforms


def with_rewrites(record: Record, platforms: Platforms) -> Record:
    """
    Return *record* with a ``same_as`` for each data set in it that a rewrite of *platforms* means.

    Both names stay; the record is the evidence that they are one, as long as it names the old.
    """
    if not platforms.rewrites:
        return record
    said = {(edge.start, edge.kind, edge.end) for edge in record.edges}
    found = [
        EdgeStatement(name, "same_as", other, {"evidence": "rewrite", "read_in": str(rule)})
        for name in sorted(_named(record))
        for other, rule in normalise.rewritten(name, platforms)
        if (name, "same_as", other) not in said
    ]
    return replace(record, edges=(*record.edges, *found)) if found else record


def _named(record: Record) -> set[Uri]:
    things = {statement.uri for statement in record.statements}
    return things | {end for edge in record.edges for end in (edge.start, edge.end)}


__all__ = ["with_rewrites"]
