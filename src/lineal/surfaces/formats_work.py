"""How an installation stands, as plain values: sources, dead letters, and what people did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lineal.model import Json, iso
from lineal.surfaces.formats import Object, when

if TYPE_CHECKING:
    from lineal.app import Replayed
    from lineal.app.standing import SourceStanding, Standings
    from lineal.store import Pending
    from lineal.store.work import Account, Counted, DeadLetter, Deed


def health(stand: Standings) -> Object:
    """Return how each source stands, and which promises are broken."""
    return {
        "value": [source(one) for one in stand.sources],
        "broken": [
            {"promise": one.promise, "source": one.source, "what": one.what}
            for one in stand.broken
        ],
        "inbox": {
            "events": stand.inbox[0], "bytes": stand.inbox[1],
            "most_events": stand.limits[0], "most_bytes": stand.limits[1],
        },
        "rules": waits(stand.rules),
    }  # fmt: skip


def waits(pending: Pending) -> Object:
    """Return how much rules have still to do, and for how many things they fail."""
    return {
        "pieces": pending.pieces,
        "rules": list(pending.rules),
        "since_t": pending.since_t,
        "since": when(pending.since),
        "failed": sum(pending.failing.values()),
    }


def source(stand: SourceStanding) -> Object:
    """Return how one source stands."""
    one, known = stand.health, stand.health.standing
    return {
        "source": one.source,
        "documents": one.documents,
        "waiting": one.waiting,
        "dirty": one.dirty,
        "failing": one.failing,
        "dead": one.dead,
        "unfit": one.unfit,
        "lag": round(stand.lag / 1_000_000, 3),
        "oldest": one.oldest,
        "oldest_dirty": when(one.oldest_dirty),
        "heard_at": when(one.account.heard_at),
        "applied_at": when(one.account.applied_at),
        "confirmed_at": when(one.confirmed_at),
        "breaker": {
            "state": stand.breaker,
            "failures": known.failures,
            "down_since": when(known.down_since),
            "closed_until": when(known.closed_until),
            "reason": known.reason,
        },
        "sweep": {
            "planned": stand.sweep,
            "began_at": when(known.began_at),
            "ended_at": when(known.ended_at),
            "whole_at": when(known.whole_at),
            "next_at": when(stand.next_sweep),
            "late_since": when(stand.late_since),
            "listed": known.listed,
            "marked": known.marked,
            "error": known.sweep_error,
        },
        "held": known.held,
        "held_at": when(known.held_at),
        "notices": notices(one.account),
    }


def notices(account: Account) -> Object:
    """Return what became of the notices of a source."""
    return {
        "events": account.events,
        "accepted": account.accepted,
        "applied": account.applied,
        "superseded": account.superseded,
        "dead": account.dead,
        "purged": account.purged,
        "pending": account.pending,
    }


def findings(source: str, some: Sequence[Counted]) -> Object:
    """Return what of a source's documents does not fit, the most frequent first."""
    value: list[Json] = [
        {
            "sort": one.finding.sort,
            "name": one.finding.name,
            "text": one.finding.text,
            "policy": one.policy,
            "documents": one.count,
            "example": one.example,
        }
        for one in some
    ]
    return {"source": source, "value": value}


def dead_letters(letters: Sequence[DeadLetter]) -> Object:
    """Return what could not be taken in, newest first."""
    value: list[Json] = [dead_letter(one) for one in letters]
    return {"value": value}


def dead_letter(one: DeadLetter) -> Object:
    """Return one thing that could not be taken in."""
    return {
        "id": one.id,
        "source": one.source,
        "stage": one.stage,
        "document": one.document,
        "body": one.body,
        "error": one.error,
        "reason": one.reason,
        "attempts": one.attempts,
        "first_at": iso(one.first_at),
        "last_at": iso(one.last_at),
        "notices": one.notices,
    }


def replayed(done: Replayed) -> Object:
    """Return what came of a replay."""
    return {"replayed": done.replayed, "left": done.left}


def deeds(some: Sequence[Deed]) -> Object:
    """Return what people did about sources and dead letters, newest first."""
    value: list[Json] = [
        {
            "at": iso(one.at),
            "actor": one.actor,
            "what": one.what,
            "source": one.source,
            "reason": one.reason,
            "count": one.count,
        }
        for one in some
    ]
    return {"value": value}
