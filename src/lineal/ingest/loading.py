"""Snapshots: everything a set of files says at once, and what they do not say any more."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import TypeAlias

import structlog

from lineal.errors import Unfit
from lineal.ingest.examining import IMPORT, Examining, refusal
from lineal.ingest.guard import too_many
from lineal.ingest.tally import Progress, Tally
from lineal.ingest.understanding import BATCH, chunks
from lineal.model import Instant, Json, Record, Removal, Uri
from lineal.points import reached
from lineal.sources import Fetched, Refused
from lineal.store import LOADED, Batch, Store, work
from lineal.store.work import Examined

log = structlog.get_logger("lineal.ingest")

#: A record, its fields that nothing maps, and what it was worded from.
_Told: TypeAlias = "tuple[Record, Sequence[str] | None, Mapping[str, Json] | None]"
#: Of how many documents what was found is held in memory during a first load; from then on
#: documents are committed in the ordinary way.
HELD = 50_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a set of files says at once."""

    source: str
    #: Records, those of which the unmapped fields are known as answers, and what was refused.
    items: Iterable[Record | Fetched | Refused]
    cause: str
    #: The beginning of the names of the documents that it covers; None: it covers nothing whole.
    scope: str | None
    said_at: Instant | None = None
    #: The beginnings of the names of documents that go with the one of their name in the scope.
    along: tuple[str, ...] = ()
    #: What becomes of what does not fit, by its sort; where not said, it is stored and flagged.
    unfit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Aside:
    """A document that is put aside: why, what of it does not fit, and what is kept of it."""

    error: Unfit
    examined: Examined
    raw: Mapping[str, Json] | None


@dataclass(slots=True)
class _Sifted:
    """Some documents by what becomes of them."""

    taken: list[Record] = field(default_factory=list)
    #: What was found of each that is taken in or refused.
    examined: dict[str, Examined] = field(default_factory=dict)
    aside: dict[str, _Aside] = field(default_factory=dict)

    @property
    def names(self) -> Iterator[str]:
        """The names of all of them; some come several times."""
        return chain(self.examined, self.aside, (one.document for one in self.taken))


