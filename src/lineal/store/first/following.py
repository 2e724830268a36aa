"""What follows from a database that was written at once: search rows, and what rules conclude."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TypeAlias

from lineal.digests import EdgeId
from lineal.model import Instant
from lineal.store import pending, projecting
from lineal.store.batches import Surroundings
from lineal.store.concluding import Concluding
from lineal.store.conclusions import Program, Rules
from lineal.store.database import Database
from lineal.store.driver import Driver
from lineal.store.ledger import Ledger
from lineal.store.slices import slices
from lineal.store.writing import Transaction

#: Lets rules conclude something in a transaction.
_Step: TypeAlias = "Callable[[Concluding], object]"

#: How many things' edges the rules are shown in one transaction.
STEP = 20_000


def conclude_all(
    database: Database, around: Surroundings, *, now: Callable[[], Instant], actor: str, cause: str
) -> int:
    """
    Let every rule conclude all that follows, some thousands of things at a time.

    Return how many rows of facts that gave.
    """
    seeds = frozenset[str]().union(*(rules.seeds for rules in around.rules))
    with database.reading() as connection:
        driver = Driver(connection)
        terms = around.terms.load(connection)
        kinds = sorted(number for number, word in terms.items() if word in seeds)
        (last,) = driver.row("SELECT coalesce(max(key), 0) FROM entity") or (0,)

    def concluded(step: _Step) -> int:
        with database.writing() as connection:
            transaction = Transaction(connection, around, now=now)
            # Nothing is named by it that *around* does not know.
            return transaction.conclude(step, actor=actor, cause=cause)

    begun = concluded(Concluding.all_done)
    for after in range(0, last if kinds else 0, STEP):
        with database.reading() as connection:
            edges = _edges(Driver(connection), around, kinds, after)
        if edges:
            begun += concluded(_by_edges(edges))
    for rules, program in _in_use(database, around):
        # What is concluded before may be of a kind of which there was no edge yet.
        if not rules.may_conclude(program.name, around.terms.known):
            continue
        after = 0
        while keys := _next(database, program.types, after):
            after = keys[-1]
            begun += concluded(_by_starts(rules, program.name, keys))
    return begun


def _in_use(database: Database, around: Surroundings) -> Iterator[tuple[Rules, Program]]:
    """Yield the rules that are in use; of none of them anything may stand."""
    with database.reading() as connection:
        driver = Driver(connection)
        # Whoever had the empty file may have switched some.
        idle = pending.idle_rules(driver)
        concluded = {source for (source,) in driver.rows(_CONCLUDED)}
    for rules in around.rules:
        for program in rules.programs:
            if program.name not in idle:
                # `by_starts` does not look at what stands, and would write it a second time.
                assert f"rule:{program.name}" not in concluded
                yield rules, program


def _by_edges(edges: Collection[EdgeId]) -> _Step:
    return lambda following: following.by_edges(edges)


def _by_starts(rules: Rules, name: str, starts: Sequence[int]) -> _Step:
    return lambda following: following.by_starts(rules, name, starts)


def _next(database: Database, types: Collection[str], after: int) -> list[int]:
    with database.reading() as connection:
        return pending.things_after(Driver(connection), types, after, STEP)


def describe_rest(database: Database, around: Surroundings, keys: Collection[int]) -> None:
    """Make the search rows of things that have none yet, or one of their first statement alone."""
    if around.describe is None:
        return
    for some in slices(keys):
        with database.writing() as connection, Ledger(Driver(connection)) as ledger:
            uris = around.names.uris(ledger.driver, some)
            projecting.project(
                ledger, around.terms, around.facets, around.describe,
                {uri: key for key, uri in uris.items()},
            )  # fmt: skip


def _edges(driver: Driver, around: Surroundings, kinds: list[int], after: int) -> frozenset[EdgeId]:
    """Which edges of these kinds begin at the next things?"""
    rows = driver.among(_STATED, kinds, after, after + STEP)
    uris = around.names.uris(driver, {key for row in rows for key in row[::2]})
    terms = around.terms
    return frozenset(
        (uris[src], terms.word(driver.connection, kind), uris[dst]) for src, kind, dst in rows
    )


_STATED = """
    SELECT src, kind, dst FROM edge_out
    WHERE t_to IS NULL AND src > ? AND src <= ? AND kind {among}
"""
#: Which rules ever concluded anything here?
_CONCLUDED = "SELECT DISTINCT source FROM document WHERE source >= 'rule:' AND source < 'rule;'"
