"""What the index keeps for everybody does not depend on who asked first: on both databases.

Rows are made anew, and marked, in the question that comes to them first. It may ask over few
layers, may read few rows, and may have little time; whoever asks next is answered as by the store.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import OutOfTime
from lineal.lineage import Way
from lineal.model import Budget, EdgeStatement, Layer, Moment, Record, Statement
from lineal.query import BELIEVED, Ask, Questions
from lineal.query.index import Index
from lineal.store import Batch, Store, meter
from tests.databases import ENGINES, fresh
from tests.test_engine_walks import WIDE, by_hops
from tests.test_lineage import DAY, SHAPES, documents, uri

DECLARED = frozenset({"declared"})
MAYBE = BELIEVED | {"suggested"}
NOW = 20 * DAY


@pytest.fixture(params=ENGINES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with (
        fresh(request.param, tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: NOW)) as found,
    ):
        yield found


def tell(store: Store, *lines: str, day: int = 10) -> None:
    store.commit(Batch(documents(lines, day), "test", "test"))


def tell_of_layer(store: Store, line: str, layer: Layer) -> None:
    start, kind, end = line.split()
    edge = EdgeStatement(uri(start), kind, uri(end), layer=layer)
    word = Record("tool", f"{layer.value}: {line}", edge.start, (), (edge,), 10 * DAY)
    store.commit(Batch([word], "test", "test"))


def describe(store: Store, name: str) -> None:
    said = Statement(uri(name), {"description": "said anew"})
    word = Record("tool", f"about {name}", said.uri, (said,), (), 11 * DAY)
    store.commit(Batch([word], "test", "test"))


def asked(store: Store) -> tuple[Questions, Questions]:
    """Return the questions over the store alone, and over an index that was just built."""
    index = Index(store)
    assert index.build()
    return Questions(store), Questions(store, index=index)


def same(plain: Questions, fast: Questions, start: str, moment: Moment | None = None) -> None:
    """Hold what a thing leads to, over an index, against the store's."""
    when = Moment() if moment is None else moment
    for upstream in (True, False):
        for layers in (BELIEVED, DECLARED, MAYBE):
            there, here = (
                ask.closure(LOCAL, [uri(start)], when, upstream=upstream, ask=Ask(layers=layers))
                for ask in (plain, fast)
            )
            assert (here.value, here.complete) == (there.value, there.complete)


# ── The layers of who asks ───────────────────────────────────────────────────────────────────────


def test_rows_made_for_who_asks_over_one_layer_hold_the_others_too(store: Store) -> None:
    tell(store, "fs.set derived_from d.raw", "m.one consumes fs.set")
    tell_of_layer(store, "m.other consumes fs.set", Layer.OBSERVED)
    tell_of_layer(store, "m.maybe consumes fs.set", Layer.SUGGESTED)
    plain, fast = asked(store)
    describe(store, "fs.set")

    few = fast.models_downstream(LOCAL, uri("d.raw"), layers=DECLARED)
    assert few.value == plain.models_downstream(LOCAL, uri("d.raw"), layers=DECLARED).value
    answer = fast.models_downstream(LOCAL, uri("d.raw"))
    assert [one.name for one in answer.value] == ["one", "other"]
    assert answer == plain.models_downstream(LOCAL, uri("d.raw"))
    more = fast.models_downstream(LOCAL, uri("d.raw"), layers=MAYBE)
    assert [one.name for one in more.value] == ["maybe", "one", "other"]


@pytest.mark.parametrize("layer", [Layer.OBSERVED, Layer.SUGGESTED])
def test_what_a_change_moves_is_marked_at_the_ends_of_edges_of_all_layers(
    store: Store, layer: Layer
) -> None:
    """Another alias makes another version active: what consumes it leads to its model from now."""
    tell(store, "a: v.1 version_of m.x", "b: v.2 version_of m.x", "c: m.x points_to v.1")
    tell_of_layer(store, "v.2 consumes f.hours", layer)
    plain, fast = asked(store)
    tell(store, "c: m.x points_to v.2", day=11)

    # Who asks first follows the feed, and says which rows may not be trusted any more.
    fast.closure(LOCAL, [uri("m.x")], ask=Ask(layers=DECLARED))
    same(plain, fast, "f.hours")
    same(plain, fast, "m.x")


def test_rows_of_a_moment_in_the_past_hold_all_layers(store: Store) -> None:
    tell(store, "fs.set derived_from d.raw")
    plain, fast = asked(store)
    tell_of_layer(store, "m.other consumes fs.set", Layer.OBSERVED)
    with store.read(LOCAL) as reader:
        then = Moment(known_t=reader.basis.t)
    tell(store, "m.later consumes fs.set", day=11)

    fast.closure(LOCAL, [uri("d.raw")], then, ask=Ask(layers=DECLARED))
    same(plain, fast, "d.raw", then)


def test_what_is_a_part_is_one_whatever_layers_are_asked(store: Store) -> None:
    tell(store, "m.one consumes fs.set", "d.other derived_from d.raw")
    tell_of_layer(store, "f.hours in_set fs.set", Layer.OBSERVED)
    plain, fast = asked(store)

    for ask in (plain, fast):
        found = ask.models_downstream(LOCAL, uri("f.hours"), layers=DECLARED)
        assert [one.name for one in found.value] == ["one"]
    same(plain, fast, "f.hours")


