"""What is still to do: the inbox, the marks of changed documents, kept log entries, dead letters.

None of this is a fact about the estate; it may be updated in place, and is counted in the ledger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from lineal.model import Event, Instant, Json
from lineal.store import schema
from lineal.store.driver import Driver, Row
from lineal.store.facts import canonical
from lineal.store.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event in the inbox."""

    id: int
    event: Event


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


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source stands: what is waiting, what failed, when it was last heard."""

    source: str
    waiting: int
    dirty: int
    failing: int
    dead: int
    oldest_dirty: Instant | None
    confirmed_at: Instant | None
    documents: int


# ── Inbox ────────────────────────────────────────────────────────────────────────────────────────


def receive(ledger: Ledger, events: Iterable[Event]) -> int:
    """Keep events until they are understood; returns how many."""
    count = 0
    for event in events:
        row = (event.source, event.received_at, canonical(event.body))
        ledger.insert_numbered(schema.inbox, row)
        count += 1
    return count


def depth(driver: Driver) -> int:
    """How many events wait in the inbox?"""
    row = driver.row("SELECT rows FROM ledger WHERE name = 'inbox'")
    return 0 if row is None else int(row[0])


def waiting(ledger: Ledger, limit: int) -> list[Waiting]:
    """Which events have waited longest? They are this transaction's to take out of the inbox."""
    # Whoever else would understand the same events waits here, and finds them gone.
    ledger.hold_marks()
    rows = ledger.driver.rows(
        "SELECT id, source, received_at, body FROM inbox ORDER BY id LIMIT ?", limit
    )
    return [
        Waiting(id_, Event(source, msgspec.json.decode(body), received_at))
        for id_, source, received_at, body in rows
    ]


def done(ledger: Ledger, ids: Sequence[int]) -> None:
    """Take events out of the inbox: what they asked for is marked, kept or dead."""
    if ids:
        rows = ledger.find(schema.inbox, "id {among}", ledger.driver.keys(ids))
        ledger.delete(schema.inbox, rows)


# ── Marks ────────────────────────────────────────────────────────────────────────────────────────

_WATCH = [column.name for column in schema.watch.columns]


def _watched(ledger: Ledger, source: str, document: str) -> Row | None:
    rows = ledger.find(schema.watch, "source = ? AND document = ?", source, document)
    return rows[0] if rows else None


def _of(row: Row, name: str) -> int:
    value = row[_WATCH.index(name)]
    assert isinstance(value, int)
    return value


def mark(ledger: Ledger, source: str, document: str, *, deleted: bool, due_at: Instant) -> None:
    """Say that a document has changed: one more mark, due now."""
    ledger.hold_marks()
    if ledger.insert_new(schema.watch, _marked(source, document, deleted, due_at)):
        return
    row = _watched(ledger, source, document)
    assert row is not None
    seq = _of(row, "dirty_seq") + 1
    marked: dict[str, object] = {
        "dirty_seq": seq, "deleted": deleted, "due_at": due_at, "attempts": 0,
    }  # fmt: skip
    ledger.change(schema.watch, [(row, marked)])


def _marked(source: str, document: str, deleted: bool, due_at: Instant) -> tuple[object, ...]:
    """Return the row of a document that was never asked for."""
    return (source, document, 1, 0, deleted, due_at, 0, None, None, None, None, None, 0)


