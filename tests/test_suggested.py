"""What is only suggested is at most a step: it makes nothing a part, and no version active."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.lineage.engine.thinning import Rule
from lineal.model import EdgeStatement, Layer, Moment, Record, Statement, Uri
from lineal.query import BELIEVED, Ask, Questions
from lineal.query.index import Index
from lineal.store import Batch, Store
from tests.databases import ENGINES, fresh
from tests.test_lineage import DAY, SHAPES, name, uri

MAYBE = BELIEVED | {"suggested"}
NOW = 20 * DAY


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with (
        fresh(request.param, tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: NOW)) as found,
    ):
        yield found


def tell(store: Store, *lines: str) -> None:
    """Commit documents; of what is said after a ``?`` no more is known than that it may be."""
    edges: dict[str, list[EdgeStatement]] = {}
    for line in lines:
        document, _, text = line.rpartition(": ")
        start, kind, end = text.removeprefix("?").split()
        layer = Layer.SUGGESTED if text.startswith("?") else Layer.DECLARED
        edge = EdgeStatement(uri(start), kind, uri(end), layer=layer)
        edges.setdefault(document or line, []).append(edge)
    said = [
        Record("tool", document, some[0].start, (), tuple(some), 10 * DAY)
        for document, some in edges.items()
    ]
    store.commit(Batch(said, "test", "test"))


def created(store: Store, **days: int) -> None:
    said = [
        Statement(uri(f"v.{v}"), {"created_at": f"2026-01-{day:02}"}) for v, day in days.items()
    ]
    words = [Record("tool", f"of {one.uri}", one.uri, (one,), (), 10 * DAY) for one in said]
    store.commit(Batch(words, "test", "test"))


#: What is told, and what is reached from what, by logical walks unless it is said, in order.
CASES: dict[str, tuple[list[str], dict[str, str]]] = {
    "a part": (
        ["?f.hours in_set fs.set", "m.one consumes fs.set", "fs.set derived_from d.raw"],
        {"down f.hours": "", "up f.hours": "", "up m.one": "d.raw fs.set"},
    ),
    "a part of a whole that is walked from": (
        ["?c.sum column_of d.out", "f.hours derived_from c.sum", "c.sum derived_from c.id"],
        {"down d.out": "", "up d.out": "", "down c.sum": "f.hours"},
    ),
    "a run of a job": (
        ["?r.one run_of p.etl", "r.one reads d.raw", "d.out produced_by r.one"],
        {"up p.etl": "", "up d.out": "d.raw r.one", "down d.raw": "d.out r.one"},
    ),
    "a version of a model": (
        ["?v.old version_of m.x", "v.new version_of m.x",
         "v.old consumes f.a", "v.new consumes f.b"],
        {"up m.x": "f.b", "down f.a": "v.old", "down f.b": "m.x"},
    ),
    "an alias": (
        ["v.old version_of m.x", "v.new version_of m.x", "?m.x points_to v.old",
         "v.old consumes f.a", "v.new consumes f.b"],
        {"up m.x": "f.b", "down f.a": "", "down f.b": "m.x"},
    ),
    "a deployment": (
        ["v.old version_of m.x", "v.new version_of m.x", "?dep.home deploys v.old",
         "v.old consumes f.a", "v.new consumes f.b"],
        {"up m.x": "f.b", "down f.a": "", "down f.b": "m.x"},
    ),
    "a cell": (
        ["v.old version_of m.x", "v.new version_of m.x", "?v.old served_in x.one",
         "v.old consumes f.a", "v.new consumes f.b"],
        {"up m.x": "f.b", "down f.a": "", "down f.b": "m.x"},
    ),
    "a snapshot of a table": (
        ["?s.one version_of d.raw", "s.one produced_by r.load", "r.train reads d.raw"],
        {"exactly up r.train": "d.raw", "exactly down r.load": "s.one"},
    ),
    "columns that a statement gives way to": (
        ["view: d.out derived_from d.raw", "view: c.sum column_of d.out",
         "view: ?c.sum derived_from c.id"],
        {"up d.out": "d.raw", "down d.raw": "d.out"},
    ),
    "columns of a table that a statement gives way to": (
        ["view: d.out derived_from d.raw", "view: ?c.sum column_of d.out",
         "view: c.sum derived_from c.id"],
        {"up d.out": "d.raw", "down d.raw": "d.out"},
    ),
}  # fmt: skip
#: Where another thing is reached by who asks for suggestions: as a step.
STEPS = {("columns that a statement gives way to", "up d.out"): "c.id d.raw"}


def reached(ask: Questions, walk: str, layers: frozenset[str], moment: Moment) -> str:
    *grain, way, start = walk.split()
    how = Ask(layers=layers, grain="exact" if grain else "logical", columns=True)
    found = ask.closure(LOCAL, [uri(start)], moment, upstream=way == "up", ask=how)
    assert found.complete
    told = {one.entity.uri for one in found.value.members}
    sides = {"up": int(way == "up"), "down": int(way == "down")}
    shown = ask.lineage(LOCAL, [uri(start)], moment, ask=how, **{
        side: 20 * asked for side, asked in sides.items()
    })  # fmt: skip
    assert {node.thing.uri for node in shown.value.nodes if node.depth} == told
    return " ".join(sorted(map(name, told)))


def test_what_is_only_suggested_to_be_deployed_is_not_live(store: Store) -> None:
    tell(store, "?dep.home deploys v.one", "dep.home consumes f.a", "dep.far consumes f.a")
    tell(store, "dep.far deploys v.one")
    said = [Statement(uri(f"dep.{at}"), {"status": "serving"}) for at in ("home", "far")]
    words = [Record("tool", f"of {one.uri}", one.uri, (one,), (), 10 * DAY) for one in said]
    store.commit(Batch(words, "test", "test"))
    index = Index(store)
    assert index.build()

    for ask in (Questions(store), Questions(store, index=index)):
        for layers in (BELIEVED, MAYBE, frozenset({"observed", "declared"})):
            found = ask.closure(LOCAL, [uri("f.a")], ask=Ask(layers=layers)).value
            assert {name(one.entity.uri) for one in found.members if one.live} == {"dep.far"}
            assert found.live == 1


def _redefined(store: Store, *expressions: str) -> None:
    for at in expressions:
        said = Statement(uri("f.a"), {"expression": at})
        word = Record("tool", "of f.a", said.uri, (said,), (), 10 * DAY)
        store.commit(Batch([word], "test", "test"))


def test_a_schema_change_names_no_owner_that_is_only_suggested(store: Store) -> None:
    team = Uri.of("team", "people", "data")
    owned = EdgeStatement(uri("m.one"), "owned_by", team, layer=Layer.SUGGESTED)
    store.commit(Batch([Record("tool", "o", owned.start, (), (owned,), 10 * DAY)], "t", "t"))
    tell(store, "m.one consumes f.a", "?m.maybe consumes f.a")
    _redefined(store, "sum(a)", "avg(a)")
    with store.read(LOCAL) as reader:
        before = Moment(known_t=reader.basis.t - 1)
    ask = Questions(store)

    (one,) = ask.schema_changes(LOCAL, before).value.changes
    assert (one.touched, [of.owner for of in one.by_owner]) == (1, [None])
    (one,) = ask.schema_changes(LOCAL, before, ask=Ask(layers=MAYBE)).value.changes
    assert one.touched == 2
    assert team in {of.owner.uri for of in one.by_owner if of.owner is not None}


def test_a_lineage_is_compared_along_no_way_that_is_only_suggested(store: Store) -> None:
    tell(store, "fs.set derived_from d.raw")
    with store.read(LOCAL) as reader:
        before = Moment(known_t=reader.basis.t)
    tell(store, "?f.a in_set fs.set", "m.one consumes fs.set", "d.out derived_from f.a")

    found = Questions(store).diff_lineage(LOCAL, [uri("f.a")], before).value
    assert {name(one.thing.uri) for one in found.things} == {"f.a", "d.out"}


def _elsewhere(line: str) -> str:
    """Return a statement of the same kind that is declared, of other things."""
    start, kind, end = line.rpartition(": ")[2].removeprefix("?").split()
    return f"{start}-else {kind} {end}-else"


@pytest.mark.parametrize("case", CASES)
def test_what_is_only_suggested_joins_nothing_for_any_walk(store: Store, case: str) -> None:
    """By the store and by the index, compiled and made anew, of now and of then."""
    told, walks = CASES[case]
    index, thin = Index(store), Index(store, rule=Rule(many=-1, last=0))
    # Rows are made anew only of kinds that there were.
    tell(store, "d.other derived_from d.another", *map(_elsewhere, told))
    later = Index(store)
    assert later.build()
    tell(store, *told)
    created(store, old=1, new=2)
    assert index.build()
    assert thin.build()
    with store.read(LOCAL) as reader:
        then = Moment(known_t=reader.basis.t)
    tell(store, "d.other derived_from d.third")
    indexed = [Questions(store, index=one) for one in (index, thin, later)]
    for asked in (Questions(store), *indexed):
        for moment in (Moment(), then):
            for walk, expected in walks.items():
                also = STEPS.get((case, walk), expected)
                assert reached(asked, walk, BELIEVED, moment) == expected, (walk, moment)
                assert reached(asked, walk, MAYBE, moment) == also, (walk, moment)
    assert later.over > 0
