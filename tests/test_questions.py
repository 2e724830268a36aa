"""The thirteen questions (R2), each held against the example estate's own truth as sets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.model import Answer, Budget
from lineal.query import Ask, Brief, Questions, Trial
from lineal.testing.estate.truth import ASKED_OF, truth
from tests.estate import Joined, joined, uri_of, word_of

#: Enough for every walk in the estate: a cut answer fails the test.
PER_KIND = 60


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Joined]:
    with joined(tmp_path_factory.mktemp("questions"), scale=0.3) as both:
        both.estate.announce()
        both.deliver()
        assert both.lineal.dead_letters() == []
        yield both


@pytest.fixture(scope="module")
def known(world: Joined) -> dict[str, list[dict[str, Any]]]:
    return truth(world.estate.world, per_kind=PER_KIND)


def ids(things: tuple[Brief, ...]) -> set[str]:
    return {word_of(thing)[1] for thing in things}


def words(things: Any) -> set[tuple[str, str]]:
    return {word_of(thing) for thing in things}


def by(testing: tuple[Trial, ...], side: str) -> set[tuple[str, str, bool]]:
    return {(word_of(getattr(one, side))[1], one.how, one.running) for one in testing}


def complete(answer: Answer[Any]) -> Any:
    assert answer.complete, answer.why
    return answer.value


def q1(ask: Questions, uri: Any) -> Any:
    feeds = complete(ask.feeds(LOCAL, uri))
    return ids(feeds.features), ids(feeds.data_sets)


def q4(ask: Questions, uri: Any) -> Any:
    wide = Ask(Budget(nodes=50_000, edges=500_000, milliseconds=60_000))
    lineage = complete(ask.lineage(LOCAL, [uri], ask=wide))
    up = {word_of(node.thing) for node in lineage.nodes if min(node.depths) < 0}
    down = {word_of(node.thing) for node in lineage.nodes if max(node.depths) > 0}
    return up, down


def q8(ask: Questions, uri: Any) -> Any:
    found = complete(ask.consumers(LOCAL, uri))
    return {(word_of(one.model)[1], frozenset(ids(one.teams))) for one in found}


def q9(ask: Questions, uri: Any) -> Any:
    found = complete(ask.sharers(LOCAL, uri))
    return {(word_of(one.model)[1], frozenset(ids(one.features))) for one in found}


def q11(ask: Questions, uri: Any) -> Any:
    tables, tests = complete(ask.around(LOCAL, uri))
    return ids(tables), ids(tests)


def q12(ask: Questions, uri: Any) -> Any:
    found = complete(ask.owners_of_chain(LOCAL, uri))
    return {(word_of(one.thing), frozenset(words(one.owners))) for one in found}


#: How each question is asked of us, and how the truth's answer is read.
QUESTIONS: dict[str, tuple[Callable[[Questions, Any], Any], Callable[[Any], Any]]] = {
    "Q1": (q1, lambda answer: (set(answer["features"]), set(answer["tables"]))),
    "Q2": (lambda ask, uri: ids(complete(ask.data_pipelines(LOCAL, uri))), set),
    "Q3": (lambda ask, uri: ids(complete(ask.data_behind(LOCAL, uri))), set),
    "Q4": (
        q4,
        lambda answer: tuple({tuple(x) for x in answer[s]} for s in ("upstream", "downstream")),
    ),
    "Q5": (
        lambda ask, uri: {
            (t, how, r) for t, how, r in by(complete(ask.tests_of(LOCAL, uri)), "test")
        },
        lambda answer: {(x["test"], how, x["running"]) for x in answer for how in x["how"]},
    ),
    "Q6": (
        lambda ask, uri: {
            (v, how) for v, how, _ in by(complete(ask.versions_in(LOCAL, uri)), "version")
        },
        lambda answer: {(x["instance"], how) for x in answer for how in x["how"]},
    ),
    "Q7": (lambda ask, uri: ids(complete(ask.models_downstream(LOCAL, uri))), set),
    "Q8": (q8, lambda answer: {(x["model"], frozenset(x["teams"])) for x in answer}),
    "Q9": (q9, lambda answer: {(x["model"], frozenset(x["features"])) for x in answer}),
    "Q10": (lambda ask, uri: ids(complete(ask.data_under(LOCAL, uri))), set),
    "Q11": (q11, lambda answer: (set(answer["tables"]), set(answer["tests"]))),
    "Q12": (
        q12,
        lambda answer: {
            (tuple(x["thing"]), frozenset(tuple(o) for o in x["owners"])) for x in answer
        },
    ),
    "Q13": (
        lambda ask, uri: words(complete(ask.retirable(LOCAL, uri))),
        lambda answer: {tuple(x) for x in answer},
    ),
}


def test_every_question_of_the_truth_is_asked() -> None:
    assert QUESTIONS.keys() == ASKED_OF.keys()


@pytest.mark.parametrize("question", QUESTIONS)
def test_question(question: str, world: Joined, known: dict[str, list[dict[str, Any]]]) -> None:
    """Nothing missing and nothing too much, for every subject that the truth tells of."""
    ours, theirs = QUESTIONS[question]
    wrong = []
    for item in known[question]:
        found = ours(world.lineal.ask, uri_of(*item["subject"]))
        expected = theirs(item["answer"])
        if found != expected:
            wrong.append((item["subject"], difference(found, expected)))
    assert len(known[question]) >= 50
    told = "\n".join(map(str, wrong[:5]))
    assert not wrong, f"{len(wrong)} of {len(known[question])}:\n{told}"


def test_unused_of_late_or_not_is_what_can_be_retired(
    world: Joined, known: dict[str, list[dict[str, Any]]]
) -> None:
    """Found by one walk from all that is live, and the thirteenth question by one from each."""
    ask, some = world.lineal.ask, 0
    for item in known["Q13"]:
        owner = uri_of(*item["subject"])
        unused = complete(ask.unused(LOCAL, owner, days=0))
        some += len(unused)
        assert {one.thing for one in unused} == set(complete(ask.retirable(LOCAL, owner)))
    assert some > 50


def test_what_is_shared_is_what_each_of_its_consumers_is_made_from(world: Joined) -> None:
    found = complete(world.lineal.ask.shared(LOCAL, types=["feature-set"], limit=500))
    assert len(found) > 5
    for asset in found[:10]:
        for consumer in asset.consumed_by[:3]:
            logical = Ask(Budget(nodes=50_000, edges=500_000, milliseconds=60_000), "logical")
            above = complete(world.lineal.ask.lineage(LOCAL, [consumer.uri], down=0, ask=logical))
            assert asset.thing in {node.thing for node in above.nodes}


def difference(found: Any, expected: Any) -> Any:
    if isinstance(found, tuple):
        return [difference(one, other) for one, other in zip(found, expected, strict=True)]
    return {"missing": sorted(expected - found)[:8], "too much": sorted(found - expected)[:8]}
