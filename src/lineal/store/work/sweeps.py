"""Sweeps: what a source listed, generation by generation, and which documents it did not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lineal.model import Instant, Uri
from lineal.store.batches import Listing
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger
from lineal.store.work import marks
from lineal.store.work.marks import COLUMNS, Dirty, Watched, Watching
from lineal.store.work.noting import is_newest, noted
from lineal.store.work.standing import Standing, stand, standing

#: Comes after every text that a name may begin with.
LAST = "\U0010ffff"
#: What is known of these documents of a source?
_WATCHED = f"SELECT {COLUMNS} FROM watch WHERE source = ? AND document {{among}}"


def begin(
    ledger: Ledger, source: str, *, now: Instant, holder: str, lease: Instant
) -> Standing | None:
    """
    Begin a sweep: a new generation; None where another process is at it.

    One that was broken off (a process that was killed, a list that moved away) is begun anew with
    the time at which it first began: what was confirmed since then need not be asked for again.
    """
    ledger.hold_marks()
    known = standing(ledger.driver, source)
    at = marks.clock(ledger.driver, now)
    is_held = known.leased_until is not None and known.leased_until > at
    # A file is written by one process at a time: whoever else held a lease is dead.
    if is_held and not ledger.driver.is_sqlite and known.leased_by != holder:
        return None
    cut = known.began_at if known.is_sweeping else now
    return stand(
        ledger, source, generation=known.generation + 1, began_at=cut, ended_at=None, listed=0,
        marked=0, sweep_error=None, leased_by=holder, leased_until=at + lease,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """What a source's list says of a document."""

    document: str
    version: str | None
    #: When the page was asked for, if it holds the whole document.
    whole_at: Instant | None = None


def fresh(driver: Driver, sweep: Standing, lines: Sequence[Line]) -> dict[str, Listing]:
    """Which documents that came whole with a list are news, as far as is known by now?"""
    rows = driver.among(_WATCHED, {line.document for line in lines}, sweep.source)
    known = {row[1]: Watched(*row) for row in rows}
    said = {line.document: _listing(sweep, line) for line in lines}
    return {name: one for name, one in said.items() if is_newest(known.get(name), one)}


def _listing(sweep: Standing, line: Line) -> Listing:
    assert sweep.began_at is not None
    return Listing(sweep.generation, sweep.began_at, line.version, line.whole_at)


def listed(
    ledger: Ledger,
    sweep: Standing,
    lines: Sequence[Line],
    *,
    written: int = 0,
    now: Instant,
    lease: Instant,
) -> list[Dirty]:
    """
    Note what a source listed; mark what is new or of another version.

    Returns what is taken to be written from the list itself: what came whole, and of which nothing
    was told or answered since its page was asked for. The rest is asked for. So many more are
    *written* with a fence that notes them.
    """
    watching = Watching(ledger, ((sweep.source, line.document) for line in lines))
    at = marks.clock(ledger.driver, now)
    count, taken = written, list[Dirty]()
    for line in lines:
        name = (sweep.source, line.document)
        row, is_marked, may_be_written = noted(
            watching.get(name), *name, _listing(sweep, line), now
        )
        count += is_marked
        if may_be_written:
            row = row._replace(leased_by=sweep.leased_by, leased_until=at + lease)
            taken.append(Dirty.of(row, lease=sweep.leased_by))
        watching.put(row)
    watching.write()
    known = standing(ledger.driver, sweep.source)
    stand(
        ledger, sweep.source, listed=known.listed + len(lines) + written,
        marked=known.marked + count, leased_until=at + lease,
    )  # fmt: skip
    return taken


def unlisted(driver: Driver, source: str, generation: int) -> dict[str, bool]:
    """
    Which living documents of a source were absent from a complete sweep?

    True where an earlier sweep listed it: then it is gone. False where no sweep ever did: then the
    source may simply not list such things, or it came after the last sweep.
    """
    rows = driver.rows(
        "SELECT document.name, watch.generation FROM document JOIN watch"
        " ON watch.source = document.source AND watch.document = document.name"
        " WHERE document.source = ? AND document.live AND watch.generation < ?"
        " ORDER BY document.id",
        source,
        generation,
    )
    return {name: listed_in > 0 for name, listed_in in rows}


def living(driver: Driver, source: str, prefix: str = "") -> list[str]:
    """Which documents of a source live, of those whose names begin with *prefix*?"""
    rows = driver.rows(
        "SELECT name FROM document WHERE source = ? AND live AND name >= ? AND name < ?"
        " ORDER BY id",
        source, prefix, prefix + LAST,
    )  # fmt: skip
    return [row[0] for row in rows]


def count_living(driver: Driver, source: str) -> int:
    """How many documents of a source live?"""
    row = driver.row("SELECT count(*) FROM document WHERE source = ? AND live", source)
    return 0 if row is None else int(row[0])


def missing(driver: Driver, source: str) -> list[str]:
    """Of which documents of a source did it say that they are gone, though no event had?"""
    rows = driver.rows(
        "SELECT document FROM watch WHERE source = ? AND dirty_at IS NOT NULL"
        " AND gone_since IS NOT NULL AND NOT deleted ORDER BY document",
        source,
    )
    return [row[0] for row in rows]


def newest(driver: Driver, source: str, prefix: str) -> Instant | None:
    """Of when is the newest word of a source, of the documents whose names begin with *prefix*?"""
    row = driver.row(
        "SELECT max(said_at) FROM document WHERE source = ? AND name >= ? AND name < ?",
        source, prefix, prefix + LAST,
    )  # fmt: skip
    return None if row is None or row[0] is None else int(row[0])


def which_live(driver: Driver, source: str, names: Iterable[str]) -> set[str]:
    """Which of these documents of a source live?"""
    rows = driver.among(
        "SELECT name FROM document WHERE live AND source = ? AND name {among}", set(names), source
    )
    return {row[0] for row in rows}


def subjects(driver: Driver, source: str, names: Iterable[str]) -> dict[str, str]:
    """What are these documents of a source about? Name to URI."""
    rows = driver.among(
        "SELECT document.name, entity.uri FROM document"
        " JOIN entity ON entity.key = document.subject"
        " WHERE document.source = ? AND document.name {among}",
        set(names),
        source,
    )
    return {row[0]: row[1] for row in rows}


def said_when(driver: Driver, source: str, names: Iterable[str]) -> dict[str, Instant]:
    """Of when, by the source's own word, is what is known of these documents of it?"""
    rows = driver.among(
        "SELECT name, said_at FROM document WHERE source = ? AND said_at IS NOT NULL"
        " AND name {among}",
        set(names),
        source,
    )
    return {row[0]: int(row[1]) for row in rows}


def unfit_subjects(driver: Driver, source: str, prefix: str) -> dict[str, Uri]:
    """
    What are those documents of a source about of which something does not fit?

    Of those whose names begin with *prefix*.
    """
    rows = driver.rows(
        "SELECT document, subject FROM finding WHERE source = ? AND document >= ? AND document < ?",
        source, prefix, prefix + LAST,
    )  # fmt: skip
    return {document: Uri(subject) for document, subject in rows}
