"""Which way data flows through the estate, and how one walks along it.

Slow and plain on purpose: every statement of the tools becomes a flow from one thing to another,
and a walk visits them one by one, breadth first. There are two grains. In the exact one, flows are
between the very things that were named. In the logical one, runs count as their pipelines,
instances as their models, snapshots as their tables, and what only concerns an instance nobody uses
is left out.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lineal.testing.estate.records import FeatureSet, Instance, Run, Table, Thing
from lineal.testing.estate.shelves import Shelves

#: One service may call the next, and that one a third; further a walk does not follow.
MOST_CALLS = 2


@dataclass(frozen=True, slots=True)
class Flow:
    """Data goes from one thing to another."""

    start: Thing
    end: Thing
    is_call: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a walk stands."""

    thing: Thing
    #: Reached itself; otherwise reached through one of its parts only.
    as_whole: bool
    #: How many calls in a row led here.
    calls: int
    #: Whether any step was made since the start.
    moved: bool


# -- what the tools state -----------------------------------------------------------------------


def stated(world: Shelves) -> list[Flow]:
    """Return everything the tools say about the way of data, between the things they named."""
    flows: list[Flow] = []
    for run in world.runs.values():
        flows += [Flow(read, ("run", run.id)) for read in run.inputs]
        flows += [Flow(("run", run.id), written) for written in run.outputs]
    for snapshot in world.snapshots.values():
        flows.append(Flow(("run", snapshot.written_by), ("snapshot", snapshot.id)))
    for table in world.tables.values():
        flows += _of_table(table)
    for feature_set in world.feature_sets.values():
        flows += _of_set(feature_set)
    for service in world.feature_services.values():
        flows += [
            Flow(("feature", name), ("feature_service", service.id)) for name in service.features
        ]
    for instance in world.instances.values():
        flows += _of_instance(instance)
        flows += [
            Flow(("instance", instance.id), ("test", cell[0]))
            for cell in trained_cells(world, instance.id)
        ]
    flows += _of_use(world)
    return list(dict.fromkeys(flows))


def _of_table(table: Table) -> Iterator[Flow]:
    """A view that maps its columns is followed through them, not through its tables."""
    mapped = False
    for column in table.columns:
        for source, name in column.sources:
            mapped = True
            yield Flow(("column", f"{source}/{name}"), ("column", f"{table.id}/{column.name}"))
    if not mapped:
        yield from (Flow(("table", source), ("table", table.id)) for source in table.upstream)


def _of_set(found: FeatureSet) -> Iterator[Flow]:
    for feature in found.features:
        if feature.source:
            yield Flow(
                ("column", "/".join(feature.source)), ("feature", f"{found.id}:{feature.name}")
            )
    yield from (Flow(("table", table), ("feature_set", found.id)) for table in found.tables)
    if found.materialized_by:
        yield Flow(("pipeline", found.materialized_by), ("feature_set", found.id))


def _of_instance(found: Instance) -> Iterator[Flow]:
    itself: Thing = ("instance", found.id)
    yield from (Flow(("feature", name), itself) for name in found.features)
    yield from (Flow(thing, itself) for thing in found.trained_on)
    if found.run:
        yield Flow(("run", found.run), itself)
    if found.feature_set:
        yield Flow(("feature_set", found.feature_set), itself)
    if found.feature_service:
        yield Flow(("feature_service", found.feature_service), itself)
    if found.base:
        yield Flow(("instance", found.base), itself)


def _of_use(world: Shelves) -> Iterator[Flow]:
    """Evaluations, tests, deployments, rules and calls; prediction logs are not walked."""
    for evaluation in world.evaluations.values():
        yield Flow(("instance", evaluation.instance), ("evaluation", evaluation.id))
        yield Flow(("table", evaluation.table), ("evaluation", evaluation.id))
    for test in world.tests.values():
        yield from (Flow(("table", table), ("test", test.id)) for table in test.metric_tables)
    for deployment in world.deployments.values():
        itself: Thing = ("deployment", deployment.id)
        yield from (Flow(("instance", target.instance), itself) for target in deployment.targets)
        yield Flow(itself, ("service", deployment.service))
    for rule in world.rules.values():
        if rule.test:
            yield from (
                Flow(("instance", name), ("cell", f"{rule.test}/{number}"))
                for number, name in rule.cells
            )
    for service in world.services.values():
        yield from (
            Flow(("service", called), ("service", service.id), is_call=True)
            for called in service.calls
        )


def makers(world: Shelves, instance: str) -> list[Run]:
    """Return the runs that made an instance, by its own word or by theirs."""
    own = world.instances[instance].run if instance in world.instances else None
    return [
        run for run in world.runs.values() if run.id == own or ("instance", instance) in run.outputs
    ]


def trained_cells(world: Shelves, instance: str) -> list[tuple[str, int, str]]:
    """Return the cells for which an instance was trained."""
    return [cell for run in makers(world, instance) for cell in run.cells]


# -- parts and wholes ---------------------------------------------------------------------------


def wholes(world: Shelves, thing: Thing) -> list[Thing]:
    """Return what a thing is directly part of."""
    kind, ident = thing
    if kind == "column":
        return [("table", ident.split("/", 1)[0])]
    if kind == "snapshot":
        return [("table", ident.rsplit("@", 1)[0])]
    if kind == "feature":
        return [("feature_set", ident.rsplit(":", 1)[0])]
    if kind == "cell":
        return [("test", ident.split("/", 1)[0])]
    if kind == "instance" and ident in world.instances:
        return [("model", world.instances[ident].model)]
    if kind == "run" and ident in world.runs:
        run = world.runs[ident]
        return [("pipeline", run.pipeline)] + ([("run", run.parent)] if run.parent else [])
    return []


