"""Everything that walks need, read at once into columns: how the lineage engine is filled.

A row of the database would become a dozen objects; here each becomes one or a few whole numbers
that go straight into an array.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage import IDENTITY, SAME, newest, pair
from lineal.lineage.engine.adjacency import LARGEST, Longs
from lineal.lineage.engine.claims import Claims, Picture
from lineal.shapes import Shapes
from lineal.store import schema
from lineal.store.basis import Basis
from lineal.store.driver import Driver
from lineal.store.rows import unpack

if TYPE_CHECKING:
    from lineal.store.reading import Reader

#: The classes of kinds that a walk goes over or looks at, and what makes a version active besides.
_CLASSES = ("data", "serve", "feedback", "control", "level")
_BESIDES = ("points_to",)
#: Where in a packed claim the source, the kind and the layer begin; the target comes last.
_SOURCE, _KIND, _LAYER = 37, 29, 27


def picture(reader: Reader, driver: Driver, shapes: Shapes, *, timed: bool) -> Picture:
    """
    Return all that walks at a reader's moment need; *timed*: also who makes a claim, since when.

    Its ``newest`` asks the reader, and can be asked as long as that is open.

    Raises:
        OverflowError: there are more things or kinds than the engine's numbers hold.
    """
    (next_key,) = driver.row("SELECT next_key FROM clock") or (0,)
    words: dict[int, str] = dict(driver.rows("SELECT id, text FROM term ORDER BY id"))
    if next_key >= LARGEST or max(words, default=0) >= 256:
        raise OverflowError(f"{next_key} things of {len(words)} kinds are too many for the engine.")
    wanted = shapes.kinds_in(_CLASSES) | set(_BESIDES)
    kinds = [number for number, word in words.items() if word in wanted]
    types, type_names = _types(driver, next_key)
    return Picture(
        next_key,
        types,
        type_names,
        _claims(driver, reader.basis, kinds, timed=timed),
        tuple(words[number] for number in kinds),
        schema.LAYERS,
        _same(driver, reader.basis, words),
        lambda models: newest(reader, models),
    )


def numbers(driver: Driver, text: str, width: int, *values: int) -> Longs:
    """Return what a query finds, all of it whole numbers and none of them NULL: a row to a row."""
    if driver.is_sqlite:
        found = np.fromiter(driver.numbers(text, *values), np.int64)
        return found.reshape(-1, width)
    for value in values:
        text = text.replace("?", str(int(value)), 1)
    return _binary(driver.binary(text), width)


def _binary(copied: bytes, width: int) -> Longs:
    """Read what PostgreSQL copies out: a head, then each row as its width and its values."""
    parts = [((f"size{at}", ">i4"), (f"value{at}", ">i8")) for at in range(width)]
    row = np.dtype([("width", ">i2"), *(part for both in parts for part in both)])
    head = 19 + int.from_bytes(copied[15:19], "big")
    count = (len(copied) - head - 2) // row.itemsize
    rows = np.frombuffer(copied, row, count, head)
    return np.stack([rows[f"value{at}"].astype(np.int64) for at in range(width)], axis=1)


def _types(driver: Driver, things: int) -> tuple[NDArray[Any], tuple[str, ...]]:
    """The type of each thing, as a place in the names."""
    names = [name for (name,) in driver.rows("SELECT DISTINCT type FROM entity ORDER BY type")]
    types = np.full(things, len(names), np.uint8 if len(names) < 255 else np.uint16)
    for place, name in enumerate(names):
        types[_keys(driver, name)] = place
    return types, (*names, "")


def _keys(driver: Driver, name: str) -> Longs:
    """The things of a type."""
    if driver.is_sqlite:
        return np.fromiter(driver.numbers("SELECT key FROM entity WHERE type = ?", name), np.int64)
    quoted = name.replace("'", "''")
    return numbers(driver, f"SELECT key FROM entity WHERE type = '{quoted}'", 1)[:, 0]


def _claims(driver: Driver, basis: Basis, kinds: Collection[int], *, timed: bool) -> Claims:
    """The claims of these kinds that were so at the moment."""
    among = ", ".join(map(str, kinds)) or "NULL"
    # Law 3 asks which document a claim is of, but only where some document states columns.
    fine = timed or driver.row("SELECT 1 FROM document WHERE fine") is not None
    also = [*(["document"] if fine else []), *(["valid_from"] if timed else [])]
    text = f"SELECT {', '.join([_PACKED, *also])} FROM edge_out WHERE kind IN ({among}) AND {ALIVE}"
    rows = numbers(driver, text, 1 + len(also), *alive(basis))
    packed = rows[:, 0].view(np.uint64) if len(also) == 0 else rows[:, 0].copy().view(np.uint64)
    place = np.zeros(256, np.uint8)
    place[list(kinds)] = np.arange(len(kinds))
    count = packed.size
    return Claims(
        (packed >> np.uint64(_SOURCE)).astype(np.int32),
        place[(packed >> np.uint64(_KIND)) & np.uint64(0xFF)],
        (packed & np.uint64(LARGEST - 1)).astype(np.int32),
        ((packed >> np.uint64(_LAYER)) & np.uint64(3)).astype(np.uint8),
        rows[:, 1].astype(np.int32) if fine else np.zeros(count, np.int32),
        rows[:, -1].copy() if timed else np.zeros(0, np.int64),
    )


def _same(driver: Driver, basis: Basis, words: Mapping[int, str]) -> NDArray[np.int64]:
    """The names that were held to be one, whenever what says so was so."""
    held: dict[str, set[tuple[int, int]]] = {kind: set() for kind in IDENTITY}
    for number, word in words.items():
        if word in held:
            rows = driver.rows(_HELD, number, basis.t, basis.t)
            held[word] = {pair(one, other) for one, other in rows}
    joined = held.pop(SAME)
    parted = {ends for some in held.values() for ends in some}
    return np.array(sorted(joined - parted), np.int64).reshape(-1, 2)


def alive(basis: Basis) -> tuple[int, int, int, int, int]:
    """Return the values that `ALIVE` takes."""
    return basis.t, basis.valid_at, basis.valid_at, basis.t, basis.valid_at


_PACKED = (
    f"(src << {_SOURCE}) | (CAST(kind AS BIGINT) << {_KIND})"
    f" | (CAST(layer AS BIGINT) << {_LAYER}) | dst"
)
#: The rows that were so at the moment, as `Snapshot._alive` says it to SQLAlchemy.
ALIVE = f"""
    t_from <= ? AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)
    AND (t_to IS NULL OR t_to > ? OR (reason <> {schema.REASONS.index("corrected")}
    AND ended_at > ?))
