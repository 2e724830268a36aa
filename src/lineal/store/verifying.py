"""Proof that what is stored agrees with itself, in one snapshot: by counts, digests and the chain.

Every table is held against another that says the same, or against the seal that was written with
it. What disagrees is named. Nothing is mended here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from math import inf
from operator import itemgetter

import sqlalchemy as sa

from lineal.errors import Damaged, InvalidUri
from lineal.model import Uri
from lineal.store import digest, flow, ledger, schema, sealed, seals, text
from lineal.store.driver import Driver, Row
from lineal.store.projecting import is_complete, search_rows
from lineal.store.reading import Reader
from lineal.store.rows import unpack_feed
from lineal.store.terms import Terms
from lineal.store.text import Describe
from lineal.store.work.entries import damaged

#: How many disagreements of one sort are named; the rest are counted.
NAMED = 20
#: How many rows are read between two signs of progress.
STEP = 10_000

_OTHERWISE = (
    "Search rows were made under other shapes, or by another version of Lineal. Give the shapes"
    " that the database is used with; whatever opens it for writing makes them anew."
)

#: Called with what is being looked at, and how many rows of it were seen.
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Something stored that does not agree with the rest."""

    table: str
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    #: At which transaction.
    t: int
    #: The hash of the last transaction: keep it elsewhere, and nobody can rewrite history unseen.
    hash: str
    #: The digest of all that is so now.
    digest: str
    #: How many rows each table has.
    counts: Mapping[str, int]
    disagreements: tuple[Disagreement, ...]
    #: How many more disagreements there are than are named.
    more: int = 0

    @property
    def sound(self) -> bool:
        """True where all agrees."""
        return not self.disagreements


@dataclass(slots=True)
class _Findings:
    """Disagreements as they are found; of each sort the first are named."""

    named: list[Disagreement] = field(default_factory=list)
    more: int = 0
    _counts: dict[str, int] = field(default_factory=dict)

    def add(self, table: str, what: str) -> None:
        """Add one."""
        self._counts[table] = self._counts.get(table, 0) + 1
        if self._counts[table] <= NAMED:
            self.named.append(Disagreement(table, what))
        else:
            self.more += 1


