"""One thing under many names: merging, parting, parts that follow, and that order never matters."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.enrich.identity import PartsFollow, representative
from lineal.enrich.rules import RuleBook, builtin_rules, read_rule
from lineal.errors import Invalid, RuleError
from lineal.model import (
    EdgeStatement,
    Entity,
    Json,
    Moment,
    Record,
    Removal,
    Said,
    State,
    Statement,
    Uri,
)
from lineal.query import Ask, Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from tests.databases import ENGINES, fresh

SHAPES = Shapes.builtin()

Edge = tuple[str, str, str]
Group = frozenset[str]
NOTHING: Mapping[str, dict[str, Json]] = {}


def uri(thing: str) -> Uri:
    """Return the URI of a thing that is written ``type platform/id``."""
    kind, rest = thing.split(" ")
    return Uri.of(kind, *rest.split("/"))


def short(of: Uri) -> str:
    return f"{of.type} {'/'.join(of.parts[1:])}"


class Graph:
    """A store with all that the app gives it, told in short words."""

    def __init__(self, place: Path | str) -> None:
        self.now = 1_000
        self.store = Store(
            place,
            shapes=SHAPES,
            rules=[PartsFollow(SHAPES.level_kinds), RuleBook(builtin_rules())],
            describe=describing(SHAPES),
            now=lambda: self.now,
        )
        self.ask = Questions(self.store)

    def say(
        self, document: str, *edges: Edge, about: Mapping[str, dict[str, Json]] = NOTHING
    ) -> int | None:
        """Replace a document by one that states these edges, and attributes of things."""
        return self.commit(self.word(document, edges, about))

    def word(
        self, document: str, edges: Sequence[Edge], about: Mapping[str, dict[str, Json]] = NOTHING
    ) -> Record:
        stated = tuple(EdgeStatement(uri(start), kind, uri(end)) for start, kind, end in edges)
        said = tuple(Statement(uri(thing), words) for thing, words in about.items())
        return Record("tool", document, uri("source here/it"), said, stated, self.now)

    def drop(self, document: str) -> int | None:
        """Delete a document at its source."""
        return self.commit(Removal("tool", document, uri("source here/it"), self.now))

    def commit(self, *words: Record | Removal) -> int | None:
        self.now += 1_000
        return self.store.commit(Batch(words, "test", "test")).t

    def groups(self, moment: Moment | None = None) -> set[Group]:
        """Return every group of several names."""
        with self.store.read(LOCAL, moment or Moment()) as reader:
            found = reader.groups(reader.of_types(SHAPES.types))
            uris = reader.uris({key for group in found.values() for key in group})
            return {
                frozenset(short(uris[key]) for key in group)
                for group in found.values()
                if len(group) > 1
            }

    def derived(self) -> set[Edge]:
        """Return every claim that the rule of parts makes now."""
        with self.store.read(LOCAL) as reader:
            keys = reader.of_types(SHAPES.types)
            own = reader.documents_of("rule:identity")
            links = [one for one in reader.held(keys, ("same_as",)) if one.document in own]
            uris = reader.uris({end for one in links for end in (one.src, one.dst)})
            return {(short(uris[one.src]), one.kind, short(uris[one.dst])) for one in links}

    def inferred(self, kind: str, moment: Moment | None = None) -> set[tuple[str, str]]:
        """Return every edge of a kind, as its two ends."""
        with self.store.read(LOCAL, moment or Moment()) as reader:
            links = reader.outward(reader.of_types(SHAPES.types), (kind,))
            uris = reader.uris({end for one in links for end in (one.src, one.dst)})
            return {(short(uris[one.src]), short(uris[one.dst])) for one in links}


@contextmanager
def graph(engine: str = "sqlite") -> Iterator[Graph]:
    with tempfile.TemporaryDirectory() as folder, fresh(engine, Path(folder)) as place:
        made = Graph(place)
        with closing(made.store):
            yield made


def same(one: str, other: str) -> Edge:
    return one, "same_as", other


def parted(one: str, other: str) -> Edge:
    return one, "not_same_as", other


def column(table: str, name: str) -> Edge:
    return f"column {table}/{name}", "column_of", f"dataset {table}"


def group(*names: str) -> Group:
    return frozenset(names)


A, B, C = "dataset wh/a", "dataset lake/b", "dataset cat/c"


# ── Groups ───────────────────────────────────────────────────────────────────────────────────────


def test_names_that_claims_join_are_one_group_whoever_says_so() -> None:
    with graph() as one:
        one.say("1", same(A, B))
        one.say("2", same(C, B))

        assert one.groups() == {group(A, B, C)}


def test_a_group_lasts_while_one_claim_of_several_does() -> None:
    with graph() as one:
        one.say("1", same(A, B))
        one.say("2", same(B, A))

        one.drop("1")
        still = one.groups()
        one.say("2")

        assert (still, one.groups()) == ({group(A, B)}, set())


@pytest.mark.parametrize("veto", [parted(A, B), parted(B, A)])
def test_a_veto_parts_the_two_in_either_direction(veto: Edge) -> None:
    with graph() as one:
        one.say("1", same(A, B))
        one.say("2", same(B, C))
        one.say("no", veto)

        assert one.groups() == {group(B, C)}


def test_a_veto_outlives_the_source_that_says_it_again_and_can_be_taken_back() -> None:
    with graph() as one:
        one.say("1", same(A, B))
        one.say("no", parted(A, B))
        one.say("1")
        one.say("1", same(A, B))
        parts = one.groups()

        one.say("no")

        assert (parts, one.groups()) == (set(), {group(A, B)})


def test_todays_knowledge_joins_the_whole_past_and_yesterdays_does_not() -> None:
    """Whatever is asked about: names that are one always were, and nobody knew."""
    with graph() as one:
        one.say("a", about={A: {"rows": 1}})
        one.say("b", about={B: {"owner": "x"}})
        before = one.now
        t = one.say("join", same(A, B))
        assert t is not None

        assert one.groups(Moment(valid_at=before)) == {group(A, B)}
        assert one.groups(Moment(known_t=t - 1)) == set()
        assert one.groups(Moment(known_t=t - 1, valid_at=one.now + 9)) == set()
        assert one.ask.get(LOCAL, uri(B), Moment(valid_at=before)).value.attributes == {
            "owner": "x", "rows": 1,
        }  # fmt: skip
        assert one.ask.get(LOCAL, uri(B), Moment(known_t=t - 1)).value.attributes == {"owner": "x"}


def test_a_wrong_merge_that_is_undone_leaves_no_trace_in_todays_past() -> None:
    with graph() as one:
        one.say("a", about={A: {"rows": 1}})
        one.say("b", about={B: {"owner": "x"}})
        joined = one.say("join", same(A, B))
        within = one.now
        one.say("join")

        assert one.groups(Moment(valid_at=within)) == set()
        assert one.groups(Moment(known_t=joined)) == {group(A, B)}
        own = one.ask.history(LOCAL, uri(A)).value
        assert [(event.what, event.source) for event in own if event.other is None] == [
            ("said", "tool")
        ]


# ── Which name stands for all ────────────────────────────────────────────────────────────────────


def entity(of: str, state: State = State.HYDRATED) -> Entity:
    said = (Said("x", "x", {}, 1, None, 1, None, False),) if state is State.HYDRATED else ()
    return Entity(uri(of), state, {}, said)


def test_the_platform_that_comes_first_stands_for_all_then_what_is_described_then_the_uri() -> None:
    stub, told, late = entity(A, State.REFERENCED), entity(B), entity("dataset zoo/a")

    assert representative([stub, told, late]) == uri(B)
    assert representative([late, stub, told], ["zoo"]) == uri("dataset zoo/a")
    assert representative([told, late, stub], ["wh", "zoo"]) == uri(A)
    assert representative([stub, entity(C, State.REFERENCED)]) == uri(C)


# ── Parts follow their wholes ────────────────────────────────────────────────────────────────────


def test_columns_of_the_same_name_follow_their_tables_without_case() -> None:
    with graph() as one:
        one.say("a", column("wh/a", "HOURS"), column("wh/a", "only_a"))
        one.say("b", column("lake/b", "hours"), column("lake/b", "only_b"))
        alone = one.groups()
        one.say("join", same(A, B))

        assert alone == set()
        assert one.groups() == {group(A, B), group("column wh/a/HOURS", "column lake/b/hours")}


def test_parts_are_parted_with_their_wholes() -> None:
    with graph() as one:
        one.say("a", column("wh/a", "x"))
        one.say("b", column("lake/b", "x"))
        digest = one.store.digest()
        one.say("join", same(A, B))
        one.say("join")

        assert one.groups() == set()
        assert one.store.digest() == digest


def test_a_group_of_three_joins_each_part_with_the_next() -> None:
    with graph() as one:
        for table in ("wh/a", "lake/b", "cat/c"):
            one.say(table, column(table, "x"))
        one.say("join", same(A, B), same(A, C))

        assert one.derived() == {
            ("column cat/c/x", "same_as", "column lake/b/x"),
            ("column lake/b/x", "same_as", "column wh/a/x"),
        }


def test_a_whole_that_joins_later_stands_between_those_that_were_there() -> None:
    with graph() as one:
        for table in ("wh/a", "lake/b", "cat/c"):
            one.say(table, column(table, "x"))
        one.say("join", same(A, C))
        before = one.derived()
        one.say("more", same(A, B))

        assert before == {("column cat/c/x", "same_as", "column wh/a/x")}
        assert one.derived() == {
            ("column cat/c/x", "same_as", "column lake/b/x"),
            ("column lake/b/x", "same_as", "column wh/a/x"),
        }


def test_a_column_that_comes_later_follows_and_one_that_goes_is_let_go() -> None:
    with graph() as one:
        one.say("join", same(A, B))
        one.say("a", column("wh/a", "x"))
        one.say("b", column("lake/b", "x"))
        came = one.groups()
        one.say("b")

        assert came == {group(A, B), group("column wh/a/x", "column lake/b/x")}
        assert one.groups() == {group(A, B)}


def test_parts_of_parts_follow_in_the_same_commit() -> None:
    """A step follows its run, and its own step follows it."""
    with graph() as one:
        for top in ("wh/top", "lake/top"):
            run, step = f"run {top}/r", f"run {top}/r/s"
            one.say(top, (run, "part_of", f"run {top}"), (step, "part_of", run))
        one.say("join", same("run wh/top", "run lake/top"))
        joined = one.groups()
        one.say("join")

        assert joined == {
            group("run wh/top", "run lake/top"),
            group("run wh/top/r", "run lake/top/r"),
            group("run wh/top/r/s", "run lake/top/r/s"),
        }
        assert one.groups() == set()


def test_two_parts_of_one_whole_that_differ_in_case_stay_two() -> None:
    """Where names could be meant without case, the very name decides; else nothing does."""
    with graph() as one:
        one.say("a", column("wh/a", "x"), column("wh/a", "X"))
        one.say("b", column("lake/b", "x"))
        one.say("join", same(A, B))

        assert one.groups() == {group(A, B), group("column wh/a/x", "column lake/b/x")}


def test_a_part_that_follows_is_explained_by_its_place_and_what_joins_the_wholes() -> None:
    with graph() as one:
        one.say("a", column("wh/a", "x"))
        one.say("b", column("lake/b", "x"))
        one.say("join", same(C, A), same(B, C))

        told = one.ask.explain(LOCAL, uri("column lake/b/x"), "same_as", uri("column wh/a/x")).value
        with one.store.read(LOCAL) as reader:
            keys = reader.keys([uri("column lake/b/x"), uri("column wh/a/x")])
            edge = (keys[uri("column lake/b/x")], "same_as", keys[uri("column wh/a/x")])
            (derived,) = reader.derivations(edge)
            uris = reader.uris({end for s in derived.supports for end in (s[0], s[2])})

    (reason,) = told.reasons
    assert (reason.rule, reason.version) == ("identity", "1")
    assert reason.why == "x is in lake/b and in wh/a, which are one thing."
    assert [(short(uris[a]), kind, short(uris[b])) for a, kind, b in derived.supports] == [
        column("lake/b", "x"), column("wh/a", "x"), same(B, C), same(C, A),
    ]  # fmt: skip


def test_parts_may_be_parted_by_a_veto_of_their_own() -> None:
    with graph() as one:
        one.say("a", column("wh/a", "x"), column("wh/a", "y"))
        one.say("b", column("lake/b", "x"), column("lake/b", "y"))
        one.say("join", same(A, B))
        one.say("no", parted("column wh/a/x", "column lake/b/x"))

        assert one.groups() == {group(A, B), group("column wh/a/y", "column lake/b/y")}


def test_nothing_is_concluded_where_no_group_is_touched() -> None:
    with graph() as one:
        one.say("a", column("wh/a", "x"))
        one.say("b", column("lake/b", "x"), (A, "derived_from", B))

        assert one.derived() == set()


# ── Rules match through groups ───────────────────────────────────────────────────────────────────

V, R, T = "model-version reg/v", "run orc/r", "ab-test exp/t"
R2, CELL, CELL2 = "run other/r2", "ab-cell exp/c", "ab-cell other/c2"
CHAIN: tuple[Edge, ...] = (
    (V, "produced_by", R), (R2, "executed_for", CELL), (CELL2, "cell_of", T),
    same(R, R2), same(CELL, CELL2),
)  # fmt: skip


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (3, 1, 4, 0, 2)])
def test_a_rule_stands_at_every_name_of_a_thing(order: Sequence[int]) -> None:
    with graph() as one:
        for at in order:
            one.say(f"document {at}", CHAIN[at])

        assert one.inferred("trained_for") == {(V, T)}


@pytest.mark.parametrize("at", range(len(CHAIN)))
def test_what_a_rule_concluded_goes_with_each_support_also_with_a_name(at: int) -> None:
    with graph() as one:
        for place, edge in enumerate(CHAIN):
            one.say(f"document {place}", edge)
        one.say(f"document {at}")

        assert one.inferred("trained_for") == set()


@pytest.mark.parametrize("names", [(R, R2), (CELL2, CELL)])
def test_a_veto_withdraws_what_rests_on_the_names_as_never_having_been(
    names: tuple[str, str],
) -> None:
    with graph() as one:
        t = one.say("chain", *CHAIN)
        within = one.now
        one.say("no", parted(*names))
        gone = one.inferred("trained_for"), one.inferred("trained_for", Moment(valid_at=within))
        one.say("no")

        assert gone == (set(), set())
        assert one.inferred("trained_for", Moment(known_t=t)) == {(V, T)}
        assert one.inferred("trained_for", Moment(valid_at=within)) == {(V, T)}


def test_what_joins_the_names_is_among_the_supports() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)
        told = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value

    assert [support.kind for support in told.reasons[0].supports] == [
        "produced_by", "same_as", "executed_for", "same_as", "cell_of",
    ]  # fmt: skip


def test_an_edge_is_given_to_the_names_that_stood_in_the_pattern() -> None:
    with graph() as one:
        one.say("chain", *CHAIN, same(V, "model-version hub/v"), same(T, "ab-test old/t"))

        assert one.inferred("trained_for") == {(V, T)}


def test_a_rule_through_parts_that_follow() -> None:
    """Cells follow their tests, and the rule sees it in the same commit."""
    with graph() as one:
        one.say("run", (V, "produced_by", R), (R, "executed_for", "ab-cell exp/t/2"))
        one.say("cells", ("ab-cell exp/t/2", "cell_of", T),
                ("ab-cell old/t/2", "cell_of", "ab-test old/t"))  # fmt: skip
        one.say("join", same(T, "ab-test old/t"))
        joined = one.inferred("trained_for")
        one.say("join")

        assert joined == {(V, T), (V, "ab-test old/t")}
        assert one.inferred("trained_for") == {(V, T)}


def test_a_rule_begins_only_at_things_of_its_type() -> None:
    """A data set that the same run made is trained for nothing."""
    with graph() as one:
        one.say("run", (V, "produced_by", R), (A, "produced_by", R))
        one.say("cell", (CELL, "cell_of", T))
        one.say("last", (R, "executed_for", CELL))

        assert one.inferred("trained_for") == {(V, T)}


def test_a_rule_cannot_speak_of_names() -> None:
    text = (
        "name: x\nversion: 1\nmatch: (a:run)-[:same_as]->(b:run)\n"
        "gives: (a)-[:triggered_by]->(b)\nwhy: no\n"
    )
    with pytest.raises(RuleError, match="same_as"):
        read_rule(text, file="x.yaml", shapes=SHAPES)


# ── Walks ────────────────────────────────────────────────────────────────────────────────────────


def test_walks_cross_names_at_no_cost_and_edges_inside_a_group_are_no_steps() -> None:
    with graph() as one:
        one.say("1", same(A, B), (A, "derived_from", B))
        one.say("2", ("dataset out/o", "derived_from", A), (B, "derived_from", "dataset in/i"))
        told = one.ask.lineage(LOCAL, [uri("dataset out/o")], up=2, down=0, ask=Ask()).value

    assert {(short(node.thing.uri), node.depth) for node in told.nodes} == {
        ("dataset out/o", 0), (B, -1), ("dataset in/i", -2),
    }  # fmt: skip
    assert {(short(arrow.start), short(arrow.end)) for arrow in told.arrows} == {
        ("dataset in/i", B), (B, "dataset out/o"),
    }  # fmt: skip


# ── Any history ──────────────────────────────────────────────────────────────────────────────────

TABLES = ("dataset p0/t", "dataset p1/t", "dataset p2/t")
COLUMNS = ("x", "X", "y")
NESTED = ("run q0/top", "run q1/top", "run q2/top")


def possible() -> list[Edge]:
    """Every edge that a document may state: names, vetoes, places, and what a rule needs."""
    pairs = [(0, 1), (1, 2), (2, 0)]
    edges = [same(TABLES[a], TABLES[b]) for a, b in pairs]
    edges += [parted(TABLES[a], TABLES[b]) for a, b in pairs]
    edges += [column(f"p{at}/t", name) for at in range(3) for name in COLUMNS]
    edges += [parted(f"column p{a}/t/x", f"column p{b}/t/x") for a, b in pairs]
    edges += [same("column p0/t/y", "column p2/t/x")]
    edges += [same(NESTED[a], NESTED[b]) for a, b in pairs]
    for at in range(3):
        edges += [
            (f"run q{at}/top/r", "part_of", NESTED[at]),
            (f"run q{at}/top/r/s", "part_of", f"run q{at}/top/r"),
            (f"model-version p{at}/v", "produced_by", f"run q{at}/top/r/s"),
            (f"run q{at}/top/r/s", "executed_for", CELL),
        ]
    edges += [(CELL, "cell_of", T), (CELL2, "cell_of", "ab-test exp/u"), same(CELL, CELL2)]
    edges += [parted("run q0/top/r", "run q1/top/r"), parted(CELL2, CELL)]
    return edges


POSSIBLE = possible()
DOCUMENTS = 6
NUMBERS = st.integers(0, len(POSSIBLE) - 1)
#: A document, and in what it differs from its usual word.
WORD = st.tuples(st.integers(0, DOCUMENTS - 1), st.sets(NUMBERS, max_size=5))
HISTORY = st.lists(st.lists(WORD, min_size=1, max_size=3), min_size=1, max_size=8)


def usual(document: int) -> set[Edge]:
    """What a document says unless it differs: all documents together state all but vetoes."""
    return {
        edge
        for number, edge in enumerate(POSSIBLE)
        if number % DOCUMENTS == document and edge[1] != "not_same_as"
    }


def told(word: tuple[int, set[int]]) -> tuple[str, list[Edge]]:
    document, changed = word
    return str(document), sorted(usual(document) ^ {POSSIBLE[number] for number in changed})


def expected(edges: set[Edge]) -> tuple[set[Group], set[tuple[str, str]]]:
    """Return the groups and what the rule concludes, worked out plainly from all edges."""
    vetoes = {frozenset((a, b)) for a, kind, b in edges if kind == "not_same_as"}
    stated = {(a, b) for a, kind, b in edges if kind == "same_as"}
    levels = [(a, b) for a, kind, b in edges if kind in SHAPES.level_kinds]
    derived: set[tuple[str, str]] = set()
    for _ in range(9):
        joins = [each for each in stated | derived if frozenset(each) not in vetoes]
        derived = _parts(levels, _components(joins))
    groups = _components([each for each in stated | derived if frozenset(each) not in vetoes])

    def one(of: str) -> Group:
        return groups.get(of, frozenset((of,)))

    concluded = {
        (v, t)
        for v, made, r in edges if made == "produced_by"
        for r2, ran, c in edges if ran == "executed_for" and one(r2) == one(r)
        for c2, of, t in edges if of == "cell_of" and one(c2) == one(c)
    }  # fmt: skip
    return set(groups.values()), concluded


def _components(joins: Sequence[tuple[str, str]]) -> dict[str, Group]:
    found: dict[str, Group] = {}
    for a, b in joins:
        merged = found.get(a, frozenset((a,))) | found.get(b, frozenset((b,)))
        found.update(dict.fromkeys(merged, merged))
    return found


def _parts(levels: Sequence[tuple[str, str]], groups: dict[str, Group]) -> set[tuple[str, str]]:
    derived = set()
    for wholes in set(groups.values()):
        own = sorted({(part, whole) for part, whole in levels if whole in wholes})
        for name in {part.rsplit("/", 1)[1].casefold() for part, _ in own}:
            called = [each for each in own if each[0].rsplit("/", 1)[1].casefold() == name]
            if len({whole for _, whole in called}) == len(called):
                rows = [called]
            else:
                exact = {part.rsplit("/", 1)[1] for part, _ in called}
                rows = [[e for e in called if e[0].endswith("/" + one)] for one in exact]
            for row in rows:
                parts = sorted((uri(part), part) for part, _ in row)
                derived |= {(a[1], b[1]) for a, b in pairwise(parts)}
    return derived


@settings(max_examples=60)
@given(HISTORY)
def test_names_and_conclusions_are_what_follows_from_scratch(
    history: list[list[tuple[int, set[int]]]],
) -> None:
    """After every commit of any history: documents are replaced, emptied and said again."""
    with graph() as one:
        standing: dict[str, list[Edge]] = {}
        everything = [(document, set[int]()) for document in range(DOCUMENTS)]
        for commit in [everything[:4], everything[4:], *history]:
            words = dict(told(word) for word in commit)
            one.now += 1_000
            one.commit(*(one.word(document, edges) for document, edges in words.items()))
            standing.update(words)
            groups, concluded = expected({edge for some in standing.values() for edge in some})

            assert one.groups() == groups
            assert one.inferred("trained_for") == concluded


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=20)
@given(
    st.lists(st.sets(NUMBERS, max_size=5), min_size=DOCUMENTS, max_size=DOCUMENTS),
    st.permutations(range(DOCUMENTS)),
    st.lists(st.booleans(), min_size=DOCUMENTS, max_size=DOCUMENTS),
    HISTORY,
)
def test_the_digest_depends_neither_on_order_nor_on_what_was_said_before(
    engine: str,
    changed: list[set[int]],
    order: list[int],
    together: list[bool],
    before: list[list[tuple[int, set[int]]]],
) -> None:
    """Split into commits anyhow, in any order, after any other history, on either database."""
    words = dict(told(word) for word in enumerate(changed))
    with graph() as one, graph(engine) as other:
        one.commit(*(one.word(document, edges) for document, edges in words.items()))
        for commit in before:
            for word in commit:
                document, edges = told(word)
                other.say(document, *edges)
        waiting: list[Record] = []
        for at, wait in zip(order, together, strict=True):
            waiting.append(other.word(str(at), words[str(at)]))
            if not wait:
                other.commit(*waiting)
                waiting = []
        other.commit(*waiting)

        assert other.groups() == one.groups()
        assert other.derived() == one.derived()
        assert other.store.digest() == one.store.digest()


# ── What people say ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lineal(tmp_path: Path) -> Iterator[Lineal]:
    """Open an installation that holds three tables, two of which a source holds to be one."""
    with Lineal.open(Config(db=tmp_path / "x.db")) as opened:
        say(opened, "a", column("wh/a", "x"), column("wh/a", "y"), about={A: {"rows": 1}})
        say(opened, "b", column("lake/b", "x"), ("dataset out/o", "derived_from", B),
            about={B: {"rows": 2, "environment": "prod"}})  # fmt: skip
        say(opened, "c", column("cat/c", "Y"), about={C: {"environment": "staging"}})
        yield opened


def say(
    opened: Lineal, document: str, *edges: Edge, about: Mapping[str, dict[str, Json]] = NOTHING
) -> int | None:
    stated = tuple(EdgeStatement(uri(start), kind, uri(end)) for start, kind, end in edges)
    said = tuple(Statement(uri(thing), words) for thing, words in about.items())
    at = opened.store.now()
    word = Record("tool", document, uri("source here/it"), said, stated, at)
    return opened.store.commit(Batch([word], "test", "test")).t


def also(opened: Lineal, thing: str) -> set[str]:
    answer = opened.ask.get(LOCAL, uri(thing)).value
    return {short(answer.uri), *(short(other) for other in answer.also)}


def merge(opened: Lineal, one: str, other: str) -> int:
    return opened.merge(uri(one), uri(other), reason="seen", actor="ada")


def split(opened: Lineal, one: str, other: str | None = None) -> int:
    to = None if other is None else uri(other)
    return opened.split(uri(one), to, reason="wrong", actor="ada")


def test_a_merge_is_a_claim_of_a_person_with_evidence(lineal: Lineal) -> None:
    t = merge(lineal, B, A)

    (found,) = lineal.ask.names(LOCAL, uri(A)).value.evidence
    assert (short(found.start.uri), found.kind, short(found.end.uri)) == same(B, A)
    assert (found.claim.source, found.claim.t_from, found.actor, found.cause) == (
        "lineal", t, "ada", "merge: seen",
    )  # fmt: skip
    assert found.claim.attributes == {
        "evidence": "administrator", "reason": "seen", "actor": "ada",
    }  # fmt: skip
    assert found.claim.document == f"identity:{uri(B)}|{uri(A)}"
    assert found.joins


def test_merge_then_split_is_the_digest_before(lineal: Lineal) -> None:
    digest = lineal.store.digest()
    merge(lineal, A, B)
    joined = lineal.store.digest()
    split(lineal, B, A)

    assert lineal.store.digest() == digest != joined
    assert also(lineal, A) == {A}
    assert lineal.ask.get(LOCAL, uri(A)).value.state is State.HYDRATED


def test_a_split_of_what_is_only_mentioned_leaves_it_mentioned(lineal: Lineal) -> None:
    say(lineal, "m", ("dataset out/o", "derived_from", "dataset aa/stub"))
    merge(lineal, "dataset aa/stub", A)
    split(lineal, "dataset aa/stub")

    assert lineal.ask.get(LOCAL, uri("dataset aa/stub")).value.state is State.REFERENCED


def test_a_split_of_what_a_source_claims_survives_it_and_is_taken_back_by_a_merge(
    lineal: Lineal,
) -> None:
    say(lineal, "join", same(A, B))
    digest = lineal.store.digest()
    split(lineal, A, B)
    say(lineal, "join")
    say(lineal, "join", same(A, B))
    apart = also(lineal, A), {(e.kind, e.joins) for e in
                              lineal.ask.names(LOCAL, uri(A)).value.evidence}  # fmt: skip
    merge(lineal, A, B)

    assert apart == ({A}, {("same_as", False), ("not_same_as", False)})
    assert also(lineal, A) == {A, B}
    assert lineal.store.digest() == digest


def test_a_split_of_two_that_others_join_tells_by_which(lineal: Lineal) -> None:
    say(lineal, "join", same(A, B), same(B, C))

    with pytest.raises(Invalid, match=f"{uri(A)} same_as {uri(B)}, {uri(B)} same_as {uri(C)}"):
        split(lineal, A, C)
    say(lineal, "more", same(C, A))
    with pytest.raises(Invalid, match=f"still be one by {uri(B)} same_as {uri(C)}"):
        split(lineal, C, A)
    split(lineal, C)

    assert also(lineal, A) == {A, B}
    assert also(lineal, C) == {C}


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        (A, A, "one name"),
        (A, "column wh/a/x", "one type"),
        (B, C, "different environments"),
        (A, "dataset out/o", ""),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused(
    lineal: Lineal, one: str, other: str, says: str
) -> None:
    if not says:
        merge(lineal, one, other)
        says = "one thing already"
    before = lineal.store.digest()
    with pytest.raises(Invalid, match=says):
        merge(lineal, one, other)
    assert lineal.store.digest() == before


def test_a_merge_across_environments_is_done_if_it_is_meant(lineal: Lineal) -> None:
    lineal.merge(uri(B), uri(C), reason="", actor="ada", across_environments=True)

    assert also(lineal, B) == {B, C}


def test_a_split_of_what_is_one_name_is_refused(lineal: Lineal) -> None:
    for other in (None, B, A):
        with pytest.raises(Invalid, match="nothing to part"):
            split(lineal, A, other)


# ── Previews ─────────────────────────────────────────────────────────────────────────────────────


def test_a_preview_of_a_merge_says_what_would_be_one_and_changes_nothing(lineal: Lineal) -> None:
    say(lineal, "view", (A, "derived_from", B))
    digest = lineal.store.digest()

    told = lineal.ask.preview_merge(LOCAL, uri(A), uri(B)).value

    assert {short(one.thing.uri) for one in told.before} == {A, B}
    (after,) = told.after
    assert [short(name.uri) for name in after.names] == [B, A]
    assert [(short(a), short(b)) for a, b in told.parts] == [("column lake/b/x", "column wh/a/x")]
    assert [(one.attribute, [value for _, value in one.values]) for one in told.disagreements] == [
        ("rows", [2, 1])
    ]
    assert [(short(a), kind, short(b)) for a, kind, b in told.inner] == [(A, "derived_from", B)]
    assert ["derived" in warning for warning in told.warnings] == [True]
    assert lineal.store.digest() == digest


@pytest.mark.parametrize("at", range(3))
def test_what_a_preview_says_is_what_then_is_so(lineal: Lineal, at: int) -> None:
    """Parts and conclusions of a merge appear as told, and go as told with the split."""
    names = [("run orc/r", "run other/r"), (CELL, CELL2), (T, "ab-test old/t")][at]
    chain = [(V, "produced_by", R), (R2, "executed_for", CELL), (CELL2, "cell_of", T),
             (CELL, "cell_of", "ab-test old/t"), same(R, R2)]  # fmt: skip
    say(lineal, "chain", *(edge for edge in chain if at > 0 or edge[1] != "same_as"))
    if at == 0:
        names = (R, R2)

    def concluded() -> set[tuple[Uri, str, Uri]]:
        with lineal.store.read(LOCAL) as reader:
            links = reader.outward(reader.of_types(SHAPES.types), frozenset(SHAPES.kinds))
            links = [one for one in links if one.layer == "inferred"]
            uris = reader.uris({end for one in links for end in (one.src, one.dst)})
            return {(uris[one.src], one.kind, uris[one.dst]) for one in links}

    before = concluded()
    told = lineal.ask.preview_merge(LOCAL, uri(names[0]), uri(names[1])).value
    merge(lineal, *names)
    joined = concluded()
    back = lineal.ask.preview_split(LOCAL, uri(names[1]), uri(names[0])).value
    split(lineal, *names)

    appeared = {*told.appear, *((a, "same_as", b) for a, b in told.parts)}
    assert appeared == joined - before
    assert set(back.vanish) | {(a, "same_as", b) for a, b in back.parts} == appeared
    assert concluded() == before
    assert (at == 2) or told.appear


# ── Suggestions ──────────────────────────────────────────────────────────────────────────────────


def test_a_suggestion_needs_name_columns_type_platform_and_environment_alike() -> None:
    orders = ("dataset wh/prod.shop.orders", "dataset s3/lake/shop/orders")
    with graph() as one:
        for table in ("wh/prod.shop.orders", "s3/lake/shop/orders", "wh/shop.orders"):
            one.say(table, *(column(table, name) for name in ("id", "total")))
        one.say("other columns", column("gcs/orders", "id"))
        one.say("no columns", about={"dataset hub/orders": {}})
        one.say("dev", column("dev/orders", "id"), column("dev/orders", "total"),
                about={"dataset dev/orders": {"environment": "dev"},
                       orders[0]: {"environment": "prod"}, orders[1]: {"environment": "prod"},
                       "dataset wh/shop.orders": {"environment": "dev"}})  # fmt: skip
        before = one.store.digest()
        found = one.ask.suggestions(LOCAL)
        only = one.ask.suggestions(LOCAL, uri("dataset dev/orders")).value

        assert [(short(s.one.uri), short(s.other.uri)) for s in found.value] == [
            orders[::-1], ("dataset dev/orders", "dataset wh/shop.orders"),
        ]  # fmt: skip
        assert [s.score for s in found.value] == [0.675, 0.55]
        assert found.value[0].reasons == (
            "the last 2 parts of their names are the same", "the same 2 columns",
        )  # fmt: skip
        assert found.complete
        assert only == found.value[1:]
        assert one.store.digest() == before
        assert one.groups() == set()


def test_what_is_one_or_was_parted_is_not_suggested() -> None:
    with graph() as one:
        for table in ("wh/orders", "s3/orders"):
            one.say(table, column(table, "id"))
        first = one.ask.suggestions(LOCAL).value
        one.say("join", same("dataset wh/orders", "dataset s3/orders"))
        joined = one.ask.suggestions(LOCAL).value
        one.say("join", parted("dataset wh/orders", "dataset s3/orders"))

        assert len(first) == 1
        assert joined == one.ask.suggestions(LOCAL).value == ()


# ── P8 ───────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=10)
@given(HISTORY)
def test_answers_of_then_never_change(history: list[list[tuple[int, set[int]]]]) -> None:
    """P8: what was answered at a transaction is answered for ever, whatever is merged and split."""
    asked = [uri(TABLES[0]), uri("column p1/t/x"), uri("run q0/top/r/s"), uri(T)]

    def answers(one: Graph, moment: Moment) -> list[object]:
        found: list[object] = [one.groups(moment), one.inferred("trained_for", moment)]
        for thing in asked:
            found.append(one.ask.get(LOCAL, thing, moment).value)
            found.append(one.ask.neighbours(LOCAL, thing, moment).value)
            found.append(one.ask.lineage(LOCAL, [thing], moment).value)
            found.append(one.ask.names(LOCAL, thing, moment).value)
            found.append(one.ask.search(LOCAL, thing.name, moment).value.hits)
        return found

    with graph() as one:
        everything = [told((document, set())) for document in range(DOCUMENTS)]
        one.commit(*(one.word(document, edges) for document, edges in everything))
        known: dict[int, list[object]] = {}
        for commit in history:
            for word in commit:
                document, edges = told(word)
                t = one.say(document, *edges)
                if t is not None:
                    known[t] = answers(one, Moment(known_t=t))
            for t, answer in known.items():
                assert answers(one, Moment(known_t=t)) == answer


def test_the_configured_platform_stands_first_behind_every_question(tmp_path: Path) -> None:
    config = Config.from_environment(
        {"LINEAL_DB": str(tmp_path / "x.db"), "LINEAL_PLATFORM_ORDER": "wh, cat"}
    )
    with Lineal.open(config) as opened:
        say(opened, "1", same(A, B), same(B, C), ("dataset out/o", "derived_from", C),
            about={C: {"name": "orders"}})  # fmt: skip
        lineage = opened.ask.lineage(LOCAL, [uri("dataset out/o")]).value

        assert opened.ask.get(LOCAL, uri(C)).value.uri == uri(A)
        assert opened.ask.names(LOCAL, uri(B)).value.thing.uri == uri(A)
        assert [one.uri for one in opened.ask.search(LOCAL, "orders").value.hits] == [uri(A)]
        assert {node.thing.uri for node in lineage.nodes} == {uri(A), uri("dataset out/o")}
