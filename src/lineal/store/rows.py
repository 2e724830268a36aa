"""Rows of facts to begin and to end in one transaction, written in the order of their keys.

Nothing that stands is changed: rows are inserted, and ended once. What is written is added to the
seals of the transaction as it is gathered.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from operator import sub
from typing import Any, NamedTuple

import sqlalchemy as sa

from lineal.errors import Damaged
from lineal.model import Instant, Uri
from lineal.store import schema, seals
from lineal.store.driver import Driver

_LAYER = {word: number for number, word in enumerate(schema.LAYERS)}
_REASON = {word: number for number, word in enumerate(schema.REASONS)}


class Standing(NamedTuple):
    """A row of facts that stands: its key, and what a difference needs to know of it."""

    #: The values of the table's primary key, in its order.
    key: tuple[Any, ...]
    t_from: int
    valid_from: Instant
    valid_to: Instant | None
    valid_said: bool
    #: The body of a statement, the attributes of a claim (or None), the supports of a derivation.
    body: str | None
    layer: str = "declared"


class BegunEdge(NamedTuple):
    """A claim that begins."""

    valid_from: Instant
    valid_to: Instant | None
    said: bool
    layer: str
    attributes: str | None


class Rows:
    """What one transaction writes to the facts."""

    def __init__(self, driver: Driver, t: int, number: Callable[[str], int]) -> None:
        self._driver, self._t, self._number = driver, t, number
        self.leaves = seals.Leaves(seals.new_salt())
        self._kinds: dict[str, int] = {}
        self._begun: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in schema.FACTS}
        self._ended: dict[str, list[tuple[Any, ...]]] = {}
        #: How many rows began and ended so far; an edge counts once for its two copies.
        self.begun = 0
        self.ended = 0

    def _kind(self, word: str) -> int:
        number = self._kinds[word] = self._number(word)
        return number

    # ── Beginning ────────────────────────────────────────────────────────────────────────────

    def begin_record(
        self,
        owner: seals.Owner,
        document: int,
        key: int,
        uri: Uri,
        *,
        valid_from: Instant,
        said: bool,
        body: str,
    ) -> None:
        """Begin a statement about a thing."""
        row = (key, document, self._t, None, valid_from, None, said, None, None, body)
        self._begun["record"].append(row)
        self.leaves.add(owner, seals.record_line(uri, valid_from, None, said, body))
        self.begun += 1

    def begin_edge(
        self,
        owner: seals.Owner,
        document: int,
        ends: tuple[int, int],
        edge: tuple[Uri, str, Uri],
        begun: BegunEdge,
    ) -> None:
        """Begin both copies of a claim."""
        src, dst = ends
        kind = self._kinds.get(edge[1]) or self._kind(edge[1])
        valid_from, valid_to, said, layer, attributes = begun
        code, t = _LAYER[layer], self._t
        self._begun["edge_out"].append((
            src, kind, dst, document, t, None, valid_from, valid_to, said, None, None, code,
            attributes,
        ))  # fmt: skip
        self._begun["edge_in"].append((
            dst, kind, src, document, t, None, valid_from, valid_to, said, None, None, code,
        ))  # fmt: skip
        line = seals.edge_line(*edge, valid_from, valid_to, said, layer, attributes)
        self.leaves.add(owner, line)
        self.begun += 1

    def begin_derivation(
        self,
        owner: seals.Owner,
        document: int,
        ends: tuple[int, int],
        edge: tuple[Uri, str, Uri],
        *,
        digest: bytes,
        span: tuple[Instant, Instant | None],
        supports: Sequence[tuple[Uri, str, Uri]],
        kept: str,
        why: str,
    ) -> None:
        """Begin a derivation; *kept* are its supports as they lie in the row."""
        kind = self._kinds.get(edge[1]) or self._kind(edge[1])
        head = (ends[0], kind, ends[1], document, digest, self._t)
        row = (*head, None, *span, False, None, None, kept, why)
        self._begun["derivation"].append(row)
        self.leaves.add(owner, seals.derivation_line(edge, digest, *span, supports, why))
        self.begun += 1

    # ── Ending ───────────────────────────────────────────────────────────────────────────────

    def end_record(
        self, owner: seals.Owner, uri: Uri, row: Standing, at: Instant, reason: str
    ) -> None:
        """End a statement: until when it was so, and why."""
        self._end("record", row.key, at, reason)
        self.leaves.add(owner, seals.ended_line("r", uri, row.t_from, at, reason))
        self.ended += 1

    def end_edge(
        self,
        owner: seals.Owner,
        edge: tuple[Uri, str, Uri],
        row: Standing,
        at: Instant,
        reason: str,
    ) -> None:
        """End both copies of a claim."""
        src, kind, dst, document, t_from = row.key
        self._end("edge_out", row.key, at, reason)
        self._end("edge_in", (dst, kind, src, document, t_from), at, reason)
        self.leaves.add(owner, seals.ended_line("e", "\n".join(edge), t_from, at, reason))
        self.ended += 1

    def end_derivation(
        self,
        owner: seals.Owner,
        edge: tuple[Uri, str, Uri],
        row: Standing,
        at: Instant,
        reason: str,
    ) -> None:
        """End a derivation."""
        self._end("derivation", row.key, at, reason)
        name = "\n".join((*edge, row.key[4].hex()))
        self.leaves.add(owner, seals.ended_line("d", name, row.t_from, at, reason))
        self.ended += 1

    def _end(self, table: str, key: tuple[Any, ...], at: Instant, reason: str) -> None:
        self._ended.setdefault(table, []).append((self._t, at, _REASON[reason], *key))

    # ── Writing ──────────────────────────────────────────────────────────────────────────────

    def write(self) -> None:
        """Write what was gathered, endings first, and forget it."""
        for name, rows in sorted(self._ended.items()):
            rows.sort(key=_key_of_ending)
            self._driver.many(_ending(schema.metadata.tables[name]), rows)
        for name, rows in sorted(self._begun.items()):
            # Each row begins with its key, and no key comes twice.
            rows.sort()
            self._driver.insert(schema.metadata.tables[name], rows)
            rows.clear()
        self._ended.clear()


def _key_of_ending(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return row[3:]


@lru_cache(maxsize=8)
def _ending(table: sa.Table) -> str:
    where = " AND ".join(f"{column.name} = ?" for column in table.primary_key)
    return f"UPDATE {table.name} SET t_to = ?, ended_at = ?, reason = ? WHERE {where}"


def pack(keys: Iterable[int]) -> bytes:
    """Return keys as packed 64-bit integers, sorted."""
    ordered = sorted(set(keys))
    return struct.pack(f"<{len(ordered)}q", *ordered)


def unpack(packed: bytes) -> tuple[int, ...]:
    """Return what `pack` packed."""
    return struct.unpack(f"<{len(packed) // 8}q", packed)


#: How a feed is packed: as it is, or in steps from key to key, compressed; from how many keys on.
_PLAIN, _STEPS, _MANY = b"\x00", b"\x01", 32


def pack_feed(keys: Iterable[int]) -> bytes:
    """Return the keys that a transaction changed, packed."""
    ordered = sorted(set(keys))
    if len(ordered) < _MANY:
        return _PLAIN + struct.pack(f"<{len(ordered)}q", *ordered)
    steps = map(sub, ordered, [0, *ordered])
    return _STEPS + zlib.compress(struct.pack(f"<{len(ordered)}q", *steps), 1)


def unpack_feed(packed: bytes) -> tuple[int, ...]:
    """
    Return what `pack_feed` packed, in ascending order.

    Raises:
        Damaged: it is not what was packed.
    """
    try:
        if packed[:1] == _PLAIN:
            return unpack(packed[1:])
        if packed[:1] != _STEPS:
            raise struct.error("it is packed in no known way")
        steps = unpack(zlib.decompress(packed[1:]))
    except (zlib.error, struct.error) as error:
        raise Damaged(
            f"The feed of a transaction cannot be read: {error}.",
            fix="See what else is wrong with `lineal verify`, and restore a backup.",
        ) from error
    return tuple(accumulate(steps))
