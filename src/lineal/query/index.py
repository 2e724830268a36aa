"""The lineage index: the engine's arrays at a basis, kept up with the store.

It is derived: built from the store in bulk, brought to the basis of a question by the store's feed,
built anew when that has a gap. What it cannot answer exactly as the store would, the store answers.
Not to be in the index never means not to exist. It is of whoever asks: what it keeps is read by a
reader of all layers that leaves nothing unread (`Reader.whole`), whatever who asks may read.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import structlog

from lineal.lineage import Graph, Way, newest
from lineal.lineage.engine.adjacency import Ints
from lineal.lineage.engine.claims import Numbers
from lineal.lineage.engine.columns import Unsound
from lineal.lineage.engine.held import Held
from lineal.lineage.engine.then import Then
from lineal.lineage.engine.thinning import Rule
from lineal.lineage.engine.walkgraph import Reach, WalkGraph
from lineal.model import Budget, Instant, Moment, Viewer
from lineal.query import keeping
from lineal.query.keeping import Standing, built
from lineal.query.moments import Compiled, Key
from lineal.query.traits import Known
from lineal.store import Reader, Store

log = structlog.get_logger("lineal")

#: What walks at a moment stand on: the rows, the graph, who has which names, what has changed.
_At: TypeAlias = tuple[
    Compiled, Held, Mapping[int, frozenset[int]], Collection[int]
]  # fmt: skip
#: Who reads for the index.
_INDEX = Viewer("index")
#: How much memory its arrays may take, in bytes, unless something else is said.
MEMORY = 4 << 30
#: How long ago (microseconds) what ended is held: questions about older moments are the store's.
PAST = 90 * 86_400_000_000
#: From how many changed things on it is built anew in the background.
FOLD = 5_000
#: Up to how many claims a moment in the past is compiled when it is first asked about.
QUICK = 20_000


class Index:
    """
    Answers walks of now from memory, where it stands at the basis that is asked for.

    One for a store and process; several threads may ask.
    """

    def __init__(
        self,
        store: Store,
        *,
        file: Path | None = None,
        memory: int = MEMORY,
        fold: int = FOLD,
        rule: Rule | None = None,
        past: Instant = PAST,
    ) -> None:
        """
        *file*: where it is kept, so that the next process need not build it.

        *rule*: which occurrences are held where there are very many; *past*: how long ago what
        ended is held.
        """
        self._store, self._shapes, self._file = store, store.shapes, file
        self._memory, self._fold, self._rule = memory, fold, Rule() if rule is None else rule
        self._past = past
        self._lock = threading.Lock()
        self._standing: Standing | None = None
        self._refused = False
        #: Must it be built anew? Which moments are to be compiled? Is there anything to do?
        self._due = threading.Event()
        self._moments: deque[Key] = deque()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        #: How often it was built, found a gap, left a walk to the store, was asked about the past,
        #: and walked over rows that were made anew, or over rows of a moment in the past.
        self.builds = self.gaps = self.left = self.then = self.over = self.back = 0
        #: Up to which transaction it is known that nothing old was dropped since it was built.
        self._kept = 0

    # ── Its life ─────────────────────────────────────────────────────────────────────────────

    def build(self) -> bool:
        """Build it from the store; False where it would take more memory than it may."""
        with self._store.read(_INDEX) as reader:
            standing = built(reader, self._shapes, self._memory, self._rule, self._past)
        with self._lock:
            self._refused = standing is None
            known = self._standing
            if known is None or standing is None or standing.t >= known.built:
                self._standing = standing
            self.builds += 1
        if standing is not None and self._file is not None:
            with self._store.read(_INDEX) as reader:
                keeping.keep(self._file, standing, reader, self._shapes)
        return standing is not None

    def recall(self) -> bool:
        """
        Take it from its file; False where there is none of this very database.

        Of the file is looked at what is read, until it is looked through (`settle`).
        """
        if self._file is None:
            return False
        with self._store.read(_INDEX) as reader:
            standing = keeping.recalled(self._file, reader, self._shapes, self._memory)
        with self._lock:
            if self._standing is None:
                self._standing = standing
        return standing is not None

    def settle(self) -> bool:
        """
        Look through the file that it was taken from, so that the quickest kernel may walk.

        False where it is damaged, or there is no index: then it is built anew.
        """
        with self._lock:
            standing = self._standing
        if standing is None:
            return False
        # What takes long is done once, and while others may ask.
        keeping.settled(standing, self._shapes)
        with self._lock:
            if self._standing is not None:
                self._standing = keeping.settled(self._standing, self._shapes)
            if self._standing is None:
                self._ask_to_build()
            return self._standing is not None

    def unsound(self) -> None:
        """Forget what a damaged file held."""
        log.warning("the file of the lineage index is damaged: it is built anew")
        with self._lock:
            self._standing = None
            self._ask_to_build()

    def start(self) -> None:
        """Build it in the background, and again whenever much has changed."""
        if self._thread is None:
            self._stopping.clear()
            if not self.recall():
                self._due.set()
            self._thread = threading.Thread(target=self._work, name="index", daemon=True)
            self._thread.start()

    def stop(self, until: float | None = None) -> None:
        """Stop the background work; wait for it until then, by the steady clock."""
        if self._thread is not None:
            self._stopping.set()
            self._wake.set()
            self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
            self._thread = None

    def _ask_to_build(self) -> None:
        self._due.set()
        self._wake.set()

    def _warm(self) -> None:
        """Let the kernel be imported and compiled now, and not in the first question."""
        standing = self._standing
        if standing is not None:
            for graph in standing.graphs:
                graph.walk([0], Way(upstream=False, logical=graph.logical), Budget())
            for kinds in (("owned_by",), ("in_domain",), self._shapes.level_kinds):
                standing.shelves.ends(kinds)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                self._wake.clear()
                if self._due.is_set():
                    self._due.clear()
                    self.build()
                if self.settle():
                    self._warm()
                    self._compile_asked()
            except Exception:
                # The store answers meanwhile; the next question that finds it missing asks again.
                log.exception("the lineage index could not be built")
            self._wake.wait()

    # ── What is asked of it ──────────────────────────────────────────────────────────────────

    def graph(self, reader: Reader) -> Graph:
        """Return the graph at a reader's moment: from memory, where it stands there."""
        try:
            standing = self._at(reader)
            if standing is not None:
                return Held(standing.shelves, reader, standing.changed)
            return self._graph_then(reader) or reader
        except Unsound:
            self.unsound()
            return reader

    def _graph_then(self, reader: Reader) -> Graph | None:
        """Return the graph at a moment in the past, or at an older snapshot; None if too old."""
        past = self._past_of(reader)
        if past is None:
            return None
        self.then += 1
        return past.held(reader)

    def _past_of(self, reader: Reader) -> _Past | None:
        """Return what is held of a moment in the past; None where the store must be asked."""
        basis = reader.basis
        with self._lock:
            standing = self._standing
        ended = None if standing is None else standing.shelves.ended
        if standing is None or ended is None or not ended.past.within(basis.t, basis.valid_at):
            return None
        kept = max(standing.built, self._kept)
        if not 0 < basis.published <= kept:
            last, dropped = reader.forgot(kept)
            if dropped:
                return None
            self._kept = last
        things, claims = set[int](), frozenset[tuple[int, str, int]]()
        if basis.t > standing.built:
            changes = reader.changes(standing.built)
            if changes is None:
                return None
            claims = changes.claims
            things |= changes.things | {end for src, _, dst in claims for end in (src, dst)}
        then = Then(standing.shelves, ended, basis.t, basis.valid_at)
        names = standing.moments.names(then, standing.shelves.members)
        return _Past(standing, then, names, things, claims)

    def reach(
        self, reader: Reader, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        """
        Return what some things lead to, and what gives all names of a thing reached.

        None where the index does not know, or a limit was hit: then the walk itself tells.
        """
        try:
            return self._reached(reader, starts, way, budget)
        except Unsound:
            self.unsound()
            return None

    def known(self, reader: Reader) -> Known | None:
        """Return what things are counted by at a reader's moment; None where it is not known."""
        standing = self._at(reader)
        if standing is None:
            return None
        return Known(standing.shelves, standing.traits, standing.changed)

    def _reached(
        self, reader: Reader, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        standing = self._at(reader)
        if standing is not None:
            at = 0 if way.logical else 1
            compiled = Compiled(standing.graphs[at], standing.spoiled[at], standing.overlays[at])
            held = Held(standing.shelves, reader.whole, standing.changed)
            at_now = compiled, held, standing.shelves.members, standing.changed
            return self._reach(at_now, starts, way, budget)
        # A snapshot that commits have overtaken is not asked about again.
        past = None if reader.basis.is_now else self._past_of(reader)
        then = None if past is None else self._compiled(past, reader, logical=way.logical)
        if past is None or then is None:
            return None
        at_then = then, past.held(reader.whole), past.names, past.things
        found = self._reach(at_then, starts, way, budget)
        self.back += found is not None
        return found

    def _reach(
        self, at: _At, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        """Walk over compiled rows of a moment; over those made anew, where it must be."""
        (graph, spoiled, overlay), held, members, changed = at
        numbers = graph.numbers.of(starts)
        if numbers.size < len(set(starts)):
            return self._over(at, starts, way, budget)
        if not graph.knows(numbers.tolist()):
            return None
        with overlay.view(upstream=way.upstream) as view:
            begun = view.graph.begin(numbers.tolist())
            moved = view.graph is not graph and overlay.moved(begun)
            found = None if moved else view.graph.walk_from(begun, way, budget)
            if found is not None and (found.why or spoiled.everything):
                self.left += 1
                return None
            if found is not None and view.flags[found.things].any():
                found = None
            if found is not None:
                found = replace(found, things=view.keys(found.things))
        if found is None:
            return self._over(at, starts, way, budget)
        if view.graph is graph:
            return found, lambda key: members.get(key, frozenset((key,)))
        self.over += 1
        return found, _Names(graph.numbers, members, changed, held, found.things)

    def _over(
        self, at: _At, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        """Walk from what is new, or where something changed: over rows that are made anew."""
        (graph, _, overlay), held, members, changed = at
        found = None if graph.vague is not None else overlay.walk(held, starts, way, budget)
        if found is None:
            self.left += 1
            return None
        self.over += 1
        return found, _Names(graph.numbers, members, changed, held, found.things)

    # ── The past ─────────────────────────────────────────────────────────────────────────────

    def _compiled(self, past: _Past, reader: Reader, *, logical: bool) -> Compiled | None:
        """Return the compiled graph of a moment; None where it is not there, or not yet."""
        if not logical and past.standing.shelves.picture.partial is not None:
            return None
        key = (past.then.t, past.then.at, logical)
        found = past.standing.moments.get(key)
        if found is not None:
            return found
        often = past.standing.moments.asked(key)
        if len(past.standing.shelves.picture.claims) <= QUICK:
            return self._compile(past, reader, key)
        if often > 1 and self._thread is None:
            return self._compile(past, reader, key)
        if often > 1:
            self._moments.append(key)
            self._wake.set()
        return None

    def _compile(self, past: _Past, reader: Reader, key: Key) -> Compiled | None:
        """Compile the graph of a moment."""
        if past.standing.mapped is not None:
            again = self._past_of(reader) if self.settle() else None
            if again is None:
                return None
            past = again

        def graph() -> tuple[WalkGraph, bool]:
            asked = False

            def told(models: Mapping[int, Collection[int]]) -> Mapping[int, int]:
                nonlocal asked
                asked = asked or bool(models)
                return newest(reader.whole, models)

            made = WalkGraph.of(past.then.picture(told), self._shapes, logical=key[2])
            return made, not asked

        try:
            return past.standing.moments.prepare(
                key, past.then, past.held(reader.whole), (past.things, past.claims), graph
            )
        except OverflowError:
            return None

    def _compile_asked(self) -> None:
        """Compile the graphs of moments that were asked about more than once."""
        while self._moments and not self._stopping.is_set():
            key = self._moments.popleft()
            moment = Moment(known_t=key[0], valid_at=key[1])
            with self._store.read(_INDEX, moment) as reader:
                past = self._past_of(reader)
                if past is not None and past.standing.moments.get(key) is None:
                    self._compile(past, reader, key)

    # ── Following the feed ───────────────────────────────────────────────────────────────────

    def _at(self, reader: Reader) -> Standing | None:
        """Return where the index stands, if that is where the reader does, or can be brought to."""
        basis = reader.basis
        with self._lock:
            standing = self._standing
            if standing is not None and standing.shelves.unsound:
                standing = self._standing = None
            if standing is None:
                if not self._refused:
                    self._ask_to_build()
                return None
            if not basis.is_now or basis.t < standing.t or basis.valid_at < standing.since:
                return None
            standing = self._standing = self._followed(standing, reader)
            if standing is None or len(standing.changed) > self._fold:
                self._ask_to_build()
            return standing

    def _followed(self, standing: Standing, reader: Reader) -> Standing | None:
        """Bring the index to a reader's basis: mark what changed. None: it must be built anew."""
        things, claims = set[int](), set[tuple[int, str, int]]()
        turns, turned, more = standing.turns, standing.turned, list[tuple[int, int, str, int]]()
        if reader.basis.t > standing.t:
            changes = reader.changes(standing.t)
            if changes is None:
                self.gaps += 1
                log.warning("the feed does not tell all: the lineage index is built anew")
                return None
            things |= changes.things
            claims |= changes.claims
            # What was said since may begin or end by itself, too.
            more = reader.turns(things) if things else []
        while turned < len(turns) and turns[turned][0] <= reader.basis.valid_at:
            claims.add(turns[turned][1:])
            turned += 1
        if more:
            turns, turned = tuple(sorted({*turns[turned:], *more})), 0
        things |= {end for src, _, dst in claims for end in (src, dst)}
        if not things:
            return replace(standing, t=reader.basis.t)
        changed = standing.changed | things
        held = Held(standing.shelves, reader.whole, changed)
        try:
            logical, exact = (
                one.after(graph, held, self._shapes, things, claims)
                for one, graph in zip(standing.spoiled, standing.graphs, strict=True)
            )
        except OverflowError as error:
            log.warning("too much has moved: the lineage index is built anew", why=str(error))
            return None
        both = logical, exact
        return replace(
            standing, t=reader.basis.t, turns=turns, turned=turned, changed=changed, spoiled=both,
            overlays=(
                standing.overlays[0].after(both[0], things),
                standing.overlays[1].after(both[1], things),
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Past:
    """What is held of a moment in the past, and what was said of it after the claims were read."""

    standing: Standing
    then: Then
    names: Mapping[int, frozenset[int]]
    things: Collection[int]
    claims: Collection[tuple[int, str, int]]

    def held(self, reader: Reader) -> Held:
        """Return the graph at the moment; what was said of it later is asked of a reader."""
        return Held(self.standing.shelves, reader, self.things, self.then, self.names)


class _Names:
    """All names of a thing reached; asked anew, and when first wanted, where they may be others."""

    def __init__(
        self,
        numbers: Numbers,
        members: Mapping[int, frozenset[int]],
        changed: Collection[int],
        held: Held,
        things: Ints,
    ) -> None:
        self._numbers, self._members, self._changed = numbers, members, changed
        self._held, self._things = held, things
        self._groups: dict[int, frozenset[int]] | None = None

    def __call__(self, key: int) -> frozenset[int]:
        if self._groups is None:
            self._groups = self._held.groups(self._fresh())
        return self._groups.get(key) or self._members.get(key, frozenset((key,)))

    def _fresh(self) -> list[int]:
        things, numbers = self._things, self._numbers
        known = things < numbers.things if numbers.keys is None else np.isin(things, numbers.keys)
        fresh: list[int] = things[~known].tolist()
        fresh += [key for key in things[known].tolist() if self._may_differ(key)]
        return fresh

    def _may_differ(self, key: int) -> bool:
        if key in self._changed:
            return True
        group = self._members.get(key)
        return group is not None and not group.isdisjoint(self._changed)
