"""Forgetting on purpose: values that may not be kept, and old runs that nothing needs.

The one exception to "history never changes", and never silent: each thing forgotten is named with
the reason, by a transaction like any other; the transactions that lost rows are sealed anew over
what is left, so that the chain still proves the rest. Their old roots stay in the chain, and tell
nothing once their salt is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from lineal.errors import NotFound
from lineal.model import Instant, Uri
from lineal.points import reached
from lineal.store import schema, sealed, seals, text
from lineal.store.batches import Surroundings
from lineal.store.driver import Driver, Row
from lineal.store.facts import supports_of
from lineal.store.resealing import Resealing
from lineal.store.turns import Turn
from lineal.store.work.entries import unsettle


@dataclass(frozen=True, slots=True)
class Policy:
    """Which occurrences are old enough to be dropped, if nothing that is kept refers to them."""

    #: The types that it is about, such as ``run``.
    types: frozenset[str]
    #: Only what was last said to have changed before this instant.
    before: Instant
    #: Of each whole (a pipeline, a data set) its newest ones are kept, so many.
    keep: int = 10


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten, in which transaction; None where there was nothing to forget."""

    t: int | None
    things: tuple[Uri, ...]
    #: How many rows of facts lost their values, or went.
    rows: int = 0
    #: True where there is more to forget than one transaction takes.
    more: bool = False
    #: How many kept events told of it and are as they came, since other documents rest on them.
    shared: int = 0


