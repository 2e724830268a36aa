"""How an installation stands: each source, and the promises that are not kept just now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lineal.app.background import Background
from lineal.app.schedule import late_since, next_sweep
from lineal.ingest import state
from lineal.model import Instant
from lineal.sources import FetchedSource
from lineal.store import Pending, Store, work
from lineal.store.pending import pending
from lineal.store.work import Account, SourceHealth, Standing

#: For so long turns may fail before a promise is broken: what is acknowledged is worked on.
PATIENCE = 60_000_000


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that is not kept just now."""

    #: ``accounting``, ``progress`` or ``freshness``.
    promise: str
    what: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class SourceStanding:
    """How a source stands, and what follows from its plan."""

    health: SourceHealth
    #: ``closed``, ``open`` or ``half-open``.
    breaker: str
    #: For how long (microseconds) the document that waits longest has waited.
    lag: Instant
    next_sweep: Instant | None
    late_since: Instant | None
    #: The sweeps' cron expression; None where none is planned, or the source is not declared.
    sweep: str | None


@dataclass(frozen=True, slots=True)
class Standings:
    """How an installation stands."""

    at: Instant
    sources: tuple[SourceStanding, ...]
    broken: tuple[Broken, ...]
    #: Events and bytes in the inbox, and how many may be.
    inbox: tuple[int, int]
    limits: tuple[int, int]
    #: What rules have still to do.
    rules: Pending


def standings(
    store: Store,
    sources: Mapping[str, FetchedSource],
    background: Background,
    limits: tuple[int, int],
) -> Standings:
    """Return how an installation stands now, in one snapshot."""
    with store.looking() as driver:
        now = store.now()
        health = {one.source: one for one in work.health(driver)}
        depth = work.depth(driver)
        rules = pending(driver)
    for name in sources.keys() - health.keys():
        none = SourceHealth(name, 0, 0, 0, 0, None, None, None, 0, Account(name), Standing(name))
        health[name] = none
    found = tuple(_source(one, sources.get(name), now) for name, one in sorted(health.items()))
    broken = (
        *_accounting(one.health.account for one in found),
        *_progress(background, now),
        *_freshness(found),
    )
    return Standings(now, found, broken, depth, limits, rules)


def broken_promises(
    store: Store, sources: Mapping[str, FetchedSource], background: Background
) -> tuple[Broken, ...]:
    """Return which promises are not kept just now: quicker than all of `standings`."""
    with store.looking() as driver:
        now = store.now()
        accounts = work.accounts(driver)
        known = work.standings(driver)
    late = [
        _late(name, since)
        for name, source in sorted(sources.items())
        if (since := late_since(source.habits.sweep, known.get(name, Standing(name)), now))
    ]
    return (*_accounting(accounts.values()), *_progress(background, now), *late)


def _source(health: SourceHealth, source: FetchedSource | None, now: Instant) -> SourceStanding:
    known, sweep = health.standing, None if source is None else source.habits.sweep
    return SourceStanding(
        health,
        state(known, now),
        0 if health.oldest_dirty is None else max(0, now - health.oldest_dirty),
        next_sweep(sweep, known),
        late_since(sweep, known, now),
        sweep,
    )


def _accounting(accounts: Iterable[Account]) -> list[Broken]:
    return [
        Broken(
            "accounting",
            f"{one.missing} notices of {one.source} are unaccounted for: run `lineal verify`.",
            one.source,
        )
        for one in accounts
        if one.missing
    ]


def _progress(background: Background, now: Instant) -> list[Broken]:
    if background.was_started and not background.is_running:
        return [Broken("progress", "The background work has ended: start the server again.")]
    since = background.failing_since
    if since is not None and now - since >= PATIENCE:
        return [Broken("progress", f"What came in is not worked on: {background.failing}")]
    return []


def _freshness(sources: Iterable[SourceStanding]) -> list[Broken]:
    return [_late(one.health.source, one.late_since) for one in sources if one.late_since]


def _late(source: str, since: Instant) -> Broken:
    return Broken(
        "freshness",
        f"{source} was not listed whole in two of its planned sweeps: what is known of it may be "
        "older than promised.",
        source,
    )
