"""Everything that walks need, read at once into columns: how the lineage engine is filled.

A row of the database would become a dozen objects; here each becomes one or a few whole numbers
that go straight into an array.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lineal.lineage import IDENTITY, SAME, newest, pair
from lineal.lineage.engine.adjacency import LARGEST, Longs
from lineal.lineage.engine.claims import ALWAYS, NEVER, Claims, Numbers, Past, Picture, together
from lineal.lineage.engine.thinning import Rule, occurrences, thinned
from lineal.model import Instant
from lineal.shapes import Shapes
from lineal.store import schema
from lineal.store.basis import Basis, last_by
from lineal.store.driver import Driver
from lineal.store.rows import unpack_feed

if TYPE_CHECKING:
    from lineal.store.reading import Reader

#: The classes of kinds that a walk goes over or looks at, and what makes a version active besides;
#: and by what answers are grouped: whose things are, and in which domain.
_CLASSES = ("data", "serve", "feedback", "control", "level")
_BESIDES = ("points_to", "owned_by", "member_of", "in_domain")
#: How many rows are read at a time where not all are held.
_PIECE = 2_000_000
#: Where in a packed claim the source, the kind and the layer begin; the target comes last.
_SOURCE, _KIND, _LAYER = 37, 29, 27


def picture(
    reader: Reader,
    driver: Driver,
    shapes: Shapes,
    *,
    timed: bool,
    rule: Rule | None = None,
    since: Instant | None = None,
) -> Picture:
    """
    Return all that walks at a reader's moment need; *timed*: also who makes a claim, since when.

    *since*: also what was so before, back to that instant. With a *rule* not all occurrences are
    held where there are very many. Its ``newest`` asks the reader, and can be asked as long as that
    is open.

    Raises:
        OverflowError: there are more things or kinds than the engine's numbers hold.
    """
    rows = _Rows(reader, driver, shapes)
    past = None if since is None else rows.past(since)
    if rule is not None and occurrences(rows, shapes) > rule.many:
        return thinned(rows, shapes, rule, past)
    return Picture(
        rows.things,
        rows.types,
        rows.type_names,
        _claims(driver, reader.basis, rows.kinds, timed=timed),
        rows.kind_names,
        rows.layer_names,
        rows.same,
        rows.newest,
        Numbers(rows.things),
        past=past,
    )


class _Rows:
    """The rows of a store as the `Pieces` of a picture."""

    def __init__(self, reader: Reader, driver: Driver, shapes: Shapes) -> None:
        (next_key,) = driver.row("SELECT next_key FROM clock") or (0,)
        words: dict[int, str] = dict(driver.rows("SELECT id, text FROM term ORDER BY id"))
        if next_key >= LARGEST or max(words, default=0) >= 256:
            raise OverflowError(
                f"{next_key} things of {len(words)} kinds are too many for the engine."
            )
        wanted = shapes.kinds_in(_CLASSES) | set(_BESIDES)
        self._reader, self._driver, self._basis = reader, driver, reader.basis
        self._words = words
        self.kinds = [number for number, word in words.items() if word in wanted]
        level = shapes.level_kinds
        self._level = [number for number in self.kinds if words[number] in level]
        self.things: int = next_key
        self.types, self.type_names = _types(driver, next_key)
        self.kind_names = tuple(words[number] for number in self.kinds)
        self.layer_names = schema.LAYERS
        self.same = _same(driver, reader.basis, words)

    @cached_property
    def fine(self) -> Longs:
        """The documents that state edges of columns or features."""
        return numbers(self._driver, "SELECT id FROM document WHERE fine ORDER BY id", 1)[:, 0]

    def past(self, since: Instant) -> Past:
        """Return the claims that are not so, but may have been at a moment since then."""
        t = last_by(self._driver, since)
        basis, driver = self._basis, self._driver
        text = _ENDED.format(kinds=_among(self.kinds))
        corrected = schema.REASONS.index("corrected")
        values = (basis.t, *alive(basis), since, t, corrected, since)
        rows = numbers(driver, text, 6, *values)
        named = [
            (*pair(one, other), int(word == SAME), begun, gone)
            for number, word in self._words.items() if word in IDENTITY
            for one, other, begun, gone in driver.rows(_NAMED, basis.t, number, basis.t, t)
        ]  # fmt: skip
        return Past(
            t, since, _unpacked(rows[:, :4], _places(self.kinds), fine=True, timed=True),
            rows[:, 4].copy(), rows[:, 5].copy(), np.array(named, np.int64).reshape(-1, 5),
        )  # fmt: skip

    def levels(self) -> Claims:
        """Return the claims that join a part to its whole."""
        return together([_no_claims(), *self._read(self._level)])

    def named_by(self, types: Collection[str]) -> Longs:
        """Return the ends of all claims that begin at things of these types."""
        found = [np.zeros(0, np.int64)]
        for name in types:
            quoted = name.replace("'", "''")
            text = _NAMED_BY.format(kinds=_among(self.kinds), name=f"'{quoted}'", alive=ALIVE)
            found.append(numbers(self._driver, text, 1, *alive(self._basis))[:, 0])
        return np.concatenate(found)

    def claims(self) -> Iterator[Claims]:
        """Yield all claims, a piece at a time."""
        yield from self._read(self.kinds)

    def _read(self, kinds: Collection[int]) -> Iterator[Claims]:
        columns = f"{_PACKED}, {_MADE}, valid_from, {_UNTIL}"
        text = f"SELECT {columns} FROM edge_out WHERE kind IN ({_among(kinds)}) AND {ALIVE}"
        place = _places(self.kinds)
        for rows in _pieces(self._driver, text, 4, *alive(self._basis)):
            yield _unpacked(rows, place, fine=True, timed=True)

    def newest(self, models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
        """Return which version of each model is the newest."""
        return newest(self._reader, models)


def numbers(driver: Driver, text: str, width: int, *values: int) -> Longs:
    """Return what a query finds, all of it whole numbers and none of them NULL: a row to a row."""
    if driver.is_sqlite:
        found = np.fromiter(driver.numbers(text, *values), np.int64)
        return found.reshape(-1, width)
    for value in values:
        text = text.replace("?", str(int(value)), 1)
    return _binary(driver.binary(text), width)


def _pieces(driver: Driver, text: str, width: int, *values: int) -> Iterator[Longs]:
    """Yield what `numbers` returns, so many rows at a time."""
    if driver.is_sqlite:
        every = driver.numbers(text, *values)
        while (found := np.fromiter(islice(every, _PIECE * width), np.int64)).size:
            yield found.reshape(-1, width)
        return
    for value in values:
        text = text.replace("?", str(int(value)), 1)
    left, size = b"", 2 + 12 * width
    head: int | None = None
    for copied in driver.copied(text, _PIECE * size):
        left += copied
        if head is None:
            head = 19 + int.from_bytes(left[15:19], "big")
            left = left[head:]
        # The end of the copy is two bytes that are no row.
        whole = len(left) // size * size
        if whole:
            yield _rows(left[:whole], width)
        left = left[whole:]


def _binary(copied: bytes, width: int) -> Longs:
    """Read what PostgreSQL copies out: a head, then each row as its width and its values."""
    head = 19 + int.from_bytes(copied[15:19], "big")
    return _rows(copied[head:-2], width)


def _rows(copied: bytes, width: int) -> Longs:
    parts = [((f"size{at}", ">i4"), (f"value{at}", ">i8")) for at in range(width)]
    row = np.dtype([("width", ">i2"), *(part for both in parts for part in both)])
    rows = np.frombuffer(copied, row)
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
    # Law 3 asks which document a claim is of, but only where some document states columns.
    fine = timed or driver.row("SELECT 1 FROM document WHERE fine") is not None
    ends = timed and driver.row("SELECT 1 FROM edge_out WHERE valid_to IS NOT NULL") is not None
    also = [*([_MADE] if fine else []), *(["valid_from"] if timed else [])]
    columns = ", ".join([_PACKED, *also, *([_UNTIL] if ends else [])])
    text = f"SELECT {columns} FROM edge_out WHERE kind IN ({_among(kinds)}) AND {ALIVE}"
    rows = numbers(driver, text, 1 + len(also) + ends, *alive(basis))
    return _unpacked(rows, _places(kinds), fine=fine, timed=timed)


def _among(kinds: Collection[int]) -> str:
    return ", ".join(map(str, kinds)) or "NULL"


def _places(kinds: Collection[int]) -> NDArray[np.uint8]:
    """Return the place of each kind's number among those that are read."""
    place = np.zeros(256, np.uint8)
    place[list(kinds)] = np.arange(len(kinds))
    return place


