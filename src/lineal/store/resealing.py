"""Transactions of which something is forgotten, sealed over what is left of them.

Only what they wrote is read, not the whole history: the writer's lock is held meanwhile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import itemgetter

from lineal.errors import Damaged
from lineal.store import schema, sealed, seals
from lineal.store.driver import Driver, Row
from lineal.store.names import Names
from lineal.store.rows import unpack_feed

#: Of how many rows the names are looked up at once.
STEP = 1_000
#: Where the feed does not tell where all rows of a transaction lie, which tables are gone through,
#: the first ones first: reasons may come to an edge that stands anyway, and the answer of a source
#: stays where all that was read from it was forgotten.
_GONE_THROUGH = (("derivation", "response"), ("record", "edge_out", "entity"))


class Resealing:
    """
    Some transactions, before and after something of them is forgotten.

    Made before it. Where the rows of a transaction lie is told by its feed, which names what it
    changed; that those are all is proved by its seal, as it is.
    """

    def __init__(self, driver: Driver, names: Names, ts: Collection[int]) -> None:
        self._driver, self._names = driver, names
        self._words: dict[int, str] = dict(driver.rows("SELECT id, text FROM term"))
        rows = driver.among("SELECT t, salt, root, changed FROM tx WHERE t {among}", ts)
        self._feeds = {row[0]: unpack_feed(bytes(row[3])) for row in rows}
        known = {row[0]: (bytes(row[1]), bytes(row[2])) for row in rows}
        for t, salt, root in driver.rows(_RESEALED, driver.keys(ts)):
            known[t] = (bytes(salt), bytes(root))
        #: The transactions of which a table is gone through.
        self._far: dict[str, set[int]] = defaultdict(set)
        #: The documents of the rows that were met.
        self._documents: set[int] = set()
        #: What each wrote beside facts, of which nothing is ever forgotten: the things that it
        #: named first, and all else.
        self._besides: dict[int, tuple[Sequence[str], Sequence[str]]] = {}
        unproved = self._unproved(known)
        for tables in _GONE_THROUGH:
            if unproved:
                self._far.update(dict.fromkeys(tables, unproved))
                unproved = self._unproved({t: known[t] for t in unproved})

    def _unproved(self, known: Mapping[int, tuple[bytes, bytes]]) -> set[int]:
        """Of which transactions was not all found?"""
        leaves = self._leaves({t: salt for t, (salt, _) in known.items()})
        born, answers = self._born(known), self._answers(known)
        for t in known:
            uris = self._names.uris(self._driver, self._feeds[t])
            self._besides[t] = born[t], [*answers[t], seals.feed_line(uris.values())]
        return {t for t, (_, root) in known.items() if self._root(t, leaves[t]) != root}

    def roots(self, salts: Mapping[int, bytes]) -> dict[int, bytes]:
        """Return the digest of each that there is of these, as it is now, under a salt."""
        there = {t: salt for t, salt in salts.items() if t in self._feeds}
        return {t: self._root(t, leaves) for t, leaves in self._leaves(there).items()}

    def _root(self, t: int, leaves: seals.Leaves) -> bytes:
        return seals.root(leaves.salt, leaves.sums(), *self._besides[t])

    def _leaves(self, salts: Mapping[int, bytes]) -> dict[int, seals.Leaves]:
        found = {t: seals.Leaves(salt) for t, salt in salts.items()}
        for table in sealed.TOLD:
            lines = self._lines(table, salts)
            for (t, owner), some in groupby(lines, key=itemgetter(0, 1)):
                if t in found:
                    found[t].add_all(owner, map(itemgetter(2), some))
        return found

    # ── What they wrote ──────────────────────────────────────────────────────────────────────

    def _apart(self, table: str, ts: Collection[int]) -> tuple[list[int], list[int]]:
        """Which of these are found by their feed in a table, and of which is it gone through?"""
        far = self._far[table]
        return [t for t in ts if t not in far], [t for t in ts if t in far]

    def _fed(self, ts: Collection[int]) -> object:
        """Return the things that these transactions changed."""
        return self._driver.keys({key for t in ts for key in self._feeds[t]})

    def _lines(self, table: str, ts: Collection[int]) -> Iterator[sealed.Line]:
        """Yield what is sealed of the rows of some transactions, and of others that touch them."""
        near, far = self._apart(table, ts)
        query = f"SELECT {sealed.columns(schema.metadata.tables[table])} FROM {table}"
        within = "(t_from {among} OR t_to {among})"
        if near:
            some = self._driver.keys(near)
            by_feed = f"{query} WHERE {within} AND {sealed.TOLD[table]} {{among}}"
            rows = self._driver.each(by_feed, some, some, self._fed(near))
            yield from self._told(table, rows)
        if far:
            some = self._driver.keys(far)
            rows = self._driver.each(f"{query} WHERE {within}", some, some)
            yield from self._told(table, rows)

    def _told(self, table: str, rows: Iterator[Row]) -> Iterator[sealed.Line]:
        while some := list(islice(rows, STEP)):
            uris = self._names.uris(
                self._driver, {key for row in some for key in sealed.keys_of(table, row)}
            )
            numbers = {sealed.document_of(table, row) for row in some}
            self._documents |= numbers
            telling = sealed.Telling(uris, self._owners(numbers), self._words, _overlook)
            try:
                yield from telling.lines(table, some)
            except KeyError as error:
                raise Damaged(
                    f"A row of {table} names what is not there: {error}.",
                    fix="See what else is wrong with `lineal verify`, and restore a backup.",
                ) from error

    def _owners(self, documents: Collection[int]) -> dict[int, seals.Owner]:
        rows = self._driver.among(_OWNERS, documents)
        return {number: (source, name) for number, source, name in rows}

    def _born(self, ts: Collection[int]) -> Mapping[int, Sequence[str]]:
        """Which things did each transaction name first?"""
        near, far = self._apart("entity", ts)
        rows = self._driver.rows(
            "SELECT t_from, uri FROM entity WHERE t_from {among} AND key {among}",
            self._driver.keys(near), self._fed(near),
        )  # fmt: skip
        if far:
            rows += self._driver.among("SELECT t_from, uri FROM entity WHERE t_from {among}", far)
        found: dict[int, list[str]] = defaultdict(list)
        for t, uri in rows:
            found[t].append(uri)
        return found

    def _answers(self, ts: Collection[int]) -> Mapping[int, Sequence[str]]:
        """What is sealed of the answers that each transaction was read from?"""
        near, far = self._apart("response", ts)
        rows = self._driver.rows(
            "SELECT document, t, body FROM response WHERE t {among} AND document {among}",
            self._driver.keys(near), self._driver.keys(self._documents),
        )  # fmt: skip
        if far:
            query = "SELECT document, t, body FROM response WHERE t {among}"
            rows += self._driver.among(query, far)
        owners = self._owners({document for document, _, _ in rows})
        found: dict[int, list[str]] = defaultdict(list)
        for document, t, body in rows:
            found[t].append(seals.response_line(owners[document], body))
        return found


def _overlook(table: str, what: str) -> None:
    """What cannot be is told by `lineal verify`, and goes on being wrong."""


#: How were these transactions sealed anew, the last time last?
_RESEALED = "SELECT t, salt, root FROM resealed WHERE t {among} ORDER BY t, at"
_OWNERS = "SELECT id, source, name FROM document WHERE id {among}"
