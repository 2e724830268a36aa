"""What rules concluded goes when it does not follow any more, and was so for as long as it did."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from typing import TypeAlias

import pytest

from lineal import store as stores
from lineal.enrich.rules import Rule, RuleBook, book, builtin_rules, read_rule
from lineal.errors import NotFound
from lineal.model import EdgeStatement, Instant, Moment, Record, Statement, Uri
from lineal.shapes import Shapes
from lineal.store.concluding import Piece
from lineal.store.writing import Transaction
from tests.graphs import Graph, new

SHAPES = Shapes.builtin()
RULES = {rule.name: replace(rule, enabled=True) for rule in builtin_rules()}
NOW = Moment()

#: Things are type and name here.
Edge: TypeAlias = "tuple[str, str, str]"


def uri(thing: str) -> Uri:
    kind, name = thing.split()
    return Uri.of(kind, "here", name)


def states(document: str, *edges: Edge, said_at: Instant | None = None) -> Record:
    """Return a document that states edges."""
    stated = tuple(EdgeStatement(uri(start), kind, uri(end)) for start, kind, end in edges)
    return Record("tool", document, uri("source document"), (), stated, 1_000, said_at)


def describes(thing: str, **said: str) -> Record:
    """Return a document that says something of a thing."""
    about = uri(thing)
    return Record("tool", f"of {thing}", about, (Statement(about, dict(said)),), (), 1_000)


def follows(graph: Graph, edge: Edge, moment: Moment = NOW) -> bool:
    """Is there such an edge?"""
    try:
        return (edge[1], uri(edge[2])) in graph.edges(uri(edge[0]), moment)
    except NotFound:
        return False


def until(graph: Graph, edge: Edge, *moments: Instant) -> list[bool]:
    """Was an edge so at each of these moments, by all that is known now?"""
    return [follows(graph, edge, Moment(valid_at=at)) for at in moments]


@contextmanager
def by(engine: str, *rules: Rule) -> Iterator[Graph]:
    with new(engine, rules=[RuleBook(rules, SHAPES)]) as graph:
        yield graph


def read(text: str) -> Rule:
    return read_rule(text, file="x", shapes=SHAPES)


# ── Too many ways ────────────────────────────────────────────────────────────────────────────────

V, T, OTHER = "model-version v", "ab-test t", "ab-test other"


@pytest.fixture
def few_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let three ways from one thing be as many as are followed."""
    monkeypatch.setattr(book, "MOST", 3)


def made(*runs: int) -> Record:
    return states("made", *((V, "produced_by", f"run {number}") for number in runs))


def ran(test: str, *runs: int) -> Record:
    cell = f"ab-cell of-{uri(test).name}"
    every = [(f"run {number}", "executed_for", cell) for number in runs]
    return states(test, *every, (cell, "cell_of", test))


@pytest.mark.usefixtures("few_ways")
def test_what_has_too_many_ways_keeps_nothing_of_when_it_had_few(engine: str) -> None:
    with by(engine, RULES["trained_for"]) as graph:
        graph.say(ran(T, 0), ran(OTHER, 1, 2, 3, 4), made(0))
        assert follows(graph, (V, "trained_for", T))

        graph.say(made(1, 2, 3, 4))
        assert not follows(graph, (V, "trained_for", T))
        assert not follows(graph, (V, "trained_for", OTHER))
        assert graph.store.pending_rules().failing == {"trained_for": 1}

        graph.say(made(1, 2))
        assert follows(graph, (V, "trained_for", OTHER))
        assert graph.store.pending_rules().failing == {}
        assert graph.store.verify().sound


@pytest.mark.usefixtures("few_ways")
def test_a_thing_is_no_failure_any_more_though_nothing_was_ever_concluded(engine: str) -> None:
    with by(engine, RULES["trained_for"]) as graph:
        graph.say(ran(T, 0, 1, 2, 3), made(0, 1, 2, 3))
        assert graph.store.pending_rules().failing == {"trained_for": 1}

        graph.say(made())
        assert graph.store.pending_rules().failing == {}


# ── Several names ────────────────────────────────────────────────────────────────────────────────

