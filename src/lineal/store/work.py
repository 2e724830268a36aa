"""What is still to do: the inbox, the marks of changed documents, kept log entries, dead letters.

None of this is a fact about the estate; it may be updated in place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa
from sqlalchemy import Connection

from lineal.model import Event, Instant, Json
from lineal.store import schema
from lineal.store.facts import canonical
from lineal.store.slices import slices

__all__ = ["Connection"]


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


def receive(connection: Connection, events: Iterable[Event]) -> int:
    """Keep events until they are understood; returns how many."""
    rows = [
        {
            "source": event.source,
            "received_at": event.received_at,
            "body": canonical(event.body),
        }
        for event in events
    ]
    if rows:
        connection.execute(sa.insert(schema.inbox), rows)
    return len(rows)


def waiting(connection: Connection, limit: int) -> list[Waiting]:
    """Which events have waited longest?"""
    query = sa.select(schema.inbox).order_by(schema.inbox.c.id).limit(limit)
    return [
        Waiting(row.id, Event(row.source, msgspec.json.decode(row.body), row.received_at))
        for row in connection.execute(query)
    ]


def done(connection: Connection, ids: Sequence[int]) -> None:
    """Take events out of the inbox: what they asked for is marked, kept or dead."""
    for some in slices(ids):
        connection.execute(sa.delete(schema.inbox).where(schema.inbox.c.id.in_(some)))


# ── Marks ────────────────────────────────────────────────────────────────────────────────────────


def mark(
    connection: Connection, source: str, document: str, *, deleted: bool, due_at: Instant
) -> None:
    """Say that a document has changed: one more mark, due now."""
    watch = schema.watch.c
    known = connection.execute(
        sa.update(schema.watch)
        .where(watch.source == source, watch.document == document)
        .values(dirty_seq=watch.dirty_seq + 1, deleted=deleted, due_at=due_at, attempts=0)
    )
    if known.rowcount == 0:
        connection.execute(
            sa.insert(schema.watch).values(
                source=source,
                document=document,
                dirty_seq=1,
                clean_seq=0,
                deleted=deleted,
                due_at=due_at,
                attempts=0,
                generation=0,
            )
        )


def mark_unknown(connection: Connection, documents: Iterable[tuple[str, str]], now: Instant) -> int:
    """Mark documents that were never asked for: things that are only referred to."""
    added = 0
    for source, document in documents:
        query = sa.select(schema.watch.c.source).where(
            schema.watch.c.source == source, schema.watch.c.document == document
        )
        if connection.execute(query).first() is None:
            mark(connection, source, document, deleted=False, due_at=now)
            added += 1
    return added


def undescribed(connection: Connection) -> list[str]:
    """Which things are only referred to: no document ever said anything of them?"""
    entity, record = schema.entity.c, schema.record.c
    query = sa.select(entity.uri).where(~sa.exists().where(record.key == entity.key))
    return list(connection.scalars(query.order_by(entity.uri)))


def due(connection: Connection, now: Instant, limit: int) -> list[Dirty]:
    """Which marked documents are due, the longest waiting first?"""
    watch = schema.watch.c
    query = (
        sa.select(schema.watch)
        .where(watch.dirty_seq > watch.clean_seq, watch.due_at <= now)
        .order_by(watch.due_at, watch.source, watch.document)
        .limit(limit)
    )
    return [
        Dirty(
            row.source,
            row.document,
            row.dirty_seq,
            row.deleted,
            row.attempts,
            row.gone_since,
            row.etag,
        )
        for row in connection.execute(query)
    ]


def put_off(
    connection: Connection,
    dirty: Dirty,
    *,
    due_at: Instant,
    error: str | None,
    gone_since: Instant | None = None,
) -> None:
    """Try a document again later, and remember why."""
    watch = schema.watch.c
    connection.execute(
        sa.update(schema.watch)
        .where(watch.source == dirty.source, watch.document == dirty.document)
        .where(watch.dirty_seq == dirty.seq)
        .values(
            due_at=due_at,
            attempts=dirty.attempts + 1,
            error=error,
            gone_since=gone_since or watch.gone_since,
        )
    )


def give_up(connection: Connection, dirty: Dirty, error: str) -> None:
    """Stop trying a document until it is marked again; the dead letter says why."""
    watch = schema.watch.c
    connection.execute(
        sa.update(schema.watch)
        .where(watch.source == dirty.source, watch.document == dirty.document)
        .where(watch.dirty_seq == dirty.seq)
        .values(clean_seq=dirty.seq, error=error)
    )


def confirm(connection: Connection, dirty: Dirty, now: Instant) -> None:
    """The source says that nothing changed since we last asked."""
    watch = schema.watch.c
    connection.execute(
        sa.update(schema.watch)
        .where(watch.source == dirty.source, watch.document == dirty.document)
        .where(watch.clean_seq < dirty.seq)
        .values(clean_seq=dirty.seq, attempts=0, error=None, confirmed_at=now, gone_since=None)
    )


# ── Sweeps ───────────────────────────────────────────────────────────────────────────────────────


def next_generation(connection: Connection, source: str) -> int:
    """Begin a sweep: the generation that everything listed gets."""
    watch = schema.watch.c
    query = sa.select(sa.func.max(watch.generation)).where(watch.source == source)
    return int(connection.scalar(query) or 0) + 1


def listed(
    connection: Connection,
    source: str,
    lines: Sequence[tuple[str, str | None]],
    *,
    generation: int,
    now: Instant,
) -> int:
    """Note what a source listed; mark what is new or of another version; returns how many."""
    watch, marked = schema.watch.c, 0
    for document, version in lines:
        row = connection.execute(
            sa.select(watch.version, watch.dirty_seq, watch.clean_seq).where(
                watch.source == source, watch.document == document
            )
        ).first()
        if row is None or version is None or row.version != version:
            mark(connection, source, document, deleted=False, due_at=now)
            marked += 1
        connection.execute(
            sa.update(schema.watch)
            .where(watch.source == source, watch.document == document)
            .values(generation=generation, version=version)
        )
    return marked


def unlisted(connection: Connection, source: str, generation: int) -> dict[str, bool]:
    """
    Which living documents of a source were absent from a complete sweep?

    True where an earlier sweep listed it: then it is gone. False where no sweep ever did: then the
    source may simply not list such things, or it came after the last sweep.
    """
    watch, document = schema.watch.c, schema.document.c
    same = sa.and_(watch.source == document.source, watch.document == document.name)
    query = (
        sa.select(document.name, watch.generation)
        .join(schema.watch, same)
        .where(document.source == source, document.live, watch.generation < generation)
        .order_by(document.name)
    )
    return {name: listed_in > 0 for name, listed_in in connection.execute(query)}


def living(connection: Connection, source: str, prefix: str = "") -> list[str]:
    """Which documents of a source live, of those whose names begin with *prefix*?"""
    document = schema.document.c
    query = (
        sa.select(document.name)
        .where(document.source == source, document.live)
        .where(document.name >= prefix, document.name < prefix + "\U0010ffff")
        .order_by(document.name)
    )
    return list(connection.scalars(query))


def newest(connection: Connection, source: str, prefix: str) -> Instant | None:
    """Of when is the newest word of a source, of the documents whose names begin with *prefix*?"""
    document = schema.document.c
    query = (
        sa.select(sa.func.max(document.said_at))
        .where(document.source == source)
        .where(document.name >= prefix, document.name < prefix + "\U0010ffff")
    )
    found = connection.scalar(query)
    return None if found is None else int(found)


def is_living(connection: Connection, source: str, name: str) -> bool:
    """Does this document of a source live?"""
    document = schema.document.c
    query = sa.select(document.live).where(document.source == source, document.name == name)
    return bool(connection.scalar(query))


def subjects(connection: Connection, source: str, names: Iterable[str]) -> dict[str, str]:
    """What are these documents of a source about? Name to URI."""
    document, found = schema.document.c, {}
    for some in slices(names):
        query = (
            sa.select(document.name, schema.entity.c.uri)
            .join(schema.entity, schema.entity.c.key == document.subject)
            .where(document.source == source, document.name.in_(some))
        )
        found.update({row.name: row.uri for row in connection.execute(query)})
    return found


# ── Log entries ──────────────────────────────────────────────────────────────────────────────────


def keep(
    connection: Connection,
    source: str,
    digest: str,
    body: Mapping[str, Json],
    documents: Iterable[str],
    now: Instant,
) -> bool:
    """Keep a log entry under every document that it speaks of; False if it was there."""
    name = hashlib.sha256(f"{source}\n{digest}".encode()).hexdigest()
    table = schema.log_body
    if connection.execute(sa.select(table.c.digest).where(table.c.digest == name)).first():
        return False
    connection.execute(
        sa.insert(table).values(digest=name, source=source, received_at=now, body=canonical(body))
    )
    rows = [
        {"source": source, "document": document, "digest": name}
        for document in sorted(set(documents))
    ]
    if rows:
        connection.execute(sa.insert(schema.log_entry), rows)
    return True


def entries(connection: Connection, source: str, document: str) -> list[Mapping[str, Json]]:
    """Which kept entries speak of a document?"""
    entry, body = schema.log_entry.c, schema.log_body.c
    query = (
        sa.select(body.body)
        .join(schema.log_entry, entry.digest == body.digest)
        .where(entry.source == source, entry.document == document)
        .order_by(body.digest)
    )
    return [msgspec.json.decode(text) for text in connection.scalars(query)]


# ── Dead letters and health ──────────────────────────────────────────────────────────────────────


def bury_event(connection: Connection, event: Event, error: Exception, now: Instant) -> None:
    """Put aside an event that no source can make sense of."""
    _bury(
        connection,
        source=event.source,
        stage="understand",
        document=None,
        body=canonical(event.body),
        error=error,
        attempts=1,
        now=now,
    )


def bury_document(connection: Connection, dirty: Dirty, error: Exception, now: Instant) -> None:
    """Put aside a document that could not be fetched, worded or committed."""
    _bury(
        connection,
        source=dirty.source,
        stage="fetch",
        document=dirty.document,
        body="",
        error=error,
        attempts=dirty.attempts + 1,
        now=now,
    )


def _bury(
    connection: Connection,
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
    connection.execute(
        sa.insert(schema.dead_letter).values(
            source=source,
            stage=stage,
            document=document,
            body=body,
            error=getattr(error, "code", type(error).__name__),
            reason=str(error),
            attempts=attempts,
            first_at=now,
            last_at=now,
        )
    )


def dead_letters(connection: Connection, limit: int = 100) -> list[DeadLetter]:
    """What could not be taken in, newest first?"""
    table = schema.dead_letter
    query = sa.select(table).order_by(sa.desc(table.c.id)).limit(limit)
    return [DeadLetter(*row) for row in connection.execute(query)]


def health(connection: Connection) -> list[SourceHealth]:
    """How does each source stand?"""
    watch, document = schema.watch.c, schema.document.c
    is_dirty = watch.dirty_seq > watch.clean_seq
    dirty = {
        row[0]: row[1:]
        for row in connection.execute(
            sa.select(
                watch.source,
                sa.func.sum(sa.case((is_dirty, 1), else_=0)),
                sa.func.sum(sa.case((watch.error.is_not(None), 1), else_=0)),
                sa.func.min(sa.case((is_dirty, watch.due_at))),
                sa.func.max(watch.confirmed_at),
            ).group_by(watch.source)
        )
    }
    counts = {
        name: _count(connection, table)
        for name, table in (("waiting", schema.inbox), ("dead", schema.dead_letter))
    }
    lives = dict(
        tuple(row)
        for row in connection.execute(
            sa.select(document.source, sa.func.count())
            .where(document.live, ~document.source.startswith("rule:"))
            .group_by(document.source)
        )
    )
    names = dirty.keys() | lives.keys() | counts["waiting"].keys() | counts["dead"].keys()
    return [
        SourceHealth(
            name,
            counts["waiting"].get(name, 0),
            int(dirty.get(name, (0,))[0] or 0),
            int(dirty[name][1] or 0) if name in dirty else 0,
            counts["dead"].get(name, 0),
            dirty[name][2] if name in dirty else None,
            dirty[name][3] if name in dirty else None,
            lives.get(name, 0),
        )
        for name in sorted(names)
    ]


def _count(connection: Connection, table: sa.Table) -> dict[str, int]:
    query = sa.select(table.c.source, sa.func.count()).group_by(table.c.source)
    return {row[0]: row[1] for row in connection.execute(query)}
