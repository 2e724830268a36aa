"""When sweeps are due, and when one is so late that the promise it keeps is broken. Pure."""

from __future__ import annotations

from lineal.model import Instant
from lineal.sources.schedule import planned
from lineal.store.work import Standing


def due(sweep: str | None, known: Standing | None, now: Instant) -> bool:
    """Is a sweep due: as planned after the last that came to its end, or for the first time?"""
    if sweep is None:
        return False
    if known is None or known.whole_at is None:
        return True
    return planned(sweep, known.whole_at) <= now


def next_sweep(sweep: str | None, known: Standing) -> Instant | None:
    """When is a source listed next? None where that is not planned, or is due already."""
    if sweep is None or known.whole_at is None:
        return None
    return planned(sweep, known.whole_at)


def late_since(sweep: str | None, known: Standing, now: Instant) -> Instant | None:
    """
    Since when is a source late: one whole planned sweep went by, and none came to its end?

    A sweep's period is how old, at most, what we know may be: that is then no longer so.
    """
    since = known.whole_at or known.began_at
    if sweep is None or since is None:
        return None
    last = planned(sweep, planned(sweep, since))
    return last if last < now else None
