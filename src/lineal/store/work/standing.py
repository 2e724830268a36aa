"""How each source stands: may it be asked, what did its last sweep find, what is held back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from lineal.model import Instant
from lineal.store import flow, schema
from lineal.store.driver import Driver, Row
from lineal.store.findings import count_unfit
from lineal.store.flow import Account
from lineal.store.ledger import Ledger


class Standing(NamedTuple):
    """A row of `schema.standing`."""

    source: str
    #: How often in a row it was down, since when, until when it is not asked, and why.
    failures: int = 0
    down_since: Instant | None = None
    closed_until: Instant | None = None
    reason: str | None = None
    #: The newest sweep. *whole_at* is when the last one began that came to its end.
    generation: int = 0
    began_at: Instant | None = None
    ended_at: Instant | None = None
    listed: int = 0
    marked: int = 0
    sweep_error: str | None = None
    whole_at: Instant | None = None
    #: Since when removals are held back, and how many.
    held_at: Instant | None = None
    held: int = 0
    #: Who is listing it just now, and until when that is believed.
    leased_by: str | None = None
    leased_until: Instant | None = None

    @property
    def is_sweeping(self) -> bool:
        """True from the beginning of a sweep to its end, also if nobody goes on with it."""
        return self.began_at is not None and self.ended_at is None


_COLUMNS = ", ".join(column.name for column in schema.standing.columns)


def standings(driver: Driver) -> dict[str, Standing]:
    """How does each source stand that was ever swept or down?"""
    rows = driver.rows(f"SELECT {_COLUMNS} FROM standing ORDER BY source")
    return {row[0]: Standing(*row) for row in rows}


def standing(driver: Driver, source: str) -> Standing:
    """How does a source stand?"""
    row = driver.row(f"SELECT {_COLUMNS} FROM standing WHERE source = ?", source)
    return Standing(source) if row is None else Standing(*row)


def stand(ledger: Ledger, source: str, **values: object) -> Standing:
    """Note how a source stands now; returns how it does."""
    ledger.hold_marks()
    if ledger.insert_new(schema.standing, Standing(source)):
        pass
    (row,) = ledger.find(schema.standing, "source = ?", source)
    (new,) = ledger.change(schema.standing, [(row, values)])
    return Standing(*new)


# ── Health ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How a source stands: what is waiting, what failed, when it was last heard."""

    source: str
    waiting: int
    dirty: int
    failing: int
    dead: int
    oldest_dirty: Instant | None
    #: Which document has waited longest.
    oldest: str | None
    confirmed_at: Instant | None
    documents: int
    account: Account
    standing: Standing
    #: Of how many documents something does not fit.
    unfit: int = 0


#: Per source: how many documents have changed and were not asked for yet, how many of them could
#: not be fetched, and since when?
_MARKS = """
    SELECT source, count(*), sum(CASE WHEN error IS NOT NULL THEN 1 ELSE 0 END), min(dirty_at)
    FROM watch WHERE dirty_at IS NOT NULL GROUP BY source
"""
#: Which document of a source waits since then?
_OLDEST = "SELECT min(document) FROM watch WHERE source = ? AND dirty_at = ?"


def health(driver: Driver) -> list[SourceHealth]:
    """How does each source stand?"""
    marks = {row[0]: row[1:] for row in driver.rows(_MARKS)}
    waits, dead, gone, ever = (
        {row[0]: int(row[1]) for row in driver.rows(text)}
        for text in (
            "SELECT source, count(*) FROM inbox GROUP BY source",
            "SELECT source, count(*) FROM dead_letter GROUP BY source",
            # All by the index of names, and the few that are gone by going through the table: to
            # find for each name whether it lives takes ten times as long as both.
            "SELECT source || '', count(*) FROM document WHERE NOT live GROUP BY source || ''",
            "SELECT source, count(*) FROM document WHERE source NOT LIKE 'rule:%' GROUP BY source",
        )
    )
    lives = {
        source: left for source, count in ever.items() if (left := count - gone.get(source, 0))
    }
    accounts, stand_, unfit = flow.accounts(driver), standings(driver), count_unfit(driver)
    names = marks.keys() | waits.keys() | dead.keys() | lives.keys() | stand_.keys() | unfit.keys()
    none = (0, 0, None)
    found = []
    for name in sorted(names | accounts.keys()):
        dirty, failing, oldest = marks.get(name, none)
        account = accounts.get(name, Account(name))
        found.append(
            SourceHealth(
                name,
                waits.get(name, 0),
                int(dirty),
                int(failing),
                dead.get(name, 0),
                oldest,
                _oldest(driver, name, oldest),
                account.confirmed_at,
                lives.get(name, 0),
                account,
                stand_.get(name, Standing(name)),
                unfit.get(name, 0),
            )
        )
    return found


def _oldest(driver: Driver, source: str, since: Instant | None) -> str | None:
    if since is None:
        return None
    row = driver.row(_OLDEST, source, since)
    return None if row is None else row[0]


# ── What people did ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person did about a source or its dead letters."""

    id: int
    at: Instant
    actor: str
    what: str
    source: str
    reason: str
    count: int


def note(
    ledger: Ledger, *, at: Instant, actor: str, what: str, source: str, reason: str, count: int
) -> None:
    """Note for good what a person did, and why."""
    ledger.insert_numbered(schema.deed, (at, actor, what, source, reason, count))


def deeds(driver: Driver, limit: int = 100) -> list[Deed]:
    """What did people do about sources and dead letters, newest first?"""
    rows: list[Row] = driver.rows(
        "SELECT id, at, actor, what, source, reason, count FROM deed ORDER BY id DESC LIMIT ?",
        limit,
    )
    return [Deed(*row) for row in rows]
