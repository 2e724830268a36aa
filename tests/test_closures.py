"""Closures: everything that a walk comes to, counted by columns as the store would count it."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import LinealError
from lineal.model import EdgeStatement, Json, Moment, Record, Removal, Statement, Uri
from lineal.query import ALL, WITHOUT, Among, Closure, Questions
from lineal.query.index import Index
from lineal.store import Batch, Store
from tests import world
from tests.databases import ENGINES, fresh
from tests.test_index import _opened
from tests.test_lineage import DAY, SHAPES, documents, uri
from tests.test_lineage import name as name_of

TEAMS = [Uri.of("team", "people", str(at)) for at in range(4)]
DOMAINS = [Uri.of("domain", "people", str(at)) for at in range(3)]
STAGES = ("development", "staging", "production", None)


def said(
    name: str, *edges: EdgeStatement, day: int = 10, source: str = "tool", **more: Json
) -> Record:
    thing = uri(name)
    attributes = {key: value for key, value in more.items() if value is not None}
    return Record(source, f"of {name}", thing, (Statement(thing, attributes),), edges, day * DAY)


def owned(name: str, team: int) -> EdgeStatement:
    return EdgeStatement(uri(name), "owned_by", TEAMS[team])


def within(name: str, domain: int) -> EdgeStatement:
    return EdgeStatement(uri(name), "in_domain", DOMAINS[domain])


def alike(
    fast: Questions,
    plain: Questions,
    start: Uri,
    *,
    upstream: bool = False,
    among: Among = ALL,
    limit: int = 7,
    offset: int = 2,
) -> Closure:
    """Ask both; return what both answer."""
    found, expected = (
        one.closure(LOCAL, [start], upstream=upstream, among=among, limit=limit, offset=offset)
        for one in (fast, plain)
    )
    assert found == expected
    return found.value


def test_counts_come_from_columns_and_are_those_of_the_store(tmp_path: Path) -> None:
    """Owners by the whole and under other names, stages of several sources, what is in use."""
    many = [f"x{at}: d.{at} derived_from d.a" for at in range(250)]
    many += ["c: c.1 column_of d.3", "f: f.1 derived_from c.1", "f: f.1 in_set fs.1"]
    many += ["n: d.4 same_as d.path", "v: v.1 consumes fs.1", "p: dep.x deploys v.1"]
    with closing(_opened(tmp_path)) as store:
        own: list[Record | Removal] = [
            said(f"d.{at}", owned(f"d.{at}", at % 3), stage=STAGES[at % 4])
            for at in range(0, 250, 2)
        ]
        own += [said("fs.1", owned("fs.1", 1)), said("d.path", owned("d.path", 2))]
        own += [said("dep.x", stage="production", status="serving")]
        own += [said("d.2", source="a", stage="staging"), said("d.6", source="z", stage="staging")]
        own += [said("d.7", source="other", stage="staging", day=30)]
        store.commit(Batch([*documents(many, 10), *own], "test", "test"))
        index = Index(store)
        index.build()
        plain, fast = Questions(store), Questions(store, index=index)
        later: list[list[Record | Removal]] = [
            [],
            [said("d.2", owned("d.2", 0), stage="retired"), said("fs.1", owned("fs.1", 3))],
            [said("dep.x", status="stopped"), *documents(["new: d.new derived_from d.2"], 11)],
            [Removal("tool", "of d.4", uri("d.4"), 12 * DAY)],
        ]
        for words in later:
            if words:
                store.commit(Batch(words, "test", "test"))
            found = alike(fast, plain, uri("d.a"))
            assert index.builds == 1
            assert index.left == 0
            assert sum(found.by_type.values()) == sum(found.by_depth.values())
            assert sum(found.by_stage.values()) == sum(found.by_type.values())
        assert found.by_type["dataset"] == 251
        assert {None, *TEAMS} == {one and one.uri for one, _ in found.by_owner}
        assert found.owners == 4


def test_of_now_nobody_asks_the_store_for_what_columns_tell(tmp_path: Path) -> None:
    with closing(_opened(tmp_path)) as store:
        many = [
            said(f"d.{at}", EdgeStatement(uri(f"d.{at}"), "derived_from", uri("d.a")),
                 owned(f"d.{at}", 0), stage="production")
            for at in range(3_000)
        ]  # fmt: skip
        store.commit(Batch(many, "test", "test"))
        index = Index(store)
        index.build()
        answer = Questions(store, index=index).closure(LOCAL, [uri("d.a")], limit=10)

    assert answer.total == 3_000
    assert answer.value.by_stage == {"production": 3_000}
    assert [one[1] for one in answer.value.by_owner] == [3_000]
    assert len(answer.value.members) == 10
    assert [cut.limit for cut in answer.why] == ["list"]


def test_pages_tell_everything_once_nearest_first(tmp_path: Path) -> None:
    chain = [f"x{at}: d.{at + 1} derived_from d.{at}" for at in range(12)]
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch(documents(chain, 10), "test", "test"))
        ask = Questions(store)
        pages = [
            ask.closure(LOCAL, [uri("d.0")], limit=5, offset=at).value.members
            for at in (0, 5, 10, 15)
        ]

    told = [one for page in pages for one in page]
    assert [len(page) for page in pages] == [5, 5, 2, 0]
    assert [one.depth for one in told] == list(range(1, 13))
    assert [one.entity.uri for one in told] == [uri(f"d.{at}") for at in range(1, 13)]


@pytest.mark.parametrize("engine", ENGINES)
def test_after_random_words_both_count_alike(engine: str, tmp_path: Path) -> None:
    dice, seen = random.Random(11), Counter[str]()
    names = [f"d.{at}" for at in range(12)] + ["f.1", "f.2", "fs.1", "v.1", "dep.x"]
    with (
        fresh(engine, tmp_path) as place,
        closing(Store(place, shapes=SHAPES, now=lambda: 20 * DAY)) as store,
    ):
        index, plain = Index(store), Questions(store)
        fast = Questions(store, index=index)
        backbone = [
            "k1: d.1 derived_from d.0", "k2: f.1 derived_from d.1", "k3: f.1 in_set fs.1",
            "k4: v.1 consumes fs.1", "k5: dep.x deploys v.1",
        ]  # fmt: skip
        store.commit(Batch(documents(backbone, 10), "test", "test"))
        for turn in range(24):
            words: list[Record | Removal] = [_word(dice, names, turn) for _ in range(4)]
            store.commit(Batch(words, "test", f"turn {turn}"))
            if turn % 8 == 0:
                index.build()
            for name in dice.sample(names, 4):
                upstream = dice.random() < 0.5
                try:
                    found = alike(fast, plain, uri(name), upstream=upstream)
                except LinealError:
                    continue
                for among, count in every_part(found):
                    part = alike(
                        fast, plain, uri(name), upstream=upstream, among=among, limit=99, offset=0
                    )
                    assert len(part.members) == sum(part.by_type.values()) == count, among
                    seen["narrowed"] += count < sum(found.by_type.values())
                seen["in domains"] += len(found.by_domain) > 1
                seen["several"] += sum(found.by_type.values()) > 4
                seen["live"] += found.live > 0
                seen["owned"] += len(found.by_owner) > 1
    assert min(seen.values()) > 3, seen
    assert len(seen) == 5


def every_part(found: Closure) -> list[tuple[Among, int]]:
    """Return each way to narrow a closure, and how many it says that are so."""
    parts = [(Among(stage=name or WITHOUT), count) for name, count in found.by_stage.items()]
    parts += [(Among(distance=at), count) for at, count in found.by_depth.items()]
    parts += [(Among(owner=one.uri if one else WITHOUT), count) for one, count in found.by_owner]
    parts += [(Among(domain=one.uri if one else WITHOUT), count) for one, count in found.by_domain]
    idle = sum(found.by_type.values()) - found.live
    return [*parts, (Among(live=True), found.live), (Among(live=False), idle)]


def _word(dice: random.Random, names: list[str], turn: int) -> Record | Removal:
    name = dice.choice([*names, *["v.1", "dep.x"] * 4])
    if dice.random() < 0.1:
        return Removal("tool", f"of {name}", uri(name), 12 * DAY)
    edges = {}
    for _ in range(dice.randrange(4)):
        other = dice.choice([*names, *["fs.1", "f.1", "v.1"] * 4])
        kind = _KIND.get((name.partition(".")[0], other.partition(".")[0]))
        if kind is not None and other != name:
            edges[kind, other] = EdgeStatement(uri(name), kind, uri(other))
    if dice.random() < 0.15 and name.startswith("d."):
        other = f"d.{dice.randrange(12)}"
        if other != name:
            edges["same_as", other] = EdgeStatement(uri(name), "same_as", uri(other))
    if dice.random() < 0.4:
        edges["in_domain", ""] = within(name, dice.randrange(3))
    if dice.random() < 0.5:
        edges["owned_by", ""] = owned(name, dice.randrange(3))
    status = dice.choice(["serving", "stopped"]) if name == "dep.x" else None
    return said(
        name, *edges.values(), stage=dice.choice(STAGES), status=status,
        source=dice.choice(["tool", "tool", "other"]), day=10 + turn % 5,
    )  # fmt: skip


_KIND = {
    ("d", "d"): "derived_from", ("f", "d"): "derived_from", ("f", "fs"): "in_set",
    ("v", "f"): "consumes", ("v", "fs"): "consumes", ("dep", "v"): "deploys",
}  # fmt: skip


def test_a_closure_is_narrowed_to_what_fits_all_that_is_said(tmp_path: Path) -> None:
    """By hand: a part is in its whole's domain; what fits one thing alone is not told."""
    edges = ["a: d.b derived_from d.a", "b: d.c derived_from d.b", "c: c.1 column_of d.c",
             "d: f.1 derived_from c.1", "e: f.1 in_set fs.1", "f: v.1 consumes fs.1"]  # fmt: skip
    with closing(_opened(tmp_path)) as store:
        store.commit(Batch([
            *documents(edges, 10),
            said("d.b", owned("d.b", 0), within("d.b", 0), stage="production"),
            said("d.c", owned("d.c", 0), within("d.c", 1), stage="staging"),
            said("fs.1", owned("fs.1", 1), within("fs.1", 1), stage="production"),
        ], "test", "test"))  # fmt: skip
        index = Index(store)
        index.build()
        plain, fast = Questions(store), Questions(store, index=index)

        def told(among: Among) -> set[str]:
            found = alike(fast, plain, uri("d.a"), among=among, limit=9, offset=0)
            return {name_of(one.entity.uri) for one in found.members}

        whole = alike(fast, plain, uri("d.a"), limit=9, offset=0)
        assert [(one and one.uri, count) for one, count in whole.by_domain] == [
            (DOMAINS[1], 3), (DOMAINS[0], 1), (None, 1),
        ]  # fmt: skip
        assert whole.domains == 2
        assert told(Among(domain=DOMAINS[1])) == {"d.c", "f.1", "fs.1"}
        assert told(Among(domain=WITHOUT)) == {"v.1"}
        assert told(Among(domain=DOMAINS[1], owner=TEAMS[0])) == {"d.c"}
        assert told(Among(stage="production", distance=1)) == {"d.b"}
        assert told(Among(stage="nowhere")) == set()
        with pytest.raises(LinealError):
            plain.closure(LOCAL, [uri("d.a")], among=Among(owner=uri("d.unknown")))


def test_the_past_is_counted_as_it_was(tmp_path: Path) -> None:
    with world.told(tmp_path) as lineal:
        now = lineal.ask.closure(LOCAL, [world.PLAYS]).value
        then = lineal.ask.closure(LOCAL, [world.PLAYS], Moment(known_t=1)).value

    assert now.live >= 1
    assert now.by_type
    assert then.by_type
