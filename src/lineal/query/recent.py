"""What changed lately: the last transactions, and of each some things that it changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lineal.model import Answer, Cut, Instant
from lineal.query.things import Brief, Things, answer

#: How many things of one transaction are named.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Recent:
    """One transaction, and what it changed."""

    t: int
    at: Instant
    actor: str
    cause: str
    #: How many things it changed: what was said of them, or an edge at them.
    changed: int
    #: The last of these to be named first; parts, such as columns, only where nothing else changed.
    things: tuple[Brief, ...]


def recent(things: Things, *, limit: int) -> Answer[tuple[Recent, ...]]:
    """Return the last transactions, newest first."""
    reader = things.reader
    turns = reader.recent(limit + 1)
    shown = turns[:limit]
    named = {turn.t: _named(things, turn.changed) for turn in shown}
    briefs = things.briefs([key for some in named.values() for key in some])
    value = tuple(
        Recent(
            turn.t,
            turn.at,
            turn.actor,
            turn.cause,
            len(turn.changed),
            tuple(dict.fromkeys(briefs[key] for key in named[turn.t])),
        )
        for turn in shown
    )
    why = [Cut("list", "transactions", done=limit)] if len(turns) > limit else []
    return answer(reader, value, why=why, total=None if why else len(value))


def _named(things: Things, changed: Sequence[int]) -> list[int]:
    """
    Return the keys of the things that are named of a transaction.

    The newest: what an edge leads to was there before, more often than what it begins at.
    """
    whole: list[int] = []
    # Of a bulk load a few hundred tell enough.
    some = changed[: -100 * NAMED - 1 : -1]
    types = things.reader.types(some)
    for key in some:
        if not things.shapes.whole_kinds(types[key]):
            whole.append(key)
            if len(whole) == NAMED:
                break
    return whole or list(some[:NAMED])
