"""What came of asking: a mark is cleared, put off or given back, and each notice is counted."""

from __future__ import annotations

from collections.abc import Sequence

from lineal.model import Instant
from lineal.store import schema
from lineal.store.batches import Fence
from lineal.store.findings import Name
from lineal.store.ledger import Ledger
from lineal.store.work.marks import Dirty, Watched, Watching, found
from lineal.store.work.noting import noted


def answered(ledger: Ledger, fences: Sequence[Fence], at: Instant) -> set[Name]:
    """
    Clear the marks that answers are for; return the documents of which a later answer did, or will.

    What these answers say may be old. In the transaction that writes the others, so that both
    happen or neither.
    """
    watching = Watching(ledger, ((fence.source, fence.document) for fence in fences))
    old = set()
    for fence in fences:
        name = (fence.source, fence.document)
        known = watching.get(name)
        seq, told = fence.seq, fence.told
        if fence.listing is not None:
            new = noted(known, *name, fence.listing, at)
            if not new.is_newest:
                old.add(name)
                watching.put(new.row)
                continue
            known, seq, told = new.row, new.row.dirty_seq, new.row.told
        if known is None or known.clean_seq >= seq or is_taken_since(known, fence.lease):
            old.add(name)
            if known is not None:
                watching.put(_freed(known, fence.lease))
            continue
        watching.put(_cleared(ledger, known, fence, seq, told, at))
    watching.write()
    return old


def _cleared(
    ledger: Ledger, known: Watched, fence: Fence, seq: int, told: int, at: Instant
) -> Watched:
    """Return what is known of a document after an answer; count what the answer was for."""
    settled = max(known.settled, told)
    _settle(ledger, known, settled - known.settled, at)
    if fence.asked:
        ledger.flow.add(fence.source, "confirmed", 1, at)
    if known.buried:
        _lift(ledger, known, at)
    again = known.dirty_seq > seq
    look = None if fence.look_in is None else at + fence.look_in
    return _freed(known, fence.lease)._replace(
        clean_seq=seq,
        attempts=0,
        error=None,
        etag=fence.etag,
        version=None if fence.doubted else known.version,
        confirmed_at=at if fence.asked else known.confirmed_at,
        gone_since=None,
        settled=settled,
        buried=False,
        due_at=known.due_at if again else look,
        dirty_at=at if again else None,
        looks=known.looks if again else fence.looks,
        wanted=known.wanted if again and _newer(known.wanted, fence.seen) else None,
        seen=known.seen if fence.seen is None else fence.seen,
    )


def is_taken_since(known: Watched, lease: str | None) -> bool:
    """
    Has somebody else taken it since *lease* did, who is yet to answer?

    Who took it later may have asked earlier: then their answer, which is for a later mark, would
    replace this one and be older.
    """
    return lease is not None and known.leased_by not in (None, lease)


def _newer(wanted: int | None, seen: int | None) -> bool:
    return wanted is not None and (seen is None or wanted > seen)


def _freed(known: Watched, lease: str | None) -> Watched:
    """Give back a lease that is ours; another's stays."""
    if known.leased_by is None or known.leased_by != lease:
        return known
    return known._replace(leased_by=None, leased_until=None)


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
    attempts: int | None = None,
) -> None:
    """
    Try a document again later, and remember why; at once, if it was marked meanwhile.

    What may be gone is marked from then on, also where it was only looked at again: so it is
    counted with all that may be. It counts as tried once more, or so often as is said.
    """
    watching = Watching(ledger, [(dirty.source, dirty.document)])
    known = watching.get((dirty.source, dirty.document))
    if known is None:
        return
    new = _freed(known, dirty.lease)._replace(
        attempts=dirty.attempts + 1 if attempts is None else attempts,
        error=error,
        gone_since=gone_since or known.gone_since,
    )
    if known.dirty_seq == dirty.seq:
        new = new._replace(due_at=due_at, dirty_at=known.dirty_at or gone_since)
    watching.put(new)
    watching.write()


def hand_back(ledger: Ledger, some: Sequence[Dirty]) -> None:
    """Give back what was taken and not asked for: it is due as before."""
    watching = Watching(ledger, ((dirty.source, dirty.document) for dirty in some))
    for dirty in some:
        known = watching.get((dirty.source, dirty.document))
        if known is not None:
            watching.put(_freed(known, dirty.lease))
    watching.write()


def hurry(ledger: Ledger, source: str, now: Instant, *, below: int) -> None:
    """
    A source is up again: what was put off since it was down is due now.

    But for what was tried so often: that may be to blame itself, and waits for its time.
    """
    ledger.hold_marks()
    rows = found(
        ledger,
        "source = ? AND due_at > ? AND dirty_at IS NOT NULL AND error IS NOT NULL"
        " AND gone_since IS NULL AND attempts < ?",
        *(source, now, below),
    )
    ledger.change(schema.watch, [(row, {"due_at": now}) for row, _ in rows])


def bring_back(ledger: Ledger, now: Instant) -> int:
    """
    The clock was set back: what was marked later than now is due now; returns how much it was.

    Else it would wait until the clock is again where it was.
    """
    ledger.hold_marks()
    rows = found(ledger, "dirty_at > ?", now)
    ledger.change(schema.watch, [(row, {"dirty_at": now, "due_at": now}) for row, _ in rows])
    return len(rows)
