"""Facts on disk: what was said, by whom, when it was so and when we knew it.

`Store.commit` is the only way to write facts; `Store.read` the only way to read them, and it
takes a `Viewer`. `Store.working` is for what is still to do (inbox, marks), which are no facts.
"""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import IO

import msgspec
import sqlalchemy as sa

from lineal.errors import Busy, ConfigError, Damaged, Undone, Unreachable
from lineal.model import NOW, Budget, Instant, Json, Moment, Record, Uri, Viewer
from lineal.points import reached
from lineal.shapes import Shapes
from lineal.store import (
    copies,
    digest,
    exporting,
    first,
    importing,
    lines,
    migrations,
    pending,
    projecting,
    schema,
    text,
    work,
)
from lineal.store.basis import Basis, basis_of
from lineal.store.batches import Batch, Committed, Fence, Grammar, Listing, Loaded, Surroundings
from lineal.store.between import Between
from lineal.store.collector import uncollected
from lineal.store.concluding import MOST, Piece
from lineal.store.conclusions import (
    EQUAL,
    Change,
    Concluded,
    Conclusion,
    Derivation,
    Failed,
    Program,
    PutOff,
    Rules,
    Step,
)
from lineal.store.database import Place, connected
from lineal.store.driver import Driver
from lineal.store.exporting import Moved
from lineal.store.facts import together
from lineal.store.first import LOADED, Progressed
from lineal.store.forgetting import Forgetting, Forgotten, Policy, droppable
from lineal.store.ledger import Ledger
from lineal.store.links import Derived
from lineal.store.matching import Wanted
from lineal.store.meter import Meter, Trial
from lineal.store.names import Names
from lineal.store.pending import Kept, Pending
from lineal.store.reading import Reader
from lineal.store.schema import NEVER
from lineal.store.sqlite import SqliteDatabase
from lineal.store.terms import Terms
from lineal.store.text import Describe, SearchRow
from lineal.store.trouble import ROOM, Trouble, probe_file
from lineal.store.verifying import Disagreement, Progress, Verdict, Verification
from lineal.store.writing import SYSTEM, Transaction

__all__ = [
    "EQUAL",
    "LOADED",
    "NEVER",
    "Basis",
    "Batch",
    "Between",
    "Change",
    "Committed",
    "Concluded",
    "Conclusion",
    "Derivation",
    "Derived",
    "Describe",
    "Disagreement",
    "Failed",
    "Fence",
    "Forgotten",
    "Kept",
    "Ledger",
    "Listing",
    "Loaded",
    "Pending",
    "Policy",
    "Program",
    "PutOff",
    "Reader",
    "Rules",
    "SearchRow",
    "Step",
    "Store",
    "Trial",
    "Verdict",
    "Wanted",
    "clock_now",
    "text",
    "together",
    "uncollected",
    "work",
]


#: How long to wait (seconds) before a commit that was broken off or undone is taken up again.
AGAIN = (0.0, 0.25, 1.0)
#: How often a migration is tried where others hold what it must change, a second apart.
MIGRATING = 30
#: How long (seconds) a piece of the work of rules is to take, and of how many things it is at
#: least.
PIECE, SMALLEST = 0.013, 20


#: What is said of a thing now, and as of which transaction?
_SAID_NOW = """
    SELECT (SELECT published FROM clock WHERE id = 1), record.body FROM uri
    JOIN record ON record.key = uri.key AND record.t_to IS NULL AND record.body <> 'null'
    WHERE uri.uri = ?
"""
#: After how many new documents commits are followed by a piece of upkeep, and how many of them one
#: counts for that changed: it lies at a place of its own.
TIDY_AFTER, A_CHANGE = 2_800, 6


def _next_size(size: int, piece: Piece | None, seconds: float) -> int:
    """Return of how many things the next piece is to be, after one of *size* that took so long."""
    share = PIECE / max(seconds, 1e-4)
    if piece is not None and 2 * piece.things >= size:
        fits = min(size * 1.25, min(piece.things, size) * share)
    else:
        # What was less than half a piece does not say that a whole one may be larger.
        fits = size * min(share, 1.0)
    return max(SMALLEST, min(MOST, round(fits)))


