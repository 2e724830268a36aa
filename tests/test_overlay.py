"""Rows that changed since the graph was compiled are made anew, and walked in memory."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import TypeAlias

import pytest

from lineal.access import LOCAL
from lineal.lineage import Mode, Way
from lineal.lineage.engine import overlay, sheet
from lineal.lineage.engine.overlay import WHOLE
from lineal.model import EdgeStatement, Layer
from lineal.query.index import Index
from lineal.store import Batch, Reader
from tests.test_engine_walks import ALWAYS, TOGETHER, WIDE, _said, _word, by_hops
from tests.test_index import _opened, _same
from tests.test_lineage import documents, name, uri

Words: TypeAlias = dict[str, list[EdgeStatement] | None]
#: One edge of a kind, apart from all else: the compiled graph knows the kinds.
KINDS = _said(
    "svc.7 calls svc.8", "dep.7 deployed_on svc.7", "d.7 produced_by r.7", "r.7 run_of p.7",
    "c.7 derived_from c.8", "c.7 column_of d.7", "r.7 reads d.8", "s.7 version_of d.7",
    "p.7 part_of p.8", "d.7 same_as d.8",
)  # fmt: skip
#: What comes to a graph in which little was: each needs a way to stand that was not there.
LATER: tuple[Words, ...] = (
    *(Words(b=list(together)) for together in TOGETHER),
    # Columns of a snapshot in a model's chain; a job that is shown as the part of another.
    Words(
        a=_said(
            "c.0 column_of s.0", "s.0 version_of d.0", "c.0 derived_from c.1", "c.1 column_of d.1",
            "s.0 produced_by r.0", "r.0 run_of p.0", "p.0 part_of p.1", "r.0 reads d.3",
        )
    ),
    Words(b=None, c=_said("svc.3 calls svc.2", "svc.2 calls svc.0", "dep.1 deployed_on svc.0")),
    Words(c=[EdgeStatement(uri("d.0"), "derived_from", uri("d.9"), layer=Layer.SUGGESTED)]),
)  # fmt: skip


@pytest.fixture(params=[sheet.LEAST, 1], ids=["roomy", "tight"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Make so much room behind compiled rows; where it is tight, it is made again and again."""
    least: int = request.param
    monkeypatch.setattr(sheet, "LEAST", least)
    return least


@pytest.mark.usefixtures("room")
def test_whatever_is_new_is_walked_to_and_what_was_parted_or_joined_too(tmp_path: Path) -> None:
    """New tables, wholes, shown jobs, calls, names, aliases, removals: over rows made anew."""
    seen: Counter[str] = Counter()
    bases: tuple[Words, ...] = (ALWAYS[0], Words(a=list(TOGETHER[1])), Words(a=list(TOGETHER[3])))
    for at, first in enumerate(bases):
        folder = tmp_path / str(at)
        folder.mkdir()
        with closing(_opened(folder)) as store:
            store.commit(
                Batch([_word(*one, 10) for one in (*first.items(), ("z", KINDS))], "t", "t")
            )
            index = Index(store)
            index.build()
            for words in LATER[at::3]:
                store.commit(Batch([_word(*one, 11) for one in words.items()], "t", "t"))
                with store.read(LOCAL) as reader:
                    _reaches(index, reader, seen)
                _count(index, seen)
            assert index.builds == 1
            seen["over"] += index.over

    assert seen["over"] > seen["left to the store"] / 4
    for feature in ("new thing", "new whole", "newly shown", "its whole shown", "new call"):
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"


def _reaches(index: Index, reader: Reader, seen: Counter[str], *, every: int = 1) -> None:
    """Hold walks that the index answers against the store's."""
    for key in (key for key in range(1, 60, every) if reader.known([key])):
        for way in (Way(up, logical) for up in (True, False) for logical in (True, False)):
            found = index.reach(reader, [key], way, WIDE)
            if found is None:
                seen["left to the store"] += 1
                continue
            reach, names = found
            columns = (reach.things, reach.depths, reach.possible, reach.approximate)
            answer = {
                min(names(thing)): tuple(rest)
                for thing, *rest in zip(*(one.tolist() for one in columns), strict=True)
            }
            assert answer == by_hops(reader, key, way, WIDE)[0], (reader.uris([key]), way)


def _count(index: Index, seen: Counter[str]) -> None:
    """Count the ways to stand that the compiled graph did not have."""
    assert index._standing is not None
    for one in index._standing.overlays:
        for side in one._sides.values():
            for _, mode, run in side._new:
                seen["new thing"] += mode is Mode.FULL and not run
                seen["new whole"] += mode is Mode.NARROW and not run
                seen["newly shown"] += mode is Mode.SHOWN and run != WHOLE
                seen["its whole shown"] += run == WHOLE
                seen["new call"] += run > 0


def _reached(index: Index, reader: Reader, start: str) -> set[str] | None:
    (key,) = reader.keys([uri(start)]).values()
    found = index.reach(reader, [key], Way(upstream=False, logical=True), WIDE)
    return None if found is None else {
        name(of) for of in reader.uris(found[0].things.tolist()).values()
    }  # fmt: skip


