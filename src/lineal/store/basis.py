"""The two times of a question, resolved against the published clock."""

from __future__ import annotations

from dataclasses import dataclass, field

import sqlalchemy as sa

from lineal.errors import Damaged, InvalidQuery
from lineal.model import Instant, Moment
from lineal.store import schema
from lineal.store.driver import Driver


@dataclass(frozen=True, slots=True)
class Basis:
    """At which transaction, known by when and valid when a question is answered."""

    t: int
    known_at: Instant
    valid_at: Instant
    #: True where the question is about now, and not about what happens to be the newest past.
    is_now: bool = False
    #: The last transaction there was when it was asked; 0 where that was not looked at.
    published: int = field(default=0, compare=False)


def basis_of(connection: sa.Connection, moment: Moment, now: Instant) -> Basis:
    """Resolve the two times of a question against the published clock; raises `InvalidQuery`."""
    # By a plain statement: each question begins with this one.
    clock = Driver(connection).row("SELECT published, instant FROM clock WHERE id = 1")
    if clock is None:
        raise Damaged("The database has lost its clock.", fix="Restore a backup.")
    published, instant = clock
    if moment.known_t is not None:
        if not 0 <= moment.known_t <= published:
            raise InvalidQuery(
                f"There is no transaction {moment.known_t} yet; the last is {published}."
            )
        t, known_at = moment.known_t, _instant_of(connection, moment.known_t)
    elif moment.known_at is not None:
        known_at = moment.known_at
        t = last_by(Driver(connection), known_at)
    else:
        t, known_at = published, max(now, instant)
    valid_at = known_at if moment.valid_at is None else moment.valid_at
    return Basis(t, known_at, valid_at, moment.is_now, published)


def latest(connection: sa.Connection) -> Basis:
    """Return the basis of the newest transaction, at its own instant."""
    clock = schema.clock.c
    t, instant = connection.execute(sa.select(clock.published, clock.instant)).one()
    return Basis(t, instant, instant)


def _instant_of(connection: sa.Connection, t: int) -> Instant:
    found = connection.scalar(sa.select(schema.tx.c.instant).where(schema.tx.c.t == t))
    return 0 if found is None else int(found)


def last_by(driver: Driver, at: Instant) -> int:
    """
    Return the number of the last transaction by an instant; 0 where there was none yet.

    Instants ascend with the numbers of transactions, so the span in which it lies is narrowed by
    looking at some places of it: an index by instant would have to be kept up by every commit.
    """
    low, high = 0, driver.rows("SELECT published FROM clock WHERE id = 1")[0][0]
    while high - low > _NEAR:
        step = (high - low) // (_PLACES + 1)
        found = driver.among(_INSTANTS, range(low + step, high - step + 1, step))
        by_then = [t for t, instant in found if instant <= at]
        later = [t - 1 for t, instant in found if instant > at]
        low, high = max(by_then, default=low), min(later, default=high)
        if not found:
            break
    ((t,),) = driver.rows(_LAST_BY, low, high, at)
    return low if t is None else int(t)


#: At how many places a span is looked at, and how long one is that is looked at whole.
_PLACES, _NEAR = 7, 32
_INSTANTS = "SELECT t, instant FROM tx WHERE t {among}"
_LAST_BY = "SELECT max(t) FROM tx WHERE t > ? AND t <= ? AND instant <= ?"
