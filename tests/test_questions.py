"""The thirteen questions (R2), each held against the example estate's own truth as sets."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import uvicorn
from click.testing import CliRunner

from lineal.access import LOCAL
from lineal.client import Client
from lineal.model import Answer, Budget, Cut, Moment
from lineal.query import Ask, Brief, Change, Hit, Impact, Questions, Trial, beyond, reaching, walks
from lineal.query.changing import OF
from lineal.query.index import Index
from lineal.store import Store
from lineal.surfaces.cli import main
from lineal.surfaces.server import create
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


def indexed(world: Joined) -> tuple[Store, Index]:
    """Return the store of both, and an index of it."""
    index = Index(world.lineal.store)
    assert index.build()
    return world.lineal.store, index


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


@pytest.mark.parametrize("types", [None, {"model"}, {"feature", "feature-set"}, {"ab-cell"}])
def test_what_a_change_touches_is_the_same_by_columns_as_by_a_walk(
    world: Joined, monkeypatch: pytest.MonkeyPatch, types: set[str] | None
) -> None:
    """
    What is more than a walk goes through is counted; the ways are gone to the worst of it.

    What is live may be of other types than those that are told.
    """
    store, index = indexed(world)
    slow, fast = Questions(store), Questions(store, index=index)
    told = None if types is None else frozenset(types)
    wide = Ask(Budget(nodes=50_000, edges=500_000, milliseconds=60_000), types=told)
    narrow = replace(wide, budget=replace(wide.budget, nodes=10))
    # To be so narrow is usual here.
    monkeypatch.setattr(walks, "Budget", lambda: narrow.budget)
    with store.read(LOCAL) as reader:
        uris = sorted(
            uri
            for kind in ("dataset", "feature", "column", "model", "pipeline", "feature-set")
            for uri in list(reader.uris(reader.of_types([kind])).values())[::7]
        )
    seen: Counter[str] = Counter()
    for uri in uris:
        change = Change("dropped") if uri.type in OF["dropped"] else None
        by_walk = slow.impact(LOCAL, [uri], ask=wide, limit=5_000, change=change)
        one = complete(by_walk)
        answer = fast.impact(LOCAL, [uri], ask=narrow, limit=5_000, change=change)
        other = complete(answer)
        whole = one if types is None else complete(slow.impact(
            LOCAL, [uri], ask=replace(wide, types=None), limit=5_000, change=change
        ))  # fmt: skip
        assert {hit.thing for hit in one.hits if hit.live} == {
            hit.thing for hit in whole.hits if hit.live if types is None or hit.thing.type in types
        }
        seen["by columns"] += sum(whole.by_type.values()) > 10
        seen["live"] += one.live > 0
        seen["possible"] += any(hit.possible for hit in one.hits)
        seen["effect"] += bool(one.by_effect)
        assert answer.total == by_walk.total
        assert _counts_of(other) == _counts_of(one)
        assert {*map(_known_of, other.hits)} == {*map(_known_of, one.hits)}
        assert len(other.hits) == len(one.hits)
        assert all(hit.path for hit in other.hits)
        # A whole of which live things rest on another part counts too.
        live = {hit.thing for hit in one.hits if hit.live}
        assert live <= {hit.thing for hit in other.hits if hit.live}
        seen["more live"] += other.live > one.live
        # What is in use comes first, and of the rest is told what is asked for.
        few = fast.impact(LOCAL, [uri], ask=narrow, limit=3, change=change).value
        assert [hit.in_use for hit in few.hits] == [hit.in_use for hit in one.hits[:3]]
        assert _counts_of(few) == _counts_of(one)
    for feature in ("by columns", "live", "possible", "effect"):
        assert seen[feature] > 20, f"{feature} hardly occurred: {dict(seen)}"
    assert seen["more live"] < seen["live"] / 10, seen


def test_what_was_cut_where_a_change_is_counted_is_said(
    world: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counting is whole, but not the search for what leads to what is live, nor for the ways."""
    store, index = indexed(world)
    ask, narrow = Questions(store, index=index), Ask(Budget(nodes=10, edges=500_000))
    monkeypatch.setattr(walks, "Budget", lambda: narrow.budget)
    with store.read(LOCAL) as reader:
        uris = sorted(reader.uris(reader.of_types(["dataset"])).values())
    hub = max(uris, key=lambda one: ask.impact(LOCAL, [one], ask=narrow).value.live)
    whole = ask.impact(LOCAL, [hub], ask=narrow, limit=5)
    assert whole.value.in_use
    assert [cut.limit for cut in whole.why] == ["list"]

    real, cuts = reaching.of_types, list[Cut]()

    def cut_short(*found: Any, **how: Any) -> tuple[set[int], list[Cut]]:
        things, why = real(*found, **how | {"compiled": Budget(nodes=2)})
        cuts.extend(why)
        return things, why

    monkeypatch.setattr(beyond, "of_types", cut_short)
    answer = ask.impact(LOCAL, [hub], ask=narrow, limit=5)

    assert len(cuts) == 2
    assert answer.why[:2] == tuple(cuts)
    assert answer.total == whole.total


