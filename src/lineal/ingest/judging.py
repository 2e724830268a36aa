"""What an answer means: a word to write, a later try, or a dead letter. Pure.

An error never removes anything. Only a source's own "no such thing" does, and only if an event
said so too, or if it stays for a minute, and if not too much is gone at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lineal.errors import LinealError, SourceDown, SourceGone
from lineal.ingest.asking import Asked
from lineal.ingest.examining import refusal
from lineal.ingest.patience import SECOND, wait
from lineal.model import Instant, Json, Record, Removal, Uri
from lineal.store import Fence
from lineal.store.work import Dirty, Examined

#: A document that answers 404 is believed gone after this long, in microseconds.
GRACE = 60 * SECOND
#: How often a garbled answer is asked for again before it becomes a dead letter, and how often an
#: answer that is older than its event before it is taken as it is.
TRIES = 5


@dataclass(frozen=True, slots=True)
class Word:
    """A word to write under its fence; None where nothing changed."""

    dirty: Dirty
    word: Record | Removal | None
    fence: Fence
    #: What of it does not fit; None where nothing new is known of that.
    examined: Examined | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """To be asked for again."""

    dirty: Dirty
    wait: Instant
    error: str
    gone_since: Instant | None = None
    #: True where a removal is held back, since too much is gone at once.
    held: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """To be put aside."""

    dirty: Dirty
    error: Exception
    stage: str
    examined: Examined | None = None
    #: What it was worded from, as far as that may be kept.
    raw: Mapping[str, Json] | None = None


Verdict: TypeAlias = Word | Later | Dead


def accepted(dirty: Dirty, record: Record, fence: Fence, examined: Examined) -> Word | Dead:
    """Return what becomes of a word, by what of it does not fit."""
    if examined.policy == "quarantine":
        error = refusal(dirty.document, examined)
        return Dead(dirty, error, "shape", examined, record.raw)
    if examined.policy == "reject":
        # Its ETag is not kept: else it would not be looked at again once the file is mended.
        return Word(
            dirty, None, fence._replace(etag=dirty.etag, look_in=None, doubted=True), examined
        )
    return Word(dirty, record, fence, examined)


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges the answers of one source."""

    now: Instant
    chance: Callable[[], float]
    looks: tuple[float, ...]
    #: What a document is about; raises `LinealError` where its source fails to tell.
    subject: Callable[[Dirty], Uri]
    #: Whether a document lives, and whether too many of its source are gone to believe it.
    lives: Callable[[Dirty], bool]
    is_guarded: Callable[[], bool]
    examined: Callable[[Record, Sequence[str] | None], Examined]

    def verdict(self, asked: Asked) -> Verdict:
        """Return what follows from an answer."""
        dirty, outcome = asked.dirty, asked.outcome
        assert outcome is not None
        if isinstance(outcome, SourceGone):
            return self._gone(dirty, outcome)
        if isinstance(outcome, LinealError):
            return self._failed(dirty, outcome)
        if self._lags(dirty, outcome.version, changed=outcome.record is not None):
            error = "It answers what was so before the event."
            return Later(dirty, wait(dirty.attempts, self.chance), error)
        etag = outcome.etag if outcome.record is not None else outcome.etag or dirty.etag
        fence = dirty.fence(
            etag=etag, seen=outcome.version, look_in=self._look(dirty, outcome.version)
        )
        if outcome.record is None:
            return Word(dirty, None, fence)
        examined = self.examined(outcome.record, outcome.unmapped)
        return accepted(dirty, outcome.record, fence, examined)

    @staticmethod
    def _lags(dirty: Dirty, version: int | None, *, changed: bool) -> bool:
        """Is the answer older than the event that it was asked for? Not asked for ever."""
        if dirty.wanted is None or dirty.attempts >= TRIES:
            return False
        return not changed or (version is not None and version < dirty.wanted)

    def _look(self, dirty: Dirty, version: int | None) -> Instant | None:
        """In which time to look again: the source may have answered what was so before."""
        if dirty.looks is None or dirty.looks >= len(self.looks):
            return None
        if dirty.wanted is not None and version is not None and version >= dirty.wanted:
            return None
        return int(self.looks[dirty.looks] * SECOND)

    def _gone(self, dirty: Dirty, error: SourceGone) -> Verdict:
        if self.lives(dirty) and not dirty.deleted:
            since = dirty.gone_since or self.now
            if self.now - since < GRACE:
                return Later(dirty, since + GRACE - self.now, str(error), since)
            if self.is_guarded():
                return Later(dirty, wait(dirty.attempts + 6, self.chance), str(error), since, True)
        try:
            removal = Removal(dirty.source, dirty.document, self.subject(dirty), self.now)
        except LinealError as odd:
            return self._failed(dirty, odd)
        fence = dirty.fence(look_in=self._look(dirty, None))._replace(doubted=True)
        return Word(dirty, removal, fence, Examined(removal.subject))

    def _failed(self, dirty: Dirty, error: LinealError) -> Verdict:
        if not isinstance(error, SourceDown) and dirty.attempts + 1 >= TRIES:
            stage = "fetch" if error.code.startswith("source") else "normalise"
            return Dead(dirty, error, stage)
        pause = wait(dirty.attempts, self.chance)
        if isinstance(error, SourceDown) and error.retry_after is not None:
            pause = max(pause, int(error.retry_after * SECOND))
        return Later(dirty, pause, str(error))
