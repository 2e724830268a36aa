"""When everything a source has is listed: cron expressions, in UTC. Pure."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from lineal.model import Instant, instant

NEVER = "never"
_START = datetime(1970, 1, 1, tzinfo=UTC)


def nightly(name: str) -> str:
    """
    Return the schedule of a source that says none: once a night, not all at the same minute.

    >>> nightly("registry"), nightly("catalog")
    ('59 3 * * *', '9 3 * * *')
    """
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    return f"{number % 60} {1 + number // 60 % 4} * * *"


def checked(expression: str) -> str:
    """Return a cron expression; raises `ValueError` where it is none, or never comes."""
    if expression == NEVER:
        return expression
    try:
        next(CronSim(expression, _START))
    except (CronSimError, StopIteration) as error:
        raise ValueError(
            f"`sweep` is {expression!r}, no cron expression such as `30 2 * * *`"
        ) from error
    return expression


def planned(expression: str, after: Instant) -> Instant:
    """
    Return when it comes next after an instant.

    >>> planned("30 2 * * *", 0) // 60_000_000
    150
    """
    since = _START + timedelta(microseconds=after)
    return instant(next(CronSim(expression, since)))
