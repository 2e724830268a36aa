"""Which events of a document still matter: a fold of these says what a fold of all says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lineal.model import Json, Record
from lineal.sources import Key
from lineal.sources.openlineage import OpenLineage
from tests.test_openlineage import RUN, data_set, event, snapshots

Body = dict[str, Any]
SOURCE = OpenLineage()

TIMES = st.integers(0, 40).map(lambda second: f"2026-03-01T12:00:{second:02}Z")
NAMES = st.sampled_from(["a", "b", "c", "t/day=1", "t/day=2", "t"])
GONE: Body = {"_deleted": True}


def named(name: str) -> Body:
    """Return a data set; those of a lake have partitions."""
    return {**data_set(name), "namespace": "s3://lake" if name[0] == "t" else "bigquery"}


def facets(**known: Sequence[Body]) -> st.SearchStrategy[Body]:
    """Return some of these facets, each with one of its values, removed, or not at all."""
    words = {name: st.sampled_from([*values, *values, GONE]) for name, values in known.items()}
    told = st.fixed_dictionaries({}, optional=words)
    return st.tuples(told, st.sampled_from(["x", "y"])).map(
        lambda both: {name: {**value, "_producer": both[1]} for name, value in both[0].items()}
    )


PARENTS = [
    {"job": {"namespace": "airflow", "name": name}, "run": {"runId": f"{RUN[:-1]}{last}"}}
    for name, last in (("up", 1), ("up", 2), ("over", 3), (".", 4))
]
OF_JOBS = facets(
    sql=[{"query": "select 1"}, {"query": "select 2"}],
    documentation=[{"description": "one"}, {"description": "two"}],
    ownership=[{"owners": [{"name": "team:a"}]}, {"owners": [{"name": "."}]}],
    lineage=[{"entries": [{**data_set("b"), "type": "DATASET", "inputs": [data_set("a")]}]}],
)
SNAPSHOTS = st.sampled_from([snapshots(), snapshots(10)])
OF_RUNS = facets(
    parent=PARENTS,
    nominalTime=[{"nominalStartTime": "2026-03-01T00:00:00Z"}],
    errorMessage=[{"message": "no"}, {"message": "never"}],
    jobDependencies=[{"upstream": [PARENTS[0]]}, {"downstream": [PARENTS[2]]}],
)
OF_DATA = facets(
    schema=[{"fields": [{"name": "x", "type": kind}]} for kind in ("int", "text")],
    datasetType=[{"datasetType": "MODEL"}, {"datasetType": "TABLE"}],
    version=[{"datasetVersion": "1"}, {"datasetVersion": "2"}],
    lifecycleStateChange=[
        {"lifecycleStateChange": "RENAME", "previousIdentifier": data_set(name)}
        for name in ("a", "z", "y")
    ],
    columnLineage=[
        {"fields": {"x": {"inputFields": [{**data_set(name), "field": "x"}]}}} for name in "ab"
    ],
    symlinks=[{"identifiers": [{**data_set("z"), "type": "TABLE"}]}],
)
OF_TOUCHES = facets(
    inputStatistics=[{"rowCount": 1}, {"rowCount": 2}], outputStatistics=[{"size": 3}]
)


def referring(of: st.SearchStrategy[Body], io: st.SearchStrategy[Body]) -> st.SearchStrategy[Body]:
    """Return data sets with facets of their own, and of the reading and writing."""
    return st.builds(
        lambda name, of, io: {**named(name), "facets": of, "inputFacets": io, "outputFacets": io},
        *(NAMES, of, io),
    )


REFERENCES = referring(OF_DATA, OF_TOUCHES)
NOTHING: st.SearchStrategy[Body] = st.just({})
SIDES = st.lists(REFERENCES, max_size=2)
COUNTED = st.lists(referring(NOTHING, OF_TOUCHES), max_size=2)
BARE = st.lists(NAMES.map(named), max_size=2)
NO_SIDES: st.SearchStrategy[list[Body]] = st.just([])
GOING_ON: st.SearchStrategy[str | None] = st.just("RUNNING")
ONE_NAME = st.just("shop.load")
STATES = st.sampled_from(["START", "RUNNING", "OTHER", "COMPLETE", "FAIL", None])


def runs(
    states: st.SearchStrategy[str | None] = GOING_ON,
    of_runs: st.SearchStrategy[Body] = NOTHING,
    of_jobs: st.SearchStrategy[Body] = NOTHING,
    kinds: st.SearchStrategy[Body] = NOTHING,
    sides: st.SearchStrategy[list[Body]] = NO_SIDES,
    names: st.SearchStrategy[str] = ONE_NAME,
) -> st.SearchStrategy[Body]:
    """Return events of one run that differ in this."""
    return st.builds(
        lambda at, state, run, job, kind, inputs, outputs, name: {
            **event(state, at, run=run, inputs=inputs, outputs=outputs),
            "job": {"namespace": "airflow", "name": name, "facets": {**job, **kind}},
        },
        *(TIMES, states, of_runs, of_jobs, kinds, sides, sides, names),
    )


def designs(
    of_jobs: st.SearchStrategy[Body], sides: st.SearchStrategy[list[Body]]
) -> st.SearchStrategy[Body]:
    """Return what one job declares; it may leave a side out."""
    return st.builds(
        lambda at, job, inputs, outputs, left_out: {
            "eventTime": at,
            "job": {"namespace": "airflow", "name": "shop.load", "facets": job},
            **{k: v for k, v in (("inputs", inputs), ("outputs", outputs)) if k not in left_out},
        },
        *(TIMES, of_jobs, sides, sides),
        st.sampled_from([(), ("inputs",), ("outputs",), ("inputs", "outputs")]),
    )


OWN = st.builds(lambda at, said: {"eventTime": at, "dataset": said}, TIMES, REFERENCES)
SOMETIMES = NOTHING | NOTHING | NOTHING | SNAPSHOTS
ALL = runs(STATES, OF_RUNS, OF_JOBS, SOMETIMES, SIDES)
#: Where events differ in one thing alone, nothing else keeps those that matter by it.
EVENTS = st.sampled_from([
    runs(STATES), runs(of_runs=OF_RUNS), runs(of_jobs=OF_JOBS), runs(sides=BARE),
    runs(sides=COUNTED), runs(kinds=SOMETIMES, sides=BARE), runs(sides=SIDES),
    runs(names=st.sampled_from(["shop.load", "shop.unload"])),
    designs(OF_JOBS, NO_SIDES), designs(NOTHING, BARE), designs(NOTHING, SIDES),
    OWN, OWN | runs(sides=SIDES), designs(OF_JOBS, NO_SIDES) | runs(of_jobs=OF_JOBS),
    designs(OF_JOBS, SIDES) | ALL, ALL | OWN,
]).flatmap(lambda some: st.lists(some, min_size=2, max_size=25))  # fmt: skip


def by_document(events: Sequence[Body]) -> dict[Key, list[Mapping[str, Json]]]:
    found: dict[Key, list[Mapping[str, Json]]] = defaultdict(list)
    for body in events:
        for mark in SOURCE.understand(body):
            found[mark.key].append(body)
    return found


def folded(key: Key, entries: Sequence[Mapping[str, Json]]) -> Record | None:
    return SOURCE.fold(key, entries, observed_at=1)


@given(EVENTS, st.integers(0, 2**32))
def test_what_still_matters_says_the_same_as_all_whatever_comes_later(
    events: list[Body], seed: int
) -> None:
    """Again and again some of what came is closed; what is left and what comes is all there is."""
    chance = Random(seed)
    for key, entries in by_document(events).items():
        in_order = sorted(entries, key=SOURCE.order)
        left: list[Mapping[str, Json]] = []
        at = 0
        while at < len(in_order):
            before, at = at, chance.randint(at + 1, len(in_order))
            closed = [*left, *in_order[before:at]]
            chance.shuffle(closed)
            left = [closed[place] for place in SOURCE.lasting(key, closed)]
            for until in {at, chance.randint(at, len(in_order)), len(in_order)}:
                some = [*left, *in_order[at:until]]
                assert SOURCE.needs_all(key, some) == SOURCE.needs_all(key, in_order[:until])
                if not SOURCE.needs_all(key, some):
                    assert folded(key, some) == folded(key, in_order[:until]), key


def test_of_a_job_that_runs_for_ever_a_few_events_matter() -> None:
    told = [
        event(state, f"2026-03-01T{hour:02}:{minute:02}:{second:02}Z", inputs=["a"], outputs=["b"],
              job={"sql": {"query": f"select {hour}"}},
              run={"parent": {**PARENTS[0], "run": {"runId": f"{RUN[:-4]}{hour:02}{minute:02}"}}})
        for hour in range(24)
        for minute in range(60)
        for second, state in ((1, "START"), (2, "COMPLETE"))
    ]  # fmt: skip

    for key, entries in by_document(told).items():
        if key.resource != "run":
            assert len(entries) == 2_880
            assert len(SOURCE.lasting(key, entries)) <= 4


def test_of_many_partitions_those_matter_that_are_told() -> None:
    """Of the parts of a data set a run tells a hundred."""
    told = [
        event("RUNNING", f"2026-03-01T12:{number // 60:02}:{number % 60:02}Z",
              outputs=[named(f"t/day=1/part-{number * 7 % 300:03}")])
        for number in range(300)
    ]  # fmt: skip
    (key,) = [key for key in by_document(told) if key.resource == "run"]

    places = SOURCE.lasting(key, told[:280])

    assert len(places) <= 102
    left = [told[place] for place in places]
    assert folded(key, [*left, *told[280:]]) == folded(key, told)