PACKED = """
name: packed
version: 1
match: (d:deployment), (v:model-version)-[:version_of]->(m:model)
where: d.image_digest == v.image_digest
gives: (d)-[:deploys]->(m)
why: "{d} runs the image of {v}."
"""


def one_version(document: str, *names: str) -> Record:
    """State of versions that each is the same as the next."""
    named = [f"model-version {name}" for name in names]
    return states(document, *((start, "same_as", end) for start, end in pairwise(named)))


def test_what_is_said_under_a_third_name_goes_where_the_second_is_parted_from_it(
    engine: str,
) -> None:
    """What begins at the first name is conditioned on it, and only the other two are told of."""
    superseded = ("model-version x", "superseded_by", "model-version later")
    with by(engine, RULES["superseded_version"]) as graph:
        graph.say(
            states(
                "model",
                ("model-version x", "version_of", "model m"),
                ("model m", "points_to", "model-version later"),
            ),
            describes("model-version y", created_at="2026-01-01"),
            describes("model-version later", created_at="2026-02-01"),
        )
        graph.say(one_version("names", "x", "z"))
        graph.say(one_version("more names", "z", "y"))
        joined = follows(graph, superseded)
        graph.say(one_version("more names"))
        parted = follows(graph, superseded)
        graph.say(one_version("more names", "z", "y"))

        assert (joined, parted, follows(graph, superseded)) == (True, False, True)


def test_a_value_of_one_name_is_gone_on_from_by_an_edge_of_another(engine: str) -> None:
    deployed = ("deployment d", "deploys", "model m")
    with by(engine, read(PACKED)) as graph:
        graph.say(
            describes("deployment d", image_digest="sha256:1"),
            describes("model-version x", image_digest="sha256:1"),
            one_version("names", "x", "z", "y"),
        )
        graph.say(states("model", ("model-version y", "version_of", "model m")))
        before = follows(graph, deployed)
        graph.say(states("model"))

        assert (before, follows(graph, deployed)) == (True, False)


# ── Until when ───────────────────────────────────────────────────────────────────────────────────

IN_DOMAIN = ("model x", "in_domain", "domain d")
OWNERS = ("user o1", "user o2")
#: Neither the order of names nor that of digests may decide.
BY_EACH_OWNER = pytest.mark.parametrize(("one", "other"), [OWNERS, OWNERS[::-1]])


def in_team(*members: str) -> Record:
    every = [(member, "member_of", "team t") for member in members]
    return states("team", *every, ("team t", "in_domain", "domain d"), said_at=100)


@BY_EACH_OWNER
def test_an_edge_was_so_until_the_last_of_its_reasons_ended(
    engine: str, one: str, other: str
) -> None:
    with by(engine, RULES["domain_of_owner"]) as graph:
        graph.say(
            in_team(*OWNERS),
            states("a", ("model x", "owned_by", one), said_at=100),
            states("b", ("model x", "owned_by", other), said_at=100),
        )
        graph.say(states("a", said_at=200), states("b", said_at=300))

        assert not follows(graph, IN_DOMAIN)
        assert until(graph, IN_DOMAIN, 99, 250, 300) == [False, True, False]


def test_a_reason_that_never_was_takes_no_time_from_one_that_ended(engine: str) -> None:
    """The names that one of the reasons rests on are parted in the commit that ends the other."""
    one, other = OWNERS
    # Of so many, some have the one reason first and some the other.
    models = [f"model x{number}" for number in range(8)]
    owned = [(model, "owned_by", owner) for model in models for owner in OWNERS]
    with by(engine, RULES["domain_of_owner"]) as graph:
        graph.say(
            in_team(one, "user third"),
            states("a", *owned, said_at=100),
            states("names", (other, "same_as", "user third"), said_at=100),
        )
        with graph.store.looking() as driver:
            assert driver.row("SELECT count(*) FROM derivation") == (2 * len(models),)
        graph.say(states("a", said_at=300), states("names", said_at=310))

        for model in models:
            edge = (model, "in_domain", "domain d")
            assert until(graph, edge, 99, 250, 300) == [False, True, False], model