class Forgetting:
    """One transaction that forgets, on an open write connection."""

    def __init__(
        self, connection: sa.Connection, around: Surroundings, *, now: Callable[[], Instant]
    ) -> None:
        self._around = around
        self._driver = Driver(connection)
        self._turn = Turn(self._driver, now)
        self._ledger = self._turn.ledger

    # ── Values ───────────────────────────────────────────────────────────────────────────────

    def excise(self, uris: Sequence[Uri], *, reason: str, actor: str) -> Forgotten:
        """
        Remove every value that was ever kept of these things; their names and relations stay.

        Attributes, attributes of their edges, and kept log entries of the documents about them go;
        so do dead letters, and what was worded, of all documents that speak of them. An entry on
        which other documents rest stays as it came, and is counted. A source that says the values
        again is not written.

        Raises:
            NotFound: one of them is not known.
        """
        keys = self._around.names.keys(self._driver, uris)
        for uri in uris:
            if uri not in keys:
                raise NotFound(f"Nothing is known as {uri}.")
        wanted = self._driver.keys(keys.values())
        ts = {row[0] for row in self._driver.rows(_VALUES_OF, wanted)}
        ts |= {row[0] for row in self._driver.rows(_ATTRIBUTES_OUT, wanted)}
        ts |= {row[0] for row in self._driver.rows(_ATTRIBUTES_IN, wanted)}
        anew = Resealing(self._driver, self._around.names, ts)
        rows = self._driver.run(
            "UPDATE record SET body = '{}' WHERE body NOT IN ('{}', 'null') AND key {among}", wanted
        )
        for blanking in (_BLANK_OUT, _BLANK_IN):
            rows += self._driver.run(blanking, wanted)
        shared = self._forget_entries(wanted)
        self._forget_wordings(self._driver.rows(_SPEAKING, wanted, wanted))
        described = self._around.describe
        if described is not None:
            plain = {key: described(uri, {}, False) for uri, key in keys.items()}
            text.write_rows(self._ledger, self._around.facets, plain)
        self._note(keys.values(), "excised", reason)
        lines = [seals.forgotten_line(uri, "excised", reason) for uri in uris]
        cause = f"excised {len(keys)} things: {reason}"
        self._publish(keys, ts, anew, lines, actor=actor, cause=cause)
        return Forgotten(self._turn.t, tuple(sorted(keys)), rows, shared=shared)

    def _forget_entries(self, keys: object) -> int:
        """
        Kept events of the documents about these things hold values too.

        Return how many stay, since other documents rest on them.
        """
        self._ledger.hold_marks()
        dropped: set[str] = set()
        for source, name in self._driver.rows(_ABOUT, keys):
            where = "source = ? AND document = ?"
            entries = self._ledger.find(schema.log_entry, where, source, name)
            self._ledger.delete(schema.log_entry, entries)
            unsettle(self._driver, source, name)
            dropped.update(entry[2] for entry in entries)
        return self._drop_bodies(dropped)

    def _forget_wordings(self, names: Iterable[Row]) -> None:
        """So does what these documents were worded from, or could not be."""
        for source, name in names:
            where = "source = ? AND document = ?"
            letters = self._ledger.find(schema.dead_letter, where, source, name)
            self._ledger.change(schema.dead_letter, [(row, {"body": ""}) for row in letters])
            raws = self._ledger.find(schema.raw, where, source, name)
            self._ledger.delete(schema.raw, raws)

    def _drop_bodies(self, digests: set[str]) -> int:
        """Drop those of these kept events that no document needs; return how many one does."""
        if not digests:
            return 0
        # Entries are not found by what they hold: all are gone through, so once for all.
        needed = {digest for (digest,) in self._driver.among(_NEEDED, digests)}
        bodies = self._ledger.find_among(schema.log_body, "digest {among}", digests - needed)
        self._ledger.delete(schema.log_body, bodies)
        return len(needed)

    # ── Old occurrences ──────────────────────────────────────────────────────────────────────

    def drop(self, policy: Policy, *, actor: str, limit: int) -> Forgotten:
        """Drop what a policy lets go and nothing that is kept refers to, at most *limit*."""
        unneeded = _unneeded(self._driver, policy)
        keys = sorted(unneeded)[:limit]
        if not keys:
            self._turn.give_back()
            return Forgotten(None, ())
        wanted = self._driver.keys(keys)
        uris = self._around.names.uris(self._driver, keys)
        ts: set[int] = set()
        for table, end in sealed.TOLD.items():
            query = f"SELECT DISTINCT t_from, t_to FROM {table} WHERE {end} {{among}}"
            for began, ended in self._driver.rows(query, wanted):
                ts |= {began} if ended is None else {began, ended}
        anew = Resealing(self._driver, self._around.names, ts)
        rows = sum(
            self._driver.run(f"DELETE FROM {table} WHERE {end} {{among}}", wanted)
            for table, end in sealed.TOLD.items()
        )
        self._driver.run("DELETE FROM edge_in WHERE src {among}", wanted)
        self._drop_search(wanted)
        self._forget_entries(wanted)
        self._forget_wordings(self._driver.rows(_ABOUT, wanted))
        reason = f"older than {policy.before}, and nothing kept refers to it"
        self._note(keys, "retention", reason)
        lines = [seals.forgotten_line(uris[key], "retention", reason) for key in keys]
        changed = {uris[key]: key for key in keys}
        cause = f"retention: {len(keys)} things dropped"
        self._publish(changed, ts, anew, lines, actor=actor, cause=cause)
        more = len(unneeded) > len(keys)
        return Forgotten(self._turn.t, tuple(sorted(changed)), rows, more)

    def _drop_search(self, keys: object) -> None:
        name = "rowid" if self._driver.is_sqlite else "key"
        self._driver.run(f"DELETE FROM search WHERE {name} {{among}}", keys)
        self._driver.run("DELETE FROM search_name WHERE key {among}", keys)

    # ── Telling ──────────────────────────────────────────────────────────────────────────────

    def _note(self, keys: Iterable[int], how: str, reason: str) -> None:
        rows = [(key, self._turn.t, how, reason) for key in sorted(keys)]
        self._ledger.insert(schema.forgotten, rows)

    def _publish(
        self,
        changed: dict[Uri, int],
        ts: set[int],
        anew: Resealing,
        lines: Sequence[str],
        *,
        actor: str,
        cause: str,
    ) -> None:
        """Seal anew what lost rows, forget the old salts, and publish."""
        salts = {t: seals.new_salt() for t in sorted(ts)}
        roots = anew.roots(salts)
        self._blank_salts(ts)
        rows = [(t, self._turn.t, salts[t], root) for t, root in roots.items()]
        self._ledger.insert(schema.resealed, rows)
        told = [*lines, *(seals.resealed_line(t, root) for t, _, _, root in rows)]
        leaves = seals.Leaves(seals.new_salt())
        self._turn.publish(
            actor=actor, cause=cause, token=None, leaves=leaves, changed=changed, others=told
        )
        reached("forgotten")

    def _blank_salts(self, ts: set[int]) -> None:
        self._driver.many("UPDATE tx SET salt = ? WHERE t = ?", [(b"", t) for t in sorted(ts)])
        older = self._ledger.find(schema.resealed, "t {among}", self._driver.keys(ts))
        self._ledger.change(schema.resealed, [(row, {"salt": b""}) for row in older])


