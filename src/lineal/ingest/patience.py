"""When to ask again: waits that grow and differ, and a source that is left alone while it is down.

Pure: the time and the dice are given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lineal.errors import SourceDown
from lineal.model import Instant
from lineal.store.work import Standing

SECOND = 1_000_000
#: The longest wait between two tries, in microseconds.
LONGEST = 300 * SECOND
#: So long a source is left alone at most, whatever it asks for.
LEFT_ALONE = int(SourceDown.LONGEST) * SECOND
#: So often in a row a source is down before it is left alone, and then tried by one question.
FAILURES = 5
#: While a source is down, what it is asked for counts as tried at most so often: its waits are the
#: longest by then. It counts as tried once more only where the source answered others since.
WORN = 9
#: What got no answer so often while others did is to blame itself, and is put aside. Of a source
#: that answers at random, not even one of a hundred, no more than one of a million is.
BLAMED = WORN + 20


def wait(attempts: int, chance: Callable[[], float]) -> Instant:
    """
    Return how long to wait after so many attempts, in microseconds.

    One second, doubled each time, up to five minutes; of that between half and all, so that what
    failed together does not come again together.

    >>> [wait(attempts, lambda: 0.0) // SECOND for attempts in (0, 1, 4, 8, 50)]
    [1, 2, 16, 256, 300]
    >>> wait(4, lambda: 1.0) // SECOND
    8
    """
    whole = min(SECOND << min(attempts, 30), LONGEST)
    return whole - int(whole / 2 * chance())


def once_more(attempts: int) -> int:
    """Return how often a document counts as tried after one more try, whatever came of it."""
    return min(attempts + 1, WORN)


def state(standing: Standing, now: Instant) -> str:
    """
    Return the state of a source's breaker, as engineers call it.

    ``closed``: it is asked. ``open``: it is left alone. ``half-open``: one question tries it.
    """
    if _left_alone(standing, now):
        return "open"
    return "half-open" if standing.failures >= FAILURES else "closed"


def _left_alone(standing: Standing, now: Instant) -> bool:
    # What is further away was said by another clock, and would never come.
    return now < (standing.closed_until or 0) <= now + LEFT_ALONE


@dataclass(slots=True)
class Breaker:
    """What the answers of a source make of its standing, one after the other as they came."""

    standing: Standing
    now: Instant
    chance: Callable[[], float]
    #: Whether it answered after it had been down.
    is_up_again: bool = False

    def answered(self) -> None:
        """It answered a question, whatever it said."""
        known = self.standing
        if not known.failures:
            return
        if known.failures < FAILURES and _left_alone(known, self.now):
            # It asked for that itself, which holds though what was on its way is answered.
            return
        self.is_up_again = True
        self.standing = known._replace(failures=0, down_since=None, closed_until=None, reason=None)

    def failed(self, error: SourceDown, attempts: int) -> int:
        """
        It was down when it was asked for a document tried so often; return how often it is by now.

        Of a document that is to blame itself it says nothing but that somebody got no answer.
        """
        known, until = self.standing, self.standing.closed_until or 0
        tries = self._tries(error, attempts)
        is_news = tries <= WORN
        failures = known.failures + 1 if is_news else max(known.failures, 1)
        if error.retry_after is not None:
            # Its own word, to the second.
            until = max(until, self.now + int(error.retry_after * SECOND))
        elif is_news and failures >= FAILURES:
            until = max(until, self.now + wait(failures - 1, self.chance))
        self.standing = known._replace(
            failures=failures,
            down_since=known.down_since or self.now,
            closed_until=until or None,
            reason=str(error),
        )
        return tries

    def _tries(self, error: SourceDown, attempts: int) -> int:
        """
        Return how often a document counts as tried.

        More than `WORN` times only by failures before each of which the source had answered
        others, so that no document is blamed for an outage, however long or often; and of
        several that fail one after the other only the first, since the source may be down.
        """
        counted = attempts if attempts < BLAMED else WORN
        answers_others = self.standing.failures == 0 and error.retry_after is None
        return counted + 1 if counted < WORN or answers_others else counted