def test_rows_are_made_once_and_anew_after_the_next_change(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(["x: d.1 derived_from d.0"], 10), "test", "test"))
        index = Index(store)
        index.build()
        for at in range(1, 4):
            word = documents([f"y{at}: d.{at + 1} derived_from d.{at}"], 11)
            store.commit(Batch(word, "test", "test"))
            with store.read(LOCAL) as reader:
                expected = {f"d.{number}" for number in range(at + 2)}
                assert _reached(index, reader, "d.0") == expected
                assert index._standing is not None
                made = index._standing.overlays[0]._sides[False].made
                before = set(made)
                assert _reached(index, reader, "d.0") == expected
                assert made == before
        assert (index.over, index.left, index.builds) == (6, 0, 1)


def test_a_name_that_was_parted_still_shows_its_own_whole(tmp_path: Path) -> None:
    """Found by the campaign: while it was joined, another name stood for it and its wholes."""
    joined = ["a: c.0 derived_from c.1", "b: c.2 column_of d.0", "n: c.0 same_as c.2"]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(joined, 10), "test", "test"))
        index, seen = Index(store), Counter[str]()
        index.build()
        (parted,) = documents(["n: c.3 same_as c.4"], 11)
        store.commit(Batch([parted], "test", "test"))
        with store.read(LOCAL) as reader:
            _reaches(index, reader, seen)
    assert index.over > 0


@pytest.mark.parametrize(
    "later",
    [
        # The other name of a column comes into a table; so does that of a part of a part.
        ["p: c.1 column_of d.0"],
        ["p: c.1 column_of s.0", "q: s.0 version_of d.0"],
        # A run of the other name of a job; a version of that of a model becomes active.
        ["p: r.0 run_of p.1"],
        ["p: v.1 version_of m.1", "q: m.1 points_to v.1"],
    ],
)
def test_what_changes_by_one_name_is_seen_by_what_tells_the_other(
    tmp_path: Path, later: list[str]
) -> None:
    """Found by the campaign: what leads to a thing may say so of any of its names."""
    told = [
        "a: f.0 derived_from c.0", "b: c.0 same_as c.1", "k: c.7 column_of d.7",
        "c: d.3 produced_by p.0", "d: p.0 same_as p.1", "l: r.7 run_of p.7", "r: r.0 reads d.4",
        "e: dep.0 deploys m.0", "f: m.0 same_as m.1", "m: v.7 version_of m.7",
        "g: v.1 consumes f.0", "h: m.7 points_to v.7", "i: s.7 version_of d.7",
    ]  # fmt: skip
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        index, seen = Index(store), Counter[str]()
        index.build()
        for at, line in enumerate(later):
            store.commit(Batch(documents([line], 11 + at), "test", "test"))
            with store.read(LOCAL) as reader:
                _reaches(index, reader, seen)
    assert index.over > 0


def test_a_hub_whose_rows_are_too_many_to_make_is_walked_step_by_step(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(overlay, "MOST", 20)
    told = [f"x{at}: d.{at} derived_from d.hub" for at in range(30)]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch([*documents(told, 10), *documents(["z: d.b derived_from d.a"], 10)], "t",
                           "t"))  # fmt: skip
        index = Index(store)
        index.build()
        later = ["y: d.new derived_from d.hub", "w: d.c derived_from d.b"]
        store.commit(Batch(documents(later, 11), "test", "test"))
        with store.read(LOCAL) as reader:
            assert _reached(index, reader, "d.hub") is None
            # Too much in this direction is too much until the graph is compiled anew.
            assert _reached(index, reader, "d.a") is None
            assert index.left == 2
            _same(index, reader, Counter())


@pytest.mark.usefixtures("room")
def test_what_a_later_change_does_not_touch_is_kept_and_what_it_does_is_made_anew(
    tmp_path: Path,
) -> None:
    """Steps come and go, of new things too, while nothing is another's part or name by them."""
    seen: Counter[str] = Counter()
    first = _said(
        "d.1 derived_from d.0", "d.2 derived_from d.1", "c.0 column_of d.1", "f.0 derived_from c.0",
        "f.0 in_set fs.0", "v.0 consumes fs.0", "v.0 version_of m.0", "svc.0 calls svc.1",
        "r.0 run_of p.0", "r.0 reads d.2",
    )  # fmt: skip
    later: list[Words] = [
        {"b": _said("d.3 derived_from d.2")},
        {"c": _said("d.4 derived_from d.3", "d.5 derived_from d.1")},
        {"b": _said("d.3 derived_from d.0")},
        {"d": _said("f.1 derived_from c.0", "f.1 derived_from d.4", "svc.1 calls svc.2")},
        {"c": _said("d.4 derived_from d.2", "r.0 reads d.4")},
        {"d": None},
        {"e": _said("c.1 column_of d.4", "f.2 derived_from c.1")},
        {"c": _said("d.6 derived_from d.4", "d.6 derived_from c.1")},
        {"e": None, "b": _said("d.3 derived_from d.6")},
    ]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch([_word("a", first, 10), _word("z", KINDS, 10)], "t", "t"))
        index = Index(store)
        index.build()
        for words in later:
            store.commit(Batch([_word(*one, 11) for one in words.items()], "t", "t"))
            with store.read(LOCAL) as reader:
                index.graph(reader)
                assert index._standing is not None
                for one in index._standing.overlays:
                    for side in one._sides.values():
                        seen["kept"] += bool(side.made)
                        seen["new and kept"] += bool(side._keys.keys() & side.made)
                        seen["new and gone"] += bool(side._keys.keys() - side.made)
                # Twice: over rows just made, and over those that are there.
                _reaches(index, reader, seen, every=2)
                _reaches(index, reader, seen, every=8)
        assert index.builds == 1
    for feature in ("kept", "new and kept", "new and gone"):
        assert seen[feature] > 0, f"{feature} never occurred: {dict(seen)}"
    assert seen["left to the store"] < index.over / 10