# ── What who asks may read ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rows", range(12))
def test_who_may_read_few_rows_leaves_nothing_half_read(store: Store, rows: int) -> None:
    tell(store, "a: d.1 produced_by r.1", "b: r.1 run_of p.1")
    plain, fast = asked(store)
    tell(store, "b: r.1 run_of p.2", day=11)

    cut = fast.lineage(LOCAL, [uri("d.1")], ask=Ask(Budget(rows=rows)))
    assert cut.truncated
    same(plain, fast, "d.1")
    found = fast.closure(LOCAL, [uri("d.1")], upstream=True)
    assert [one.entity.name for one in found.value.members] == ["2"]


@pytest.mark.parametrize("rows", [1, 5, 20])
def test_rows_of_a_hub_are_made_whole_or_not_at_all(store: Store, rows: int) -> None:
    tell(store, *(f"x{at}: d.{at} derived_from d.hub" for at in range(60)))
    plain, fast = asked(store)
    tell(store, "y: d.new derived_from d.hub", day=11)

    few = Ask(Budget(rows=rows))
    assert fast.impact(LOCAL, [uri("d.hub")], ask=few).truncated
    assert fast.lineage(LOCAL, [uri("d.hub")], ask=few).truncated
    same(plain, fast, "d.hub")
    # Over rows that are made already, few have to be read.
    found = fast.closure(LOCAL, [uri("d.hub")], ask=few)
    assert found.complete
    assert found.total == 61


def test_the_newest_version_then_is_chosen_from_all_that_is_said_of_versions(store: Store) -> None:
    told = [f"a{at}: v.{at} version_of m.x" for at in range(3)]
    told += [f"b{at}: v.{at} consumes f.{at}" for at in range(3)]
    tell(store, *told, *(f"c{at}: created v.{at} 2026-01-0{9 - at}" for at in range(3)))
    with store.read(LOCAL) as reader:
        then = Moment(known_t=reader.basis.t)
    tell(store, "y: d.b derived_from d.a", day=11)
    plain, fast = asked(store)

    for rows in range(8):
        fast.closure(LOCAL, [uri("m.x")], then, upstream=True, ask=Ask(Budget(rows=rows)))
    same(plain, fast, "m.x", then)
    found = fast.closure(LOCAL, [uri("m.x")], then, upstream=True)
    assert [one.entity.name for one in found.value.members] == ["0"]


def test_who_runs_out_of_time_leaves_nothing_half_made(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At whichever statement that is: when the feed is followed, or when rows are made."""
    tell(store, *(f"x{at}: d.{at} derived_from d.hub" for at in range(5)), "p: c.1 column_of d.3")
    plain, fast = asked(store)
    stopped = 0
    for statements in range(0, 40, 3):
        name = f"d.new{statements}"
        tell(store, f"y{name}: {name} derived_from d.hub", f"n: {name} same_as d.4", day=11)
        left = iter(range(statements))

        def check(_: meter.Meter, left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise OutOfTime("The time is used up.")

        with monkeypatch.context() as patched:
            patched.setattr(meter.Meter, "check", check)
            try:
                fast.closure(LOCAL, [uri("d.hub")])
            except OutOfTime:
                stopped += 1
        same(plain, fast, "d.hub")
    assert stopped > 5


def test_what_is_read_for_everybody_counts_and_is_given_up_where_it_is_very_much(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "WHOLE", 25)
    tell(store, *(f"x{at}: d.{at} derived_from d.hub" for at in range(40)))
    index = Index(store)
    assert index.build()
    tell(store, "y: d.new derived_from d.hub", "z: d.far derived_from d.new", day=11)
    way = Way(upstream=False, logical=True)

    with store.read(LOCAL, budget=Budget(rows=10)) as reader:
        keys = reader.keys([uri("d.hub"), uri("d.new")])
        assert index.reach(reader, [keys[uri("d.hub")]], way, WIDE) is None
        assert reader.meter is not None
        assert reader.meter.rows > 10
        assert not reader.meter.why
    # Who asks without a budget waits as long as it takes.
    index = Index(store)
    assert index.build()
    tell(store, "w: d.newer derived_from d.hub", day=12)
    with store.read(LOCAL) as reader:
        found = index.reach(reader, [keys[uri("d.hub")]], way, WIDE)
        assert found is not None
        assert len(found[0]) == len(by_hops(reader, keys[uri("d.hub")], way, WIDE)[0])


def test_where_too_much_is_joined_to_what_moved_the_index_is_built_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meter, "WHOLE", 25)
    tell(store, *(f"x{at}: d.{at} derived_from d.hub" for at in range(40)))
    plain, fast = asked(store)
    tell(store, "n: d.hub same_as d.path", day=11)

    few = Ask(Budget(rows=1_000))
    answer = fast.closure(LOCAL, [uri("d.path")], ask=few)
    assert answer == plain.closure(LOCAL, [uri("d.path")], ask=few)
    assert len(answer.value.members) == 40
    assert fast.index is not None
    assert fast.index._due.is_set()
