"""Dead letters: what could not be taken in, why, how often it was tried, and since when."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lineal.digests import canonical
from lineal.model import Event, Instant, Json
from lineal.points import reached
from lineal.store import schema
from lineal.store.driver import Driver, Row
from lineal.store.findings import Name
from lineal.store.ledger import Ledger
from lineal.store.work import marks, outcomes
from lineal.store.work.inbox import Waiting
from lineal.store.work.marks import Dirty

_NAMES = [column.name for column in schema.dead_letter.columns]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not be taken in: at which stage, why, how often it was tried."""

    id: int
    source: str
    stage: str
    document: str | None
    body: str
    error: str
    reason: str
    attempts: int
    first_at: Instant
    last_at: Instant
    notices: int = 0

    @property
    def json(self) -> dict[str, Json]:
        """The event, as it came; only of a letter that is not about a document."""
        found: dict[str, Json] = msgspec.json.decode(self.body)
        return found


def _code(error: Exception) -> str:
    return str(getattr(error, "code", type(error).__name__))


# ── Putting aside ────────────────────────────────────────────────────────────────────────────────


def bury_event(ledger: Ledger, event: Event, error: Exception, now: Instant) -> None:
    """Take in an event that nobody makes sense of: straight to the dead letters."""
    ledger.hold_marks()
    ledger.flow.add(event.source, "events", 1, now)
    ledger.flow.add(event.source, "accepted", 1, now)
    _bury_body(ledger, event, error, now, notices=1)


def bury_waiting(ledger: Ledger, waiting: Waiting, error: Exception, now: Instant) -> None:
    """Put aside an event of the inbox that its source cannot make sense of."""
    ledger.hold_marks()
    _bury_body(ledger, waiting.event, error, now, notices=waiting.notices)


def _bury_body(
    ledger: Ledger, event: Event, error: Exception, now: Instant, *, notices: int
) -> None:
    row = (
        event.source, "understand", None, canonical(event.body), _code(error), str(error), 1, now,
        now, notices,
    )  # fmt: skip
    ledger.insert_numbered(schema.dead_letter, row)
    reached("letter-written")


def bury_document(
    ledger: Ledger,
    dirty: Dirty,
    error: Exception,
    now: Instant,
    *,
    stage: str = "fetch",
    raw: Mapping[str, Json] | None = None,
) -> bool:
    """
    Put aside a document that could not be fetched, worded or committed, until it is marked again.

    One letter for a document, however often it comes to that; *raw* is what is kept of it to be
    looked at. False: it was marked meanwhile, and is asked for once more instead; or somebody else
    who took it since has answered, or will.
    """
    ledger.hold_marks()
    found = marks.watched(ledger, dirty.source, dirty.document)
    if found is None:
        return False
    row, known = found
    if known.clean_seq >= dirty.seq or outcomes.is_taken_since(known, dirty.lease):
        return False
    if known.dirty_seq != dirty.seq:
        outcomes.put_off(ledger, dirty, due_at=now, error=str(error))
        return False
    notices = max(0, known.told - known.settled)
    values: dict[str, object] = {
        "clean_seq": dirty.seq, "attempts": 0, "error": str(error), "due_at": None,
        "dirty_at": None, "looks": None, "wanted": None, "settled": known.told, "buried": True,
        "leased_by": None, "leased_until": None,
    }  # fmt: skip
    ledger.change(schema.watch, [(row, values)])
    body = "" if raw is None else canonical(raw)
    name, tries = (dirty.source, dirty.document), dirty.attempts + 1
    _add_letter(ledger, name, stage, error, now, notices, body, tries)
    reached("letter-written")
    return True


def bury_imported(
    ledger: Ledger,
    source: str,
    document: str,
    error: Exception,
    now: Instant,
    *,
    raw: Mapping[str, Json] | None,
) -> None:
    """Put aside a document of a file, which nobody was told of, and which cannot be asked for."""
    ledger.hold_marks()
    body = "" if raw is None else canonical(raw)
    _add_letter(ledger, (source, document), "shape", error, now, 0, body)
    reached("letter-written")


def _add_letter(
    ledger: Ledger,
    name: Name,
    stage: str,
    error: Exception,
    now: Instant,
    notices: int,
    body: str,
    tries: int = 1,
) -> None:
    known = ledger.find(schema.dead_letter, "source = ? AND document = ?", *name)
    if not known:
        source, document = name
        row = (
            source, stage, document, body, _code(error), str(error), tries, now, now, notices,
        )  # fmt: skip
        ledger.insert_numbered(schema.dead_letter, row)
        return
    letter = DeadLetter(*known[0])
    again: dict[str, object] = {
        "stage": stage, "error": _code(error), "reason": str(error), "last_at": now,
        "attempts": letter.attempts + tries, "notices": letter.notices + notices, "body": body,
    }  # fmt: skip
    ledger.change(schema.dead_letter, [(known[0], again)])