def test_who_walks_while_rows_are_made_anew_walks_on_what_was(tmp_path: Path) -> None:
    told = ["x: d.1 derived_from d.0", "y: d.2 derived_from d.1"]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        index = Index(store)
        index.build()
        way = Way(upstream=False, logical=True)

        def after(word: str) -> set[str] | None:
            store.commit(Batch(documents([word], 11), "test", "test"))
            with store.read(LOCAL) as reader:
                return _reached(index, reader, "d.0")

        assert after("z: d.3 derived_from d.2") == {"d.0", "d.1", "d.2", "d.3"}
        assert index._standing is not None
        graph, over = index._standing.graphs[0], index._standing.overlays[0]
        with store.read(LOCAL) as reader:
            (start,) = reader.keys([uri("d.0")]).values()
        begun = graph.begin(graph.numbers.of([start]).tolist())

        def walked(view: sheet.View) -> set[int]:
            return set(view.keys(view.graph.walk_from(begun, way, WIDE).things).tolist())

        with over.view(upstream=False) as view:
            before = walked(view)
            assert len(before) == 4
            # The next state writes its rows elsewhere, as somebody stands on these.
            assert after("w: d.4 derived_from d.3") == {"d.0", "d.1", "d.2", "d.3", "d.4"}
            assert walked(view) == before
        assert view.entered()
        view.__exit__()
        # Now nobody stands there: the rows are written where they lie, and the view knows it.
        now = index._standing.overlays[0]
        with now.view(upstream=False) as last:
            assert len(walked(last)) == 5
        assert after("v: d.5 derived_from d.4") == {f"d.{at}" for at in range(6)}
        assert not last.entered()
        # Whoever still asks of the state before has rows made for it, of the graph as it is.
        with now.view(upstream=False) as late:
            assert late.flags[late.graph.walk_from(begun, way, WIDE).things].any()


def test_rows_that_are_made_again_and_again_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay, "STALE", 10)
    told = [f"x{at}: d.{at} derived_from d.hub" for at in range(1, 20)]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(told, 10), "test", "test"))
        index, laid = Index(store), list[int]()
        index.build()
        for at in range(20, 40):
            word = documents([f"x{at}: d.{at} derived_from d.hub"], 11)
            store.commit(Batch(word, "test", "test"))
            with store.read(LOCAL) as reader:
                expected = {"d.hub", *(f"d.{number}" for number in range(1, at + 1))}
                assert _reached(index, reader, "d.hub") == expected
            assert index._standing is not None
            side = index._standing.overlays[0]._sides[False]
            assert side._sheet is not None
            laid.append(side._sheet.laid)
        # The row of the hub alone, made anew for each change, would be 590 entries.
        assert max(laid) <= 3 * 39 + 10
        assert any(one > other for one, other in pairwise(laid))
        assert index.builds == 1


def test_many_walk_while_one_changes_and_each_sees_the_graph_of_its_moment(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        first = store.commit(Batch(documents(["x: d.1 derived_from d.0"], 10), "test", "test"))
        index, done = Index(store), Event()
        index.build()
        assert first.t is not None
        # Each change makes the chain longer by one.
        begun = first.t - 2

        def asked() -> int:
            answers = 0
            while not done.is_set():
                with store.read(LOCAL) as reader:
                    found = _reached(index, reader, "d.0")
                    if found is not None:
                        assert len(found) == reader.basis.t - begun, reader.basis
                        answers += 1
            return answers

        with ThreadPoolExecutor(3) as pool:
            asking = [pool.submit(asked) for _ in range(3)]
            for at in range(1, 100):
                word = documents([f"y{at}: d.{at + 1} derived_from d.{at}"], 11)
                store.commit(Batch(word, "test", "test"))
                # Whoever began to ask before is let come to an end.
                done.wait(0.01)
            done.set()
            assert sum(one.result() for one in asking) > 50
        assert index.builds == 1
