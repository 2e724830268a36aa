"""One number for the whole graph as it is now.

It speaks URIs, never keys, and no times of ours, so that two databases that were told the same in
another order, or another database engine, agree.
"""

from __future__ import annotations

import hashlib
import heapq
import marshal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import IO, Any

import sqlalchemy as sa

from lineal.store import schema
from lineal.store.driver import Driver
from lineal.store.facts import TOMBSTONE
from lineal.store.terms import Terms

#: So many characters are sorted at once; and so many lines of each such portion are read again
#: together.
PORTION, TOGETHER = 8_000_000, 32


def graph(connection: sa.Connection, terms: Terms) -> str:
    """Return the SHA-256 of all living statements, edges and derivations, sorted."""
    driver = Driver(connection)
    uris: dict[int, str] = dict(driver.each("SELECT key, uri FROM entity"))
    total = hashlib.sha256()
    for line in _in_order(chain(_statements(driver, uris), _edges(driver, uris, terms))):
        total.update(line.encode())
        total.update(b"\n")
    return total.hexdigest()


def _statements(driver: Driver, uris: Mapping[int, str]) -> Iterator[str]:
    for key, source, name, body in driver.each(_STATEMENTS, TOMBSTONE):
        yield "\t".join(("record", uris[key], source, name, body))


def _edges(driver: Driver, uris: Mapping[int, str], terms: Terms) -> Iterator[str]:
    for src, kind, dst, source, name, layer, attributes, *times in driver.each(_EDGES):
        yield "\t".join((
            "edge", uris[src], terms.word(driver.connection, kind), uris[dst], source, name,
            schema.LAYERS[layer], attributes or "{}", _time(*times),
        ))  # fmt: skip


def _time(valid_from: int, valid_to: int | None, said: Any) -> str:
    """A time that the source said is part of what is so; when we came to see it is not."""
    return f"{valid_from}-{valid_to}" if said else "observed"


_STATEMENTS = """
    SELECT record.key, document.source, document.name, record.body
    FROM record JOIN document ON document.id = record.document
    WHERE record.t_to IS NULL AND record.body <> ?
"""
_EDGES = """
    SELECT src, kind, dst, document.source, document.name, layer, attributes,
        valid_from, valid_to, valid_said
    FROM edge_out JOIN document ON document.id = edge_out.document WHERE t_to IS NULL
"""


# ── Sorting ──────────────────────────────────────────────────────────────────────────────────────


def _in_order(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines in their order; very many wait for it in a file."""
    waiting = iter(lines)
    first, is_all = _portion(waiting)
    if is_all:
        yield from first
        return
    with tempfile.TemporaryFile() as file:
        places = [_put(file, first)]
        del first
        while not is_all:
            some, is_all = _portion(waiting)
            places.append(_put(file, some))
            del some
        yield from heapq.merge(*(_read(file, *place) for place in places))


def _portion(lines: Iterator[str]) -> tuple[list[str], bool]:
    """Return a bounded portion of lines, sorted, and whether nothing is left."""
    found, size = list[str](), 0
    for line in lines:
        found.append(line)
        size += len(line)
        if size >= PORTION:
            found.sort()
            return found, False
    found.sort()
    return found, True


def _put(file: IO[bytes], lines: list[str]) -> tuple[int, int]:
    """Write lines at the end of a file; return where they begin and end."""
    begin = file.tell()
    for at in range(0, len(lines), TOGETHER):
        marshal.dump(lines[at : at + TOGETHER], file)
    return begin, file.tell()


def _read(file: IO[bytes], at: int, end: int) -> Iterator[str]:
    """Yield the lines between two places of a file, some at a time; others read it too."""
    while at < end:
        file.seek(at)
        lines = marshal.load(file)  # noqa: S302 (written by us)
        at = file.tell()
        yield from lines
