"""The lineage index: the engine's arrays at a basis, kept up with the store.

It is derived: built from the store in bulk, brought to the basis of a question by the store's feed,
built anew when that has a gap. What it cannot answer exactly as the store would, the store answers.
Not to be in the index never means not to exist.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import structlog

from lineal.lineage import Graph, Way
from lineal.lineage.engine.held import Held, Shelves
from lineal.lineage.engine.spoiled import Spoiled
from lineal.lineage.engine.walkgraph import Reach, WalkGraph
from lineal.model import Budget, Instant, Viewer
from lineal.shapes import Shapes
from lineal.store import Reader, Store

log = structlog.get_logger("lineal")

#: Who reads for the index.
_INDEX = Viewer("index")
#: How much memory its arrays may take, in bytes, unless something else is said.
MEMORY = 4 << 30
#: From how many changed things on it is built anew in the background.
FOLD = 5_000


@dataclass(frozen=True, slots=True)
class _Standing:
    """The arrays at one transaction, and what has changed since, up to another."""

    built: int
    shelves: Shelves
    graphs: tuple[WalkGraph, WalkGraph]
    #: The claims that begin or end to be so by themselves, the next one first.
    turns: tuple[tuple[Instant, int, str, int], ...]
    since: Instant
    #: How far the feed was followed, and up to which instant the turns.
    t: int
    turned: int
    changed: frozenset[int]
    spoiled: tuple[Spoiled, Spoiled]

    @property
    def nbytes(self) -> int:
        """How much memory the arrays take."""
        rows = sum(graph.nbytes for graph in self.graphs)
        return self.shelves.nbytes + rows


class Index:
    """
    Answers walks of now from memory, where it stands at the basis that is asked for.

    One for a store and process; several threads may ask.
    """

    def __init__(self, store: Store, *, memory: int = MEMORY, fold: int = FOLD) -> None:
        self._store, self._shapes = store, store.shapes
        self._memory, self._fold = memory, fold
        self._lock = threading.Lock()
        self._standing: _Standing | None = None
        self._refused = False
        self._due = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        #: How often it was built, found a gap, and left a walk to the store.
        self.builds = self.gaps = self.left = 0

    # ── Its life ─────────────────────────────────────────────────────────────────────────────

    def build(self) -> bool:
        """Build it from the store; False where it would take more memory than it may."""
        with self._store.read(_INDEX) as reader:
            standing = _built(reader, self._shapes, self._memory)
        with self._lock:
            self._refused = standing is None
            known = self._standing
            if known is None or standing is None or standing.t >= known.built:
                self._standing = standing
            self.builds += 1
        return standing is not None

    def start(self) -> None:
        """Build it in the background, and again whenever much has changed."""
        if self._thread is None:
            self._stopping.clear()
            self._due.set()
            self._thread = threading.Thread(target=self._work, name="index", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop the background work."""
        if self._thread is not None:
            self._stopping.set()
            self._due.set()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while True:
            self._due.wait()
            self._due.clear()
            if self._stopping.is_set():
                return
            try:
                self.build()
            except Exception:
                # The store answers meanwhile; the next question that finds it missing asks again.
                log.exception("the lineage index could not be built")

    # ── What is asked of it ──────────────────────────────────────────────────────────────────

    def graph(self, reader: Reader) -> Graph:
        """Return the graph at a reader's moment: from memory, where it stands there."""
        standing = self._at(reader)
        return reader if standing is None else Held(standing.shelves, reader, standing.changed)

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
        if not graph.knows(starts):
            return None
        found = graph.walk(starts, way, budget)
        if found.why or spoiled.touches(found.things):
            self.left += 1
            return None
        members = standing.shelves.members
        return found, lambda key: members.get(key, frozenset((key,)))

    def _at(self, reader: Reader) -> _Standing | None:
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

    def _followed(self, standing: _Standing, reader: Reader) -> _Standing | None:
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
        return replace(
            standing, t=reader.basis.t, turned=turned, changed=changed,
            spoiled=(spoiled[0], spoiled[1]),
        )  # fmt: skip


def _built(reader: Reader, shapes: Shapes, memory: int) -> _Standing | None:
    """Read the store at a reader's moment; None where the arrays would be too large."""
    try:
        picture = reader.picture(shapes, timed=True)
        shelves = Shelves(picture)
        if shelves.nbytes > memory:
            raise OverflowError(f"It would take {shelves.nbytes} bytes and more.")
        logical = WalkGraph.of(picture, shapes, logical=True)
        graphs = (logical, WalkGraph.of(picture, shapes, logical=False))
    except OverflowError as error:
        log.warning("walks go through the store", why=str(error))
        return None
    basis = reader.basis
    standing = _Standing(
        basis.t, shelves, graphs, tuple(reader.turns()), basis.valid_at, basis.t, 0, frozenset(),
        (Spoiled.none(graphs[0]), Spoiled.none(graphs[1])),
    )  # fmt: skip
    if standing.nbytes > memory:
        log.warning("walks go through the store", why=f"It takes {standing.nbytes} bytes.")
        return None
    return standing
