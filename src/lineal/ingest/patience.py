"""When to ask again: waits that grow and differ, and a source that is left alone while it is down.

Pure: the time and the dice are given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lineal.errors import LinealError, SourceDown
from lineal.model import Instant
from lineal.store.work import Standing

SECOND = 1_000_000
#: The longest wait between two tries, in microseconds.
LONGEST = 300 * SECOND
#: So long a source is left alone at most, whatever it asks for.
LEFT_ALONE = int(SourceDown.LONGEST) * SECOND
#: So often in a row a source is down before it is left alone, and then tried by one question.
FAILURES = 5


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


def open_places(standing: Standing, now: Instant, places: int) -> int:
    """Return how many questions a source may be asked at once: none while it is left alone."""
    # What is further away was said by another clock, and would never come.
    if now < (standing.closed_until or 0) <= now + LEFT_ALONE:
        return 0
    return min(places, 1) if standing.failures >= FAILURES else places


def state(standing: Standing, now: Instant) -> str:
    """
    Return the state of a source's breaker, as engineers call it.

    ``closed``: it is asked. ``open``: it is left alone. ``half-open``: one question tries it.
    """
    if open_places(standing, now, 2) == 2:
        return "closed"
    return "half-open" if open_places(standing, now, 2) else "open"


def after_failure(
    standing: Standing, error: LinealError, now: Instant, chance: Callable[[], float]
) -> Mapping[str, object]:
    """Return what changes of a source's standing when it was down once more."""
    failures = standing.failures + 1
    until = standing.closed_until or 0
    asked = error.retry_after if isinstance(error, SourceDown) else None
    if asked is not None:
        # Its own word, to the second.
        until = max(until, now + int(asked * SECOND))
    elif failures >= FAILURES:
        until = max(until, now + wait(failures - 1, chance))
    return {
        "failures": failures,
        "down_since": standing.down_since or now,
        "closed_until": until or None,
        "reason": str(error),
    }


#: What changes of it when it answers again.
WELL: Mapping[str, object] = {
    "failures": 0, "down_since": None, "closed_until": None, "reason": None,
}  # fmt: skip
