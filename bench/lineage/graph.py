"""A seeded ML estate as arrays: who feeds whom, of which kind and layer, and since when.

Projects of lognormal size go from tables over features, feature sets, runs and model versions to
evaluations, deployments, services and cells of experiments; a few platform projects own tables
that all others use, by Zipf's law. Things are numbered by the time of their creation, so that
projects interleave. Beside the edges that a walk follows by default there are some that it must
leave out (control, feedback, suggestions), and edges that have ended: former inputs of the same
consumers. Everything is drawn with NumPy; 10 M things take about a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int32]
Bytes: TypeAlias = NDArray[np.uint8]
Longs: TypeAlias = NDArray[np.int64]

#: Things, by the name of a size.
SIZES = {"XS": 2_000, "S": 10_000, "M": 1_000_000, "L": 10_000_000}
#: What the generator aims at: the sizes of the graph of the project's first measurements.
AIMS = {
    "S": {"edges": 36_250, "typical": 195, "hub": 3_014, "mega": 4_867, "up": 160, "hops": 57},
    "M": {
        "edges": 3_773_987, "typical": 348, "hub": 101_407, "mega": 466_153, "up": 542, "hops": 91,
    },
    "L": {
        "edges": 37_815_070, "typical": 406, "hub": 98_247, "mega": 3_919_487, "up": 452,
        "hops": 107,
    },
}  # fmt: skip
TYPES = (
    "dataset", "feature", "feature-set", "run", "model-version", "evaluation", "deployment",
    "service", "ab-cell",
)  # fmt: skip
#: How much of a project is of which type, in the order in which it comes to be.
_SHARES = (0.38, 0.24, 0.05, 0.13, 0.09, 0.06, 0.025, 0.01, 0.015)
KINDS = (
    "derived_from", "reads", "produced_by", "trained_on", "consumes", "tuned_from", "evaluates",
    "evaluated_on", "deploys", "deployed_on", "served_in", "logs_to", "triggered_by",
)  # fmt: skip
LAYERS = ("declared", "observed", "inferred", "suggested")
STAGES = ("experimental", "production", "staging", "deprecated")
#: Kinds and layers that a walk does not follow unless it is asked to.
NOT_WALKED = ("logs_to", "triggered_by")
NOT_BELIEVED = ("suggested",)
#: The mask of "a mask of kinds": all that data flows through, without what only evaluates.
MASKED_OUT = ("evaluates", "evaluated_on")


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a type gets its inputs: of which kind, from which type, how many, how often shared."""

    consumer: str
    kind: str
    producer: str
    least: int
    most: int
    shared: float = 0.0


_RULES = (
    _Rule("dataset", "derived_from", "dataset", 1, 5, 0.007),
    _Rule("feature", "derived_from", "dataset", 1, 4, 0.030),
    _Rule("feature-set", "derived_from", "feature", 4, 22),
    _Rule("run", "reads", "feature-set", 1, 3),
    _Rule("run", "reads", "dataset", 1, 4, 0.070),
    _Rule("model-version", "produced_by", "run", 1, 1),
    _Rule("model-version", "consumes", "feature", 2, 6),
    _Rule("model-version", "trained_on", "dataset", 1, 2, 0.300),
    _Rule("model-version", "tuned_from", "model-version", 0, 1),
    _Rule("evaluation", "evaluates", "model-version", 1, 1),
    _Rule("evaluation", "evaluated_on", "dataset", 1, 2, 0.500),
    _Rule("deployment", "deploys", "model-version", 1, 3),
    _Rule("service", "deployed_on", "deployment", 2, 3),
    _Rule("ab-cell", "served_in", "model-version", 1, 2),
)
#: One in how many projects is a platform, and how much of its tables all others use.
_PLATFORMS, _SPREAD = 250, 0.5


@dataclass(frozen=True, slots=True)
class Edges:
    """Edges by the flow of data: from, to, the code of kind and layer, and since and until when."""

    starts: Ints
    ends: Ints
    codes: Bytes
    since: Ints
    #: Of ended edges only.
    until: Ints | None = None

    def __len__(self) -> int:
        return len(self.starts)

    def of(self, chosen: NDArray[np.bool_]) -> Edges:
        """Return those that are *chosen*."""
        until = None if self.until is None else self.until[chosen]
        return Edges(
            self.starts[chosen], self.ends[chosen], self.codes[chosen], self.since[chosen], until
        )


