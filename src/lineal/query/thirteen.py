"""The thirteen questions of ``docs/explanation/questions.md``, each asked of keys.

Answers are of things under the name that stands for them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace

from lineal.errors import InvalidQuery
from lineal.lineage import Walk, active_versions
from lineal.model import Cut
from lineal.query.reaching import live_things, of_types, reached
from lineal.query.things import Brief, Things
from lineal.query.walks import COMPILED, Ask, compiled_of, go

#: What Q13 looks at: what can be retired.
RETIRABLE = ("dataset", "feature", "feature-set", "model")


@dataclass(frozen=True, slots=True)
class Feeds:
    """Features, and the data sets that can feed them (Q1)."""

    features: tuple[Brief, ...]
    data_sets: tuple[Brief, ...]


@dataclass(frozen=True, slots=True, order=True)
class Trial:
    """An A/B test and a model version, and how they are joined (Q5, Q6)."""

    test: Brief
    version: Brief
    #: ``served``: a cell serves it now; ``trained``: a run for one of its cells trained it.
    how: str
    running: bool


@dataclass(frozen=True, slots=True, order=True)
class Consumer:
    """A model that consumes a feature, and the teams that own it (Q8)."""

    model: Brief
    teams: tuple[Brief, ...]


@dataclass(frozen=True, slots=True, order=True)
class Sharer:
    """A model that shares features with another (Q9)."""

    model: Brief
    features: tuple[Brief, ...]


@dataclass(frozen=True, slots=True, order=True)
class Owned:
    """A thing and who owns it (Q12)."""

    thing: Brief
    owners: tuple[Brief, ...]


class Thirteen:
    """The questions, over one reader."""

    def __init__(self, things: Things, ask: Ask) -> None:
        self._things, self._reader, self._ask = things, things.reader, ask
        self.why: list[Cut] = []

    # ── Features and data ────────────────────────────────────────────────────────────────────

    def features(self, key: int) -> list[int]:
        """Which features does a model (by its active versions) or a version consume?"""
        kind = self._type(key)
        if kind not in ("model", "model-version"):
            raise InvalidQuery(f"A {kind} consumes no features.", fix="Ask of a model or version.")
        consumers = self._group([key])
        if kind == "model":
            consumers |= {v for some in active_versions(self._reader, [key]).values() for v in some}
        return self._opened({link.dst for link in self._reader.outward(consumers, ("consumes",))})

    def _opened(self, keys: Collection[int]) -> list[int]:
        """Open services to what they serve, and sets to their features."""
        served = {link.dst for link in self._reader.outward(keys, ("serves",))}
        every = set(keys) | served
        inside = {link.src for link in self._reader.inward(every, ("in_set",))}
        uris = self._reader.uris(every | inside)
        return self._things.unique([k for k in every | inside if uris[k].type == "feature"])

    def feeds(self, key: int) -> Feeds:
        """Q1: the features of a model, and the data sets upstream of them."""
        features = self.features(key)
        return Feeds(self._briefs(features), self._briefs(self._upstream_data(features)))

    def data_behind(self, key: int) -> tuple[Brief, ...]:
        """Q3: the data sets upstream of a feature, or of a model's features."""
        model = self._type(key) in ("model", "model-version")
        starts = self.features(key) if model else [key]
        return self._briefs(self._upstream_data(starts))

    def _upstream_data(self, keys: Collection[int]) -> list[int]:
        if not keys:
            return []
        return self._of_type(keys, "dataset", upstream=True)

    # ── Pipelines ────────────────────────────────────────────────────────────────────────────

    def data_pipelines(self, key: int) -> tuple[Brief, ...]:
        """Q2: the pipelines that write data which is upstream of a model or version."""
        walked = self._walk([key], upstream=True, ask=self._ask)
        written = {
            step.end
            for step in walked.steps.values()
            if step.kind == "produced_by"
            and self._type(step.edge[0]) in ("dataset", "dataset-version", "feature-set", "feature")
        }
        runs = [at for at in written if self._type(at) == "run"]
        pipelines = {link.dst for link in self._reader.outward(runs, ("run_of",))}
        pipelines |= {at for at in written if self._type(at) == "pipeline"}
        return self._briefs(self._things.unique(pipelines))

    def data_under(self, key: int) -> tuple[Brief, ...]:
        """Q10: the data sets that a pipeline depends on, transitively."""
        return self._briefs(self._of_type([key], "dataset", upstream=True))

    # ── Experiments ──────────────────────────────────────────────────────────────────────────

    def tests_of(self, key: int) -> tuple[Trial, ...]:
        """Q5: the A/B tests that serve or were to try a version (or any version of a model)."""
        versions = self._group([key])
        if self._type(key) == "model":
            versions = {link.src for link in self._reader.inward(versions, ("version_of",))}
        served = self._reader.outward(versions, ("served_in",))
        tests = self._tests_of_cells({link.dst for link in served})
        pairs = {(test, link.src, "served") for link in served for test in tests.get(link.dst, ())}
        pairs |= {
            (link.dst, link.src, "trained")
            for link in self._reader.outward(versions, ("trained_for",))
        }
        return self._trials(pairs)

    def versions_in(self, key: int) -> tuple[Trial, ...]:
        """Q6: the versions that a test serves, or that were trained for it."""
        tests = self._group([key])
        cells = {link.src for link in self._reader.inward(tests, ("cell_of",))}
        served = self._reader.inward(cells, ("served_in",))
        trained = self._reader.inward(tests, ("trained_for",))
        return self._trials(
            {(key, link.src, "served") for link in served}
            | {(key, link.src, "trained") for link in trained}
        )

    def _tests_of_cells(self, cells: Collection[int]) -> dict[int, set[int]]:
        found: dict[int, set[int]] = defaultdict(set)
        for link in self._reader.outward(cells, ("cell_of",)):
            found[link.src].add(link.dst)
        return found

    def _trials(self, pairs: Collection[tuple[int, int, str]]) -> tuple[Trial, ...]:
        keys = {key for test, version, _ in pairs for key in (test, version)}
        briefs, live = self._things.briefs(keys), self._things.live(keys)
        return tuple(
            sorted(
                Trial(briefs[test], briefs[version], how, test in live)
                for test, version, how in pairs
            )
        )

    # ── Consumers ────────────────────────────────────────────────────────────────────────────

    def models_downstream(self, key: int) -> tuple[Brief, ...]:
        """Q7: the models that break if a feature, a set or a data set changes."""
        return self._briefs(self._of_type([key], "model", upstream=False))

    def consumers(self, key: int) -> tuple[Consumer, ...]:
        """Q8: the models that consume a feature themselves, and the teams that own them."""
        models = self.consuming([key])[key]
        owners = self._things.owners(models)
        teams = self._things.teams([owner for some in owners.values() for owner in some])
        found = []
        for model in models:
            of_model = self._things.unique([t for owner in owners[model] for t in teams[owner]])
            found.append(Consumer(self._briefs([model])[0], self._briefs(of_model)))
        return tuple(sorted(found))

    def sharers(self, key: int) -> tuple[Sharer, ...]:
        """Q9: the other models that consume at least one of a model's features."""
        shared: dict[int, list[int]] = defaultdict(list)
        for feature, models in self.consuming(self.features(key)).items():
            for model in models:
                shared[model].append(feature)
        own = set(self._things.one([key]).values())
        return tuple(
            sorted(
                Sharer(self._briefs([model])[0], self._briefs(features))
                for model, features in shared.items()
                if model not in own
            )
        )

    def consuming(self, features: Collection[int]) -> dict[int, list[int]]:
        """Which models consume each feature: directly, by its set, or by a service?"""
        found = {}
        for feature in features:
            names = self._group([feature])
            offered = names | {link.dst for link in self._reader.outward(names, ("in_set",))}
            offered |= {link.src for link in self._reader.inward(offered, ("serves",))}
            ends = {link.src for link in self._reader.inward(offered, ("consumes",))}
            found[feature] = self.models_of(ends)
        return found

    def models_of(self, consumers: Collection[int]) -> list[int]:
        """The models themselves, and those of which an active version is among the consumers."""
        models = {key for key in consumers if self._type(key) == "model"}
        links = [
            link
            for link in self._reader.outward(consumers, ("version_of",))
            if self._type(link.src) == "model-version"
        ]
        active = active_versions(self._reader, {link.dst for link in links})
        models |= {link.dst for link in links if link.src in active[link.dst]}
        return self._things.unique(models)

    def trained_by(self, pipeline: int) -> list[int]:
        """Which models have an active version that this pipeline, or a run of it, made?"""
        makers = self._group([pipeline])
        makers |= {link.src for link in self._reader.inward(makers, ("run_of",))}
        made = {link.src for link in self._reader.inward(makers, ("produced_by",))}
        return self.models_of(made)

    # ── From a version; ownership; retirement ────────────────────────────────────────────────

    def around(self, key: int) -> tuple[tuple[Brief, ...], tuple[Brief, ...]]:
        """Q11: the data sets upstream and the A/B tests downstream of a version, exactly."""
        return (
            self._briefs(self._of_type([key], "dataset", upstream=True, grain="exact")),
            self._briefs(self._of_type([key], "ab-test", upstream=False, grain="exact")),
        )

    def owners_of_chain(self, key: int) -> tuple[Owned, ...]:
        """Q12: the owners of a model and of each thing upstream of it."""
        walked = self._reach([key], upstream=True, ask=replace(self._ask, grain="logical"))
        keys = self._things.unique([at for at in walked.reached if self._type(at) != "column"])
        owners = self._things.owners(keys)
        return tuple(sorted(Owned(self._briefs([at])[0], self._briefs(owners[at])) for at in keys))

    def retirable(self, key: int) -> tuple[Brief, ...]:
        """Q13: what a person, or a team and its people, own and nothing live depends on."""
        if self._type(key) not in ("team", "user"):
            raise InvalidQuery(f"A {self._type(key)} owns nothing.", fix="Ask of a team or person.")
        owned = owned_by(self._things, key)
        assets = [at for at in self._things.unique(owned) if self._type(at) in RETIRABLE]
        used = in_use(self._things, self._ask)
        idle, why = idle_among(self._things, assets, used, self._ask)
        self.why.extend((*used.why, *why))
        return self._briefs(idle)

    # ── Small words ──────────────────────────────────────────────────────────────────────────

    def _type(self, key: int) -> str:
        return self._reader.uris([key])[key].type

    def _group(self, keys: Collection[int]) -> set[int]:
        return {member for group in self._things.groups(keys).values() for member in group}

    def _briefs(self, keys: Collection[int]) -> tuple[Brief, ...]:
        return tuple(sorted(set(self._things.briefs(keys).values())))

    def _walk(self, keys: Collection[int], *, upstream: bool, ask: Ask) -> Walk:
        walked = go(self._things, keys, upstream=upstream, ask=ask)
        self.why.extend(walked.why)
        return walked

    def _reach(self, keys: Collection[int], *, upstream: bool, ask: Ask) -> Walk:
        """Walk where only what is reached is asked for, and not by which steps."""
        walked = reached(self._things, keys, upstream=upstream, ask=ask)
        self.why.extend(walked.why)
        return walked

    def _of_type(
        self, keys: Collection[int], kind: str, *, upstream: bool, grain: str = "logical"
    ) -> list[int]:
        """What of one type do things lead to?"""
        ask, things = replace(self._ask, grain=grain), self._things
        found, why = of_types(
            things, keys, {kind}, upstream=upstream, ask=ask, compiled=COMPILED
        )  # fmt: skip
        self.why.extend(why)
        return things.unique(found - set(things.one(list(keys)).values()))


