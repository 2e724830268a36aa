"""What rules have still to do, and of which rules the conclusions are that stand.

A rule that is new, or says something else than before, goes through everything that its conclusions
may begin at; what it concluded under another version is withdrawn as it is replaced, and the rest
afterwards. Work that a commit puts off waits here too. Each piece is done in a transaction of its
own, and leaves what is to come as rows, so that it goes on after a crash where it was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lineal.model import Instant
from lineal.store import schema
from lineal.store.conclusions import Failed, Program, PutOff
from lineal.store.driver import Driver, Row
from lineal.store.ledger import Ledger

#: Positions of the work that is no position of a rule: to go through everything, and to withdraw
#: what stands of versions that are no more.
THROUGH, WITHDRAW = -1, -2


@dataclass(frozen=True, slots=True)
class Task:
    """A piece of work of one rule: some things at one position, and after what to go on."""

    rule: str
    position: int
    keys: tuple[int, ...]
    after: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Pending:
    """How much work of rules waits, of which rules, and since which transaction and instant."""

    pieces: int = 0
    rules: tuple[str, ...] = ()
    since_t: int | None = None
    since: Instant | None = None
    #: Things for which a rule concludes nothing, as there are too many ways: rule, key, why. The
    #: first of them; how many there are of each rule stands beside.
    failed: tuple[tuple[str, int, str], ...] = ()
    failing: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Kept:
    """A rule as the database keeps it up."""

    name: str
    version: str
    digest: bytes
    enabled: bool


# ── Which rules ──────────────────────────────────────────────────────────────────────────────────


def kept_rules(driver: Driver) -> dict[str, Kept]:
    """Return the rules that the database keeps up, by name."""
    rows = driver.rows("SELECT name, version, digest, enabled FROM rule ORDER BY name")
    return {row[0]: Kept(row[0], row[1], bytes(row[2]), bool(row[3])) for row in rows}


def idle_rules(driver: Driver) -> frozenset[str]:
    """Return the names of the rules that were disabled."""
    return frozenset(name for (name,) in driver.rows("SELECT name FROM rule WHERE NOT enabled"))


def agree(ledger: Ledger, programs: Sequence[Program], t: int, at: Instant, *, plan: bool) -> None:
    """
    Have what the rules of now conclude, and nothing else: plan the work that this takes.

    Without *plan* it is held to be done.
    """
    rows = {row[0]: row for row in ledger.find(schema.rule, "1 = 1")}
    wanted = {program.name: program for program in programs}
    for name, program in wanted.items():
        row = rows.get(name)
        if row is not None and bytes(row[2]) == program.digest:
            continue
        if row is None:
            row_ = (name, program.version, program.digest, program.enabled)
            ledger.insert(schema.rule, [row_])
        else:
            ledger.change(
                schema.rule, [(row, {"version": program.version, "digest": program.digest})]
            )
        enabled = program.enabled if row is None else bool(row[3])
        if plan:
            positions = [THROUGH, WITHDRAW] if enabled else [WITHDRAW]
            _begin_anew(ledger, name, positions, t, at)
    for name, row in rows.items():
        if name not in wanted:
            ledger.delete(schema.rule, [row])
            _begin_anew(ledger, name, [WITHDRAW], t, at)


def switch(ledger: Ledger, name: str, *, enabled: bool, t: int, at: Instant) -> bool:
    """Let a rule conclude, or not any more; return whether that is another state than before."""
    rows = ledger.find(schema.rule, "name = ?", name)
    if not rows or bool(rows[0][3]) == enabled:
        return False
    ledger.change(schema.rule, [(rows[0], {"enabled": enabled})])
    _begin_anew(ledger, name, [THROUGH] if enabled else [WITHDRAW], t, at)
    return True


def _begin_anew(ledger: Ledger, name: str, positions: Iterable[int], t: int, at: Instant) -> None:
    """Forget what a rule had still to do, and plan what makes it needless."""
    table = schema.rule_work
    ledger.delete(table, ledger.find(table, "rule = ?", name))
    ledger.insert(table, [(name, position, 0, 0, t, at, None) for position in positions])


# ── What waits ───────────────────────────────────────────────────────────────────────────────────


def put_off(ledger: Ledger, work: PutOff, t: int, at: Instant) -> None:
    """Keep work for later; what waits already waits on, from its beginning."""
    table = schema.rule_work
    by_position: dict[int, set[int]] = {}
    for position, key in work.places:
        by_position.setdefault(position, set()).add(key)
    for position, keys in sorted(by_position.items()):
        marks = ledger.driver.keys(keys)
        rows = ledger.find(
            table, "rule = ? AND position = ? AND key {among}", work.rule, position, marks
        )
        stale = [row for row in rows if (row[3], row[6]) != (work.after, None)]
        ledger.change(table, [(row, {"after": work.after, "error": None}) for row in stale])
        new = sorted(keys - {row[2] for row in rows})
        ledger.insert(table, [(work.rule, position, key, work.after, t, at, None) for key in new])


def fail(ledger: Ledger, failed: Failed, t: int, at: Instant) -> None:
    """Keep that a rule concludes nothing for a thing, and why, until it is asked again."""
    table = schema.rule_work
    found = ledger.find(table, "rule = ? AND position = ? AND key = ?", failed.rule, 0, failed.key)
    ledger.delete(table, found)
    ledger.insert(table, [(failed.rule, 0, failed.key, 0, t, at, failed.error)])


def forgive(ledger: Ledger, rule: str, keys: Collection[int]) -> None:
    """Forget that a rule failed for these things, or was to conclude for them: now it has."""
    table = schema.rule_work
    if ledger.driver.row("SELECT 1 FROM rule_work WHERE rule = ? AND position = 0 LIMIT 1", rule):
        marks = ledger.driver.keys(keys)
        rows = ledger.find(table, "rule = ? AND position = 0 AND key {among}", rule, marks)
        ledger.delete(table, rows)


def next_task(ledger: Ledger, order: Sequence[str], most: int) -> Task | None:
    """
    Return the next piece of work, at most *most* things at one position; None: nothing waits.

    Rules come in their order, so that what one looks at is complete when it does; rules that are no
    more come first.
    """
    names = [
        name for (name,) in ledger.driver.rows(
            "SELECT DISTINCT rule FROM rule_work WHERE error IS NULL ORDER BY rule"
        )
    ]  # fmt: skip
    if not names:
        return None
    place = {name: at for at, name in enumerate(order)}
    rule = min(names, key=lambda name: (place.get(name, -1), name))
    found = ledger.driver.row(
        "SELECT max(position) FROM rule_work WHERE rule = ? AND error IS NULL", rule
    )
    assert found is not None
    position = int(found[0])
    rows = ledger.find(
        schema.rule_work,
        "rule = ? AND position = ? AND error IS NULL ORDER BY key LIMIT ?",
        *(rule, position, most if position == 0 else 1),
    )
    keys = tuple(int(row[2]) for row in rows)
    return Task(rule, position, keys, int(rows[0][3]), tuple(rows))


def done(ledger: Ledger, task: Task) -> None:
    """Forget a piece of work: it is done, or goes on as another."""
    ledger.delete(schema.rule_work, list(task.rows))


def is_any(driver: Driver) -> bool:
    """Tell whether anything waits."""
    return driver.row("SELECT 1 FROM rule_work WHERE error IS NULL LIMIT 1") is not None


def pending(driver: Driver) -> Pending:
    """Return how much waits."""
    waits = driver.row("SELECT count(*), min(t), min(at) FROM rule_work WHERE error IS NULL")
    assert waits is not None
    if not waits[0] and driver.row("SELECT 1 FROM rule_work LIMIT 1") is None:
        return Pending()
    rules = driver.rows("SELECT DISTINCT rule FROM rule_work WHERE error IS NULL ORDER BY rule")
    failed = driver.rows(
        "SELECT rule, key, error FROM rule_work WHERE error IS NOT NULL ORDER BY rule, key LIMIT ?",
        _SHOWN,
    )
    failing = driver.rows(
        "SELECT rule, count(*) FROM rule_work WHERE error IS NOT NULL GROUP BY rule ORDER BY rule"
    )
    return Pending(
        int(waits[0]), tuple(name for (name,) in rules), waits[1], waits[2],
        tuple((rule, key, error) for rule, key, error in failed),
        {rule: int(many) for rule, many in failing},
    )  # fmt: skip


#: How many failures are told of.
_SHOWN = 100


def things_after(driver: Driver, types: Collection[str], after: int, most: int) -> list[int]:
    """Return the keys of the next things of these types."""
    kinds = driver.keys(sorted(types))
    rows = driver.rows(
        f"SELECT key FROM entity WHERE key > ? AND type {{among}} ORDER BY key LIMIT {most}",
        *(after, kinds),
    )
    return [key for (key,) in rows]


def begun_after(driver: Driver, documents: Collection[int], after: int, most: int) -> list[int]:
    """Return the keys of the next things at which edges begin that stand under these documents."""
    rows = driver.rows(
        f"SELECT DISTINCT src FROM edge_out WHERE t_to IS NULL AND src > ? AND document {{among}}"
        f" ORDER BY src LIMIT {most}",
        *(after, driver.keys(documents)),
    )
    return [src for (src,) in rows]
