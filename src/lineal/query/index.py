"""The lineage index: the engine's arrays at a basis, kept up with the store.

It is derived: built from the store in bulk, brought to the basis of a question by the store's feed,
built anew when that has a gap. What it cannot answer exactly as the store would, the store answers.
Not to be in the index never means not to exist.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import structlog

from lineal.lineage import Graph, Way
from lineal.lineage.engine.adjacency import Ints
from lineal.lineage.engine.held import Held
from lineal.lineage.engine.then import Then
from lineal.lineage.engine.thinning import Rule
from lineal.lineage.engine.walkgraph import Reach
from lineal.model import Budget, Instant, Viewer
from lineal.query import keeping
from lineal.query.keeping import Standing, built, overlays
from lineal.store import Reader, Store

log = structlog.get_logger("lineal")

#: Who reads for the index.
_INDEX = Viewer("index")
#: How much memory its arrays may take, in bytes, unless something else is said.
MEMORY = 4 << 30
#: How long ago (microseconds) what ended is held: questions about older moments are the store's.
PAST = 90 * 86_400_000_000
#: From how many changed things on it is built anew in the background.
FOLD = 5_000


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
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        #: How often it was built, found a gap, left a walk to the store, was asked about the past,
        #: and walked over rows that were made anew.
        self.builds = self.gaps = self.left = self.then = self.over = 0
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
        """Take it from its file; False where there is no sound one of this very database."""
        if self._file is None:
            return False
        with self._store.read(_INDEX) as reader:
            standing = keeping.recalled(self._file, reader, self._shapes, self._memory)
        with self._lock:
            if self._standing is None:
                self._standing = standing
        return standing is not None

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
            self._due.set()
            self._thread.join(None if until is None else max(0.0, until - time.monotonic()))
            self._thread = None

    def _warm(self) -> None:
        """Let the kernel be imported and compiled now, and not in the first question."""
        standing = self._standing
        if standing is not None:
            for graph in standing.graphs:
                graph.walk([0], Way(upstream=False, logical=graph.logical), Budget())

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                if self._due.is_set():
                    self._due.clear()
                    self.build()
                self._warm()
            except Exception:
                # The store answers meanwhile; the next question that finds it missing asks again.
                log.exception("the lineage index could not be built")
            self._due.wait()

    # ── What is asked of it ──────────────────────────────────────────────────────────────────

    def graph(self, reader: Reader) -> Graph:
        """Return the graph at a reader's moment: from memory, where it stands there."""
        standing = self._at(reader)
        if standing is not None:
            return Held(standing.shelves, reader, standing.changed)
        return self._graph_then(reader) or reader

    def _graph_then(self, reader: Reader) -> Graph | None:
        """Return the graph at a moment in the past, or at an older snapshot; None if too old."""
        basis = reader.basis
        with self._lock:
            standing = self._standing
        ended = None if standing is None else standing.shelves.ended
        if standing is None or ended is None or not ended.past.within(basis.t, basis.valid_at):
            return None
        last, dropped = reader.forgot(max(standing.built, self._kept))
        if dropped:
            return None
        self._kept = last
        changed = standing.changed if standing.t >= basis.t else None
        if changed is None:
            changes = reader.changes(standing.built)
            if changes is None:
                return None
            changed = changes.things | {end for src, _, dst in changes.claims for end in (src, dst)}
        then = Then(standing.shelves.picture, ended, basis.t, basis.valid_at)
        self.then += 1
        return Held(standing.shelves, reader, changed, then)

    def reach(
        self, reader: Reader, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        """
        Return what some things lead to, and what gives all names of a thing reached.

        None where the index does not know, or a limit was hit: then the walk itself tells.
        """
        standing = self._at(reader)
        if standing is None:
            return None
        at = 0 if way.logical else 1
        graph, spoiled = standing.graphs[at], standing.spoiled[at]
        numbers = graph.numbers.of(starts)
        if numbers.size < len(set(starts)):
            return self._over(standing, reader, starts, way, budget)
        if not graph.knows(numbers.tolist()):
            return None
        found = graph.walk(numbers.tolist(), way, budget)
        if found.why or spoiled.everything:
            self.left += 1
            return None
        if spoiled.touches(found.things):
            return self._over(standing, reader, starts, way, budget)
        members = standing.shelves.members
        found = replace(found, things=graph.numbers.key(found.things))
        return found, lambda key: members.get(key, frozenset((key,)))

    def _over(
        self, standing: Standing, reader: Reader, starts: Collection[int], way: Way, budget: Budget
    ) -> tuple[Reach, Callable[[int], frozenset[int]]] | None:
        """Walk from what is new, or where something changed: over rows that are made anew."""
        at = 0 if way.logical else 1
        held, found = Held(standing.shelves, reader, standing.changed), None
        if standing.graphs[at].vague is None:
            found = standing.overlays[at].walk(held, starts, way, budget)
        if found is None:
            self.left += 1
            return None
        self.over += 1
        return found, _names(standing, held, found.things)

    def _at(self, reader: Reader) -> Standing | None:
        """Return where the index stands, if that is where the reader does, or can be brought to."""
        basis = reader.basis
        with self._lock:
            standing = self._standing
            if standing is None:
                if not self._refused:
                    self._due.set()
                return None
            if not basis.is_now or basis.t < standing.t or basis.valid_at < standing.since:
                return None
            standing = self._standing = self._followed(standing, reader)
            if standing is None or len(standing.changed) > self._fold:
                self._due.set()
            return standing

    def _followed(self, standing: Standing, reader: Reader) -> Standing | None:
        """Bring the index to a reader's basis: mark what changed. None: it must be built anew."""
        things, claims = set[int](), set[tuple[int, str, int]]()
        if reader.basis.t > standing.t:
            changes = reader.changes(standing.t)
            if changes is None:
                self.gaps += 1
                log.warning("the feed does not tell all: the lineage index is built anew")
                return None
            things |= changes.things
            claims |= changes.claims
        turned = standing.turned
        while turned < len(standing.turns) and standing.turns[turned][0] <= reader.basis.valid_at:
            claims.add(standing.turns[turned][1:])
            turned += 1
        things |= {end for src, _, dst in claims for end in (src, dst)}
        if not things:
            return replace(standing, t=reader.basis.t)
        changed = standing.changed | things
        held = Held(standing.shelves, reader, changed)
        spoiled = [
            one.after(graph, held, self._shapes, things, claims)
            for one, graph in zip(standing.spoiled, standing.graphs, strict=True)
        ]
        both = spoiled[0], spoiled[1]
        return replace(
            standing, t=reader.basis.t, turned=turned, changed=changed, spoiled=both,
            overlays=overlays(standing.graphs, both, self._shapes),
        )  # fmt: skip


def _names(standing: Standing, held: Held, things: Ints) -> Callable[[int], frozenset[int]]:
    """Return what gives all names of a thing reached: asked anew only where they may be others."""
    changed, members = standing.changed, standing.shelves.members
    numbers = standing.shelves.picture.numbers
    known = things < numbers.things if numbers.keys is None else np.isin(things, numbers.keys)
    fresh = things[~known].tolist()
    fresh += [
        key for key in things[known].tolist()
        if key in changed or (key in members and not members[key].isdisjoint(changed))
    ]  # fmt: skip
    groups = held.groups(fresh)
    return lambda key: groups.get(key) or members.get(key, frozenset((key,)))
