"""Rows of facts as they lie there, told in the lines that were sealed of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import sqlalchemy as sa

from lineal.store import schema, seals
from lineal.store.driver import Row
from lineal.store.facts import supports_of

#: In which transaction, of which document, and what is sealed of it.
Line: TypeAlias = "tuple[int, seals.Owner, str]"

#: The tables whose rows are told, and the column of the thing that a row lies with.
TOLD = {"record": "key", "edge_out": "src", "derivation": "src"}


def columns(table: sa.Table) -> str:
    """Return the columns of a table as a query names them, in the order of its rows."""
    return ", ".join(column.name for column in table.columns)


def document_of(table: str, row: Row) -> int:
    """Return the number of the document that a row is of."""
    number: int = row[1] if table == "record" else row[3]
    return number


def keys_of(table: str, row: Row) -> list[int]:
    """Return the keys of all things that are named in the lines of a row."""
    if table == "record":
        return [row[0]]
    keys = [row[0], row[2]]
    if table == "derivation":
        for start, _, end in supports_of(row[-2]):
            keys += (start, end)
    return keys


@dataclass(frozen=True, slots=True)
class Telling:
    """Tells rows by the names of things and documents, and by the words of kinds."""

    uris: Mapping[int, str]
    owners: Mapping[int, seals.Owner]
    words: Mapping[int, str]
    #: Called with a table, and with what of a row of it cannot be.
    odd: Callable[[str, str], None]

    def lines(self, table: str, rows: Iterable[Row]) -> Iterator[Line]:
        """Yield a line for each beginning and each ending; raises `KeyError` for lack of a name."""
        return _LINES[table](self, rows)

    def _records(self, rows: Iterable[Row]) -> Iterator[Line]:
        for row in rows:
            key, document, t_from, t_to, valid_from, valid_to, said, ended_at, reason, body = row
            owner, uri = self.owners[document], self.uris[key]
            yield t_from, owner, seals.record_line(uri, valid_from, valid_to, said, body)
            if t_to is not None:
                yield t_to, owner, _ended("r", uri, t_from, ended_at, reason)
            elif (ended_at, reason) != (None, None):
                self.odd("record", f"{uri} has ended and has not.")

    def _edges(self, rows: Iterable[Row]) -> Iterator[Line]:
        for row in rows:
            src, kind, dst, document, t_from, t_to, *times = row
            valid_from, valid_to, said, ended_at, reason, layer, attributes = times
            edge = (self.uris[src], self.words[kind], self.uris[dst])
            owner = self.owners[document]
            line = seals.edge_line(
                *edge, valid_from, valid_to, said, schema.LAYERS[layer], attributes
            )
            yield t_from, owner, line
            if t_to is not None:
                yield t_to, owner, _ended("e", "\n".join(edge), t_from, ended_at, reason)
            elif (ended_at, reason) != (None, None):
                self.odd("edge_out", f"{' '.join(edge)} has ended and has not.")

    def _derivations(self, rows: Iterable[Row]) -> Iterator[Line]:
        for row in rows:
            src, kind, dst, document, mark, t_from, t_to, *times = row
            valid_from, valid_to, said, ended_at, reason, kept, why = times
            edge = (self.uris[src], self.words[kind], self.uris[dst])
            owner, digest = self.owners[document], bytes(mark)
            supports = [(self.uris[a], how, self.uris[b]) for a, how, b in supports_of(kept)]
            line = seals.derivation_line(edge, digest, valid_from, valid_to, supports, why)
            yield t_from, owner, line
            if t_to is not None:
                name = "\n".join((*edge, digest.hex()))
                yield t_to, owner, _ended("d", name, t_from, ended_at, reason)
            if said or (t_to is None and (ended_at, reason) != (None, None)):
                self.odd("derivation", f"{' '.join(edge)} has a life it cannot have.")


_LINES = {
    "record": Telling._records,
    "edge_out": Telling._edges,
    "derivation": Telling._derivations,
}


def _ended(what: str, name: str, t_from: int, ended_at: int, reason: int) -> str:
    return seals.ended_line(what, name, t_from, ended_at, schema.REASONS[reason])