def owned_by(things: Things, key: int) -> set[int]:
    """Return what a person, or a team and its people, own: also parts that nobody else owns."""
    reader = things.reader
    us = set(things.groups([key])[key])
    members = {link.src for link in reader.inward(us, ("member_of",))}
    uris = reader.uris(members)
    people = {member for member in members if uris[member].type == "user"}
    groups = things.groups(sorted(us | people))
    owners = {member for group in groups.values() for member in group}
    owned = {link.src for link in reader.inward(owners, ("owned_by",))}
    levels = frozenset(things.shapes.level_kinds)
    parts = {link.src for link in reader.inward(owned, levels)} - owned
    others = {link.src for link in reader.outward(parts, ("owned_by",))}
    return owned | (parts - others)


@dataclass(frozen=True, slots=True)
class InUse:
    """What is live, and all that it surely rests on, each under one name."""

    live: frozenset[int]
    beneath: frozenset[int]
    why: tuple[Cut, ...] = ()


def in_use(things: Things, ask: Ask) -> InUse:
    """Return what is live and all upstream of it, by one walk."""
    live = live_things(things)
    if not live:
        return InUse(frozenset(), frozenset())
    above, why = of_types(
        things, live, None, upstream=True, ask=replace(ask, grain="logical"),
        compiled=compiled_of(ask),
    )  # fmt: skip
    return InUse(frozenset(live), frozenset(above), tuple(why))


def idle_among(
    things: Things, keys: Collection[int], used: InUse, ask: Ask
) -> tuple[list[int], list[Cut]]:
    """
    Return those, each given under one name, from which nothing live is reached; and what was cut.

    One walk from all that is not surely used finds whether anything of that leads to something live
    after all; only then each is walked from by itself.
    """
    rest = [key for key in keys if key not in used.beneath]
    if not rest or not used.live:
        return rest, []
    logical, compiled = replace(ask, grain="logical"), compiled_of(ask)
    below, why = of_types(
        things, rest, None, upstream=False, ask=logical, compiled=compiled
    )  # fmt: skip
    if below.isdisjoint(used.live):
        return rest, why
    idle = []
    for at, key in enumerate(rest):
        if things.out_of_time(ask.budget)():
            why.append(Cut("time", "looked at", done=at, total=len(rest)))
            break
        found, cut = of_types(
            things, [key], None, upstream=False, ask=logical, compiled=compiled
        )  # fmt: skip
        why += cut
        if found.isdisjoint(used.live):
            idle.append(key)
    return idle, why
