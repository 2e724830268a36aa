"""The difference between what a source said and what it says now, as rows to end and to insert.

Pure: rows in, rows out. A record is replaced whole; what is equal is left alone. A row that ends
says why: ``changed`` and ``removed`` (it stays true before that moment), ``corrected`` (it never
was so), ``deleted`` (its document is gone at the source).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple, TypeAlias

import msgspec

from lineal.digests import EdgeId, attributes_of, canonical
from lineal.model import EdgeStatement, Instant, Json, Record, Removal, Response, Statement, Uri
from lineal.store.rows import BegunEdge, Standing

#: Tells "event" from "state" for a kind and the types at its two ends.
Nature: TypeAlias = Callable[[str, str, str], str]


def response_text(response: Response | None) -> str | None:
    """Return a response as it is kept beside what was made from it."""
    if response is None:
        return None
    return canonical(
        {"url": response.url, "sha256": response.sha256, "at": response.at, "etag": response.etag}
    )


def response_of(text: str | None) -> Response | None:
    """Return what `response_text` kept."""
    return None if text is None else msgspec.json.decode(text.encode(), type=Response)


def is_fine(record: Record, parts: Collection[str]) -> bool:
    """Return whether a record states edges of parts, which are followed instead of the whole's."""
    return any(
        edge.kind == "derived_from" and edge.start.type in parts and edge.end.type in parts
        for edge in record.edges
    )


def supports_of(kept: str) -> list[tuple[int, str, int]]:
    """Return the supporting edges as they are kept with a derivation."""
    return _supports.decode(kept)


_supports = msgspec.json.Decoder(list[tuple[int, str, int]])


# ── Life of a row ────────────────────────────────────────────────────────────────────────────────


class Since(NamedTuple):
    """From when a row is true, and whether the source said so."""

    at: Instant
    said: bool


def since(stated: Instant | None, word: Record | Removal) -> Since:
    """
    Return from when something in a document is true.

    The source's word on the fact itself counts, then its time of the whole document, then the
    observation. A time later than the observation is a clock gone wrong: the observation counts.
    """
    said = stated if stated is not None else word.said_at
    if said is None or said > word.observed_at:
        return Since(word.observed_at, said=False)
    return Since(said, said=stated is not None)


#: The body of a row that says: the source has no such thing.
TOMBSTONE = "null"


class BegunStatement(NamedTuple):
    """A statement that begins."""

    valid_from: Instant
    said: bool
    body: str


class Ending(NamedTuple):
    """A row that ends: until when it was so, and why."""

    row: Standing
    ended_at: Instant
    reason: str


def tombstone(word: Removal) -> BegunStatement:
    """Return the statement that says that a document is gone, or never was."""
    gone = since(None, word)
    return BegunStatement(gone.at, gone.said, TOMBSTONE)


# ── Attributes ───────────────────────────────────────────────────────────────────────────────────


def record_difference(
    current: Mapping[Uri, Standing], said: Mapping[Uri, Statement], record: Record
) -> tuple[dict[Uri, Ending], dict[Uri, BegunStatement]]:
    """Return the statements of a document that end and those that begin."""
    ended: dict[Uri, Ending] = {}
    begun: dict[Uri, BegunStatement] = {}
    for uri, statement in said.items():
        old, new = current.get(uri), begun_of(statement, record)
        if old is not None and old.body == new.body:
            continue
        if old is not None:
            new = _after(old, new, record)
            ended[uri] = Ending(old, new.valid_from, "changed")
        begun[uri] = new
    if current.keys() - said.keys():
        gone_at = since(None, record).at
        for uri in current.keys() - said.keys():
            ended[uri] = Ending(current[uri], gone_at, "removed")
    return ended, begun


def begun_of(statement: Statement, record: Record) -> BegunStatement:
    """Return a statement as the row that it begins."""
    start = since(statement.valid_from, record)
    return BegunStatement(start.at, start.said, canonical(statement.attributes))


def _after(old: Standing, new: BegunStatement, record: Record) -> BegunStatement:
    """A change is not older than what it changes: then the time was that of the thing."""
    if new.valid_from > old.valid_from:
        return new
    return BegunStatement(record.observed_at, said=False, body=new.body)