def lift(ledger: Ledger, source: str, documents: Collection[str], now: Instant) -> None:
    """Drop the letters of these documents: they came in after all, or are not there any more."""
    if not documents:
        return
    ledger.hold_marks()
    where = "source = ? AND document {among}"
    rows = ledger.find_among(schema.dead_letter, where, sorted(documents), source)
    ledger.flow.add(source, "superseded", sum(DeadLetter(*row).notices for row in rows), now)
    ledger.delete(schema.dead_letter, rows)


# ── Looking ──────────────────────────────────────────────────────────────────────────────────────


def dead_letters(
    driver: Driver, limit: int = 100, *, source: str | None = None
) -> list[DeadLetter]:
    """What could not be taken in, newest first; of one source, or of all?"""
    where, values = ("", ()) if source is None else ("WHERE source = ? ", (source,))
    rows = driver.rows(
        f"SELECT {', '.join(_NAMES)} FROM dead_letter {where}ORDER BY id DESC LIMIT ?",
        *values,
        limit,
    )
    return [DeadLetter(*row) for row in rows]


def dead_letter(driver: Driver, id_: int) -> DeadLetter | None:
    """Which dead letter has this number?"""
    row = driver.row(f"SELECT {', '.join(_NAMES)} FROM dead_letter WHERE id = ?", id_)
    return None if row is None else DeadLetter(*row)


def dead_events(driver: Driver) -> tuple[int, int]:
    """How many dead letters are events, and how many bytes are they?"""
    # PostgreSQL knows how many bytes a text has without unpacking it; SQLite did not until 3.43.
    size = "length" if driver.is_sqlite else "octet_length"
    row = driver.row(f"SELECT count(*), sum({size}(body)) FROM dead_letter WHERE document IS NULL")
    assert row is not None
    return int(row[0]), int(row[1] or 0)


def with_letters(driver: Driver, source: str, documents: Iterable[str]) -> list[str]:
    """Which of these documents of a source were put aside?"""
    rows = driver.among(
        "SELECT document FROM dead_letter WHERE source = ? AND document {among}",
        documents,
        source,
    )
    return [row[0] for row in rows]


def chosen(
    ledger: Ledger, *, ids: Sequence[int] | None = None, source: str | None = None
) -> list[tuple[Row, DeadLetter]]:
    """Return letters to replay or purge, oldest first: these, or all of a source, or all."""
    ledger.hold_marks()
    if ids is not None:
        rows = ledger.find(schema.dead_letter, "id {among} ORDER BY id", ledger.driver.keys(ids))
    elif source is not None:
        rows = ledger.find(schema.dead_letter, "source = ? ORDER BY id", source)
    else:
        rows = ledger.find(schema.dead_letter, "1 = 1 ORDER BY id")
    return [(row, DeadLetter(*row)) for row in rows]


# ── Taking up again ──────────────────────────────────────────────────────────────────────────────


def replay_document(ledger: Ledger, row: Row, letter: DeadLetter, now: Instant) -> bool:
    """
    Ask for a document again; its letter goes when the answer is written.

    False: it came with a file, so that nobody can be asked, and the letter stays.
    """
    assert letter.document is not None
    if marks.watched(ledger, letter.source, letter.document) is None:
        return False
    marks.mark(
        ledger, letter.source, letter.document, deleted=False, due_at=now, notices=letter.notices
    )
    ledger.change(schema.dead_letter, [(row, {"notices": 0})])
    return True


def again(ledger: Ledger, row: Row, letter: DeadLetter, error: Exception, now: Instant) -> None:
    """A letter was tried once more, in vain."""
    values: dict[str, object] = {
        "attempts": letter.attempts + 1, "error": _code(error), "reason": str(error),
        "last_at": now,
    }  # fmt: skip
    ledger.change(schema.dead_letter, [(row, values)])


def drop(ledger: Ledger, row: Row) -> None:
    """Drop a letter: what it held was taken in after all."""
    ledger.delete(schema.dead_letter, [row])


def purge(ledger: Ledger, some: Sequence[tuple[Row, DeadLetter]], now: Instant) -> None:
    """Throw letters away for good."""
    for row, letter in some:
        ledger.delete(schema.dead_letter, [row])
        ledger.flow.add(letter.source, "purged", letter.notices, now)
        if letter.document is not None:
            found = marks.watched(ledger, letter.source, letter.document)
            if found is not None:
                ledger.change(schema.watch, [(found[0], {"buried": False})])