def _unpacked(rows: Longs, place: NDArray[np.uint8], *, fine: bool, timed: bool) -> Claims:
    """Return the claims of rows of packed claims, with documents if *fine*, times if *timed*."""
    packed = np.ascontiguousarray(rows[:, 0]).view(np.uint64)
    made = rows[:, 1] if fine else np.zeros(packed.size, np.int64)
    ends = timed and rows.shape[1] > 3
    return Claims(
        (packed >> np.uint64(_SOURCE)).astype(np.int32),
        place[(packed >> np.uint64(_KIND)) & np.uint64(0xFF)],
        (packed & np.uint64(LARGEST - 1)).astype(np.int32),
        ((packed >> np.uint64(_LAYER)) & np.uint64(3)).astype(np.uint8),
        (made >> 32).astype(np.int32),
        rows[:, 2].copy() if timed else np.zeros(0, np.int64),
        (made & 0xFFFF_FFFF).astype(np.int32) if timed else np.zeros(0, np.int32),
        rows[:, 3].copy() if ends else np.zeros(0, np.int64),
    )


def _no_claims() -> Claims:
    return _unpacked(np.zeros((0, 3), np.int64), _places(()), fine=True, timed=True)


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
#: Which document makes a claim, and since which transaction it is held; until when it is so.
_MADE, _UNTIL = "(CAST(document AS BIGINT) << 32) | t_from", f"COALESCE(valid_to, {NEVER})"
#: The rows that were so at the moment, as `Snapshot._alive` says it to SQLAlchemy.
ALIVE = f"""
    t_from <= ? AND valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)
    AND (t_to IS NULL OR t_to > ? OR (reason <> {schema.REASONS.index("corrected")}
    AND ended_at > ?))
"""
#: Which claims are not so now, but may have been?
_ENDED = f"""
    SELECT {_PACKED}, {_MADE}, valid_from, {_UNTIL}, COALESCE(t_to, {NEVER}),
    CASE WHEN t_to IS NULL THEN {NEVER} WHEN reason = {schema.REASONS.index("corrected")}
    THEN {ALWAYS} ELSE ended_at END
    FROM edge_out WHERE kind IN ({{kinds}}) AND t_from <= ? AND NOT ({ALIVE})
    AND (valid_to IS NULL OR valid_to > ?)
    AND (t_to IS NULL OR t_to > ? OR (reason <> ? AND ended_at > ?))
    ORDER BY src, kind, dst, document, t_from
"""
#: Which claims of a kind did we ever hold since a transaction, from when to when?
_NAMED = f"""
    SELECT src, dst, t_from, CASE WHEN t_to > ? THEN {NEVER} ELSE COALESCE(t_to, {NEVER}) END
    FROM edge_out WHERE kind = ? AND t_from <= ? AND (t_to IS NULL OR t_to > ?)
"""
#: What do things of a type name?
_NAMED_BY = """
    SELECT dst FROM edge_out JOIN entity ON entity.key = src
    WHERE type = {name} AND kind IN ({kinds}) AND dst <> src
    AND edge_out.{alive}
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

    A transaction is missing in it; or one forgot old things, and then what they were joined to is
    not named; or there are so many that reading all anew is quicker.
    """
    until = reader.basis.t
    if until - after > _FOLLOWED:
        return None
    rows = driver.rows(_FEED, after, until)
    if [t for t, _ in rows] != list(range(after + 1, until + 1)):
        return None
    if driver.row(_FORGOT, after, until) is not None:
        return None
    things = frozenset(key for _, packed in rows for key in unpack_feed(bytes(packed)))
    if len(things) > _CHANGED:
        return None
    claims = driver.among(_BEGUN_OR_ENDED, things, after, after)
    return Changes(things, frozenset((src, reader.kind(kind), dst) for src, kind, dst in claims))


def forgot(driver: Driver, after: int) -> tuple[int, bool]:
    """Return the last transaction, and whether one since then dropped what was old."""
    (last,) = driver.row("SELECT published FROM clock") or (0,)
    return last, last > after and driver.row(_FORGOT, after, last) is not None


def turns(
    reader: Reader, driver: Driver, things: Collection[int] | None = None
) -> list[tuple[int, int, str, int]]:
    """When does a claim begin or end to be so after the moment, though nobody says it then?"""
    basis = reader.basis
    at, corrected = basis.valid_at, schema.REASONS.index("corrected")
    values = basis.t, at, at, basis.t, corrected, at
    if things is None:
        rows = driver.rows(_TURNS, *values)
    else:
        rows = driver.among(f"{_TURNS} AND src {{among}}", things, *values)
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


#: Over how many transactions, and how many things that they changed, the feed is followed.
_FOLLOWED, _CHANGED = 5_000, 50_000
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
