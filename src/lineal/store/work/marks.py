"""The marks: which documents have changed, who is asking for them, and what came of it.

A mark raises a document's number. Whoever asks takes the number before, under a lease that runs
out by the database's clock; the answer counts only if none for a later number was written. So an
old answer never replaces a newer one, and what is marked meanwhile stays to be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from lineal.model import Instant
from lineal.store import schema
from lineal.store.batches import Fence
from lineal.store.driver import Driver, Row
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


@dataclass(frozen=True, slots=True)
class Dirty:
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


def _found(ledger: Ledger, where: str, *values: object) -> list[tuple[Row, Watched]]:
    return [(row, Watched(*row)) for row in ledger.find(schema.watch, where, *values)]


def watched(ledger: Ledger, source: str, document: str) -> tuple[Row, Watched] | None:
    """Return the row of a document, to be changed."""
    rows = _found(ledger, "source = ? AND document = ?", source, document)
    return rows[0] if rows else None


# ── Marking ──────────────────────────────────────────────────────────────────────────────────────


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
    """
    Say that a document has changed: one more mark, due now.

    *notices* is how many notices say so (0: a sweep, a reference); *wanted* how new the answer
    must be, by what they said.
    """
    ledger.hold_marks()
    new = Watched(
        source, document, 1, 0, deleted, due_at, due_at,
        told=notices, looks=0 if notices else None, wanted=wanted,
    )  # fmt: skip
    if ledger.insert_new(schema.watch, new):
        return
    found = watched(ledger, source, document)
    assert found is not None
    row, known = found
    values: dict[str, object] = {
        "dirty_seq": known.dirty_seq + 1,
        "deleted": deleted,
        "due_at": due_at,
        "dirty_at": due_at if known.dirty_at is None else known.dirty_at,
        "told": known.told + notices,
    }
    if notices:
        values["looks"] = 0
    if wanted is not None and (known.seen is None or wanted > known.seen):
        values["wanted"] = max(wanted, known.wanted or wanted)
    ledger.change(schema.watch, [(row, values)])


def mark_unknown(ledger: Ledger, documents: Iterable[tuple[str, str]], now: Instant) -> int:
    """Mark documents that were never asked for: things that are only referred to."""
    ledger.hold_marks()
    return sum(
        ledger.insert_new(schema.watch, Watched(source, document, 1, 0, False, now, now))
        for source, document in documents
    )


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

_COLUMNS = ", ".join(column.name for column in schema.watch.columns)


def due(driver: Driver, now: Instant, limit: int) -> list[Dirty]:
    """Which documents are to be asked for by now, the longest waiting first?"""
    rows = driver.rows(
        f"SELECT {_COLUMNS} FROM watch WHERE due_at <= ? ORDER BY due_at, source, document LIMIT ?",
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


def ready(driver: Driver, sources: Iterable[str], now: Instant, holder: str) -> list[str]:
    """Which of these sources have a document that this holder may take by now?"""
    at = clock(driver, now)
    return [
        source
        for source in sources
        if driver.row(
            f"SELECT 1 FROM watch WHERE source = ? AND due_at <= ? AND {_FREE} LIMIT 1",
            *(source, now, at, holder),
        )
    ]


def take(
    ledger: Ledger, wants: Mapping[str, int], *, now: Instant, holder: str, lease: Instant
) -> list[Dirty]:
    """
    Take what is due, of each source so many, for *lease* microseconds; nobody else gets it.

    What is due only for a second look gets a mark of its own.
    """
    ledger.hold_marks()
    at = clock(ledger.driver, now)
    changes: list[tuple[Row, dict[str, object]]] = []
    taken = []
    for source, limit in sorted(wants.items()):
        rows = _found(
            ledger,
            f"source = ? AND due_at <= ? AND {_FREE} ORDER BY due_at, document LIMIT ?",
            *(source, now, at, holder, limit),
        )
        for row, known in rows:
            seq = max(known.dirty_seq, known.clean_seq + 1)
            values = {"dirty_seq": seq, "leased_by": holder, "leased_until": at + lease}
            changes.append((row, values))
            taken.append(Dirty.of(known, seq=seq, lease=holder))
    ledger.change(schema.watch, changes)
    return taken


def claim(
    ledger: Ledger,
    source: str,
    documents: Iterable[str],
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
    ledger.hold_marks()
    at = clock(ledger.driver, now)
    changes: list[tuple[Row, dict[str, object]]] = []
    taken = []
    for document in documents:
        found = watched(ledger, source, document)
        if found is None:
            continue
        row, known = found
        if known.dirty_at is not None or (known.leased_until or 0) > at:
            continue
        seq = max(known.dirty_seq, known.clean_seq) + 1
        values = {
            "dirty_seq": seq, "due_at": now, "leased_by": holder, "leased_until": at + lease,
        }  # fmt: skip
        changes.append((row, values))
        taken.append((Dirty.of(known, seq=seq, lease=holder), known.due_at))
    ledger.change(schema.watch, changes)
    return taken


def mark_all(ledger: Ledger, source: str, now: Instant) -> int:
    """Mark every document of a source that was ever asked for; returns how many."""
    ledger.hold_marks()
    rows = _found(ledger, "source = ?", source)
    for _, known in rows:
        mark(ledger, source, known.document, deleted=False, due_at=now)
    return len(rows)


def release_all(ledger: Ledger) -> None:
    """Forget all leases: of a file nobody else has, whoever held them is dead."""
    ledger.hold_marks()
    rows = ledger.find(schema.watch, "leased_until IS NOT NULL")
    free: dict[str, object] = {"leased_by": None, "leased_until": None}
    ledger.change(schema.watch, [(row, free) for row in rows])


# ── What came of it ──────────────────────────────────────────────────────────────────────────────


def answered(ledger: Ledger, fence: Fence, at: Instant) -> bool:
    """
    Clear the mark that an answer is for; False if a later answer did, and this one is old.

    In the transaction that writes the answer, so that both happen or neither.
    """
    ledger.hold_marks()
    found = watched(ledger, fence.source, fence.document)
    if found is None:
        return False
    row, known = found
    free = _freed(known, fence.lease)
    if known.clean_seq >= fence.seq:
        if free:
            ledger.change(schema.watch, [(row, free)])
        return False
    settled = max(known.settled, fence.told)
    _settle(ledger, known, settled - known.settled, at)
    if fence.asked:
        ledger.flow.add(fence.source, "confirmed", 1, at)
    if known.buried:
        _lift(ledger, known, at)
    again = known.dirty_seq > fence.seq
    look = None if fence.look_in is None else at + fence.look_in
    newer = known.wanted if again and _newer(known.wanted, fence.seen) else None
    values: dict[str, object] = {
        **free,
        "clean_seq": fence.seq,
        "attempts": 0,
        "error": None,
        "etag": fence.etag,
        "confirmed_at": at if fence.asked else known.confirmed_at,
        "gone_since": None,
        "settled": settled,
        "buried": False,
        "due_at": known.due_at if again else look,
        "dirty_at": at if again else None,
        "looks": known.looks if again else fence.looks,
        "wanted": newer,
        "seen": known.seen if fence.seen is None else fence.seen,
    }
    ledger.change(schema.watch, [(row, values)])
    return True


def _newer(wanted: int | None, seen: int | None) -> bool:
    return wanted is not None and (seen is None or wanted > seen)


def _freed(known: Watched, lease: str | None) -> dict[str, object]:
    """Give back a lease that is ours; another's stays."""
    if known.leased_by is None or known.leased_by != lease:
        return {}
    return {"leased_by": None, "leased_until": None}