class Loading:
    """Takes in snapshots."""

    def __init__(self, store: Store, examining: Examining) -> None:
        self._store, self._examining = store, examining

    def snapshot(
        self,
        snapshot: Snapshot,
        tally: Tally,
        *,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """
        Commit everything that a snapshot says; what it does not say any more is removed.

        What does not fit is stored and flagged, put aside or rejected, as the snapshot has it.
        Nothing is removed where an item was refused, and a snapshot that is older than what we
        have of its scope says nothing. Where it lacks too much of what was there (`HELD_SHARE`),
        nothing is removed unless *removing* says so: a file that was cut short looks just like
        that.
        """
        items, scope = snapshot.items, snapshot.scope
        if scope is not None and self._is_past(snapshot.source, scope, snapshot.said_at):
            items, scope = self._superseded(items, tally), None
        seen: set[str] = set()
        before = len(tally.refused)
        parts = self._parts(snapshot.source, items, tally, progress)
        if self._knows_nothing(snapshot.source):
            parts = self._take_first(snapshot, parts, tally, seen)
        for some in parts:
            self._take(snapshot, some, tally, seen)
            reached("snapshot-part-committed")
        reached("snapshot-committed")
        if scope is not None and len(tally.refused) == before:
            self._remove_absent(snapshot, scope, seen, tally, removing=removing)

    def _knows_nothing(self, source: str) -> bool:
        """Is nothing stored, and was nothing of a source put aside or rejected before?"""
        if not self._store.is_blank():
            return False
        with self._store.looking() as driver:
            return not work.unfit_subjects(driver, source, "")

    def _is_past(self, source: str, scope: str, said_at: Instant | None) -> bool:
        with self._store.looking() as driver:
            newest = work.newest(driver, source, scope)
        return newest is not None and said_at is not None and said_at < newest

    @staticmethod
    def _superseded(items: Iterable[Record | Fetched | Refused], tally: Tally) -> Iterator[Refused]:
        """Count what an older snapshot says, and hand on only what of it was refused."""
        for item in items:
            if isinstance(item, Refused):
                yield item
            else:
                tally.read += 1
                tally.documents["superseded"] += 1

    @staticmethod
    def _parts(
        source: str,
        items: Iterable[Record | Fetched | Refused],
        tally: Tally,
        progress: Progress | None,
    ) -> Iterator[list[Record | Fetched]]:
        """Yield what is said in parts; what was refused is only counted."""
        for some in chunks(iter(items), BATCH):
            tally.refused.extend(item for item in some if isinstance(item, Refused))
            yield [item for item in some if not isinstance(item, Refused)]
            tally.read += len(some)
            if progress is not None:
                progress(tally.read, None, source)

    def _take_first(
        self,
        snapshot: Snapshot,
        parts: Iterator[list[Record | Fetched]],
        tally: Tally,
        seen: set[str],
    ) -> Iterator[list[Record | Fetched]]:
        """
        Load very many documents into a store that knows nothing; return the parts that are left.

        All of them or none: if it is broken off, the store still knows nothing.
        """
        ahead = list(islice(parts, LOADED // BATCH))
        parts = chain(ahead, parts)
        if sum(map(len, ahead)) < LOADED:
            return parts
        sifted = _Sifted()
        fitting = self._fitting(snapshot, parts, tally, seen, sifted)
        tally.add(self._store.load(fitting, actor="import", cause=snapshot.cause))
        for names in chunks(iter(list(sifted.examined)), BATCH):
            found = {(snapshot.source, name): sifted.examined[name] for name in names}
            with self._store.working() as ledger:
                work.note_findings(ledger, found, self._store.now())
        self._put_aside(snapshot.source, sifted)
        return parts

    def _fitting(
        self,
        snapshot: Snapshot,
        parts: Iterator[list[Record | Fetched]],
        tally: Tally,
        seen: set[str],
        sifted: _Sifted,
    ) -> Iterator[Record]:
        """Yield what may be taken in; *sifted* keeps what was found of the rest."""
        newest: dict[str, Instant] = {}
        while len(sifted.examined) + len(sifted.aside) < HELD:
            some = next(parts, None)
            if some is None:
                break
            now = _Sifted()
            self._sift(snapshot, [_told(one) for one in some], tally, now, newest)
            yield from now.taken
            seen.update(now.names)
            for name in now.examined.keys() | now.aside.keys():
                sifted.examined.pop(name, None)
                sifted.aside.pop(name, None)
            sifted.aside.update(now.aside)
            sifted.examined.update(
                (name, one) for name, one in now.examined.items() if one.findings
            )

    # ── What fits, and what does not ─────────────────────────────────────────────────────────

    def _take(
        self,
        snapshot: Snapshot,
        some: Sequence[Record | Fetched],
        tally: Tally,
        seen: set[str],
    ) -> None:
        """Commit what may be taken in of some documents, and put aside what may not."""
        source, sifted = snapshot.source, _Sifted()
        told = [_told(one) for one in some]
        newest = self._newest(source, [one for one, _, _ in told])
        self._sift(snapshot, told, tally, sifted, newest)
        examined = {(source, document): one for document, one in sifted.examined.items()}
        batch = Batch(sifted.taken, actor="import", cause=snapshot.cause, examined=examined)
        tally.add(self._store.commit(batch))
        self._put_aside(source, sifted)
        seen.update(sifted.names)

    def _sift(
        self,
        snapshot: Snapshot,
        told: Iterable[_Told],
        tally: Tally,
        sifted: _Sifted,
        newest: dict[str, Instant],
    ) -> None:
        """Sort documents by what becomes of them; *newest* is of when the last word of each is."""
        for record, unmapped, raw in told:
            name = record.document
            if record.said_at is not None and record.said_at < newest.get(name, record.said_at):
                # It says nothing any more: so what of it does not fit is nothing either.
                sifted.taken.append(record)
                continue
            examined = self._examining.examined(record, unmapped, snapshot.unfit)
            # Of a document that comes again the last word counts.
            sifted.aside.pop(name, None)
            if record.said_at is not None:
                newest[name] = record.said_at
            if examined.policy == "quarantine":
                sifted.aside[name] = _Aside(refusal(name, examined, IMPORT), examined, raw)
                tally.documents["put aside"] += 1
                continue
            sifted.examined[name] = examined
            if examined.policy == "reject":
                tally.documents["rejected"] += 1
            else:
                sifted.taken.append(record)

    def _newest(self, source: str, records: Sequence[Record]) -> dict[str, Instant]:
        """Of when is what is known of those documents that say when they were said?"""
        dated = {one.document for one in records if one.said_at is not None}
        if not dated:
            return {}
        with self._store.looking() as driver:
            return work.said_when(driver, source, dated)

    def _put_aside(self, source: str, sifted: _Sifted) -> None:
        """Put aside what may not be taken in; what was put aside before and came again is not."""
        with self._store.looking() as driver:
            outdated = work.with_letters(driver, source, sifted.examined)
        if not sifted.aside and not outdated:
            return
        now = self._store.now()
        with self._store.working() as ledger:
            work.lift(ledger, source, outdated, now)
            for document, one in sifted.aside.items():
                work.bury_imported(ledger, source, document, one.error, now, raw=one.raw)
            found = {(source, document): one.examined for document, one in sifted.aside.items()}
            work.note_findings(ledger, found, now)

    # ── What is not said any more ────────────────────────────────────────────────────────────

    def _remove_absent(
        self,
        snapshot: Snapshot,
        scope: str,
        seen: Collection[str],
        tally: Tally,
        *,
        removing: bool,
    ) -> None:
        with self._store.looking() as driver:
            living = work.living(driver, snapshot.source, scope)
        absent = [name for name in living if name not in seen]
        if not removing and too_many(len(absent), len(living)):
            tally.held += len(absent)
            log.warning(
                "removals held", source=snapshot.source, absent=len(absent), living=len(living)
            )
            return
        self._remove(snapshot, scope, absent, seen, tally)
        for beginning in snapshot.along:
            stay = {beginning + name.removeprefix(scope) for name in seen}
            with self._store.looking() as driver:
                living = work.living(driver, snapshot.source, beginning)
            absent = [name for name in living if name not in stay]
            self._remove(snapshot, beginning, absent, stay, tally)

    def _remove(
        self,
        snapshot: Snapshot,
        beginning: str,
        absent: Sequence[str],
        stay: Collection[str],
        tally: Tally,
    ) -> None:
        """Remove documents, and what did not fit of those whose names begin so and do not stay."""
        source, now = snapshot.source, self._store.now()
        with self._store.looking() as driver:
            subjects = work.subjects(driver, source, absent)
            unfit = work.unfit_subjects(driver, source, beginning)
        removals = [
            Removal(source, name, Uri(subjects[name]), now, snapshot.said_at) for name in absent
        ]
        for some in chunks(iter(removals), BATCH):
            tally.add(self._store.commit(Batch(some, actor="import", cause=snapshot.cause)))
        self._forget({name: uri for name, uri in unfit.items() if name not in stay}, source, now)

    def _forget(self, unfit: Mapping[str, Uri], source: str, now: Instant) -> None:
        """Forget what did not fit of documents that are not there any more."""
        if unfit:
            gone = {(source, name): Examined(uri) for name, uri in unfit.items()}
            with self._store.working() as ledger:
                work.lift(ledger, source, list(unfit), now)
                work.note_findings(ledger, gone, now)


def _told(item: Record | Fetched) -> _Told:
    """Return the record of an item, its fields that nothing maps, and what it was worded from."""
    record, unmapped = (item, None) if isinstance(item, Record) else (item.record, item.unmapped)
    assert record is not None
    # The file is where it can be read again: nothing is kept to word it anew from.
    return (record if record.raw is None else replace(record, raw=None)), unmapped, record.raw
