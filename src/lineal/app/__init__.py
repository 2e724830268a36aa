"""Puts the parts together: opens the store, the sources and the rules, and closes them."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from lineal.access import LOCAL
from lineal.app.background import PACE, Background, Pace
from lineal.app.configured import (
    OPENLINEAGE,
    declared,
    platforms_of,
    python_sources,
    registered,
    secret_in,
    source_files,
)
from lineal.app.ruling import Ruling, rules_of
from lineal.app.standing import Broken, Standings, broken_promises, standings
from lineal.app.taking import Taken, Taking, Told, Unread
from lineal.config import Config
from lineal.enrich.identity import PartsFollow, decision
from lineal.enrich.rules import Rule, RuleBook
from lineal.errors import Invalid, NotFound
from lineal.ingest import Ingest, Progress, Rebuilt, Snapshot, Swept, Tally
from lineal.model import Instant, Json, Record, Uri
from lineal.query import Preview, Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.sources import FetchedSource, Refused, datahub, dbt
from lineal.sources.compiling import load
from lineal.sources.files import FileSource
from lineal.sources.openlineage import OpenLineage
from lineal.sources.openlineage.files import read_paths
from lineal.sources.plan import SourcePlan
from lineal.store import Batch, Forgotten, Policy, Store, clock_now, work
from lineal.store.work import Counted, DeadLetter, Deed, SourceHealth, Standing

log = structlog.get_logger("lineal")

#: How long (seconds) turns, sweeps and answers on their way are waited for at the end.
ENDING = 6.0


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a batch of events that are taken one by one."""

    accepted: int
    #: Position and reason of each that was refused.
    refused: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Drained:
    """What was done until nothing was due."""

    done: int
    documents: Mapping[str, int]
    #: True where everything that was due is done; False where the time ran out.
    complete: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many dead letters were taken up again, and how many still make no sense."""

    replayed: int
    left: int


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import read, what changed by it, and what was refused."""

    read: int
    documents: Mapping[str, int]
    begun: int
    ended: int
    #: How many things of each type are known now.
    things: Mapping[str, int]
    refused: tuple[Refused, ...] = ()
    #: How many documents were absent, but too many at once to remove them unasked.
    held: int = 0


@dataclass(frozen=True, slots=True)
class Losing:
    """What a thing would lose by an excision."""

    uri: Uri
    #: How many documents speak of it now, and how many edges stay without their attributes.
    words: int
    edges: int