def test_a_change_as_of_the_past_is_not_counted_by_columns(
    world: Joined, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They tell of now alone; the names of all that is touched would be read for nothing."""
    store, index = indexed(world)
    slow, fast = Questions(store), Questions(store, index=index)
    with store.read(LOCAL) as reader:
        uris = sorted(reader.uris(reader.of_types(["dataset"])).values())[::7]
        then = Moment(known_t=reader.basis.t - 1)
    monkeypatch.delattr(beyond, "everything")

    for uri in uris:
        assert fast.impact(LOCAL, [uri], then) == slow.impact(LOCAL, [uri], then)


def _counts_of(told: Impact) -> tuple[Any, ...]:
    owned = {
        (some.owner, some.contacts, some.count, tuple(some.by_type.items()))
        for some in told.by_owner
    }
    return told.starts, told.change, told.by_type, told.in_use, told.by_effect, owned


def _known_of(hit: Hit) -> tuple[Any, ...]:
    return hit.thing, hit.depth, hit.in_use, hit.possible, hit.effect, hit.owners


def difference(found: Any, expected: Any) -> Any:
    if isinstance(found, tuple):
        return [difference(one, other) for one, other in zip(found, expected, strict=True)]
    return {"missing": sorted(expected - found)[:8], "too much": sorted(found - expected)[:8]}


# ── By every way of asking ───────────────────────────────────────────────────────────────────────

#: The published questions, and how what is written of an answer is read.
PUBLISHED: dict[str, Callable[[Any], Any]] = {
    "Q7": lambda value: {one["uri"] for one in value},
    "Q8": lambda value: {
        (one["model"]["uri"], frozenset(team["uri"] for team in one["teams"])) for one in value
    },
    "Q9": lambda value: {
        (one["model"]["uri"], frozenset(it["uri"] for it in one["features"])) for one in value
    },
    "Q10": lambda value: {one["uri"] for one in value},
    "Q11": lambda value: (
        {one["uri"] for one in value["data_sets"]}, {one["uri"] for one in value["tests"]}
    ),
    "Q12": lambda value: {
        (one["thing"]["uri"], frozenset(it["uri"] for it in one["owners"])) for one in value
    },
}  # fmt: skip

#: The same of the truth's answers, in our names.
TOLD: dict[str, Callable[[Any], Any]] = {
    "Q7": lambda answer: {uri_of("model", one) for one in answer},
    "Q8": lambda answer: {
        (uri_of("model", one["model"]), frozenset(uri_of("team", team) for team in one["teams"]))
        for one in answer
    },
    "Q9": lambda answer: {
        (uri_of("model", one["model"]), frozenset(uri_of("feature", it) for it in one["features"]))
        for one in answer
    },
    "Q10": lambda answer: {uri_of("table", one) for one in answer},
    "Q11": lambda answer: (
        {uri_of("table", one) for one in answer["tables"]},
        {uri_of("test", one) for one in answer["tests"]},
    ),
    "Q12": lambda answer: {
        (uri_of(*one["thing"]), frozenset(uri_of(*owner) for owner in one["owners"]))
        for one in answer
    },
}


class Counted:
    """An application that remembers what it was asked."""

    def __init__(self, app: Any) -> None:
        self.app, self.paths = app, list[str]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            self.paths.append(scope["path"])
        await self.app(scope, receive, send)


@pytest.fixture(scope="module")
def counted(world: Joined) -> Iterator[tuple[Counted, str]]:
    """Serve the estate's graph on a free port of this machine."""
    app = Counted(create(world.lineal))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield app, f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def by_rest(url: str, question: str, uri: str) -> Any:
    return httpx2.get(f"{url}/api/v1/questions/{question}", params={"uri": uri}).json()


def by_client(url: str, question: str, uri: str) -> Any:
    with Client(url) as client:
        return client.ask(question, uri)


def by_command(url: str, question: str, uri: str) -> Any:
    arguments = ["ask", question, uri, "--server", url, "--format", "json"]
    result = CliRunner().invoke(main, arguments, prog_name="lineal")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.mark.parametrize("ask", [by_rest, by_client, by_command])
@pytest.mark.parametrize("question", PUBLISHED)
def test_a_published_question_is_one_call_by_whatever_way_it_is_asked(
    question: str,
    ask: Callable[[str, str, str], Any],
    counted: tuple[Counted, str],
    known: dict[str, list[dict[str, Any]]],
) -> None:
    """The answer is the truth's, whole, and nothing else was asked for it."""
    app, url = counted
    # Those with the most to tell, and some with nothing.
    ordered = sorted(known[question], key=lambda item: (-len(str(item["answer"])), item["subject"]))
    for item in [*ordered[:6], *ordered[-2:]]:
        app.paths.clear()
        told = ask(url, question.lower(), uri_of(*item["subject"]))

        assert app.paths == [f"/api/v1/questions/{question.lower()}"]
        assert told["complete"], told["why"]
        assert PUBLISHED[question](told["value"]) == TOLD[question](item["answer"])