def droppable(driver: Driver, policy: Policy) -> tuple[int, int]:
    """Return how many old occurrences nothing needs, and how many as old something does."""
    old = _old(driver, policy)
    unneeded = _unneeded(driver, policy)
    return len(unneeded), len(old) - len(unneeded)


def _unneeded(driver: Driver, policy: Policy) -> set[int]:
    """Which old occurrences does nothing kept refer to, directly or through another?"""
    old = _old(driver, policy)
    needed = _supporting(driver, old)
    while needed:
        old -= needed
        needed = {
            dst for src, dst in driver.among(_REFERRED, old) if src not in old and src != dst
        } & old
    return old


def _old(driver: Driver, policy: Policy) -> set[int]:
    """Which occurrences are old, and not among the newest of their whole?"""
    found: set[int] = set()
    ages: dict[int, int] = {}
    for kind in sorted(policy.types):
        for key, newest in driver.rows(_AGES, kind):
            ages[key] = newest
            if newest < policy.before:
                found.add(key)
    wholes: dict[int, list[int]] = {}
    for part, whole in driver.among(_WHOLES, ages):
        wholes.setdefault(whole, []).append(part)
    for parts in wholes.values():
        parts.sort(key=lambda part: (-ages[part], part))
        found.difference_update(parts[: policy.keep])
    return found


def _supporting(driver: Driver, old: Collection[int]) -> set[int]:
    """Which of these does a conclusion rest on, or anything that is kept refer to?"""
    needed: set[int] = set()
    for src, kept in driver.each("SELECT src, supports FROM derivation WHERE t_to IS NULL"):
        if src not in old:
            needed.update(key for start, _, end in supports_of(kept) for key in (start, end))
    needed.update(src_dst[1] for src_dst in driver.among(_REFERRED, old) if src_dst[0] not in old)
    return needed & set(old)


#: Which of these kept events does any document rest on?
_NEEDED = "SELECT DISTINCT digest FROM log_entry WHERE digest {among}"
#: Which documents are about these things, and which say anything of them?
_ABOUT = "SELECT source, name FROM document WHERE subject {among}"
_SPEAKING = f"{_ABOUT} OR id IN (SELECT document FROM record WHERE key {{among}})"
#: In which transactions did values of these things begin?
_VALUES_OF = """
    SELECT DISTINCT t_from FROM record WHERE body NOT IN ('{}', 'null') AND key {among}
"""
#: In which did attributes of edges from, and to, these things?
_ATTRIBUTES_OUT = """
    SELECT DISTINCT t_from FROM edge_out WHERE attributes IS NOT NULL AND src {among}
"""
#: By the other copy of an edge, which has no attributes, those to a thing are found.
_IN = """
    (src, kind, dst, document, t_from) IN
    (SELECT src, kind, dst, document, t_from FROM edge_in WHERE dst {among})
"""
_ATTRIBUTES_IN = f"SELECT DISTINCT t_from FROM edge_out WHERE attributes IS NOT NULL AND {_IN}"
#: Let the attributes of edges from, and to, these things go.
_BLANK_OUT = """
    UPDATE edge_out SET attributes = NULL WHERE attributes IS NOT NULL AND src {among}
"""
_BLANK_IN = f"UPDATE edge_out SET attributes = NULL WHERE attributes IS NOT NULL AND {_IN}"
#: When was each thing of a type last said to have changed?
_AGES = """
    SELECT entity.key, max(record.valid_from) FROM entity
    JOIN record ON record.key = entity.key WHERE entity.type = ? GROUP BY entity.key
"""
#: Which wholes are these things parts of?
_WHOLES = """
    SELECT src, dst FROM edge_out JOIN term ON term.id = edge_out.kind
    WHERE t_to IS NULL AND term.text IN ('run_of', 'version_of', 'evaluates') AND src {among}
"""
#: What refers to these things now?
_REFERRED = "SELECT src, dst FROM edge_in WHERE t_to IS NULL AND dst {among}"
