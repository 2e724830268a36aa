"""Features that are suggested: by hand, of a pipeline, and from memory as the store says them."""

from __future__ import annotations

import math
import random
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.errors import InvalidQuery
from lineal.model import Moment, Removal
from lineal.query import Ask, Questions, Wanted
from lineal.query.index import Index
from lineal.store import Batch
from tests.graphs import new
from tests.test_impact import told
from tests.test_index import _opened
from tests.test_lineage import documents, name, uri

#: A trainer of two models, one version of one of which another pipeline made; models beside them.
ESTATE = (
    "r.1 run_of p.train", "v.a1 produced_by r.1", "v.a1 version_of m.a", "v.a1 consumes f.x",
    "v.b1 produced_by p.train", "v.b1 version_of m.b", "v.b1 consumes f.y",
    "m.c consumes f.x", "m.c consumes f.y", "m.c consumes f.z",
    "m.d consumes f.y", "m.d consumes f.w", "m.e consumes f.far",
    "r.2 run_of p.other", "v.b0 produced_by r.2", "v.b0 version_of m.b", "v.b0 consumes f.old",
    "m.b points_to v.b1",
)  # fmt: skip


def by_name(found: tuple[Wanted, ...]) -> dict[str, float]:
    return {name(one.thing.uri): one.score for one in found}


def test_a_pipeline_wants_what_models_like_those_that_it_trains_consume() -> None:
    with new("sqlite") as graph:
        graph.say(*told(*ESTATE))
        answer = graph.ask.wanted(LOCAL, uri("p.train"))

        # Of 5 models two consume x (a, c), three y (b, c, d), one each z, w, far.
        x, y, one = math.log1p(5 / 2), math.log1p(5 / 3), math.log1p(5 / 1)
        like_c, like_d = (x + y) / (x + y + one), y / (x + y + one)
        assert by_name(answer.value) == {
            "f.z": pytest.approx(like_c / (like_c + like_d), abs=1e-4),
            "f.w": pytest.approx(like_d / (like_c + like_d), abs=1e-4),
        }
        assert [one.reason for one in answer.value] == [
            "1 of the 2 models that are alike consume it: c.",
            "1 of the 2 models that are alike consume it: d.",
        ]
        assert [name(by.uri) for one in answer.value for by in one.by] == ["m.c", "m.d"]
        # The other pipeline made no version that is in use, so it trains none of these.
        assert graph.ask.wanted(LOCAL, uri("p.other")).value == ()
        with pytest.raises(InvalidQuery):
            graph.ask.wanted(LOCAL, uri("r.1"))


def test_what_is_suggested_is_in_no_lineage_and_no_impact() -> None:
    with new("sqlite") as graph:
        graph.say(*told(*ESTATE))
        every = Ask(layers=frozenset({"declared", "observed", "inferred", "suggested"}))
        suggested = by_name(graph.ask.wanted(LOCAL, uri("m.a")).value)
        above = graph.ask.lineage(LOCAL, [uri("m.a")], ask=every).value.nodes
        below = graph.ask.impact(LOCAL, [uri("f.z")], ask=every).value.hits

        assert "f.z" in suggested
        assert "f.z" not in {name(one.thing.uri) for one in above}
        assert "m.a" not in {name(one.thing.uri) for one in below}


def test_after_random_words_memory_suggests_what_the_store_does(tmp_path: Path) -> None:
    dice, seen = random.Random(23), Counter[str]()
    models, features = [f"m.{at}" for at in range(5)], [f"f.{at}" for at in range(7)]
    with closing(_opened(tmp_path)) as store:
        index, plain = Index(store), Questions(store)
        fast = Questions(store, index=index)
        trained = [
            line for at in range(5) for line in
            (f"t{at}: v.{at} version_of m.{at}", f"t{at}: v.{at} produced_by p.{at % 2}")
        ]  # fmt: skip
        sets = ["s: f.5 in_set fs.1", "s: f.6 in_set fs.1", "s: d.1 same_as d.path"]
        t = store.commit(Batch(documents([*trained, *sets], 10), "test", "test")).t or 0
        for turn in range(16):
            thing = dice.choice([*models, *(f"v.{at}" for at in range(5))])
            some = dice.sample([*features, "fs.1"], dice.randint(1, 4))
            words = documents([f"of {thing}: {thing} consumes {one}" for one in some], 11 + turn)
            gone = Removal("tool", f"of {thing}", uri(thing), (11 + turn) * 86_400_000_000)
            said = [gone] if turn % 5 == 4 else words
            # A removal of what nobody said is no transaction.
            t = store.commit(Batch(said, "test", f"turn {turn}")).t or t
            if turn % 6 == 0:
                index.build()
            for moment in (Moment(), Moment(known_t=max(1, t - 3))):
                for asked in (*models[:3], "v.1", "p.0", "p.1"):
                    for question in ("wanted", "similar"):
                        if question == "similar" and asked.startswith("p."):
                            continue
                        one, other = (
                            getattr(ask, question)(LOCAL, uri(asked), moment)
                            for ask in (fast, plain)
                        )
                        assert one == other, (turn, question, asked)
                        seen[question] += bool(one.value)
    assert min(seen.values()) > 50