def active(world: Shelves) -> set[str]:
    """Return the instances in use: aliased, deployed, serving a cell; else a model's newest."""
    used = {instance for model in world.models.values() for _, instance in model.aliases}
    used |= {
        target.instance
        for deployment in world.deployments.values()
        for target in deployment.targets
    }
    used |= {instance for rule in world.rules.values() if rule.test for _, instance in rule.cells}
    of_model = defaultdict(list)
    for instance in world.instances.values():
        of_model[instance.model].append(instance)
    found = set()
    for instances in of_model.values():
        chosen = [instance.id for instance in instances if instance.id in used]
        found.update(chosen or [max(instances, key=lambda each: (each.created, each.id)).id])
    return found


# -- the two grains -----------------------------------------------------------------------------


class Chart:
    """Flows of one grain, with what is part of what, ready to be walked."""

    def __init__(self, flows: Iterable[Flow], parts_of: dict[Thing, list[Thing]]) -> None:
        #: For each part, its direct wholes.
        self._wholes = parts_of
        self._parts: dict[Thing, list[Thing]] = defaultdict(list)
        self._flows: dict[str, dict[Thing, list[tuple[Thing, bool]]]] = {"up": {}, "down": {}}
        for part, directly in parts_of.items():
            for whole in directly:
                self._parts[whole].append(part)
        for flow in flows:
            self._flows["down"].setdefault(flow.start, []).append((flow.end, flow.is_call))
            self._flows["up"].setdefault(flow.end, []).append((flow.start, flow.is_call))

    def written_by(self, thing: Thing) -> list[Thing]:
        """Return what flows directly out of a thing."""
        return [end for end, _ in self._flows["down"].get(thing, [])]

    def upstream(self, start: Thing) -> set[Thing]:
        """Return everything *start* was made from."""
        return self._walk(start, "up")

    def downstream(self, start: Thing) -> set[Thing]:
        """Return everything that is made from *start*."""
        return self._walk(start, "down")

    def _walk(self, start: Thing, way: str) -> set[Thing]:
        first = Place(start, as_whole=True, calls=0, moved=False)
        seen, queue = {first}, deque([first])
        while queue:
            for place in self._next(queue.popleft(), way):
                if place not in seen:
                    seen.add(place)
                    queue.append(place)
        return {place.thing for place in seen if place.moved} - {start}

    def _next(self, place: Place, way: str) -> Iterator[Place]:
        """Return where one can go: to the wholes, without a step, and along the flows."""
        for whole in self._wholes.get(place.thing, ()):
            yield Place(whole, as_whole=False, calls=place.calls, moved=place.moved)
        sources = [place.thing]
        if place.as_whole:
            sources += self._all_parts(place.thing)
        for source in sources:
            for thing, is_call in self._flows[way].get(source, ()):
                calls = place.calls + 1 if is_call else 0
                if calls <= MOST_CALLS:
                    yield Place(thing, as_whole=True, calls=calls, moved=True)

    def _all_parts(self, whole: Thing) -> list[Thing]:
        """Return the parts of a whole, and theirs."""
        found: list[Thing] = []
        for part in self._parts.get(whole, ()):
            found += [part, *self._all_parts(part)]
        return found


def exact(world: Shelves) -> Chart:
    """Return the chart on which runs, instances and snapshots stand for themselves."""
    flows = stated(world)
    parts: dict[Thing, list[Thing]] = {}
    waiting = [*_small_parts(world), *(end for flow in flows for end in (flow.start, flow.end))]
    while waiting:
        thing = waiting.pop()
        if thing not in parts:
            parts[thing] = wholes(world, thing)
            waiting += parts[thing]
    return Chart(flows, parts)


def logical(world: Shelves) -> Chart:
    """Return the chart of pipelines, models and tables."""
    in_use = active(world)
    flows: dict[Flow, None] = {}
    for flow in stated(world):
        ends = (flow.start, flow.end)
        if any(
            kind == "instance" and ident in world.instances and ident not in in_use
            for kind, ident in ends
        ):
            continue
        start, end = (_lifted(world, thing) for thing in ends)
        if start != end:
            flows[Flow(start, end, flow.is_call)] = None
    return Chart(flows, {thing: wholes(world, thing) for thing in _small_parts(world)})


def _small_parts(world: Shelves) -> Iterator[Thing]:
    """Return the columns, features and cells: parts on both charts, named by a flow or not."""
    for table in world.tables.values():
        yield from (("column", f"{table.id}/{column.name}") for column in table.columns)
    for found in world.feature_sets.values():
        yield from (("feature", f"{found.id}:{feature.name}") for feature in found.features)
        yield from (
            ("column", "/".join(feature.source)) for feature in found.features if feature.source
        )
    for service in world.feature_services.values():
        yield from (("feature", name) for name in service.features)
    for instance in world.instances.values():
        yield from (("feature", name) for name in instance.features)
    for test in world.tests.values():
        yield from (("cell", f"{test.id}/{cell.number}") for cell in test.cells)


def _lifted(world: Shelves, thing: Thing) -> Thing:
    """Return what a run, instance or snapshot counts as; itself, if nobody knows."""
    if thing[0] not in ("run", "instance", "snapshot"):
        return thing
    return next(iter(wholes(world, thing)), thing)
