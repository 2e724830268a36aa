"""The marks: which documents have changed, who is asking for them, and what came of it.

A mark raises a document's number. Whoever asks takes the number before, under a lease that runs
out by the database's clock; the answer counts only if none for a later number was written. So an
old answer never replaces a newer one, and what is marked meanwhile stays to be asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineal.model import Instant
from lineal.store import schema
from lineal.store.batches import Fence
from lineal.store.driver import Driver, Row
from lineal.store.findings import Name
from lineal.store.ledger import Ledger


class Watched(NamedTuple):
    """A row of `schema.watch`."""

    source: str
    document: str
    dirty_seq: int
    clean_seq: int
    deleted: bool
    due_at: Instant | None
    dirty_at: Instant | None
    attempts: int = 0
    gone_since: Instant | None = None
    confirmed_at: Instant | None = None
    etag: str | None = None
    version: str | None = None
    error: str | None = None
    generation: int = 0
    told: int = 0
    settled: int = 0
    looks: int | None = None
    wanted: int | None = None
    seen: int | None = None
    buried: bool = False
    leased_by: str | None = None
    leased_until: Instant | None = None


class Dirty(NamedTuple):
    """A document that is to be fetched: which mark, and what is known of it."""

    source: str
    document: str
    seq: int
    deleted: bool
    attempts: int
    gone_since: Instant | None
    etag: str | None
    #: How many notices it got so far: an answer settles all of them.
    told: int = 0
    #: Which second look follows, None for none; and how new an answer must be, if that is known.
    looks: int | None = None
    wanted: int | None = None
    #: Who took it.
    lease: str | None = None

    @classmethod
    def of(cls, row: Watched, *, seq: int | None = None, lease: str | None = None) -> Dirty:
        """Return what a row says."""
        return cls(
            row.source, row.document, row.dirty_seq if seq is None else seq, bool(row.deleted),
            row.attempts, row.gone_since, row.etag, row.told, row.looks, row.wanted, lease,
        )  # fmt: skip

    def fence(
        self,
        *,
        etag: str | None = None,
        seen: int | None = None,
        look_in: Instant | None = None,
    ) -> Fence:
        """Return the fence of its answer; *look_in* is when to look once more, from then."""
        looks = None if self.looks is None or look_in is None else self.looks + 1
        return Fence(
            self.source, self.document, self.seq, etag,
            told=self.told, lease=self.lease, seen=seen, look_in=look_in, looks=looks,
        )  # fmt: skip


def found(ledger: Ledger, where: str, *values: object) -> list[tuple[Row, Watched]]:
    """Return rows of documents, to be changed."""
    return [(row, Watched(*row)) for row in ledger.find(schema.watch, where, *values)]


def watched(ledger: Ledger, source: str, document: str) -> tuple[Row, Watched] | None:
    """Return the row of a document, to be changed."""
    rows = found(ledger, "source = ? AND document = ?", source, document)
    return rows[0] if rows else None


class Watching:
    """The rows of some documents: read together, changed one after another, written together."""

    def __init__(self, ledger: Ledger, names: Iterable[Name]) -> None:
        """Read what is there; nobody else changes marks till the end of the transaction."""
        ledger.hold_marks()
        self._ledger = ledger
        self._rows: dict[Name, Row] = {}
        self._now: dict[Name, Watched] = {}
        wanted: dict[str, set[str]] = {}
        for source, document in names:
            wanted.setdefault(source, set()).add(document)
        where = "source = ? AND document {among}"
        for source, documents in sorted(wanted.items()):
            for row in ledger.find_among(schema.watch, where, documents, source):
                self._rows[row[:2]] = row
                self._now[row[:2]] = Watched(*row)

    def get(self, name: Name) -> Watched | None:
        """Return what is known of a document so far."""
        return self._now.get(name)

    def put(self, new: Watched) -> None:
        """Note what is known of a document from now on."""
        self._now[new[:2]] = new

    def write(self) -> None:
        """Write what changed."""
        rows = self._rows
        new = [one for name, one in self._now.items() if name not in rows]
        self._ledger.insert(schema.watch, new)
        self._ledger.replace(
            schema.watch, [(row, tuple(self._now[name])) for name, row in rows.items()]
        )


# ── Marking ──────────────────────────────────────────────────────────────────────────────────────


class Mark(NamedTuple):
    """What is said of a document: that it changed."""

    source: str
    document: str
    deleted: bool = False
    #: How many notices say so; 0: a sweep, a reference.
    notices: int = 0
    #: How new the answer must be, by what they said.
    wanted: int | None = None


def mark(
    ledger: Ledger,
    source: str,
    document: str,
    *,
    deleted: bool,
    due_at: Instant,
    notices: int = 0,
    wanted: int | None = None,
) -> None:
    """Say that a document has changed: one more mark, due now; see `mark_several`."""
    mark_several(ledger, [Mark(source, document, deleted, notices, wanted)], due_at)


@dataclass(frozen=True, slots=True)
class Taking:
    """Who takes documents, for how many microseconds, and how many more of each source."""

    holder: str
    lease: Instant
    left: dict[str, int]

    def may(self, row: Watched, at: Instant) -> bool:
        """Return whether a document may be taken: nobody is at it, and there is a place."""
        if self.left.get(row.source, 0) <= 0:
            return False
        until = row.leased_until
        return until is None or (until <= at and row.leased_by != self.holder)


def mark_several(
    ledger: Ledger, some: Sequence[Mark], due_at: Instant, taking: Taking | None = None
) -> list[Dirty]:
    """
    Say that documents have changed: one more mark for each, due at that time.

    With *taking*, what is marked is taken at once as far as it goes, and returned: to find it
    again only to take it costs as much as to mark it.
    """
    watching = Watching(ledger, (one[:2] for one in some))
    at = clock(ledger.driver, due_at) if taking is not None else 0
    taken: list[Dirty] = []
    for one in some:
        new = marked(watching.get(one[:2]), one, due_at)
        if taking is not None and taking.may(new, at):
            taking.left[one.source] -= 1
            new = new._replace(leased_by=taking.holder, leased_until=at + taking.lease)
            taken.append(Dirty.of(new, lease=taking.holder))
        watching.put(new)
    watching.write()
    return taken


def marked(known: Watched | None, new: Mark, due_at: Instant) -> Watched:
    """Return what is known of a document after one more mark."""
    if known is None:
        return Watched(
            new.source, new.document, 1, 0, new.deleted, due_at, due_at,
            told=new.notices, looks=0 if new.notices else None, wanted=new.wanted,
        )  # fmt: skip
    wanted = known.wanted
    if new.wanted is not None and (known.seen is None or new.wanted > known.seen):
        wanted = max(new.wanted, known.wanted or new.wanted)
    return known._replace(
        dirty_seq=known.dirty_seq + 1,
        deleted=new.deleted,
        due_at=due_at,
        dirty_at=due_at if known.dirty_at is None else known.dirty_at,
        told=known.told + new.notices,
        looks=0 if new.notices else known.looks,
        wanted=wanted,
    )


def mark_unknown(ledger: Ledger, documents: Collection[Name], now: Instant) -> int:
    """Mark documents that were never asked for: things that are only referred to."""
    watching = Watching(ledger, documents)
    unknown = [name for name in documents if watching.get(name) is None]
    for source, document in unknown:
        watching.put(Watched(source, document, 1, 0, False, now, now))
    watching.write()
    return len(unknown)


def undescribed(driver: Driver) -> list[str]:
    """Which things are only referred to: no document ever said anything of them?"""
    rows = driver.rows(
        "SELECT uri FROM entity WHERE NOT EXISTS"
        " (SELECT 1 FROM record WHERE record.key = entity.key)"
        " AND NOT EXISTS (SELECT 1 FROM forgotten WHERE forgotten.key = entity.key)"
        " ORDER BY entity.key"
    )
    return [row[0] for row in rows]


# ── Taking ───────────────────────────────────────────────────────────────────────────────────────

#: The columns of a row.
COLUMNS = ", ".join(column.name for column in schema.watch.columns)


def due(driver: Driver, now: Instant, limit: int) -> list[Dirty]:
    """Which documents are to be asked for by now, the longest waiting first?"""
    rows = driver.rows(
        f"SELECT {COLUMNS} FROM watch WHERE due_at <= ? ORDER BY due_at, source, document LIMIT ?",
        now,
        limit,
    )
    return [Dirty.of(Watched(*row)) for row in rows]


def count_dirty(driver: Driver) -> int:
    """How many documents have changed, and were not asked for since?"""
    row = driver.row("SELECT count(*) FROM watch WHERE dirty_at IS NOT NULL")
    return 0 if row is None else int(row[0])


def clock(driver: Driver, now: Instant) -> Instant:
    """What time is it for leases: by the server's clock; a file has one process, and its clock?"""
    if driver.is_sqlite:
        return now
    row = driver.row("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
    assert row is not None
    return int(row[0])


#: May be taken: by nobody else's lease that still holds, and not by ours, which is still at it.
_FREE = "(leased_until IS NULL OR (leased_until <= ? AND leased_by <> ?))"
_DUE = f"source = ? AND due_at <= ? AND {_FREE}"
#: Of what is due: what waited longest; of what was never tried in vain, what waited least, since
#: what came before it may be what nobody gets an answer for; and what was tried least.
_LONGEST_WAITING = f"{_DUE} ORDER BY due_at, document LIMIT ?"
_UNTRIED = f"{_DUE} AND attempts = 0 ORDER BY due_at DESC LIMIT 1"
_LEAST_TRIED = f"{_DUE} ORDER BY attempts, due_at, document LIMIT 1"


def ready(driver: Driver, sources: Iterable[str], now: Instant, holder: str) -> list[str]:
    """Which of these sources have a document that this holder may take by now?"""
    at = clock(driver, now)
    return [
        source
        for source in sources
        if driver.row(
            f"SELECT 1 FROM watch WHERE {_DUE} LIMIT 1",
            *(source, now, at, holder),
        )
    ]


def take(
    ledger: Ledger,
    wants: Mapping[str, int],
    *,
    now: Instant,
    holder: str,
    lease: Instant,
    trying: Collection[str] = (),
) -> list[Dirty]:
    """
    Take what is due, of each source so many, for *lease* microseconds; nobody else gets it.

    Of a source that is only tried whether it is up again it is one: what was tried least. What is
    due only for a second look gets a mark of its own.
    """
    ledger.hold_marks()
    at = clock(ledger.driver, now)
    pairs: list[tuple[Row, Row]] = []
    taken = []
    for source, limit in sorted(wants.items()):
        values = (source, now, at, holder)
        if source in trying:
            rows = found(ledger, _UNTRIED, *values) or found(ledger, _LEAST_TRIED, *values)
        else:
            rows = found(ledger, _LONGEST_WAITING, *values, limit)
        for row, known in rows:
            seq = max(known.dirty_seq, known.clean_seq + 1)
            held = known._replace(dirty_seq=seq, leased_by=holder, leased_until=at + lease)
            pairs.append((row, tuple(held)))
            taken.append(Dirty.of(known, seq=seq, lease=holder))
    ledger.replace(schema.watch, pairs)
    return taken


def claim(
    ledger: Ledger,
    source: str,
    documents: Collection[str],
    *,
    now: Instant,
    holder: str,
    lease: Instant,
) -> list[tuple[Dirty, Instant | None]]:
    """
    Take documents that are not due, to word them anew without asking; others are asked for anyway.

    With each comes when its pending second look is due, if it has one. If nobody ever answers for
    it, it is asked for like any other.
    """
    watching = Watching(ledger, ((source, document) for document in documents))
    at = clock(ledger.driver, now)
    taken = []
    for document in documents:
        known = watching.get((source, document))
        if known is None or known.dirty_at is not None or (known.leased_until or 0) > at:
            continue
        seq = max(known.dirty_seq, known.clean_seq) + 1
        watching.put(
            known._replace(dirty_seq=seq, due_at=now, leased_by=holder, leased_until=at + lease)
        )
        taken.append((Dirty.of(known, seq=seq, lease=holder), known.due_at))
    watching.write()
    return taken


def mark_all(ledger: Ledger, source: str, now: Instant) -> int:
    """Mark every document of a source that was ever asked for; returns how many."""
    ledger.hold_marks()
    rows = ledger.driver.rows("SELECT document FROM watch WHERE source = ?", source)
    mark_several(ledger, [Mark(source, row[0]) for row in rows], now)
    return len(rows)


def free(ledger: Ledger, holder: str, but: Collection[Name]) -> None:
    """
    Forget the leases of a holder but for what it is at.

    A file nobody else has: there, whoever else held one is dead, and its leases are forgotten too.
    """
    ledger.hold_marks()
    if ledger.driver.is_sqlite:
        held = found(ledger, "leased_until IS NOT NULL")
    else:
        held = found(ledger, "leased_by = ?", holder)
    nobody: dict[str, object] = {"leased_by": None, "leased_until": None}
    ledger.change(
        schema.watch,
        [(row, nobody) for row, known in held if (known.source, known.document) not in but],
    )