"""
#: Which claims of a kind did we hold by then?
_HELD = (
    "SELECT src, dst FROM edge_out WHERE kind = ? AND t_from <= ? AND (t_to IS NULL OR t_to > ?)"
)


# ── What changed since ───────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Changes:
    """What the transactions after one changed, up to a reader's."""

    #: The things that the feed names.
    things: frozenset[int]
    #: The claims that began or ended.
    claims: frozenset[tuple[int, str, int]]


def changes(reader: Reader, driver: Driver, after: int) -> Changes | None:
    """
    Read the feed after a transaction; None where it does not tell all.

    A transaction is missing in it, or one forgot old things: then what they were joined to is not
    named.
    """
    until = reader.basis.t
    rows = driver.rows(_FEED, after, until)
    if [t for t, _ in rows] != list(range(after + 1, until + 1)):
        return None
    if driver.row(_FORGOT, after, until) is not None:
        return None
    things = frozenset(key for _, packed in rows for key in unpack(bytes(packed)))
    claims = driver.among(_BEGUN_OR_ENDED, things, after, after)
    return Changes(things, frozenset((src, reader.kind(kind), dst) for src, kind, dst in claims))


def turns(reader: Reader, driver: Driver) -> list[tuple[int, int, str, int]]:
    """When does a claim begin or end to be so after the moment, though nobody says it then?"""
    basis = reader.basis
    at, corrected = basis.valid_at, schema.REASONS.index("corrected")
    rows = driver.rows(_TURNS, basis.t, at, at, basis.t, corrected, at)
    found = [
        (instant, src, reader.kind(kind), dst)
        for src, kind, dst, *instants in rows
        for instant in instants
        if instant is not None and instant > at
    ]
    return sorted(found)


def chained(driver: Driver, t: int) -> str:
    """Return the hash of a transaction, which no other history has; empty where it is not there."""
    row = driver.row("SELECT hash FROM tx WHERE t = ?", t)
    return "" if row is None else bytes(row[0]).hex()


#: What did each transaction change?
_FEED = "SELECT t, changed FROM tx WHERE t > ? AND t <= ? ORDER BY t"
#: Was anything old dropped in these transactions?
_FORGOT = "SELECT 1 FROM forgotten WHERE t > ? AND t <= ? AND how = 'retention'"
#: Which claims that begin at these things began or ended after a transaction?
_BEGUN_OR_ENDED = """
    SELECT src, kind, dst FROM edge_out WHERE (t_from > ? OR t_to > ?) AND src {among}
"""
#: Which claims have a beginning or an end that is still to come?
_TURNS = """
    SELECT src, kind, dst, valid_from, valid_to, ended_at FROM edge_out
    WHERE t_from <= ? AND (valid_from > ? OR valid_to > ?
    OR (t_to <= ? AND reason <> ? AND ended_at > ?))
"""