class Lineal:
    """One installation: a store, its sources, and the questions that may be asked."""

    def __init__(
        self,
        config: Config,
        store: Store,
        plans: Sequence[SourcePlan],
        *,
        rules: Sequence[Rule] = (),
        clock: Callable[[], Instant] = clock_now,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
        pace: Pace = PACE,
    ) -> None:
        self.config, self.store = config, store
        self.ruling = Ruling(store, rules)
        self.ask = Questions(store, platforms=config.platform_order, skew=config.skew)
        self._clock = clock
        self._platforms = platforms_of(config)
        self._openlineage = OpenLineage(OPENLINEAGE, platforms=self._platforms)
        self._sources = declared(plans, self.secret, clock=clock, sleep=sleep)
        self._sources |= python_sources(config, clock=clock, taken=self._sources)
        self.ingest = Ingest(
            store,
            self._sources,
            {OPENLINEAGE: self._openlineage},
            inbox=config.inbox,
            inbox_bytes=config.inbox_bytes,
            chance=chance,
        )
        self._taking = Taking(
            self.ingest,
            store,
            fetched=frozenset(self._sources),
            logs=frozenset({OPENLINEAGE}),
            most=config.inbox,
            most_bytes=config.inbox_bytes,
        )
        self._background = Background(
            self.ingest,
            self._sources,
            now=clock,
            standings=self._standings,
            tidy=store.tidy,
            follow=store.follow_rules,
            drop_some=self._drop_some,
            pace=pace,
        )

    # ── Opening and closing ──────────────────────────────────────────────────────────────────

    @classmethod
    @contextlib.contextmanager
    def open(
        cls,
        config: Config,
        *,
        writable: bool = True,
        clock: Callable[[], Instant] = clock_now,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], None] = time.sleep,
        pace: Pace = PACE,
    ) -> Iterator[Lineal]:
        """
        Open an installation and close it at the end of the block.

        *sleep* lets seconds go by on *clock*: by it, questions to sources are paced.

        Raises:
            ConfigError, ShapeError, RuleError, SourceSpecError: a file or setting is wrong.
            StoreError: the database cannot be used.
        """
        shapes = Shapes.load(*config.shapes) if config.shapes else Shapes.builtin()
        platforms = platforms_of(config)
        plans = [
            load(path, variables=config.variables, shapes=shapes, platforms=platforms)
            for path in source_files(config.sources)
        ]
        rules = rules_of(config.rules, shapes)
        store = Store(
            config.db,
            shapes=shapes,
            writable=writable,
            now=clock,
            rules=[PartsFollow(shapes.level_kinds), RuleBook(rules, shapes)],
            describe=describing(shapes),
        )
        try:
            lineal = cls(
                config,
                store,
                plans,
                rules=rules,
                clock=clock,
                chance=chance,
                sleep=sleep,
                pace=pace,
            )
        except BaseException:
            store.close()
            raise
        try:
            if writable and lineal.sources:
                store.register(registered(lineal.sources.values()))
            yield lineal
        finally:
            lineal.close()

    def close(self) -> None:
        """Stop working and close what is open; what hangs is waited for no longer than `ENDING`."""
        until = time.monotonic() + ENDING
        self.stop(until)
        self.ingest.close(until)
        self.store.close()

    @property
    def shapes(self) -> Shapes:
        """The types and kinds of this installation."""
        return self.store.shapes

    @property
    def listened(self) -> frozenset[str]:
        """The names of all sources whose events are understood."""
        return frozenset(self._sources) | {OPENLINEAGE}

    @property
    def sources(self) -> Mapping[str, FetchedSource]:
        """The tools that are asked, by name."""
        return self._sources

    def secret(self, reference: str) -> str:
        """Look up ``env:NAME`` or ``file:PATH``; raises `ConfigError`."""
        return secret_in(self.config.variables, reference)

    # ── Events ───────────────────────────────────────────────────────────────────────────────

    def receive(self, source: str | None, events: Sequence[Mapping[str, Json]]) -> int:
        """Keep events durably; raises `InvalidEvent`, `Overloaded`, and then keeps none of them."""
        return self.ingest.receive(source, events)

    def receive_each(self, events: Sequence[Told | Unread]) -> Receipt:
        """
        Keep the events of a batch that make sense, whoever they are of; the others are refused.

        Raises:
            Overloaded: too much waits already; none was kept.
        """
        read: list[tuple[int, tuple[str | None, Mapping[str, Json]]]] = []
        refused: list[tuple[int, str]] = []
        for place, told in enumerate(events):
            if isinstance(told, Unread):
                refused.append((place, told.reason))
                continue
            source = told.source if told.source in self.listened else None
            read.append((place, (source, self._taking.worded(source, told))))
        outcomes = self.ingest.receive_each([one for _, one in read])
        refused += [
            (place, str(error))
            for (place, _), error in zip(read, outcomes, strict=True)
            if error is not None
        ]
        return Receipt(len(events) - len(refused), tuple(sorted(refused)))

    def take(self, door: str, items: Sequence[Told | Unread]) -> Taken:
        """
        Keep what messages of a bus say, durably: in the inbox, or among the dead letters.

        Raises:
            LinealError: nothing more can be kept for now; the same may be given again.
        """
        taken = self._taking.take(door, items)
        self.ingest.stir()
        return taken

    def worded(self, source: str | None, told: Iterable[Told]) -> list[Mapping[str, Json]]:
        """Return events as their source sees them, out of the envelopes they came in."""
        return [self._taking.worded(source, one) for one in told]

    def receive_log(self, events: Sequence[Mapping[str, Json]]) -> Receipt:
        """
        Keep OpenLineage events durably; those that are invalid are refused one by one.

        Raises `Overloaded` where so many wait to be worked on that none was kept.
        """
        outcomes = self.ingest.receive_log(OPENLINEAGE, events)
        refused = tuple(
            (index, str(error)) for index, error in enumerate(outcomes) if error is not None
        )
        return Receipt(len(outcomes) - len(refused), refused)

    def drain(self, *, timeout: float = 60.0, progress: Progress | None = None) -> Drained:
        """Work until nothing is due, at most *timeout* seconds; tell how much is left."""
        until, tally, done = time.monotonic() + timeout, Tally(), 0
        told = 0.0
        while time.monotonic() < until:
            step = self.ingest.turn(tally)
            done += step
            if progress is not None and time.monotonic() - told >= 0.2:
                told, fetched = time.monotonic(), sum(tally.documents.values())
                progress(fetched, fetched + self._left(), "fetched")
            if step == 0 and not self.store.follow_rules():
                if not self.ingest.is_busy:
                    return Drained(done, dict(tally.documents), complete=True)
                self.ingest.rest(0.05)
        return Drained(done, dict(tally.documents), complete=False)

    def _left(self) -> int:
        with self.store.looking() as driver:
            return work.count_dirty(driver)

    def sweep(self, source: str, *, progress: Progress | None = None) -> Swept:
        """List everything that a source has and mark what differs."""
        return self.ingest.sweep(source, progress)

    def rebuild(self, source: str, *, progress: Progress | None = None) -> tuple[Rebuilt, Tally]:
        """Word every document of a source anew from what was kept of it, without asking it."""
        tally = Tally()
        rebuilt = self.ingest.rebuild(source, tally, progress)
        self.ingest.stir()
        return rebuilt, tally

    def sweep_soon(self, source: str) -> None:
        """List a source in the background, as soon as can be; raises `NotFound`."""
        if source not in self._sources:
            raise NotFound(
                f"There is no source {source!r} that can be swept.",
                fix=f"Sources are {', '.join(sorted(self._sources)) or 'none'}.",
            )
        self._background.sweep_soon(source)

    def release(self, source: str, *, actor: str, reason: str) -> int:
        """Let the removals go that are held back of a source; return how many."""
        released = self.ingest.release(source, actor=actor, reason=reason)
        self.ingest.stir()
        return released

    # ── Working in the background ────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin to keep up with the sources in the background."""
        self._background.start()
        if self.config.index:
            # Brings in NumPy, which only a server needs.
            from lineal.query.index import Index  # noqa: PLC0415

            place = self.config.db
            file = place.with_name(f"{place.name}.index") if isinstance(place, Path) else None
            self.ask.index = Index(self.store, file=file)
            self.ask.index.start()

    def stop(self, until: float | None = None) -> None:
        """Stop the background work after the turn that is being done; wait for it until then."""
        self._background.stop(until)
        if self.ask.index is not None:
            self.ask.index.stop(until)
            self.ask.index = None

    # ── Imports ──────────────────────────────────────────────────────────────────────────────

    def import_openlineage(
        self, paths: Iterable[Path], *, progress: Progress | None = None
    ) -> Imported:
        """Read OpenLineage events from files and folders, and take in what they say."""
        tally, where = Tally(), list[tuple[str, int]]()
        outcomes = self.ingest.take_log(OPENLINEAGE, self._events(read_paths(paths), where, tally))
        for index, error in enumerate(outcomes):
            if error is not None:
                file, at = where[index]
                tally.refused.append(Refused(file, at, str(error)))
            if progress is not None:
                progress(index + 1, None, "events")
        while self.ingest.turn(tally) or self.ingest.is_busy:
            if progress is not None:
                progress(sum(tally.documents.values()), None, "documents")
        return self._imported(tally)

    def _events(
        self,
        items: Iterable[tuple[Path, int, Mapping[str, Json]] | Refused],
        where: list[tuple[str, int]],
        tally: Tally,
    ) -> Iterator[Mapping[str, Json]]:
        """Hand on the events, and remember where each was read."""
        for item in items:
            tally.read += 1
            if isinstance(item, Refused):
                tally.refused.append(item)
                continue
            file, index, event = item
            where.append((str(file), index))
            yield event

    def import_dbt(
        self,
        paths: Iterable[Path],
        *,
        namespace: str | None = None,
        repository: str | None = None,
        unfit: Mapping[str, str] | None = None,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """
        Read dbt's artifacts from files and folders, and take in what they say.

        *unfit* says what becomes of what does not fit: of each sort (``values``, ``attributes``,
        ``edges``, ``fields``) whether it is ``store``, ``quarantine`` or ``reject``.
        """
        tally = Tally()
        snapshots = dbt.read(
            paths,
            platforms=self._platforms,
            namespace=namespace,
            repository=repository,
            observed_at=self._clock(),
        )
        for snapshot in snapshots:
            items: list[Record | Refused] = [*snapshot.records, *snapshot.refused]
            told = Snapshot(
                snapshot.source,
                items,
                cause=f"import dbt {snapshot.prefix}",
                scope=snapshot.prefix if snapshot.complete else None,
                said_at=snapshot.said_at,
                along=snapshot.along,
                unfit=unfit or {},
            )
            self.ingest.snapshot(told, tally, removing=removing, progress=progress)
        return self._imported(tally)

    def import_datahub(
        self,
        paths: Iterable[Path],
        *,
        unfit: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> Imported:
        """Read DataHub's proposals from files and folders; *unfit* as for `import_dbt`."""
        tally = Tally()
        told = Snapshot(
            datahub.SOURCE,
            datahub.read(paths, platforms=self._platforms, observed_at=self._clock()),
            cause="import datahub",
            scope=None,
            unfit=unfit or {},
        )
        self.ingest.snapshot(told, tally, progress=progress)
        return self._imported(tally)

    def import_files(
        self,
        spec: Path,
        root: Path,
        *,
        unfit: Mapping[str, str] | None = None,
        removing: bool = False,
        progress: Progress | None = None,
    ) -> Imported:
        """
        Read files as a declared source says, and take in what they say.

        *unfit* as for `import_dbt`; of the sorts that it does not name, the source's file says.
        """
        plan = load(
            spec, variables=self.config.variables, shapes=self.shapes, platforms=self._platforms
        )
        source, tally = FileSource(plan, clock=self._clock), Tally()
        told = Snapshot(
            source.name,
            source.told(root),
            cause=f"import {spec.name}",
            scope="",
            unfit={**source.unfit, **(unfit or {})},
        )
        self.ingest.snapshot(told, tally, removing=removing, progress=progress)
        return self._imported(tally)

    def _imported(self, tally: Tally) -> Imported:
        self.ruling.follow()
        self.store.tidy()
        things = self.ask.counts(LOCAL).value
        return Imported(
            tally.read,
            dict(tally.documents),
            tally.begun,
            tally.ended,
            things,
            tuple(tally.refused),
            tally.held,
        )

    def switch_rule(self, name: str, *, enabled: bool, actor: str, reason: str = "") -> bool:
        """Let a rule conclude, or withdraw all of it, soon; tell whether that is new."""
        changed = self.ruling.switch(name, enabled=enabled, actor=actor, reason=reason)
        self.ingest.stir()
        return changed

    # ── One thing under many names ───────────────────────────────────────────────────────────

    def merge(
        self, one: Uri, other: Uri, *, reason: str, actor: str, across_environments: bool = False
    ) -> int:
        """
        Say for a person that two names are one thing; return the transaction.

        Raises:
            Invalid: they are one already, of two types, or of two environments.
        """
        preview = self.ask.preview_merge(LOCAL, one, other, across_environments=across_environments)
        return self._decide("merge", preview.value, reason, actor)

    def split(self, one: Uri, other: Uri | None = None, *, reason: str, actor: str) -> int:
        """
        Say for a person that a name is not the other, or none that it is joined to.

        Raises:
            Invalid: they are not one, or would stay one by other names; the message names these.
        """
        return self._decide("split", self.ask.preview_split(LOCAL, one, other).value, reason, actor)

    def _decide(self, deed: str, preview: Preview, reason: str, actor: str) -> int:
        if preview.refusals:
            raise Invalid(preview.refusals[0])
        at = self._clock()
        words = [
            decision(each.one, each.other, each.kind, reason=reason, actor=actor, at=at)
            for each in preview.decisions
        ]
        done = self.store.commit(Batch(words, actor, f"{deed}: {reason}" if reason else deed))
        if done.t is None:
            raise Invalid("Somebody did the same meanwhile.", fix="Look at it again.")
        return done.t

    # ── Forgetting ───────────────────────────────────────────────────────────────────────────

    def losing(self, uri: Uri) -> Losing:
        """Return what an excision of a thing would take; raises `NotFound`."""
        said = self.ask.get(LOCAL, uri).value.said
        edges = self.ask.neighbours(LOCAL, uri, limit=0).total or 0
        return Losing(uri, len(said), edges)

    def excise(self, uris: Sequence[Uri], *, reason: str, actor: str) -> Forgotten:
        """Remove every value that was ever kept of these; raises `NotFound`, `Invalid`."""
        if not reason.strip():
            raise Invalid("An excision needs a reason.", fix="Say it by --reason: it is kept.")
        return self.store.excise(uris, reason=reason, actor=actor)

    def policy(self, types: Iterable[str], age: Instant, keep: int) -> Policy:
        """Return which occurrences are old now: what last changed longer ago than *age*."""
        return Policy(frozenset(types), self._clock() - age, keep)

    def droppable(self, policy: Policy) -> tuple[int, int]:
        """Return how many occurrences a policy would drop, and how many as old are needed."""
        return self.store.droppable(policy)

    def drop_old(self, policy: Policy, *, actor: str) -> Iterator[Forgotten]:
        """Drop what a policy lets go, a bounded batch at a time."""
        more = True
        while more:
            done = self.store.drop(policy, actor=actor)
            more = done.more
            yield done

    def _drop_some(self) -> None:
        """Apply the configured retention once, in a moment in which nothing else is due."""
        for kind, (age, keep) in self.config.retention.items():
            done = self.store.drop(self.policy([kind], age, keep), actor="retention")
            if done.things:
                log.info("old occurrences dropped", type=kind, count=len(done.things), t=done.t)

    # ── How it stands ────────────────────────────────────────────────────────────────────────

    def health(self) -> list[SourceHealth]:
        """Return how each source stands."""
        with self.store.looking() as driver:
            return work.health(driver)

    def standings(self) -> Standings:
        """Return how the installation stands: its sources, and the promises that are broken."""
        limits = self.config.inbox, self.config.inbox_bytes
        return standings(self.store, self._sources, self._background, limits)

    def broken_promises(self) -> tuple[Broken, ...]:
        """Return which promises are not kept just now."""
        return broken_promises(self.store, self._sources, self._background)

    def replay(
        self, *, ids: Sequence[int] | None = None, source: str | None = None, actor: str
    ) -> Replayed:
        """Take up dead letters again, as they are: these, all of a source, or all."""
        left, of = self.ingest.replay(ids=ids, source=source, actor=actor)
        return Replayed(left, of - left)

    def purge(
        self,
        *,
        ids: Sequence[int] | None = None,
        source: str | None = None,
        actor: str,
        reason: str,
    ) -> int:
        """Throw dead letters away for good, and keep who did so and why; return how many."""
        if not reason.strip():
            raise Invalid("A purge needs a reason.", fix="Say it by --reason: it is kept.")
        return self.ingest.purge(ids=ids, source=source, actor=actor, reason=reason)

    def deeds(self, limit: int = 100) -> list[Deed]:
        """Return what people did about sources and dead letters, newest first."""
        with self.store.looking() as driver:
            return work.deeds(driver, limit)

    def findings(self, source: str) -> list[Counted]:
        """Return what of a source's documents does not fit, the most frequent first."""
        with self.store.looking() as driver:
            return work.count_findings(driver, source)

    def _standings(self) -> Mapping[str, Standing]:
        with self.store.looking() as driver:
            return work.standings(driver)

    def dead_letters(self, limit: int = 100, *, source: str | None = None) -> list[DeadLetter]:
        """Return what could not be taken in, newest first; of one source, or of all."""
        with self.store.looking() as driver:
            return work.dead_letters(driver, limit, source=source)

    def dead_letter(self, number: int) -> DeadLetter:
        """Return a dead letter; raises `NotFound`."""
        with self.store.looking() as driver:
            found = work.dead_letter(driver, number)
        if found is None:
            raise NotFound(
                f"There is no dead letter {number}.", fix="It may have been replayed or purged."
            )
        return found
