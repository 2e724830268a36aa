"""Answers about graphs that are joined in odd ways: on each database, with an index and without."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lineal.access import LOCAL
from lineal.model import Answer, Budget, Record, Uri
from lineal.query import Among, Ask, Path, Questions
from lineal.query.index import Index
from tests.graphs import PLAYS, TEAM, TITLES, Graph, said

ONE, OTHER = (Uri(f"mlg://pipeline/orc/{name}") for name in ("one", "other"))
ABOVE = Uri("mlg://pipeline/orc/above")


def asked(graph: Graph) -> tuple[Questions, Questions]:
    """Return what asks the store alone, and what has an index of it."""
    index = Index(graph.store)
    assert index.build()
    return graph.ask, Questions(graph.store, index=index)


# ── Parts of each other ──────────────────────────────────────────────────────────────────────────


def _jobs(*parts: tuple[Uri, Uri]) -> list[Record]:
    """Return a data set that a job makes of another, and of what the jobs are parts."""
    made = said(TITLES, [(TITLES, "produced_by", ONE)], document="titles")
    reads = said(ONE, [(ONE, "reads", PLAYS)], document="one")
    return [made, reads, *(said(part, [(part, "part_of", whole)], document=f"{part} {whole}")
                           for part, whole in parts)]  # fmt: skip


@pytest.mark.parametrize("parts", [[(ONE, OTHER), (OTHER, ONE)], [(ONE, ONE)]])
def test_jobs_that_are_parts_of_each_other_have_no_owner(
    graph: Graph, parts: list[tuple[Uri, Uri]]
) -> None:
    graph.say(*_jobs(*parts))
    for ask in asked(graph):
        chain = {one.thing.uri: one.owners for one in ask.owners_of_chain(LOCAL, TITLES).value}
        touched = ask.impact(LOCAL, [PLAYS]).value
        closure = ask.closure(LOCAL, [PLAYS]).value
        domains = ask.closure(LOCAL, [PLAYS], among=Among(domain="-")).value

        assert chain[ONE] == ()
        assert [one.owner for one in touched.by_owner] == [None]
        assert closure.by_owner == ((None, sum(closure.by_type.values())),)
        assert ONE in {one.entity.uri for one in domains.members}
        unused = ask.unused(LOCAL, types=["pipeline"], days=0).value
        assert {one.thing.uri: one.owners for one in unused}[ONE] == ()


def test_the_owner_of_what_is_above_a_ring_of_jobs_is_that_of_each(graph: Graph) -> None:
    owned = said(ABOVE, [(ABOVE, "owned_by", TEAM)], document="above")
    graph.say(*_jobs((ONE, OTHER), (OTHER, ONE), (OTHER, ABOVE)), owned)
    plain, fast = asked(graph)
    for ask in (plain, fast):
        chain = {one.thing.uri: one.owners for one in ask.owners_of_chain(LOCAL, TITLES).value}
        closure = ask.closure(LOCAL, [PLAYS], among=Among(owner=TEAM)).value

        assert [owner.uri for owner in chain[ONE]] == [TEAM]
        assert ONE in {one.entity.uri for one in closure.members}
    assert fast.closure(LOCAL, [PLAYS]) == plain.closure(LOCAL, [PLAYS])


# ── What is in use ───────────────────────────────────────────────────────────────────────────────

HOURS, RANKER = Uri("mlg://feature/features/hours"), Uri("mlg://model/reg/ranker")
HOME, MIRROR = Uri("mlg://deployment/serving/home"), Uri("mlg://deployment/registry/home")


def test_a_feature_is_in_use_though_only_features_and_few_kinds_are_asked_for(graph: Graph) -> None:
    graph.say(
        said(HOURS, [(HOURS, "derived_from", PLAYS)], document="hours"),
        said(RANKER, [(RANKER, "consumes", HOURS)], document="ranker"),
        said(HOME, [(HOME, "deploys", RANKER)], document="home", status="serving"),
    )
    kinds = frozenset({"derived_from", "consumes", "deploys"})
    for ask in asked(graph):
        found = ask.impact(LOCAL, [PLAYS], ask=Ask(kinds=kinds, types=frozenset({"feature"}))).value

        assert [(hit.thing.uri, hit.live) for hit in found.hits] == [(HOURS, True)]
        assert (found.by_type, found.in_use) == ({"feature": 1}, 0)


def _twice(status: str) -> list[Record]:
    """Return a deployment as a platform tells of its status, and a registry of what it deploys."""
    return [
        said(HOURS, [(HOURS, "derived_from", PLAYS)], document="hours"),
        said(RANKER, [(RANKER, "consumes", HOURS)], document="ranker"),
        said(HOME, [(HOME, "same_as", MIRROR)], document="home", status=status),
        said(MIRROR, [(MIRROR, "deploys", RANKER)], document="mirror"),
    ]


@pytest.mark.parametrize("status", ["serving", "stopped"])
def test_a_deployment_is_in_use_by_what_all_its_names_say(graph: Graph, status: str) -> None:
    graph.say(*_twice(status))
    live = status == "serving"
    for ask in asked(graph):
        lineage = ask.lineage(LOCAL, [PLAYS]).value
        closure = ask.closure(LOCAL, [PLAYS]).value
        impact = ask.impact(LOCAL, [PLAYS]).value
        shared = ask.shared(LOCAL, types=["feature"]).value
        (deployment,) = [hit for hit in impact.hits if hit.thing.type == "deployment"]

        assert {node.live for node in lineage.nodes if node.thing.type == "deployment"} == {live}
        assert closure.live == impact.in_use == live
        assert (deployment.in_use, {hit.live for hit in impact.hits}) == (live, {live})
        assert bool(ask.closure(LOCAL, [PLAYS], among=Among(live=True)).value.members) == live
        assert [asset.consumers for asset in shared] == [1] * live
        assert {one.thing.uri for one in ask.unused(LOCAL, types=["feature"], days=0).value} == (
            set() if live else {HOURS}
        )


def test_an_ab_test_runs_under_all_its_names_if_under_one(graph: Graph) -> None:
    """Also where it is another name that stands for it."""
    running, named = Uri("mlg://ab-test/z/12345"), Uri("mlg://ab-test/a/12345")
    cell, version = Uri("mlg://ab-cell/z/12345/2"), Uri("mlg://model-version/reg/ranker/v1")
    graph.say(
        said(running, [(running, "same_as", named)], document="test", status="running"),
        said(named, document="named"),
        said(cell, [(cell, "cell_of", running)], document="cell"),
        said(version, [(version, "served_in", cell)], document="version"),
    )
    for ask in asked(graph):
        lineage = ask.lineage(LOCAL, [version], ask=Ask(grain="exact")).value
        hits = ask.impact(LOCAL, [version]).value.hits
        (test,) = [node for node in lineage.nodes if node.thing.type == "ab-test"]

        assert (test.thing.uri, test.live) == (named, True)
        assert [hit.in_use for hit in hits if hit.thing.type == "ab-test"] == [True]
        assert ask.closure(LOCAL, [version]).value.live == 1
        for name in (running, named):
            assert [one.running for one in ask.versions_in(LOCAL, name).value] == [True]
        assert [one.running for one in ask.tests_of(LOCAL, version).value] == [True]


# ── Ways ─────────────────────────────────────────────────────────────────────────────────────────


def _sets(*ways: str) -> list[Record]:
    """Return data sets, each derived from the one before it on a way such as ``a b c``."""
    steps = {step for way in ways for step in pairwise(map(_set, way.split()))}
    return [
        said(end, [(end, "derived_from", start)], document=f"{start} {end}")
        for start, end in sorted(steps)
    ]


def _set(name: str) -> Uri:
    return Uri(f"mlg://dataset/lake/{name}")


def _told(answer: Answer[tuple[Path, ...]]) -> list[int]:
    """Return how long each way is that is told."""
    return [len(one.arrows) for one in answer.value]


def test_ways_of_a_walk_that_was_cut_are_not_told_to_be_the_shortest(graph: Graph) -> None:
    """As many as were asked for, though a shorter one lies where the walk did not come."""
    graph.say(*_sets("s a end", "s b a", "s c end"))
    cut = graph.ask.paths(LOCAL, _set("s"), _set("end"), k=2, ask=Ask(Budget(edges=10)))
    whole = graph.ask.paths(LOCAL, _set("s"), _set("end"), k=2)

    assert _told(whole) == [2, 2]
    assert whole.complete
    assert _told(cut) == [2, 3]
    assert [one.limit for one in cut.why] == ["edges"]


def test_ways_no_longer_than_the_walk_was_deep_are_the_shortest(graph: Graph) -> None:
    graph.say(*_sets("s a end beyond further", "s b c end", "s d e f end"))
    for k, depth, complete in ((1, 2, True), (2, 2, False), (2, 3, True), (3, 3, False)):
        deep = Ask(Budget(depth=depth))
        answer = graph.ask.paths(LOCAL, _set("s"), _set("end"), k=k, ask=deep)

        assert answer.complete == complete, (k, depth)
        assert {cut.limit for cut in answer.why} <= {"depth"}


def test_longer_ways_than_the_walk_was_deep_may_be_missing(graph: Graph) -> None:
    """Also where all things are reached: one more step leads only to what is known."""
    graph.say(*_sets("s a end", "s b a", "s d e end"))
    deep = Ask(Budget(depth=2))
    for k in (2, 3):
        answer = graph.ask.paths(LOCAL, _set("s"), _set("end"), k=k, ask=deep)

        assert _told(answer) == [2, 3]
        assert [one.limit for one in answer.why] == ["depth"]
    between = graph.ask.between(LOCAL, _set("s"), _set("end"), ask=deep)
    assert _set("e") not in {node.thing.uri for node in between.value.nodes}
    assert [one.limit for one in between.why] == ["depth"]


def test_ways_are_all_where_the_walk_ended_by_itself(graph: Graph) -> None:
    graph.say(*_sets("s a end", "s b end"))
    deep = Ask(Budget(depth=2))
    answer = graph.ask.paths(LOCAL, _set("s"), _set("end"), k=3, ask=deep)

    assert _told(answer) == [2, 2]
    assert answer.complete
    assert graph.ask.between(LOCAL, _set("s"), _set("end"), ask=deep).complete
