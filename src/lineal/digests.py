"""What a document says, in one form and as one digest, however and whenever it was said. Pure."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import TypeAlias

import msgspec

from lineal.model import EdgeStatement, Record, Statement, Uri

EdgeId: TypeAlias = "tuple[Uri, str, Uri]"


def _plain(value: object) -> str:
    """A URI is text to JSON."""
    if isinstance(value, Uri):
        return str(value)
    raise TypeError(f"{type(value).__name__} is not JSON.")


_encoder = msgspec.json.Encoder(order="sorted", enc_hook=_plain)


def canonical(value: object) -> str:
    """Return *value* as JSON with sorted keys."""
    return _encoder.encode(value).decode()


def statements_of(record: Record) -> dict[Uri, Statement]:
    """Return a record's statements, several about one thing joined into one."""
    if len(record.statements) == 1:
        return {record.statements[0].uri: record.statements[0]}
    joined: dict[Uri, Statement] = {}
    for statement in record.statements:
        known = joined.get(statement.uri)
        joined[statement.uri] = statement if known is None else _merged(known, statement)
    return joined


def _merged(one: Statement, other: Statement) -> Statement:
    return Statement(one.uri, {**one.attributes, **other.attributes}, one.valid_from)


def edges_of(record: Record) -> dict[EdgeId, EdgeStatement]:
    """Return a record's edges, several of one kind between two things joined into one."""
    names = [(edge.start, edge.kind, edge.end) for edge in record.edges]
    joined = dict(zip(names, record.edges, strict=True))
    if len(joined) == len(names):
        return joined
    joined.clear()
    for name, edge in zip(names, record.edges, strict=True):
        known = joined.get(name)
        joined[name] = edge if known is None else _joined(known, edge)
    return joined


def distinct_edges(record: Record) -> Collection[EdgeStatement]:
    """Return a record's edges as `edges_of` does, without their names."""
    edges = record.edges
    # Where no two end at the same thing, no two are one: that is soon seen.
    return edges if len({edge.end for edge in edges}) == len(edges) else edges_of(record).values()


def _joined(one: EdgeStatement, other: EdgeStatement) -> EdgeStatement:
    starts = [edge.valid_from for edge in (one, other) if edge.valid_from is not None]
    open_ended = one.valid_to is None or other.valid_to is None
    return EdgeStatement(
        one.start,
        one.kind,
        one.end,
        {**one.attributes, **other.attributes},
        min(one.layer, other.layer, key=list(type(one.layer)).index),
        min(starts) if starts else None,
        None if open_ended else max(one.valid_to or 0, other.valid_to or 0),
    )


def digest_of(record: Record) -> bytes:
    """Return the digest of what a record says, whenever and however it was observed."""
    if record.digest is not None:
        return record.digest
    statements = [
        statement_line(statement, canonical(statement.attributes))
        for statement in statements_of(record).values()
    ]
    edges = [edge_line(edge, attributes_of(edge)) for edge in distinct_edges(record)]
    return digest_of_lines(record.subject, statements, edges)


def tell_digest(record: Record, digest: bytes) -> None:
    """Let a record that was just made know the digest of what it says."""
    object.__setattr__(record, "digest", digest)


def statement_line(statement: Statement, body: str) -> str:
    """Return what a digest holds of a statement; *body* are its attributes."""
    return f"{statement.uri}\n{statement.valid_from}\n{body}"


def edge_line(edge: EdgeStatement, attributes: str | None) -> str:
    """Return what a digest holds of an edge."""
    # Joined, not formatted: to format a URI or a layer takes several times as long.
    if edge.valid_from is None and edge.valid_to is None:
        return "\n".join((
            edge.start, edge.kind, edge.end, edge.layer, "None\nNone", attributes or "",
        ))  # fmt: skip
    return "\n".join((
        edge.start, edge.kind, edge.end, edge.layer, str(edge.valid_from), str(edge.valid_to),
        attributes or "",
    ))  # fmt: skip


#: How many bytes of a digest are of all that a document says; the rest are of its edges alone.
_WHOLE = 16
_OF_ALL, _OF_EDGES = blake2b(digest_size=_WHOLE), blake2b(digest_size=8)


def digest_of_lines(subject: Uri, statements: list[str], edges: list[str]) -> bytes:
    """Return the digest of a document about *subject* that says these lines, in any order."""
    lines = sorted(statements + edges)
    lines.append(subject)
    edges.sort()
    # Copied, not made: that takes two thirds of the time.
    whole, alone = _OF_ALL.copy(), _OF_EDGES.copy()
    whole.update("\x00".join(lines).encode())
    alone.update("\x00".join(edges).encode())
    return whole.digest() + alone.digest()


def is_same(digest: bytes, before: bytes) -> bool:
    """Is the same said as *before*? Before schema 0007 there was no digest of edges alone."""
    return digest[:_WHOLE] == before[:_WHOLE]


def has_same_edges(digest: bytes, before: bytes) -> bool:
    """Is the same said of edges as *before*, as far as that is known?"""
    return len(before) > _WHOLE and digest[_WHOLE:] == before[_WHOLE:]


def attributes_of(statement: EdgeStatement) -> str | None:
    """Return the attributes of an edge as they lie in a row."""
    return canonical(statement.attributes) if statement.attributes else None