class Verification:
    """One look at everything, in one snapshot."""

    def __init__(
        self,
        connection: sa.Connection,
        reader: Reader,
        terms: Terms,
        *,
        describe: Describe | None,
        way: int = 0,
        progress: Progress | None = None,
        expected: Mapping[int, str] | None = None,
    ) -> None:
        self._connection, self._reader, self._terms = connection, reader, terms
        #: What makes search rows, and in which way: none are looked at without.
        self._describe, self._way = describe, way
        self._expected = dict(expected or {})
        self._driver = Driver(connection)
        self._progress = progress or (lambda _table, _rows: None)
        self._found = _Findings()
        self._counts: dict[str, int] = {}
        self._uris: dict[int, str] = {}
        self._owners: dict[int, seals.Owner] = {}
        self._words: dict[int, str] = {}
        self._born: dict[int, list[str]] = {}

    # ── The story ────────────────────────────────────────────────────────────────────────────

    def verdict(self) -> Verdict:
        """Look at every table, and say what disagrees."""
        clock = self._clock()
        self._named()
        self._words = {row[0]: row[1] for row in self._rows("term", "SELECT id, text FROM term")}
        self._documents(clock)
        last = self._chain(clock, self._sealed())
        self._once()
        self._copies()
        if not self._found.named:
            # Search rows are made from facts: they are looked at once those are sound.
            self._searchable()
        self._in_place()
        self._checkpoints()
        for table in schema.metadata.sorted_tables:
            if table.name not in self._counts:
                self._counts[table.name] = self._count(table.name)
        sound = not self._found.named
        return Verdict(
            clock[1],
            last.hex(),
            digest.graph(self._connection, self._terms) if sound else "",
            dict(sorted(self._counts.items())),
            tuple(self._found.named),
            self._found.more,
        )

    def _rows(self, table: str, text: str, *values: object) -> Iterator[Row]:
        """Read a whole table, and count it."""
        count = 0
        for count, row in enumerate(self._driver.each(text, *values), 1):  # counted
            yield row
            if count % STEP == 0:
                self._progress(table, count)
        self._counts[table] = count
        self._progress(table, count)

    def _count(self, table: str) -> int:
        row = self._driver.row(f"SELECT count(*) FROM {table}")
        assert row is not None
        return int(row[0])

    # ── The clock and the names ──────────────────────────────────────────────────────────────

    def _clock(self) -> Row:
        """There is one clock, and nothing is half published."""
        rows = list(
            self._rows(
                "clock", "SELECT t, published, instant, next_key, next_document, id FROM clock"
            )
        )
        if len(rows) != 1 or rows[0][5] != 1:
            self._found.add("clock", f"There are {len(rows)} clocks; there is one, of id 1.")
        clock = rows[0] if rows else (0, 0, 0, 1, 1, 1)
        if clock[0] != clock[1]:
            self._found.add("clock", f"t is {clock[0]}, but {clock[1]} is published.")
        return clock

    def _named(self) -> None:
        """Both tables of names say the same, and every key was handed out by the clock."""
        text = "SELECT key, uri, type, t_from FROM entity ORDER BY key"
        expected = 1
        for key, uri, kind, t_from in self._rows("entity", text):
            if key != expected:
                self._found.add("entity", f"Key {expected} is missing or double at {uri}.")
            expected = key + 1
            self._uris[key] = uri
            self._born.setdefault(t_from, []).append(uri)
            try:
                named = Uri(uri)
                sound = named == uri and named.type == kind
            except InvalidUri:
                sound = False
            if not sound:
                self._found.add("entity", f"{uri!r} is not a URI of type {kind!r}.")
        found: dict[int, str] = {}
        for uri, key in self._rows("uri", "SELECT uri, key FROM uri"):
            if self._uris.get(key) != uri or key in found:
                self._found.add("uri", f"{uri} has key {key}, which entity does not say.")
            found[key] = uri
        for key in self._uris.keys() - found.keys():
            self._found.add("uri", f"{self._uris[key]} cannot be looked up.")
        row = self._driver.row("SELECT next_key FROM clock")
        if row is not None and row[0] != expected:
            self._found.add("clock", f"The next key is {row[0]}, not {expected}.")

    def _documents(self, clock: Row) -> None:
        newest = 0
        names: set[seals.Owner] = set()
        for number, source, name, subject in self._rows(
            "document", "SELECT id, source, name, subject FROM document"
        ):
            newest = max(newest, number)
            self._owners[number] = (source, name)
            if (source, name) in names:
                self._found.add("document", f"{source} {name} is there twice.")
            names.add((source, name))
            if subject and subject not in self._uris:
                self._found.add("document", f"{source} {name} is about nothing known.")
        if clock[4] != newest + 1:
            self._found.add("clock", f"The next document is {clock[4]}, not {newest + 1}.")

    # ── Seals ────────────────────────────────────────────────────────────────────────────────

    def _sealed(self) -> dict[int, seals.Leaves]:
        """Add up again what each transaction wrote."""
        salts = {t: bytes(salt) for t, salt in self._driver.rows("SELECT t, salt FROM tx")}
        salts.update(
            (t, bytes(salt))
            for t, salt in self._driver.rows("SELECT t, salt FROM resealed ORDER BY t, at")
        )
        leaves: dict[int, seals.Leaves] = {t: seals.Leaves(salt) for t, salt in salts.items()}
        # As they come: `add` would hold nearly all of them until the end.
        for (table, t, owner), some in groupby(self._lines(), key=itemgetter(0, 1, 2)):
            if t in leaves:
                leaves[t].add_all(owner, map(itemgetter(3), some))
            else:
                for _ in some:
                    self._found.add(table, f"A row of {' '.join(owner)} is of transaction {t}.")
        return leaves

    def _lines(self) -> Iterator[tuple[str, int, seals.Owner, str]]:
        """Yield table, transaction, document and seal of every beginning and ending."""
        telling = sealed.Telling(self._uris, self._owners, self._words, self._found.add)
        for table in sealed.TOLD:
            query = f"SELECT {sealed.columns(schema.metadata.tables[table])} FROM {table}"
            try:
                for line in telling.lines(table, self._rows(table, query)):
                    yield table, *line
            except (KeyError, IndexError, TypeError, ValueError) as error:
                self._found.add(table, f"A row names what is not there: {error}.")

    def _chain(self, clock: Row, leaves: Mapping[int, seals.Leaves]) -> bytes:
        """Every transaction holds the hash of the one before, and wrote what it says it wrote."""
        others = self._others()
        answers = _Along(self._answers(), self._stray)
        latest = {row[0]: bytes(row[1]) for row in self._driver.rows(_RESEALED)}
        before, expected = seals.GENESIS, 1
        text = (
            "SELECT t, instant, actor, cause, token, changed, salt, root, hash FROM tx ORDER BY t"
        )
        instant, hashes = 0, dict[int, str]()
        for t, instant, actor, cause, token, changed, salt, root, chain in self._rows("tx", text):
            if t in latest and bytes(salt):
                self._found.add("tx", f"Transaction {t} has a salt that was forgotten.")
            if t != expected:
                self._found.add("tx", f"Transaction {expected} is missing.")
            expected = t + 1
            try:
                known = [self._uris.get(key, "?") for key in unpack_feed(bytes(changed))]
            except Damaged as error:
                self._found.add("tx", f"Transaction {t}: {error}")
                known = []
            told = [*answers.of(t), *others.get(t, ()), seals.feed_line(known)]
            found = leaves[t]
            made = seals.root(found.salt, found.sums(), self._born.get(t, ()), told)
            if made != latest.get(t, bytes(root)):
                self._found.add(
                    "tx", f"What transaction {t} wrote ({cause}) is not what lies there now."
                )
            before = seals.chained(before, t, instant, actor, cause, token, bytes(root))
            if t in self._expected:
                hashes[t] = bytes(chain).hex()
            if before != bytes(chain):
                self._found.add("tx", f"The chain is broken at transaction {t}.")
                before = bytes(chain)
        for t in sorted(self._expected.keys() - hashes.keys()):
            self._found.add("tx", f"There is no transaction {t}; there was when its hash was kept.")
        for t in hashes.keys() & self._expected.keys():
            if hashes[t] != self._expected[t]:
                self._found.add("tx", f"History up to {t} is not what it was when that was kept.")
        answers.of(inf)
        for t in others.keys() - leaves.keys():
            self._stray(t)
        if (expected - 1, instant) != (clock[1], clock[2]) and (expected, clock[1]) != (1, 0):
            self._found.add(
                "clock", f"The last transaction is {expected - 1}; the clock says {clock[1]}."
            )
        return before

    def _stray(self, t: int) -> None:
        self._found.add("response", f"Something was written by transaction {t}, which is not.")

    def _answers(self) -> Iterator[tuple[int, str]]:
        """Yield what is sealed of the answers of sources, each with its transaction, in order."""
        query = "SELECT t, document, body FROM response ORDER BY t"
        for t, document, body in self._rows("response", query):
            owner = self._owners.get(document)
            if owner is None:
                self._found.add("response", f"There is no document {document}.")
                continue
            yield t, seals.response_line(owner, body)

    def _others(self) -> dict[int, list[str]]:
        """What else did each transaction write: what it forgot, and what it sealed anew?"""
        found: dict[int, list[str]] = {}
        for key, t, how, reason in self._driver.rows("SELECT key, t, how, reason FROM forgotten"):
            uri = self._uris.get(key, "?")
            found.setdefault(t, []).append(seals.forgotten_line(uri, how, reason))
        for t, at, root in self._driver.rows("SELECT t, at, root FROM resealed"):
            found.setdefault(at, []).append(seals.resealed_line(t, bytes(root)))
        return found

    # ── Copies and projections ───────────────────────────────────────────────────────────────

    def _copies(self) -> None:
        """Both copies of every edge say the same."""
        names = [column.name for column in schema.edge_in.columns]
        sums = {}
        for table in ("edge_out", "edge_in"):
            total = count = 0
            for row in self._rows(table, f"SELECT {', '.join(names)} FROM {table}"):
                total = (total + hash(tuple(_truth(value) for value in row))) & _MASK
                count += 1
            sums[table] = (count, total)
        if sums["edge_out"] != sums["edge_in"]:
            self._tell_copies(", ".join(names))

    def _tell_copies(self, names: str) -> None:
        for one, other in (("edge_out", "edge_in"), ("edge_in", "edge_out")):
            text = f"SELECT {names} FROM {one} EXCEPT SELECT {names} FROM {other}"
            for row in self._driver.rows(f"{text} LIMIT {NAMED}"):
                dst, kind, src = row[:3]
                edge = f"{self._uris.get(src)} {self._words.get(kind)} {self._uris.get(dst)}"
                self._found.add("edge_in", f"{edge} lies in {one} so, and not in {other}.")
        self._found.add("edge_in", "The two copies of the edges differ.")

    def _once(self) -> None:
        """Of each statement, claim and derivation only one row stands at a time."""
        for table in (schema.record, schema.edge_out, schema.derivation):
            names = [one.name for one in table.primary_key if one.name != "t_from"]
            twice = self._driver.rows(
                f"SELECT {names[0]}, document, count(*) FROM {table.name} WHERE t_to IS NULL"
                f" GROUP BY {', '.join(names)} HAVING count(*) > 1"
            )
            for key, document, count in twice:
                owner = " ".join(self._owners.get(document, ("?",)))
                what = f"What {owner} says of {self._uris.get(key)} stands {count} times."
                self._found.add(table.name, what)

    def _searchable(self) -> None:
        """Everything can be found by what is said of it now, and nothing else can."""
        if self._describe is None:
            return
        if not is_complete(self._driver, self._way):
            self._found.add("search", _OTHERWISE)
            return
        dropped = {row[0] for row in self._driver.rows(DROPPED)}
        keys = sorted(self._uris.keys() - dropped)
        for at in range(0, len(keys), _CHUNK):
            some = {Uri(self._uris[key]): key for key in keys[at : at + _CHUNK]}
            made = search_rows(
                self._driver, self._reader, self._describe, some, alone={}, before={}
            )
            for key, table in text.differing(self._driver, made.rows).items():
                self._found.add(table, f"{self._uris[key]} is found by something else.")
            self._progress("search", at + len(some))
        for table in ("search_name", "search"):
            name = "rowid" if table == "search" and self._driver.is_sqlite else "key"
            # Not "NOT IN": of very many, PostgreSQL would go through all things for each row.
            stray = self._driver.rows(
                f"SELECT {name} FROM {table}"
                f" WHERE NOT EXISTS (SELECT 1 FROM entity WHERE entity.key = {table}.{name})"
                f" UNION SELECT {name} FROM {table} WHERE {name} IN ({DROPPED})"
            )
            for (found,) in stray[:NAMED]:
                self._found.add(table, f"Key {found} is found, and is no thing.")
            self._counts[table] = self._count(table)

    def _in_place(self) -> None:
        """What changes in place has as many rows, and the same, as was written down."""
        known = ledger.kept(self._driver)
        tables = {table.name: table for table in schema.IN_PLACE}
        for name, table in tables.items():
            counted = ledger.recounted(self._driver, table)
            self._counts[name] = counted[0]
            if counted != known.get(name, (0, 0)):
                rows = known.get(name, (0, 0))[0]
                self._found.add(
                    name, f"There are {counted[0]} rows; {rows} were written, or other ones."
                )
        for name in known.keys() - tables.keys():
            self._found.add("ledger", f"It counts {name!r}, which is no table.")
        for account in flow.accounts(self._driver).values():
            if account.missing:
                self._found.add(
                    "flow", f"{account.missing} notices of {account.source} are unaccounted for."
                )

    def _checkpoints(self) -> None:
        """What logs were folded up to is as it was written, with all that came since."""
        for source, document in damaged(self._driver):
            self._found.add(
                "log_checkpoint", f"That of {document!r} of {source!r} is not as it was written."
            )


class _Along:
    """Lines in the order of the transactions that wrote them, taken along with those."""

    def __init__(self, lines: Iterator[tuple[int, str]], stray: Callable[[int], None]) -> None:
        self._lines, self._stray = lines, stray
        self._next = next(lines, None)

    def of(self, t: float) -> list[str]:
        """Return those of a transaction; what comes before it and was not taken is of none."""
        found = []
        while self._next is not None and self._next[0] <= t:
            of, line = self._next
            if of == t:
                found.append(line)
            else:
                self._stray(of)
            self._next = next(self._lines, None)
        return found


_CHUNK = 1_000
#: Which things were old and needed by nothing, and are not kept any more?
DROPPED = (
    "SELECT key FROM forgotten WHERE how = 'retention'"
    " AND NOT EXISTS (SELECT 1 FROM record WHERE record.key = forgotten.key)"
)
_MASK = (1 << 63) - 1
#: The newest root of each transaction that was sealed anew.
_RESEALED = "SELECT t, root FROM resealed ORDER BY t, at"


def _truth(value: object) -> object:
    """The databases give truth as a number or as itself."""
    return int(value) if isinstance(value, bool) else value
