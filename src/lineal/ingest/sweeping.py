"""Sweeps: everything a source has is listed, what differs is marked, what is absent is asked for.

Absence counts only after the last page of one generation. Where too much is absent, nothing is
removed until a person lets it go, or a later sweep finds it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing

import structlog

from lineal.errors import (
    Busy,
    Invalid,
    LinealError,
    NotFound,
    SourceError,
    SourceGarbled,
    SourceMoved,
)
from lineal.ingest.examining import Examining
from lineal.ingest.guard import too_many
from lineal.ingest.judging import Dead, Word, accepted
from lineal.ingest.patience import FAILURES, SECOND
from lineal.ingest.pipelining import Behind, ahead
from lineal.ingest.tally import Progress, Swept
from lineal.ingest.understanding import BATCH, chunks
from lineal.points import reached
from lineal.sources import Fetched, FetchedSource, Listed
from lineal.store import Fence, Listing, Store, text, work
from lineal.store.work import Dirty, Examined, Standing

log = structlog.get_logger("lineal.ingest")

#: So often a list that moved away under our hands is begun anew before we give up.
RESTARTS = 3
#: For so long nobody else sweeps a source after a page was read, by the database's clock.
LEASE = 300 * SECOND


class Stopped(Exception):
    """Whoever wanted the sweep does not any more: raised by its progress, it breaks off."""


class Sweeps:
    """Sweeps the sources of one installation."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        holder: str,
        write: Callable[[list[Word | Dead]], None],
        examining: Examining,
    ) -> None:
        """*write* commits what came whole with a list."""
        self._store, self._fetched, self._holder = store, fetched, holder
        self._write, self._examining = write, examining

    def sweep(self, name: str, progress: Progress | None = None) -> Swept:
        """
        List everything a source has and mark what differs: what no event told is found here.

        A sweep that broke off is begun again with the time of its first beginning: what was
        confirmed since need not be asked for again.

        Raises:
            NotFound: there is no such source. Busy: another process is sweeping it.
            SourceDown, SourceGarbled: it could not be listed; nothing is removed.
        """
        source = self._source(name)
        for again in range(RESTARTS):
            sweep = self._begun(name)
            reached("sweep-begun")
            try:
                self._list(source, sweep, progress)
            except SourceMoved as error:
                log.warning("a list moved away", source=name, error=str(error))
                if again + 1 == RESTARTS:
                    self._broke(name, error)
                    raise
                continue
            except SourceError as error:
                self._broke(name, error)
                raise
            except Stopped:
                self._broke(name, None)
                raise
            return self._ended(name, sweep)
        raise AssertionError("the last try returns or raises")

    def _source(self, name: str) -> FetchedSource:
        if name not in self._fetched:
            raise NotFound(
                f"There is no source {name!r} that can be swept.",
                fix=f"Sources are {', '.join(sorted(self._fetched)) or 'none'}.",
            )
        return self._fetched[name]

    def _begun(self, name: str) -> Standing:
        with self._store.working() as ledger:
            now = self._store.now()
            sweep = work.begin(ledger, name, now=now, holder=self._holder, lease=LEASE)
        if sweep is None:
            raise Busy(
                f"Another process is listing {name} just now.",
                fix="Wait until it has done so; `lineal status` tells.",
            )
        return sweep

    def _list(self, source: FetchedSource, sweep: Standing, progress: Progress | None) -> None:
        count = 0
        lists = ahead(chunks(_lines(source), BATCH), f"list-{source.name}")
        with Behind(self._write, f"write-{source.name}") as behind, closing(lists):
            for lines in lists:
                count += len(lines)
                self._note(sweep, lines, behind)
                if progress is not None:
                    progress(count, None, f"listed by {source.name}")
        reached("sweep-listed")

    def _note(
        self, sweep: Standing, lines: Sequence[Listed], behind: Behind[list[Word | Dead]]
    ) -> None:
        """Mark what differs, and hand on what the list itself tells of it."""
        words, rest = self._fresh(sweep, lines)
        with self._store.working() as ledger:
            taken = work.listed(
                ledger, sweep, [_line(line) for line in rest], written=len(words),
                now=self._store.now(), lease=LEASE,
            )  # fmt: skip
            reached("sweep-page-taken")
        verdicts = [*words, *self._whole(rest, taken)]
        if verdicts:
            behind.put(verdicts)

    def _fresh(
        self, sweep: Standing, lines: Sequence[Listed]
    ) -> tuple[list[Word], Sequence[Listed]]:
        """
        Word what came whole, is news, and fits; return the words and all other lines.

        Their marks are made and answered in the transaction that writes them: to mark them first
        would write each row of marks twice.
        """
        if not any(line.whole for line in lines):
            return [], lines
        with self._store.looking() as driver:
            some = [_line(line) for line in lines]
            news = work.fresh(driver, sweep, some)
        # Of what comes twice together, one would stand in the other's way.
        times = Counter(line.document for line in some)
        words, rest = list[Word](), list[Listed]()
        for line, said in zip(lines, some, strict=True):
            name = said.document
            listing = news.get(name) if times[name] == 1 else None
            word = None if listing is None else self._word(sweep.source, line, listing)
            if word is None:
                rest.append(line)
            else:
                words.append(word)
        return words, rest

    def _word(self, source: str, line: Listed, listing: Listing) -> Word | None:
        """Word a line that came whole, if it can be read and may be stored."""
        fetched = _fetched(source, line)
        if fetched is None:
            return None
        examined = self._examined(fetched)
        if examined.policy != "store":
            return None
        document = line.key.document
        fence = Fence(source, document, 0, seen=fetched.version, listing=listing)
        unasked = Dirty(source, document, 0, False, 0, None, None)
        return Word(unasked, fetched.record, fence, examined)

    def _examined(self, fetched: Fetched) -> Examined:
        assert fetched.record is not None
        return self._examining.examined(fetched.record, fetched.unmapped, findings=fetched.findings)

    def _whole(self, lines: Sequence[Listed], taken: Sequence[Dirty]) -> list[Word | Dead]:
        """Word what the list itself tells; what of it cannot be read is asked for."""
        listed = {line.key.document: line for line in lines}
        words, unfit = list[Word | Dead](), list[Dirty]()
        for dirty in taken:
            fetched = _fetched(dirty.source, listed[dirty.document])
            if fetched is None:
                unfit.append(dirty)
                continue
            assert fetched.record is not None
            fence = dirty.fence(seen=fetched.version)
            words.append(accepted(dirty, fetched.record, fence, self._examined(fetched)))
        if unfit:
            with self._store.working() as ledger:
                work.hand_back(ledger, unfit)
        return words

    def _broke(self, name: str, error: SourceError | None) -> None:
        said = None if error is None else str(error)
        with self._store.working() as ledger:
            work.stand(ledger, name, sweep_error=said, leased_by=None, leased_until=None)

    def _ended(self, name: str, sweep: Standing) -> Swept:
        """Ask once more for what was absent; for what was listed before, a 404 is then believed."""
        with self._store.working() as ledger:
            absent = work.unlisted(ledger.driver, name, sweep.generation)
            gone = sum(absent.values())
            living = work.count_living(ledger.driver, name)
            held, now = too_many(gone, living), self._store.now()
            asked = [
                work.Mark(name, document, was_listed)
                for document, was_listed in absent.items()
                if not (held and was_listed)
            ]
            work.mark_several(ledger, asked, now)
            known = work.standing(ledger.driver, name)
            # It answered: where it was left alone since it was down, it is tried at once.
            until = None if known.failures >= FAILURES else known.closed_until
            work.stand(
                ledger, name, ended_at=now, whole_at=sweep.began_at, sweep_error=None,
                held_at=(known.held_at or now) if held else None, held=gone if held else 0,
                leased_by=None, leased_until=None, closed_until=until,
            )  # fmt: skip
            reached("absence-counted")
        if held:
            log.warning("removals held", source=name, absent=gone, living=living)
        return Swept(name, known.listed, known.marked, gone, held)

    def release(self, name: str, *, actor: str, reason: str) -> int:
        """
        Let the removals go that are held back of a source; return how many.

        Each is still asked for once more, and removed if the source says that it is gone.

        Raises:
            NotFound: there is no such source. Invalid: nothing is held, or no reason is given.
        """
        self._source(name)
        if not reason.strip():
            raise Invalid("A release needs a reason.", fix="Say it by --reason: it is kept.")
        with self._store.working() as ledger:
            ledger.hold_marks()
            known = work.standing(ledger.driver, name)
            if known.held_at is None:
                raise Invalid(f"Nothing of {name} is held back.")
            now = self._store.now()
            absent = work.unlisted(ledger.driver, name, known.generation)
            documents = {document for document, was_listed in absent.items() if was_listed}
            documents |= set(work.missing(ledger.driver, name))
            work.mark_several(
                ledger, [work.Mark(name, document, True) for document in sorted(documents)], now
            )
            work.stand(ledger, name, held_at=None, held=0)
            work.note(
                ledger, at=now, actor=actor, what="release", source=name, reason=reason,
                count=len(documents),
            )  # fmt: skip
        log.warning("removals released", source=name, actor=actor, count=len(documents))
        return len(documents)


def _lines(source: FetchedSource) -> Iterator[Listed]:
    """Yield what a source lists; where its own code fails, its list is of no use."""
    try:
        yield from source.list()
    except LinealError:
        raise
    except Exception as error:
        log.exception("listing failed", source=source.name)
        raise SourceGarbled(
            f"{source.name} fails to list: {error!r}.", fix="The log tells where. Mend the source."
        ) from error


def _fetched(source: str, line: Listed) -> Fetched | None:
    """Return what came whole with a list; None where it cannot be read."""
    assert line.whole is not None
    try:
        return line.whole()
    except LinealError:
        return None
    except Exception:
        # It is asked for, and says what is wrong with it.
        log.exception("reading a list failed", source=source, document=line.key.document)
        return None


def _line(line: Listed) -> work.Line:
    version = None if line.version is None else text.held(line.version)
    return work.Line(line.key.document, version, line.asked_at if line.whole else None)