# ── Edges ────────────────────────────────────────────────────────────────────────────────────────


def edge_difference(
    current: Mapping[EdgeId, Standing],
    said: Mapping[EdgeId, EdgeStatement],
    record: Record,
    nature: Nature,
) -> tuple[dict[EdgeId, Ending], dict[EdgeId, BegunEdge]]:
    """Return the edges of a document that end and those that begin."""
    ended: dict[EdgeId, Ending] = {}
    begun: dict[EdgeId, BegunEdge] = {}
    for name, statement in said.items():
        old = current.get(name)
        if old is None:
            begun[name] = begun_edge(statement, record)
            continue
        if statement.valid_from is None and _same_words(old, statement):
            continue
        is_event = _is_event(name, nature)
        new = begun_edge(statement, record, old if is_event or _only_ends(old, statement) else None)
        if _same_edge(old, new, statement):
            continue
        ended[name] = _replaced(old, new, is_event=is_event)
        begun[name] = new
    if current.keys() - said.keys():
        gone_at = since(None, record).at
        for name in current.keys() - said.keys():
            reason = "corrected" if _is_event(name, nature) else "removed"
            ended[name] = Ending(current[name], gone_at, reason)
    return ended, begun


def begun_edge(statement: EdgeStatement, record: Record, old: Standing | None = None) -> BegunEdge:
    """Return a claim as the row that it begins; it goes on from *old* where that says the same."""
    if old is not None and statement.valid_from is None:
        start = Since(old.valid_from, said=old.valid_said)
    else:
        start = since(statement.valid_from, record)
    return BegunEdge(
        start.at,
        statement.valid_to,
        start.said,
        statement.layer,
        attributes_of(statement),
    )


def _only_ends(old: Standing, statement: EdgeStatement) -> bool:
    """Is nothing new but the end? Then it is the same state, of which the end is now known."""
    return (
        old.layer == statement.layer.value
        and old.body == attributes_of(statement)
        and old.valid_to != statement.valid_to
    )


def _same_words(old: Standing, statement: EdgeStatement) -> bool:
    """Is the same said as stands? Most edges of a document that changed are as they were."""
    return (
        old.layer == statement.layer.value
        and old.valid_to == statement.valid_to
        and old.body == attributes_of(statement)
    )


def _same_edge(old: Standing, new: BegunEdge, statement: EdgeStatement) -> bool:
    same = (old.layer, old.body, old.valid_to) == (new.layer, new.attributes, new.valid_to)
    return same and (statement.valid_from is None or old.valid_from == new.valid_from)


def _replaced(old: Standing, new: BegunEdge, *, is_event: bool) -> Ending:
    at = new.valid_from
    if is_event or at <= old.valid_from:
        return Ending(old, at, "corrected")
    return Ending(old, at if new.valid_to is None else min(at, new.valid_to), "changed")


def removal_endings(
    rows: Iterable[tuple[EdgeId, Standing]], at: Instant, nature: Nature
) -> dict[EdgeId, Ending]:
    """Return the edges that end with their document: the states; what happened, happened."""
    return {name: Ending(row, at, "deleted") for name, row in rows if not _is_event(name, nature)}


def _is_event(name: EdgeId, nature: Nature) -> bool:
    start, kind, end = name
    return nature(kind, start.type, end.type) == "event"


# ── Reading together ─────────────────────────────────────────────────────────────────────────────


def together(bodies: Iterable[Mapping[str, Json]]) -> dict[str, Json]:
    """
    Read what several documents say of one thing together, the strongest word first.

    Lists are united, of single values the first counts.

    >>> together([{"tags": ["a"], "name": "x"}, {"tags": ["b"], "name": "y"}])
    {'tags': ['a', 'b'], 'name': 'x'}
    """
    merged: dict[str, Json] = {}
    for body in bodies:
        if not merged:
            merged.update(body)
            continue
        for name, value in body.items():
            known = merged.get(name)
            if known is None:
                merged[name] = value
            elif isinstance(known, list) and isinstance(value, list):
                merged[name] = known + [item for item in value if item not in known]
    return merged
