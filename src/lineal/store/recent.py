"""What the last transactions changed, by the feed that every commit writes."""

from __future__ import annotations

from typing import NamedTuple

from lineal.model import Instant
from lineal.store.driver import Driver
from lineal.store.rows import unpack_feed


class Turned(NamedTuple):
    """One transaction: when, by whom and why, and the keys of all things that it changed."""

    t: int
    at: Instant
    actor: str
    cause: str
    changed: tuple[int, ...]


def recent(driver: Driver, t: int, most: int) -> list[Turned]:
    """Return the last transactions up to one, newest first."""
    rows = driver.rows(
        "SELECT t, instant, actor, cause, changed FROM tx WHERE t <= ? ORDER BY t DESC LIMIT ?",
        *(t, most),
    )
    return [
        Turned(number, at, actor, cause, unpack_feed(bytes(changed)))
        for number, at, actor, cause, changed in rows
    ]
