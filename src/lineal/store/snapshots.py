"""One snapshot at one basis: who asks, about when, and what things and kinds are called in it."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import sqlalchemy as sa

from lineal.lineage import Link
from lineal.model import (
    Instant,
    Uri,
    Viewer,
)
from lineal.store import observed, schema
from lineal.store.basis import Basis
from lineal.store.driver import Driver
from lineal.store.meter import Meter, MeteredDriver, WholeDriver
from lineal.store.names import Names
from lineal.store.terms import Terms

if TYPE_CHECKING:
    from lineal.store.arrows import OfTypes


class Snapshot:
    """What was so at one moment, as we knew it at another."""

    def __init__(
        self,
        connection: sa.Connection,
        viewer: Viewer,
        basis: Basis,
        terms: Terms,
        *,
        keys: dict[Uri, int] | None = None,
        names: Names | None = None,
        meter: Meter | None = None,
    ) -> None:
        """
        *keys* are those that a transaction knows already, and goes on to learn.

        *names* are what its store remembers of others.
        """
        if not isinstance(viewer, Viewer):
            raise TypeError("Nothing is read without a viewer.")
        self._connection, self._terms = connection, terms
        #: True once the words that this snapshot knows were read.
        self._knows_terms = False
        self.viewer = viewer
        self.basis = basis
        #: What the question may still read; None: whatever it needs.
        self.meter = meter
        self._driver = Driver(connection) if meter is None else MeteredDriver(connection, meter)
        self._keys: dict[Uri, int] = {} if keys is None else keys
        self._learns = keys is not None
        self._uris: dict[int, Uri] = {key: uri for uri, key in self._keys.items()}
        self._names = Names() if names is None else names
        self._registered: dict[tuple[str, str], str] | None = None
        #: What an open transaction changed and cannot yet be found by its search rows.
        self.unindexed: Collection[Uri] = frozenset()
        #: Of which layers edges are read; None: of all.
        self.layers: frozenset[str] | None = None
        self._supposed: tuple[Link, ...] = ()
        self._without: frozenset[Link] = frozenset()
        #: What is known of the types of very many things.
        self._of_types: dict[frozenset[str], OfTypes] = {}

    def of_layers(self, layers: frozenset[str] | None) -> Self:
        """Return a reader of the same snapshot that reads edges of these layers; None: of all."""
        other = copy.copy(self)
        other.layers = layers
        return other

    @cached_property
    def whole(self) -> Self:
        """
        A reader of the same snapshot for what is kept for whoever asks next.

        It reads edges of all layers, as they are held, and whole: see `WholeDriver`.
        """
        other = self.of_layers(None)
        other._supposed, other._without = (), frozenset()
        if self.meter is not None:
            other._driver, other.meter = WholeDriver(self._connection, self.meter), None
            other._of_types = {}
        return other

    def _found(self, query: sa.Select[Any], most: int | None = None) -> Iterable[Any]:
        """Return the rows of a query, at most *most*, as far as the question's budget goes."""
        if self.meter is None:
            return self._connection.execute(query if most is None else query.limit(most))
        return self.meter.read(query, most)

    def _counted(self, query: sa.Select[Any]) -> int:
        """Return the one number that a query finds."""
        if self.meter is None:
            return int(self._connection.execute(query).scalar_one())
        return self.meter.count(query)

    def _alive(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The rows that were so at the moment; the basis is part of every query of facts."""
        t, valid_at = self.basis.t, self.basis.valid_at
        row = table.c
        held = sa.or_(row.t_to.is_(None), row.t_to > t)
        stayed = sa.and_(row.reason != "corrected", row.ended_at > valid_at)
        return sa.and_(
            row.t_from <= t,
            row.valid_from <= valid_at,
            sa.or_(row.valid_to.is_(None), row.valid_to > valid_at),
            sa.or_(held, stayed),
        )

    @property
    def _when(self) -> tuple[int, int, int, int, int]:
        """The values that `alive_text` takes."""
        t, valid_at = self.basis.t, self.basis.valid_at
        return t, valid_at, valid_at, t, valid_at

    def kind(self, number: int) -> str:
        """Which kind of edge is this number?"""
        return self._terms.word(self._connection, number)

    def kinds(self, words: Collection[str]) -> list[int]:
        """Which numbers do those of these kinds have of which there ever was an edge?"""
        known = self._terms.known(words)
        if len(known) < len(words) and not self._knows_terms:
            self._terms.catch_up(self._driver)
            self._knows_terms = True
            known = self._terms.known(words)
        return known

    # ── Names ────────────────────────────────────────────────────────────────────────────────

    def keys(self, uris: Iterable[Uri]) -> dict[Uri, int]:
        """Which of these are known, and under which key?"""
        wanted = set(uris)
        missing = {one for one in wanted if one not in self._keys}
        if missing:
            found = self._names.keys(self._driver, missing)
            self._keys.update(found)
            self._uris.update(zip(found.values(), found, strict=True))
        return {uri: self._keys[uri] for uri in wanted if uri in self._keys}

    def uris(self, keys: Iterable[int]) -> dict[int, Uri]:
        """What are the URIs of these keys?"""
        wanted = set(keys)
        missing = {one for one in wanted if one not in self._uris}
        if missing:
            found = self._names.uris(self._driver, missing)
            self._uris.update(found)
            if self._learns:
                self._keys.update(zip(found.values(), found, strict=True))
        return {key: self._uris[key] for key in wanted}

    def types(self, keys: Iterable[int]) -> dict[int, str]:
        """What are the types of these keys?"""
        return {key: uri.type for key, uri in self.uris(keys).items()}

    def known(self, keys: Iterable[int]) -> set[int]:
        """Which of these did we know of by then?"""
        rows = self._driver.among(_KNOWN, set(keys), self.basis.t)
        return {key for (key,) in rows}

    def first_recorded(self, key: int) -> tuple[int, Instant]:
        """In which transaction, and when, was this thing first spoken of?"""
        return observed.first_recorded(self._connection, key)

    def alike(self, uri: Uri, limit: int = 3) -> tuple[Uri, ...]:
        """Which known URIs of the same type end like this one?"""
        table, folded = schema.search_name, uri.name.casefold()
        query = (
            sa.select(schema.entity.c.uri)
            .join(table, table.c.key == schema.entity.c.key)
            .where(schema.entity.c.type == uri.type, schema.entity.c.t_from <= self.basis.t)
            .where(table.c.folded >= folded[:3], table.c.folded < folded[:3] + "\U0010ffff")
            .order_by(table.c.folded)
            .limit(200)
        )
        names = [Uri(text) for text in self._connection.scalars(query)]
        return tuple(_nearest(uri, names, limit))

    def of_types(self, types: Collection[str]) -> list[int]:
        """Which things of these types did we know by then?"""
        table = schema.entity
        query = sa.select(table.c.key).where(
            table.c.type.in_(sorted(types)), table.c.t_from <= self.basis.t
        )
        return [key for (key,) in self._found(query.order_by(table.c.key))]

    def counts(self) -> dict[str, int]:
        """How many things of each type did we know by then?"""
        table = schema.entity
        query = sa.select(table.c.type, sa.func.count()).group_by(table.c.type)
        if not self.basis.is_now:
            # Of now nothing later is in the snapshot, and the index by type tells all.
            query = query.where(table.c.t_from <= self.basis.t)
        return {row[0]: row[1] for row in self._connection.execute(query)}


def alive_text(table: str) -> str:
    """Say as plain SQL what `Snapshot._alive` says: which rows were so at the moment."""
    return (
        f"{table}.t_from <= ? AND {table}.valid_from <= ?"
        f" AND ({table}.valid_to IS NULL OR {table}.valid_to > ?)"
        f" AND ({table}.t_to IS NULL OR {table}.t_to > ?"
        f" OR ({table}.reason <> {_CORRECTED} AND {table}.ended_at > ?))"
    )


_CORRECTED = schema.REASONS.index("corrected")


def with_document(table: sa.Table) -> sa.Select[Any]:
    """Select the rows of a table of facts with their document, and the answer it was read from."""
    document, response = schema.document, schema.response
    same = sa.and_(response.c.document == table.c.document, response.c.t == table.c.t_from)
    answer = response.c.body.label("response")
    return (
        sa.select(table, document.c.source, document.c.name, answer)
        .join(document, document.c.id == table.c.document)
        .outerjoin(response, same)
    )


#: Which of these were named by a transaction or before?
_KNOWN = "SELECT key FROM entity WHERE t_from <= ? AND key {among}"


def until(line: Any, known: bool) -> Instant | None:
    """Return until when a row was so, as far as is known."""
    if not known or line.ended_at is None:
        return None if line.valid_to is None else int(line.valid_to)
    ends = [int(at) for at in (line.valid_to, line.ended_at) if at is not None]
    return min(ends)


def _nearest(uri: Uri, names: Sequence[Uri], limit: int) -> list[Uri]:
    close = difflib.get_close_matches(str(uri), [str(name) for name in names], limit, cutoff=0.5)
    return [Uri(text) for text in close]