SERVED = """
name: served
version: 1
match: (m:model-version)-[:served_in]->(c:ab-cell)-[:cell_of]->(t:ab-test)
gives: (m)-[:trained_for]->(t)
why: "{m} is served in {t}."
"""
RIVALS = """
name: rivals
version: 1
match: (a:model-version)-[:trained_for]->(t:ab-test)<-[:trained_for]-(b:model-version)
where: a.id < b.id
gives: (a)-[:superseded_by]->(b)
why: "{a} and {b} are for {t}."
"""


def test_a_reason_ends_as_its_support_did_and_not_as_a_life_of_it_that_never_was(
    engine: str,
) -> None:
    a, b, cell = "model-version a", "model-version b", "ab-cell c"
    rivals = (a, "superseded_by", b)
    with by(engine, read(SERVED), read(RIVALS)) as graph:
        graph.say(
            states("test", (cell, "cell_of", T), (b, "trained_for", T), said_at=100),
            states("served", (a, "served_in", "ab-cell other"), said_at=100),
            states("names", ("ab-cell other", "same_as", cell), said_at=100),
        )
        first = follows(graph, rivals)
        # It never was so: the cells are not one.
        graph.say(states("names", said_at=110))
        parted = follows(graph, rivals)
        graph.say(states("served", (a, "served_in", cell), said_at=120))
        again = follows(graph, rivals)
        graph.say(states("served", said_at=300))

        assert (first, parted, again) == (True, False, True)
        assert until(graph, rivals, 115, 250, 300, 1_500) == [False, True, False, False]


# ── Pieces ───────────────────────────────────────────────────────────────────────────────────────


def pieces(graph: Graph, monkeypatch: pytest.MonkeyPatch, rounds: int) -> Iterator[tuple[int, int]]:
    """Switch a rule off and on so often, and tell of each piece its size, and its upkeep."""
    store, sizes, upkeep = graph.store, list[int](), list[int]()
    go_on, tidy = Transaction.go_on, store.tidy

    def sized(transaction: Transaction, most: int) -> Piece | None:
        sizes.append(most)
        return go_on(transaction, most)

    def tidied() -> None:
        upkeep.append(1)
        tidy()

    monkeypatch.setattr(Transaction, "go_on", sized)
    monkeypatch.setattr(store, "tidy", tidied)
    for turn in range(2 * rounds):
        store.switch_rule("trained_for", enabled=bool(turn % 2))
        while store.follow_rules():
            yield sum(sizes), len(upkeep)
            sizes.clear()
            upkeep.clear()
        sizes.clear()


def test_a_piece_that_was_not_whole_does_not_let_the_next_ones_grow(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with by(engine, RULES["trained_for"]) as graph:
        graph.say(made(1, 2), ran(T, 1), states("test", ("ab-cell c", "cell_of", T)))
        sizes = [size for size, _ in pieces(graph, monkeypatch, 6)]
    assert len(sizes) > 12
    assert max(sizes) == sizes[0]


def test_upkeep_that_pieces_put_off_is_a_piece_of_its_own(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "TIDY_AFTER", 3)
    with by(engine, RULES["trained_for"]) as graph:
        graph.say(made(1, 2), ran(T, 1), states("test", ("ab-cell c", "cell_of", T)))
        told = list(pieces(graph, monkeypatch, 6))
    assert sum(upkeep for _, upkeep in told) > 1
    assert all(bool(size) != bool(upkeep) for size, upkeep in told)


# ── Memory ───────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def left_for_the_collector() -> Iterator[list[str]]:
    """Fill in, at the end, the kinds of our own values that only the collector could free."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = {type(one) for one in gc.garbage}
        found += sorted(one.__qualname__ for one in kinds if one.__module__.startswith("lineal."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def test_what_a_commit_read_and_wrote_is_free_when_it_is_over(engine: str) -> None:
    """Else the collector looks for it, ever so often and for a quarter of a second."""
    with by(engine, *RULES.values()) as graph:
        graph.say(made(1, 2), ran(T, 1), states("test", ("ab-cell c", "cell_of", T)))
        with left_for_the_collector() as left:
            graph.say(made(1, 3), ran(OTHER, 1), describes(V, name="v"))
            graph.say(states("names", (V, "same_as", "model-version w")))
            graph.store.switch_rule("trained_for", enabled=False)
            while graph.store.follow_rules():
                pass
            graph.edges(uri(V))

        assert left == []