@dataclass(frozen=True, slots=True)
class Estate:
    """Things with their type and stage, the edges of now, and those that have ended."""

    seed: int
    types: Bytes
    stages: Bytes
    projects: Ints
    current: Edges
    ended: Edges

    def __len__(self) -> int:
        return len(self.types)

    def walked(self) -> Edges:
        """Return the edges of now that a walk follows by default."""
        return self.current.of(default_mask()[self.current.codes])

    def at(self, moment: int) -> Edges:
        """Return the edges as they were at *moment*."""
        then = self.current.of(self.current.since <= moment)
        assert self.ended.until is not None
        gone = self.ended.of((self.ended.since <= moment) & (self.ended.until > moment))
        return Edges(
            np.concatenate((then.starts, gone.starts)),
            np.concatenate((then.ends, gone.ends)),
            np.concatenate((then.codes, gone.codes)),
            np.concatenate((then.since, gone.since)),
        )

    def younger(self, share: float) -> int:
        """Return the moment after which *share* of the edges of now came to be."""
        return int(np.quantile(self.current.since, 1.0 - share))

    def fresh(self, count: int, hubs: list[int], seed: int = 5) -> Edges:
        """Draw *count* edges that came after all others, a tenth of them at *hubs*, none twice."""
        dice = np.random.default_rng(seed)
        walked = self.walked()
        some = dice.integers(0, len(walked), size=(2, 4 * count))
        # Whatever has inputs may get another one from something older: as new edges do.
        starts = walked.starts[np.sort(some[0])]
        ends = walked.ends[np.sort(some[1])]
        at = dice.permutation(len(starts))[: count // 10]
        starts[at] = dice.choice(np.array(hubs, dtype=np.int32), size=len(at))
        key = np.unique(starts.astype(np.int64) * len(self) + ends)
        there = walked.starts.astype(np.int64) * len(self) + walked.ends
        key = dice.permutation(key[~np.isin(key, there)])
        starts, ends = (key // len(self)).astype(np.int32), (key % len(self)).astype(np.int32)
        older = np.flatnonzero(starts < ends)[:count]
        codes = np.full(len(older), code("derived_from", "declared"), dtype=np.uint8)
        since = np.full(len(older), len(self), dtype=np.int32)
        return Edges(starts[older], ends[older], codes, since)


def code(kind: str, layer: str) -> int:
    """Return kind and layer in one byte."""
    return KINDS.index(kind) * len(LAYERS) + LAYERS.index(layer)


def mask(*, without_kinds: tuple[str, ...], without_layers: tuple[str, ...]) -> NDArray[np.bool_]:
    """Return, for each code, whether an edge of it is followed."""
    allowed = np.zeros(256, dtype=np.bool_)
    for kind in KINDS:
        for layer in LAYERS:
            if kind not in without_kinds and layer not in without_layers:
                allowed[code(kind, layer)] = True
    return allowed


def default_mask() -> NDArray[np.bool_]:
    """Return the mask of the default walk."""
    return mask(without_kinds=NOT_WALKED, without_layers=NOT_BELIEVED)


def kinds_mask() -> NDArray[np.bool_]:
    """Return the mask of a walk that asks for certain kinds."""
    return mask(without_kinds=NOT_WALKED + MASKED_OUT, without_layers=NOT_BELIEVED)


def estate(things: int, *, seed: int = 7) -> Estate:
    """Draw an estate of *things* things."""
    return _Drawing(things, seed).estate()


class _Drawing:
    """The making of one estate, project after project; things get their numbers at the end."""

    def __init__(self, things: int, seed: int) -> None:
        self.seed, self.dice = seed, np.random.default_rng(seed)
        sizes = self._sizes(things)
        self.platforms = max(1, len(sizes) // _PLATFORMS)
        #: For each project and type, how many and where the first one stands.
        bounds = np.floor(np.cumsum((0.0, *_SHARES))[None, :] * sizes[:, None] + 1e-9).astype(
            np.int64
        )
        bounds[:, -1] = sizes
        first = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        self.first = first[:, None] + bounds[:, :-1]
        self.count = np.diff(bounds, axis=1)
        self.project = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        order = np.tile(np.arange(len(TYPES), dtype=np.uint8), len(sizes))
        self.type = np.repeat(order, self.count.ravel())
        self.number = self._numbers(sizes)
        self.hubs, self.weights = self._shared()

    def _sizes(self, things: int) -> Longs:
        found = self.dice.lognormal(6.0, 1.0, size=max(8, things // 60)).astype(np.int64)
        found = np.clip(found, 30, max(60, things // 12))
        whole = np.cumsum(found)
        last = int(np.searchsorted(whole, things))
        found = found[: last + 1]
        found[-1] -= int(whole[last]) - things
        return found[found > 0]

    def _numbers(self, sizes: Longs) -> Ints:
        """Number all things by creation: a project begins somewhere and takes its time."""
        begin = self.dice.random(len(sizes))
        begin[: self.platforms] *= 0.02
        length = 0.02 + 0.2 * self.dice.random(len(sizes))
        place = np.arange(len(self.type)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        moment = begin[self.project] + length[self.project] * place / sizes[self.project]
        number = np.empty(len(moment), dtype=np.int32)
        number[np.argsort(moment, kind="stable")] = np.arange(len(moment), dtype=np.int32)
        return number

    def _shared(self) -> tuple[Longs, NDArray[np.float64]]:
        """Return the tables that all projects use, and the running sum of their weights."""
        counts = (self.count[: self.platforms, 0] * _SPREAD).astype(np.int64) + 1
        firsts = self.first[: self.platforms, 0]
        hubs = np.concatenate([np.arange(at, at + n) for at, n in zip(firsts, counts, strict=True)])
        self.dice.shuffle(hubs)
        return hubs, np.cumsum(1.0 / np.arange(1, len(hubs) + 1))

    def _inputs(self, rule: _Rule) -> tuple[Longs, Longs]:
        """Draw the edges of one rule: producers and consumers."""
        wanted, made = TYPES.index(rule.producer), TYPES.index(rule.consumer)
        who = np.flatnonzero(self.type == made)
        consumers = np.repeat(who, self.dice.integers(rule.least, rule.most + 1, size=len(who)))
        project = self.project[consumers]
        first = self.first[project, wanted]
        room = (consumers if wanted == made else first + self.count[project, wanted]) - first
        producers = first + (self.dice.random(len(consumers)) * room).astype(np.int64)
        there = room > 0
        if rule.shared:
            shares = (self.dice.random(len(consumers)) < rule.shared) & (project >= self.platforms)
            producers[shares] = self._some_shared(int(shares.sum()))
            there |= shares
        return producers[there], consumers[there]

    def _some_shared(self, count: int) -> Longs:
        drawn = self.dice.random(count) * self.weights[-1]
        found: Longs = self.hubs[np.searchsorted(self.weights, drawn)]
        return found

    def _near(self, things: Longs, before: Longs | None = None) -> Longs:
        """Return for each thing one of its project and type, older than *before* if it is alike."""
        project, kind = self.project[things], self.type[things]
        first, room = self.first[project, kind], self.count[project, kind]
        if before is not None:
            alike = (self.project[before] == project) & (self.type[before] == kind)
            room = np.where(alike, before - first, room)
        near: Longs = first + (self.dice.random(len(things)) * room).astype(np.int64)
        return near

    def _extra(self) -> tuple[Longs, Longs, Bytes]:
        """Draw what a walk does not follow: control, feedback and suggestions."""
        runs = np.flatnonzero(self.type == TYPES.index("run"))
        runs = runs[self.dice.random(len(runs)) < 0.6]
        live = np.flatnonzero(self.type == TYPES.index("deployment"))
        logs = self.first[self.project[live], 0] + self.count[self.project[live], 0] - 1
        tables = np.flatnonzero(self.type == 0)
        alike = tables[self.dice.random(len(tables)) < 0.15]
        other = self.dice.permutation(alike)
        observed, declared = code("triggered_by", "observed"), code("logs_to", "declared")
        codes = np.repeat(
            np.array([observed, declared, code("derived_from", "suggested")], dtype=np.uint8),
            [len(runs), len(live), len(alike)],
        )
        starts = np.concatenate((self._near(runs), live, other))
        return starts, np.concatenate((runs, logs, alike)), codes

    def _layers(self, kind: str, count: int) -> Bytes:
        """Draw the layer of each edge: half is declared, most of the rest observed."""
        layers = np.searchsorted((0.5, 0.93), self.dice.random(count)).astype(np.uint8)
        return layers + np.uint8(code(kind, "declared"))

    def estate(self) -> Estate:
        """Draw everything."""
        drawn = [(*self._inputs(rule), rule.kind) for rule in _RULES]
        starts = np.concatenate([one for one, _, _ in drawn])
        ends = np.concatenate([one for _, one, _ in drawn])
        codes = np.concatenate([self._layers(kind, len(one)) for one, _, kind in drawn])
        more_starts, more_ends, more_codes = self._extra()
        former, consumers, former_codes = self._former(starts, ends, codes)
        everything = len(self.type)
        types = np.empty(everything, dtype=np.uint8)
        types[self.number] = self.type
        projects = np.empty(everything, dtype=np.int32)
        projects[self.number] = self.project
        current = self._edges(
            np.concatenate((starts, more_starts)),
            np.concatenate((ends, more_ends)),
            np.concatenate((codes, more_codes)),
        )
        ended = self._edges(former, consumers, former_codes)
        stages = self.dice.integers(0, len(STAGES), size=everything).astype(np.uint8)
        return Estate(self.seed, types, stages, projects, current, self._times(ended, everything))

    def _former(self, starts: Longs, ends: Longs, codes: Bytes) -> tuple[Longs, Longs, Bytes]:
        """Draw inputs that some consumers once had: of the same project and type as today's."""
        some = self.dice.random(len(starts)) < 0.3
        return self._near(starts[some], ends[some]), ends[some], codes[some]

    def _edges(self, starts: Longs, ends: Longs, codes: Bytes) -> Edges:
        """Give things their numbers, each pair once; an edge begins with the later of its two."""
        begin, end = self.number[starts], self.number[ends]
        key = begin.astype(np.int64) * len(self.type) + end
        _, once = np.unique(key, return_index=True)
        once = once[begin[once] != end[once]]
        begin, end = begin[once], end[once]
        return Edges(begin, end, codes[once], np.maximum(begin, end))

    def _times(self, edges: Edges, things: int) -> Edges:
        """Say when ended edges ended: at any moment between their beginning and now."""
        length = self.dice.random(len(edges)) * (things - edges.since)
        until = edges.since + 1 + length.astype(np.int32)
        return Edges(edges.starts, edges.ends, edges.codes, edges.since, until.astype(np.int32))
