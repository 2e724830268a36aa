"""Settling: answers are judged, written together, put off or put aside; and each is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from lineal.errors import LinealError, SourceDown, StoreError, Unstorable
from lineal.ingest.asking import Asked, in_our_words
from lineal.ingest.examining import Examining
from lineal.ingest.guard import too_many
from lineal.ingest.judging import Dead, Judge, Later, Word
from lineal.ingest.patience import BLAMED, FAILURES, Breaker, once_more
from lineal.ingest.tally import Tally
from lineal.model import Instant, Uri
from lineal.points import reached
from lineal.sources import Fetched, FetchedSource, Key, LogSource
from lineal.store import Batch, Ledger, Store, work
from lineal.store.work import Dirty, Taking

log = structlog.get_logger("lineal.ingest")


class Settling:
    """Settles the answers of all sources."""

    def __init__(
        self,
        store: Store,
        fetched: Mapping[str, FetchedSource],
        logs: Mapping[str, LogSource],
        chance: Callable[[], float],
        examining: Examining,
    ) -> None:
        self._store, self._fetched, self._logs, self._chance = store, fetched, logs, chance
        self._examining = examining

    def settle(self, answered: Sequence[Asked], tally: Tally) -> list[Word]:
        """Judge answers together: write what they say, put off what failed; return the words."""
        verdicts = []
        for name in sorted({asked.dirty.source for asked in answered}):
            of = [one for one in answered if one.dirty.source == name and one.outcome is not None]
            judge = self._judge(name, [asked.dirty for asked in of])
            verdicts += [judge.verdict(asked) for asked in of]
        reached("judged")
        words = [one for one in verdicts if isinstance(one, Word)]
        self.write(words, tally)
        failed = [one for one in verdicts if not isinstance(one, Word)]
        self._note(answered, failed)
        return words

    def write(self, words: Sequence[Word], tally: Tally) -> None:
        """Write words together, under their fences."""
        if words:
            self._commit(words, tally)

    def put_aside(self, dead: Sequence[Dead]) -> None:
        """Put aside what may not be taken in."""
        if dead:
            now = self._store.now()
            with self._store.working() as ledger:
                for one in dead:
                    _bury(ledger, one, now)

    def _judge(self, name: str, some: Sequence[Dirty]) -> Judge:
        source = self._fetched.get(name)
        living: set[str] | None = None

        def lives(dirty: Dirty) -> bool:
            nonlocal living
            if living is None:
                with self._store.looking() as driver:
                    living = work.which_live(driver, name, [one.document for one in some])
            return dirty.document in living

        def is_guarded() -> bool:
            with self._store.looking() as driver:
                gone = len(work.missing(driver, name))
                return too_many(gone, work.count_living(driver, name))

        def subject(dirty: Dirty) -> Uri:
            try:
                return (source or self._logs[name]).subject(Key.of(dirty.document))
            except LinealError:
                raise
            except Exception as error:
                raise in_our_words(error, dirty) from error

        looks = source.habits.looks if source is not None else ()
        return Judge(
            self._store.now(), self._chance, looks, subject, lives, is_guarded,
            self._examining.examined,
        )  # fmt: skip

    # ── Committing ───────────────────────────────────────────────────────────────────────────

    def _commit(self, words: Sequence[Word], tally: Tally) -> None:
        """Commit together; if something in it cannot be, halve until only that is left out."""
        said = [one.word for one in words if one.word is not None]
        examined = {
            (one.dirty.source, one.dirty.document): one.examined
            for one in words
            if one.examined is not None
        }
        fences = [one.fence for one in words]
        batch = Batch(said, "ingest", _cause(words), fences=fences, examined=examined)
        try:
            tally.add(self._store.commit(batch))
        except Exception as error:
            # What ails the database ails every document of it.
            if isinstance(error, StoreError) and not isinstance(error, Unstorable):
                raise
            if len(words) > 1:
                middle = len(words) // 2
                self._commit(words[:middle], tally)
                self._commit(words[middle:], tally)
                return
            dirty = words[0].dirty
            log.exception("commit failed", source=dirty.source, document=dirty.document)
            with self._store.working() as ledger:
                now = self._store.now()
                if words[0].fence.listing is not None:
                    # Nobody marked it before: its mark was to be made with what it says.
                    taking = Taking("", 0, {dirty.source: 1})
                    mark = work.Mark(dirty.source, dirty.document)
                    for dirty in work.mark_several(ledger, [mark], now, taking):
                        work.bury_document(ledger, dirty, error, now, stage="commit")
                    return
                work.bury_document(ledger, dirty, error, now, stage="commit")

    def _note(self, answered: Sequence[Asked], failed: Sequence[Later | Dead]) -> None:
        """Note what is to be tried later or put aside, and which sources are down or up again."""
        now = self._store.now()
        with self._store.looking() as driver:
            standings = work.standings(driver)
        unasked = [asked.dirty for asked in answered if asked.outcome is None]
        are_failing = any(
            asked.dirty.source in standings and standings[asked.dirty.source].failures
            for asked in answered
        )
        if not failed and not unasked and not are_failing:
            return
        with self._store.working() as ledger:
            ledger.hold_marks()
            work.hand_back(ledger, unasked)
            tries = self._hear(ledger, answered, now)
            for one in failed:
                if isinstance(one, Dead):
                    _bury(ledger, one, now)
                    continue
                count = tries.get(one.dirty, once_more(one.dirty.attempts))
                if count == BLAMED:
                    _bury(ledger, Dead(one.dirty, SourceDown(one.error), "fetch"), now)
                    continue
                work.put_off(
                    ledger, one.dirty, due_at=now + one.wait, error=one.error,
                    gone_since=one.gone_since, attempts=count,
                )  # fmt: skip
            self._note_held(ledger, failed, now)
            reached("answers-noted")

    def _hear(self, ledger: Ledger, answered: Sequence[Asked], now: Instant) -> dict[Dirty, int]:
        """
        Note which sources are down or up again, by their answers in the order of these.

        Returns how often that counts as tried for which they were down.
        """
        tries: dict[Dirty, int] = {}
        for name in sorted({asked.dirty.source for asked in answered}):
            before = work.standing(ledger.driver, name)
            breaker = Breaker(before, now, self._chance)
            for asked in answered:
                if asked.dirty.source != name or asked.outcome is None or asked.is_told:
                    continue
                _log(name, asked.outcome)
                if isinstance(asked.outcome, SourceDown):
                    tries[asked.dirty] = breaker.failed(asked.outcome, asked.dirty.attempts)
                else:
                    breaker.answered()
            known = breaker.standing
            if known != before:
                work.stand(
                    ledger, name, failures=known.failures, down_since=known.down_since,
                    closed_until=known.closed_until, reason=known.reason,
                )  # fmt: skip
            if breaker.is_up_again:
                work.hurry(ledger, name, now, below=FAILURES)
        return tries

    def _note_held(self, ledger: Ledger, failed: Sequence[Later | Dead], now: Instant) -> None:
        for name in sorted({
            one.dirty.source for one in failed if isinstance(one, Later) and one.held
        }):  # fmt: skip
            known = work.standing(ledger.driver, name)
            count = len(work.missing(ledger.driver, name))
            work.stand(ledger, name, held_at=known.held_at or now, held=max(known.held, count))
            log.warning("removals held", source=name, gone=count)


def _bury(ledger: Ledger, dead: Dead, now: Instant) -> None:
    is_buried = work.bury_document(
        ledger, dead.dirty, dead.error, now, stage=dead.stage, raw=dead.raw
    )
    if is_buried and dead.examined is not None:
        name = (dead.dirty.source, dead.dirty.document)
        work.note_findings(ledger, {name: dead.examined}, now)


def _log(name: str, outcome: Fetched | LinealError) -> None:
    """Tell the operator of what went wrong."""
    if isinstance(outcome, SourceDown):
        log.warning("source down", source=name, error=str(outcome))
    elif isinstance(outcome, LinealError):
        log.warning("source failed", source=name, error=str(outcome), code=outcome.code)


def _cause(words: Sequence[Word]) -> str:
    names = [f"{one.dirty.source} {one.dirty.document}" for one in words[:3]]
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"fetched {', '.join(names)}{more}"