def clock_now() -> Instant:
    """Return the wall clock, in microseconds since 1970 UTC."""
    return time.time_ns() // 1_000


class Store:
    """
    The facts of one installation, in one SQLite file or one PostgreSQL database.

    Raises:
        Busy, ReadOnly, Damaged, NewerSchema: the file cannot be used; the message says why.
    """

    def __init__(
        self,
        place: Place,
        *,
        shapes: Shapes,
        writable: bool = True,
        rules: Sequence[Rules] = (),
        describe: Describe | None = None,
        now: Callable[[], Instant] = clock_now,
    ) -> None:
        self.place = place
        self._database = connected(place, writable=writable)
        self._trouble = Trouble(self._probe, self._check)
        self._shapes = shapes
        self._around = Surroundings(
            Grammar(shapes), Terms(), Names(), text.Facets(), tuple(rules), describe
        )
        self.now = now
        self._put_off = 0
        #: Whether the database was told which rules there are.
        self._is_agreed = False
        #: Of how many things a piece of the work of rules is: by what the last pieces took.
        self._piece = MOST // 5
        # What is remembered of a transaction that is undone is forgotten before the next begins.
        self._one_at_a_time = threading.RLock()
        try:
            self._prepare()
        except BaseException:
            self._database.close()
            raise

    def _prepare(self) -> None:
        """See that the file is sound, and bring the schema up to date; or check that it is."""
        if self._database.writable:
            self._check()
            self._migrate()
            self._project()
            return
        with self._reading() as connection:
            if not migrations.opens(migrations.current(connection)):
                raise ConfigError(
                    f"{self._database.name} is not a Lineal database of this version.",
                    fix="Bring it up to date by `lineal db upgrade`, or by a server that opens it.",
                )

    def _migrate(self) -> None:
        """Bring the schema up to date, all or nothing; where others hold it, again and again."""
        for again in reversed(range(MIGRATING)):
            try:
                with self._writing() as connection:
                    migrations.upgrade(connection)
                    reached("migrated")
                return
            except Busy:
                if not again:
                    raise
            time.sleep(1.0)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with self._trouble.noticed(writes=True), self._database.writing() as connection:
            yield connection

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._trouble.noticed(writes=False), self._database.reading() as connection:
            yield connection

    def _check(self) -> None:
        """See that a file is sound before it is served; a server looks after its own."""
        if isinstance(self._database, SqliteDatabase):
            self._database.see_file()
            with self._database.reading() as connection:
                copies.look_over(self._database.path, connection)

    def _probe(self) -> None:
        """Take some room for a moment, in the database and beside it, and commit nothing new."""
        if isinstance(self.place, Path):
            probe_file(self.place)
        much = {"source": "", "received_at": 0, "notices": 1, "body": " " * ROOM}
        with self._database.writing() as connection:
            connection.exec_driver_sql("SAVEPOINT room")
            connection.execute(sa.insert(schema.inbox).values(much))
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT room")
            connection.execute(sa.update(schema.clock).values(t=schema.clock.c.t))

    def raise_if_troubled(self) -> None:
        """
        Raise what is wrong with the database now: a write or read failed, and still would.

        Raises:
            StorageFull, ReadOnly, Damaged: as `commit` and `read` do.
        """
        self._trouble.raise_if_any()

    def _project(self) -> None:
        """Make the search rows anew where they were made in another way, in bounded commits."""
        describe, more = self._around.describe, True
        while describe is not None and more:
            with self._changing() as connection:
                more = projecting.project_some(connection, self._around, describe)
                reached("projected")

    @property
    def name(self) -> str:
        """What to call the database: its file, or its URL without the password."""
        return self._database.name

    @property
    def path(self) -> Path:
        """The database file; raises `ConfigError` where the database is none."""
        if not isinstance(self.place, Path):
            raise ConfigError(f"{self.name} is not a file.")
        return self.place

    @property
    def shapes(self) -> Shapes:
        """The types and kinds that this store was opened with."""
        return self._shapes

    @property
    def rules(self) -> tuple[Rules, ...]:
        """What concludes at every commit, in its order."""
        return tuple(self._around.rules)

    def commit(self, batch: Batch) -> Committed:
        """
        Write what is new in *batch*, what follows from it, its search rows and its cause.

        All of it or nothing. Saying the same again writes no fact. Returns the transaction and
        counts; a batch whose token was committed before is not written again. Where the
        connection breaks, the database is asked by the batch's token what became of it: under the
        clock, so that a commit that is still on its way is waited for.

        Raises:
            Unreachable: it broke again and again; whether the batch is in is not known, and the
                same batch with a token of its own may be committed again.
        """
        if batch.token is None and not isinstance(self.place, Path):
            batch = replace(batch, token=uuid.uuid4().hex)
        for pause in AGAIN:
            try:
                return self._commit(batch)
            except (Unreachable, Undone):
                time.sleep(pause)
        return self._commit(batch)

    def _commit(self, batch: Batch) -> Committed:
        # It makes very many values, and no cycle.
        with uncollected(), self._changing() as connection:
            transaction = Transaction(connection, self._around, now=self.now)
            committed = transaction.apply(batch)
        reached("batch-committed")
        transaction.learned()
        if committed.t is not None:
            documents = committed.documents
            moved = documents.get("changed", 0) + documents.get("removed", 0)
            self._put_off += documents.get("new", 0) + A_CHANGE * moved
            if self._put_off >= TIDY_AFTER:
                # Else work put off would pile up under a load that leaves no idle moment.
                self.tidy()
        return committed

    def follow_rules(self, most: int | None = None) -> bool:
        """
        Do a piece of what rules have still to do, in one transaction.

        Of at most *most* things; where nothing is said, of as many as keep others waiting for about
        `PIECE` seconds. Upkeep that pieces put off is one too. Return whether there was any: False
        says that all is concluded.
        """
        if self._is_agreed and not self._is_anything_pending():
            return False
        if self._put_off >= TIDY_AFTER:
            # As a piece of its own: who waits for one is not to wait for both.
            self.tidy()
            return True
        size, began = self._piece if most is None else most, time.monotonic()
        with uncollected(), self._changing() as connection:
            transaction = Transaction(connection, self._around, now=self.now)
            piece = transaction.go_on(size)
        transaction.learned()
        self._is_agreed = True
        self._put_off += 0 if piece is None else piece.things
        if most is None:
            self._piece = _next_size(size, piece, time.monotonic() - began)
        return piece is not None

    def _is_anything_pending(self) -> bool:
        with self._reading() as connection:
            return pending.is_any(Driver(connection))

    def kept_rules(self) -> dict[str, Kept]:
        """Return the rules of which conclusions stand or are to come, by name."""
        with self._reading() as connection:
            return pending.kept_rules(Driver(connection))

    def switch_rule(self, name: str, *, enabled: bool) -> bool:
        """
        Let a rule conclude, or have what it concluded withdrawn; return whether that is new.

        It is planned; `follow_rules` does it.
        """
        with self._changing() as connection:
            return Transaction(connection, self._around, now=self.now).switch(name, enabled)

    def pending_rules(self) -> Pending:
        """Return how much rules have still to do, and where they fail."""
        with self._reading() as connection:
            return pending.pending(Driver(connection))

    @contextlib.contextmanager
    def read(
        self, viewer: Viewer, moment: Moment = NOW, budget: Budget | None = None
    ) -> Iterator[Reader]:
        """
        Open a reader at one basis and one moment; everything in the block is of one snapshot.

        With a *budget*, no more is read than its rows, and nothing goes on past its time.

        Raises:
            OutOfTime: a statement was stopped that was needed whole.
        """
        with self._asking(budget) as (connection, meter):
            basis = basis_of(connection, moment, self.now())
            yield Reader(connection, viewer, basis, self._around.terms, meter=meter)

    @contextlib.contextmanager
    def between(
        self,
        viewer: Viewer,
        before: Moment,
        after: Moment = NOW,
        budget: Budget | None = None,
    ) -> Iterator[Between]:
        """Open readers at two moments and at what lies between; all of it is of one snapshot."""
        with self._asking(budget) as (connection, meter):
            now, terms = self.now(), self._around.terms
            yield Between(
                connection,
                lambda basis: Reader(connection, viewer, basis, terms, meter=meter),
                basis_of(connection, before, now),
                basis_of(connection, after, now),
                meter,
            )

    @contextlib.contextmanager
    def _asking(self, budget: Budget | None) -> Iterator[tuple[sa.Connection, Meter | None]]:
        with self._reading() as connection:
            if budget is None:
                yield connection, None
                return
            meter = Meter(connection, budget)
            with meter.watching():
                yield connection, meter

    @contextlib.contextmanager
    def working(self) -> Iterator[Ledger]:
        """Open a transaction for the functions of `lineal.store.work`, which write no facts."""
        with self._writing() as connection, Ledger(Driver(connection)) as ledger:
            yield ledger

    @contextlib.contextmanager
    def looking(self) -> Iterator[Driver]:
        """Open a snapshot for the functions of `lineal.store.work` that only look."""
        with self._reading() as connection:
            yield Driver(connection)

    def register(self, platforms: Mapping[tuple[str, str], str]) -> None:
        """Say which source is registered to describe which type on which platform."""
        rows = sorted((kind, name, source) for (kind, name), source in platforms.items())
        with self.working() as ledger:
            ledger.hold_clock()
            known = ledger.find(schema.registered, "1 = 1")
            if sorted(known) != rows:
                ledger.delete(schema.registered, known)
                ledger.insert(schema.registered, rows)
                # Another source's word may count first now: what is found by it is made anew.
                projecting.begin_again(ledger)
        self._project()

    def digest(self) -> str:
        """Return the digest of all that is so now, whatever way it came to be known."""
        with self._reading() as connection:
            return digest.graph(connection, self._around.terms)

    def excise(self, uris: Sequence[Uri], *, reason: str, actor: str) -> Forgotten:
        """
        Remove every value that was ever kept of these things: the exception to history.

        Their names and relations stay, with the reason; raises `NotFound` for one not known.
        """
        with self._changing() as connection:
            forgetting = Forgetting(connection, self._around, now=self.now)
            return forgetting.excise(uris, reason=reason, actor=actor)

    def drop(self, policy: Policy, *, actor: str, limit: int = 500) -> Forgotten:
        """Drop old occurrences that nothing kept refers to, at most *limit* in one transaction."""
        unfit = sorted(
            name
            for name in policy.types
            if name not in self._shapes.types or not self._shapes.types[name].occurrence
        )
        if unfit:
            raise ConfigError(
                f"Only occurrences are dropped; {', '.join(unfit)} is kept for ever.",
                fix="Name types such as run, evaluation or dataset-version.",
            )
        with self._changing() as connection:
            forgetting = Forgetting(connection, self._around, now=self.now)
            return forgetting.drop(policy, actor=actor, limit=limit)

    def droppable(self, policy: Policy) -> tuple[int, int]:
        """Return how many occurrences `drop` would take, and how many as old are needed."""
        with self._reading() as connection:
            return droppable(Driver(connection), policy)

    def is_blank(self) -> bool:
        """Return whether `load` would write another file: an SQLite one that knows nothing yet."""
        return first.is_blank(self._database)

    def load(
        self,
        records: Iterable[Record],
        *,
        actor: str,
        cause: str,
        progress: Progressed = None,
    ) -> Loaded:
        """
        Commit very many records, in large batches.

        Like `commit`, batch after batch, but durable only when it returns: for a first load, that
        can be begun again. Into an SQLite file that is empty it is several times quicker: then a
        second process writes a new file, which takes the place of the empty one when all is in
        it, and nothing else is written or read meanwhile. *progress* is called with how many are
        in.
        """
        items, loaded = iter(records), Loaded()
        with uncollected(remembered=True):
            ahead = list(islice(items, LOADED))
            items = chain(ahead, items)
            left = list[Record]()
            if len(ahead) == LOADED and self.is_blank():
                left = self._load_first(items, actor, cause, progress, loaded)
            told = loaded.count + len(left)
            items = chain(left, items)
            if some := list(islice(items, LOADED)):
                with self._database.hurried():
                    while some:
                        loaded.add(len(some), self._commit(Batch(some, actor, cause)))
                        if progress is not None and loaded.count > told:
                            progress(loaded.count)
                        some = list(islice(items, LOADED))
        return loaded

    def _load_first(
        self,
        records: Iterator[Record],
        actor: str,
        cause: str,
        progress: Progressed,
        loaded: Loaded,
    ) -> list[Record]:
        """Load into a file that takes the place of this one; return what is left."""
        assert isinstance(self._database, SqliteDatabase)
        with self._one_at_a_time, self._trouble.noticed(writes=True):
            load = first.FirstLoad(self._around, now=self.now, actor=actor, cause=cause)
            count = load.into(self._database, records, progress)
            self._around.terms.forget()
            self._around.facets.forget()
        new = count - len(load.left)
        loaded.add(new, Committed(None, {"new": new} if new else {}, load.begun))
        return load.left

    def attributes(self, viewer: Viewer, uri: Uri) -> tuple[int, dict[str, Json]] | None:
        """
        Return what is said of a thing now, under this very name, and as of which transaction.

        The quickest read there is: one statement. None where nothing is said of it; other names
        of the same thing, and other moments, are what `read` is for.
        """
        if not isinstance(viewer, Viewer):
            raise TypeError("Nothing is read without a viewer.")
        with self._trouble.noticed(writes=False):
            rows = self._database.glance(_SAID_NOW, (uri,))
        if len(rows) > 1:
            with self.read(viewer) as reader:
                (key,) = reader.keys([uri]).values()
                return reader.basis.t, reader.attributes([key])[key]
        if not rows:
            return None
        t, body = rows[0]
        found: dict[str, Json] = msgspec.json.decode(body)
        return t, found

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sa.Connection]:
        """Open a write transaction; what was met in one that is undone is not remembered."""
        with self._one_at_a_time:
            try:
                with self._writing() as connection:
                    yield connection
            except BaseException:
                self._around.terms.forget()
                self._around.facets.forget()
                self._around.agreed.forget()
                raise

    def verify(
        self, progress: Progress | None = None, *, expected: Mapping[int, str] | None = None
    ) -> Verdict:
        """
        Prove in one snapshot that what is stored agrees with itself, or say what does not.

        *progress* is called with the table that is looked at and how many rows of it were seen.
        *expected* are hashes that earlier verdicts gave, by their transaction: against them a
        history that was written anew as a whole is found too.
        """
        with self._reading() as connection, exporting.sorting_on_disk(connection):
            try:
                basis = basis_of(connection, NOW, self.now())
            except Damaged as error:
                return Verdict(0, "", "", {}, (Disagreement("clock", error.message),))
            reader = Reader(connection, SYSTEM, basis, self._around.terms)
            return Verification(
                connection,
                reader,
                self._around.terms,
                describe=self._around.describe,
                way=projecting.way_of(self._shapes),
                progress=progress,
                expected=expected,
            ).verdict()

    def export(self, out: IO[bytes], *, progress: Moved | None = None) -> int:
        """
        Write all that is held, and all that ever was, as lines that every store reads.

        Returns the last transaction. Raises `Damaged` where something is not as it was written.
        """
        with self._reading() as connection, exporting.sorting_on_disk(connection):
            return exporting.export(connection, lines.Writer(out), progress)

    def fill(self, file: IO[bytes], name: str, *, progress: Moved | None = None) -> int:
        """
        Fill this database, which must be empty, from an export; all of it or nothing.

        Returns the last transaction. Raises `ConfigError` where the database is in use, and
        `FileRefused` where the file is no export, was cut, or is not as it was written.
        """
        source = lines.Lines(file, name)
        with self._changing() as connection:
            return importing.fill(connection, source, self._around, progress=progress)

    def tidy(self) -> None:
        """Do a bounded piece of the upkeep that commits put off."""
        self._put_off = 0
        self._database.tidy()

    def compact(self) -> None:
        """Write the database anew without its gaps. No fact and no answer changes by it."""
        self._database.compact()

    def close(self) -> None:
        """Close the database."""
        self._database.close()
