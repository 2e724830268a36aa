"""Snapshots: everything a set of files says at once, and what they do not say any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog

from lineal.ingest.guard import too_many
from lineal.ingest.tally import Progress, Tally
from lineal.ingest.understanding import BATCH, chunks
from lineal.model import Instant, Record, Removal, Uri
from lineal.points import reached
from lineal.sources import Refused
from lineal.store import Batch, Store, work

log = structlog.get_logger("lineal.ingest")


class Loading:
    """Takes in snapshots."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def snapshot(
        self,
        source: str,
        items: Iterable[Record | Refused],
        tally: Tally,
        *,
        cause: str,
        scope: str | None,
        said_at: Instant | None = None,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """
        Commit everything that a snapshot says; what it does not say any more is removed.

        *scope* is the beginning of the names of the documents that the snapshot covers; None
        where it covers nothing whole. Nothing is removed where an item was refused, and a
        snapshot that is older than what we have of its scope says nothing. Where it lacks too
        much of what was there (`HELD_SHARE`), nothing is removed unless *removing* says so: a
        file that was cut short looks just like that.
        """
        if scope is not None and self._is_past(source, scope, said_at):
            items, scope = self._superseded(items, tally), None
        seen: set[str] = set()
        before = len(tally.refused)
        for some in chunks(iter(items), BATCH):
            records = [item for item in some if isinstance(item, Record)]
            tally.refused.extend(item for item in some if isinstance(item, Refused))
            tally.read += len(some)
            seen.update(record.document for record in records)
            tally.add(self._store.commit(Batch(records, actor="import", cause=cause)))
            reached("snapshot-part-committed")
            if progress is not None:
                progress(tally.read, None, source)
        reached("snapshot-committed")
        if scope is not None and len(tally.refused) == before:
            self._remove_absent(source, scope, seen, tally, cause, said_at, removing=removing)

    def _is_past(self, source: str, scope: str, said_at: Instant | None) -> bool:
        with self._store.looking() as driver:
            newest = work.newest(driver, source, scope)
        return newest is not None and said_at is not None and said_at < newest

    @staticmethod
    def _superseded(items: Iterable[Record | Refused], tally: Tally) -> Iterator[Refused]:
        """Count what an older snapshot says, and hand on only what of it was refused."""
        for item in items:
            if isinstance(item, Refused):
                yield item
            else:
                tally.read += 1
                tally.documents["superseded"] += 1

    def _remove_absent(
        self,
        source: str,
        scope: str,
        seen: set[str],
        tally: Tally,
        cause: str,
        said_at: Instant | None,
        *,
        removing: bool,
    ) -> None:
        with self._store.looking() as driver:
            living = work.living(driver, source, scope)
            absent = [name for name in living if name not in seen]
            subjects = work.subjects(driver, source, absent)
        if not removing and too_many(len(absent), len(living)):
            tally.held += len(absent)
            log.warning("removals held", source=source, absent=len(absent), living=len(living))
            return
        now = self._store.now()
        removals = [Removal(source, name, Uri(subjects[name]), now, said_at) for name in absent]
        for some in chunks(iter(removals), BATCH):
            tally.add(self._store.commit(Batch(some, actor="import", cause=cause)))