def _settle(ledger: Ledger, known: Watched, notices: int, at: Instant) -> None:
    """Count notices that one answer was for: the last was applied, the others were superseded."""
    if notices:
        ledger.flow.add(known.source, "applied", 1, at)
        ledger.flow.add(known.source, "superseded", notices - 1, at)


def _lift(ledger: Ledger, known: Watched, at: Instant) -> None:
    """A document that was put aside was answered after all: its dead letter is out of date."""
    where = "source = ? AND document = ?"
    letters = ledger.find(schema.dead_letter, where, known.source, known.document)
    for letter in letters:
        ledger.flow.add(known.source, "superseded", letter[-1], at)
    ledger.delete(schema.dead_letter, letters)


def put_off(
    ledger: Ledger,
    dirty: Dirty,
    *,
    due_at: Instant,
    error: str | None,
    gone_since: Instant | None = None,
) -> None:
    """Try a document again later, and remember why; at once, if it was marked meanwhile."""
    ledger.hold_marks()
    found = watched(ledger, dirty.source, dirty.document)
    if found is None:
        return
    row, known = found
    values: dict[str, object] = {
        **_freed(known, dirty.lease), "attempts": dirty.attempts + 1, "error": error,
    }  # fmt: skip
    if known.dirty_seq == dirty.seq:
        values["due_at"] = due_at
    if gone_since:
        values["gone_since"] = gone_since
    ledger.change(schema.watch, [(row, values)])


def hand_back(ledger: Ledger, some: Sequence[Dirty]) -> None:
    """Give back what was taken and not asked for: it is due as before."""
    ledger.hold_marks()
    for dirty in some:
        found = watched(ledger, dirty.source, dirty.document)
        if found is not None and (free := _freed(found[1], dirty.lease)):
            ledger.change(schema.watch, [(found[0], free)])


def bring_back(ledger: Ledger, now: Instant) -> int:
    """
    The clock was set back: what was marked later than now is due now; returns how much it was.

    Else it would wait until the clock is again where it was.
    """
    ledger.hold_marks()
    rows = _found(ledger, "dirty_at > ?", now)
    ledger.change(schema.watch, [(row, {"dirty_at": now, "due_at": now}) for row, _ in rows])
    return len(rows)


def hurry(ledger: Ledger, source: str, now: Instant) -> None:
    """A source is up again: what was put off since it was down is due now."""
    ledger.hold_marks()
    rows = _found(
        ledger,
        "source = ? AND due_at > ? AND dirty_at IS NOT NULL AND error IS NOT NULL"
        " AND gone_since IS NULL",
        *(source, now),
    )
    ledger.change(schema.watch, [(row, {"due_at": now}) for row, _ in rows])