def mark_unknown(ledger: Ledger, documents: Iterable[tuple[str, str]], now: Instant) -> int:
    """Mark documents that were never asked for: things that are only referred to."""
    ledger.hold_marks()
    return sum(
        ledger.insert_new(schema.watch, _marked(source, document, False, now))
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


def due(driver: Driver, now: Instant, limit: int) -> list[Dirty]:
    """Which marked documents are due, the longest waiting first?"""
    rows = driver.rows(
        "SELECT source, document, dirty_seq, deleted, attempts, gone_since, etag FROM watch"
        " WHERE dirty_seq > clean_seq AND due_at <= ?"
        " ORDER BY due_at, source, document LIMIT ?",
        now,
        limit,
    )
    return [
        Dirty(source, document, seq, bool(deleted), attempts, gone_since, etag)
        for source, document, seq, deleted, attempts, gone_since, etag in rows
    ]


def put_off(
    ledger: Ledger,
    dirty: Dirty,
    *,
    due_at: Instant,
    error: str | None,
    gone_since: Instant | None = None,
) -> None:
    """Try a document again later, and remember why."""
    later: dict[str, object] = {
        "due_at": due_at, "attempts": dirty.attempts + 1, "error": error,
    }  # fmt: skip
    if gone_since:
        later["gone_since"] = gone_since
    _answer(ledger, dirty, "dirty_seq = ?", later)


def give_up(ledger: Ledger, dirty: Dirty, error: str) -> None:
    """Stop trying a document until it is marked again; the dead letter says why."""
    _answer(ledger, dirty, "dirty_seq = ?", {"clean_seq": dirty.seq, "error": error})


def confirm(ledger: Ledger, dirty: Dirty, now: Instant) -> None:
    """The source says that nothing changed since we last asked."""
    clean: dict[str, object] = {
        "clean_seq": dirty.seq, "attempts": 0, "error": None, "confirmed_at": now,
        "gone_since": None,
    }  # fmt: skip
    _answer(ledger, dirty, "clean_seq < ?", clean)


def _answer(ledger: Ledger, dirty: Dirty, unless: str, values: dict[str, object]) -> None:
    """Note what came of asking for a document, unless its mark has moved on."""
    ledger.hold_marks()
    where = f"source = ? AND document = ? AND {unless}"
    rows = ledger.find(schema.watch, where, dirty.source, dirty.document, dirty.seq)
    ledger.change(schema.watch, [(row, values) for row in rows])


# ── Sweeps ───────────────────────────────────────────────────────────────────────────────────────


def next_generation(driver: Driver, source: str) -> int:
    """Begin a sweep: the generation that everything listed gets."""
    row = driver.row("SELECT max(generation) FROM watch WHERE source = ?", source)
    return int((row and row[0]) or 0) + 1


def listed(
    ledger: Ledger,
    source: str,
    lines: Sequence[tuple[str, str | None]],
    *,
    generation: int,
    now: Instant,
) -> int:
    """Note what a source listed; mark what is new or of another version; returns how many."""
    ledger.hold_marks()
    marked = 0
    for document, version in lines:
        row = _watched(ledger, source, document)
        if row is None or version is None or row[_WATCH.index("version")] != version:
            mark(ledger, source, document, deleted=False, due_at=now)
            marked += 1
            row = _watched(ledger, source, document)
        assert row is not None
        ledger.change(schema.watch, [(row, {"generation": generation, "version": version})])
    return marked


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


def newest(driver: Driver, source: str, prefix: str) -> Instant | None:
    """Of when is the newest word of a source, of the documents whose names begin with *prefix*?"""
    row = driver.row(
        "SELECT max(said_at) FROM document WHERE source = ? AND name >= ? AND name < ?",
        source, prefix, prefix + LAST,
    )  # fmt: skip
    return None if row is None or row[0] is None else int(row[0])


#: Comes after every text that a name may begin with.
LAST = "\U0010ffff"


def is_living(driver: Driver, source: str, name: str) -> bool:
    """Does this document of a source live?"""
    row = driver.row("SELECT live FROM document WHERE source = ? AND name = ?", source, name)
    return row is not None and bool(row[0])


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


# ── Log entries ──────────────────────────────────────────────────────────────────────────────────


def keep(
    ledger: Ledger,
    source: str,
    digest: str,
    body: Mapping[str, Json],
    documents: Iterable[str],
    now: Instant,
) -> bool:
    """Keep a log entry under every document that it speaks of; False if it was there."""
    ledger.hold_marks()
    name = hashlib.sha256(f"{source}\n{digest}".encode()).hexdigest()
    if not ledger.insert_new(schema.log_body, (name, source, now, canonical(body))):
        return False
    rows = [(source, document, name) for document in sorted(set(documents))]
    ledger.insert(schema.log_entry, rows)
    return True


def entries(driver: Driver, source: str, document: str) -> list[Mapping[str, Json]]:
    """Which kept entries speak of a document?"""
    rows = driver.rows(
        "SELECT log_body.body FROM log_entry JOIN log_body ON log_body.digest = log_entry.digest"
        " WHERE log_entry.source = ? AND log_entry.document = ? ORDER BY log_body.digest",
        source, document,
    )  # fmt: skip
    return [msgspec.json.decode(row[0]) for row in rows]


# ── Dead letters and health ──────────────────────────────────────────────────────────────────────


def bury_event(ledger: Ledger, event: Event, error: Exception, now: Instant) -> None:
    """Put aside an event that no source can make sense of."""
    _bury(
        ledger,
        source=event.source,
        stage="understand",
        document=None,
        body=canonical(event.body),
        error=error,
        attempts=1,
        now=now,
    )


def bury_document(ledger: Ledger, dirty: Dirty, error: Exception, now: Instant) -> None:
    """Put aside a document that could not be fetched, worded or committed."""
    _bury(
        ledger,
        source=dirty.source,
        stage="fetch",
        document=dirty.document,
        body="",
        error=error,
        attempts=dirty.attempts + 1,
        now=now,
    )


def _bury(
    ledger: Ledger,
    *,
    source: str,
    stage: str,
    document: str | None,
    body: str,
    error: Exception,
    attempts: int,
    now: Instant,
) -> None:
    """Keep all that is needed to see why, and to replay it."""
    code = getattr(error, "code", type(error).__name__)
    row = (source, stage, document, body, code, str(error), attempts, now, now)
    ledger.insert_numbered(schema.dead_letter, row)


def dead_letters(driver: Driver, limit: int = 100) -> list[DeadLetter]:
    """What could not be taken in, newest first?"""
    rows = driver.rows(
        "SELECT id, source, stage, document, body, error, reason, attempts, first_at, last_at"
        " FROM dead_letter ORDER BY id DESC LIMIT ?",
        limit,
    )
    return [DeadLetter(*row) for row in rows]


#: Per source: how many marks are open and failing, since when, and when was it last heard?
_MARKS = """
    SELECT source,
        sum(CASE WHEN dirty_seq > clean_seq THEN 1 ELSE 0 END),
        sum(CASE WHEN error IS NOT NULL THEN 1 ELSE 0 END),
        min(CASE WHEN dirty_seq > clean_seq THEN due_at END),
        max(confirmed_at)
    FROM watch GROUP BY source
"""


def health(driver: Driver) -> list[SourceHealth]:
    """How does each source stand?"""
    marks = {row[0]: row[1:] for row in driver.rows(_MARKS)}
    waits, dead, lives = (
        {row[0]: int(row[1]) for row in driver.rows(text)}
        for text in (
            "SELECT source, count(*) FROM inbox GROUP BY source",
            "SELECT source, count(*) FROM dead_letter GROUP BY source",
            "SELECT source, count(*) FROM document"
            " WHERE live AND source NOT LIKE 'rule:%' GROUP BY source",
        )
    )
    none = (0, 0, None, None)
    found = []
    for name in sorted(marks.keys() | waits.keys() | dead.keys() | lives.keys()):
        dirty, failing, oldest, confirmed = marks.get(name, none)
        found.append(
            SourceHealth(
                name,
                waits.get(name, 0),
                int(dirty),
                int(failing),
                dead.get(name, 0),
                oldest,
                confirmed,
                lives.get(name, 0),
            )
        )
    return found
