"""Rules: their fixtures in every order, and that what they conclude goes when its support does."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.resources import files
from itertools import islice, permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.enrich.rules import Rule, RuleBook, builtin_rules, fixture_of, read_rule
from lineal.enrich.rules.fixtures import Case, read_cases, records_of
from lineal.enrich.rules.telling import written
from lineal.errors import NotFound, RuleError
from lineal.model import (
    EdgeStatement,
    Instant,
    Layer,
    Moment,
    Record,
    Removal,
    Statement,
    Uri,
)
from lineal.query import Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from tests.databases import ENGINES, fresh
from tests.promises.recording import SOAK, ran

SHAPES = Shapes.builtin()
FOLDER = files("lineal.enrich") / "builtin"
#: One of them is off until somebody enables it.
RULES = {rule.name: replace(rule, enabled=True) for rule in builtin_rules()}

Edge = tuple[str, str, str]


# ── Graphs that conclude ─────────────────────────────────────────────────────────────────────────


#: On which database the tests that run now make their graphs.
_engine = ["sqlite"]


@pytest.fixture(scope="module", params=ENGINES, autouse=True)
def engine(request: pytest.FixtureRequest) -> str:
    """Say on which database: the one place of this module that knows."""
    _engine[:] = [request.param]
    return _engine[0]


class Graph:
    """A store with rules, told in short words: things are type and name."""

    def __init__(self, store: Store) -> None:
        self.store, self.now = store, 1_000
        self.ask = Questions(store)

    def say(self, document: str, *edges: Edge, since: Instant | None = None) -> int | None:
        """Replace a document by one that states these edges."""
        stated = tuple(
            EdgeStatement(uri(start), kind, uri(end), valid_from=since)
            for start, kind, end in edges
        )
        word = Record("tool", document, uri("source document"), (), stated, self.now)
        return self.commit(word)

    def drop(self, document: str) -> int | None:
        """Delete a document at its source."""
        return self.commit(Removal("tool", document, uri("source document"), self.now))

    def commit(self, *words: Record | Removal) -> int | None:
        self.now += 1_000
        return self.store.commit(Batch(words, "test", "test")).t

    def inferred(self, moment: Moment | None = None) -> set[Edge]:
        """Return every edge that is inferred, as both ends' pages show it."""
        with self.store.read(LOCAL, moment or Moment()) as reader:
            keys = reader.of_types(SHAPES.types)
            kinds = frozenset(SHAPES.kinds)
            out = {(one.src, one.kind, one.dst) for one in reader.outward(keys, kinds)
                   if one.layer in ("inferred", "suggested")}  # fmt: skip
            inward = {(one.src, one.kind, one.dst) for one in reader.inward(keys, kinds)
                      if one.layer in ("inferred", "suggested")}  # fmt: skip
            assert out == inward
            names = {key: short(of) for key, of in reader.uris(keys).items()}
        return {(names[src], kind, names[dst]) for src, kind, dst in out}


def short(uri: Uri) -> str:
    return f"{uri.type} {uri.name}"


def uri(thing: str) -> Uri:
    kind, name = thing.split()
    return Uri.of(kind, "here", name)


@contextmanager
def graph(*rules: Rule) -> Iterator[Graph]:
    made: list[Graph] = []
    book = RuleBook(rules or tuple(RULES.values()))
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh(_engine[0], Path(folder)) as place,
        closing(
            Store(
                place,
                shapes=SHAPES,
                rules=[book],
                describe=describing(SHAPES),
                now=lambda: made[0].now,
            )
        ) as store,
    ):
        made.append(Graph(store))
        yield made[0]


# ── Fixtures ─────────────────────────────────────────────────────────────────────────────────────


CASES = [
    (name, case)
    for name, rule in sorted(RULES.items())
    for case in read_cases(fixture_of(rule) or "", file=f"{name}.txt")
]
EACH_CASE = pytest.mark.parametrize(
    ("name", "case"), CASES, ids=[f"{name}: {case.says}" for name, case in CASES]
)


def expected(case: Case) -> set[Edge]:
    return {(short(start), kind, short(end)) for start, kind, end in case.expected}


def by(one: Graph, name: str) -> set[Edge]:
    """Return the edges of the kind that a rule gives: others may conclude from the same facts."""
    return {edge for edge in one.inferred() if edge[1] == RULES[name].gives}


def test_every_rule_has_a_fixture_and_every_fixture_a_rule() -> None:
    names = {Path(item.name) for item in FOLDER.iterdir()}

    assert {name.stem for name in names if name.suffix == ".yaml"} == set(RULES)
    assert {name.stem for name in names if name.suffix == ".txt"} == set(RULES)
    for name in RULES:
        assert any(case.expected for of, case in CASES if of == name), name
        assert any(not case.expected for of, case in CASES if of == name), name


def test_every_rule_says_what_it_means_and_when_it_is_wrong() -> None:
    for rule in RULES.values():
        assert rule.means.endswith("."), rule.name
        assert rule.wrong_when.endswith("."), rule.name


@EACH_CASE
def test_a_fixture_holds_in_every_order_of_its_statements(
    engine: str, name: str, case: Case
) -> None:
    # What follows from which order is no matter of the database; to make one takes a while there.
    most = 24 if engine == "sqlite" else 3
    for order in islice(permutations(records_of(case)), most):
        with graph(RULES[name]) as one:
            for record in order:
                one.commit(replace(record, said_at=None))

            assert one.inferred() == expected(case), order


@EACH_CASE
def test_a_fixture_holds_if_all_is_said_at_once(name: str, case: Case) -> None:
    with graph() as one:
        one.commit(*records_of(case))

        assert by(one, name) >= expected(case)


@EACH_CASE
def test_a_fixture_holds_of_what_was_known_before_its_rule_was_let(name: str, case: Case) -> None:
    """Then no commit changes anything: what has equal values is found as it lies there."""
    with graph(RULES[name]) as one:
        one.store.switch_rule(name, enabled=False)
        one.commit(*[replace(record, said_at=None) for record in records_of(case)])
        assert one.inferred() == set()

        one.store.switch_rule(name, enabled=True)
        while one.store.follow_rules():
            pass
        assert one.inferred() == expected(case)


@EACH_CASE
def test_each_support_that_goes_takes_what_rests_on_it(name: str, case: Case) -> None:
    """What is left is what follows from the rest; the past still has all of it."""
    records = list(records_of(case))
    for record in records:
        with graph(RULES[name]) as one, graph(RULES[name]) as rest:
            for other in records:
                one.commit(replace(other, said_at=None))
                if other != record:
                    rest.commit(replace(other, said_at=None))
            with one.store.read(LOCAL) as reader:
                basis = reader.basis.t

            one.commit(Record(record.source, record.document, record.subject, (), (), one.now))

            assert one.inferred() == rest.inferred(), record
            assert one.inferred(Moment(known_t=basis)) == expected(case), record


# ── Support ──────────────────────────────────────────────────────────────────────────────────────

V, R, C, T = "model-version v", "run r", "ab-cell c", "ab-test t"
CHAIN: tuple[Edge, ...] = ((V, "produced_by", R), (R, "executed_for", C), (C, "cell_of", T))
GOAL = (V, "trained_for", T)


def test_an_edge_with_two_derivations_survives_the_loss_of_one() -> None:
    other = ((R, "executed_for", "ab-cell d"), ("ab-cell d", "cell_of", T))
    with graph() as one:
        one.say("chain", *CHAIN)
        one.say("other", *other)
        both = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value.reasons

        one.say("chain", CHAIN[0])
        after = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value.reasons
        one.say("other")

        assert (len(both), len(after)) == (2, 1)
        assert after[0].why == "v was produced by r, which ran for cell d of t."
        assert one.inferred() == set()


def test_a_support_that_two_documents_state_goes_with_the_second() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)
        one.say("again", CHAIN[1])

        one.say("chain", CHAIN[0], CHAIN[2])
        still = one.inferred()
        one.say("again")

        assert (still, one.inferred()) == ({GOAL}, set())


def test_saying_the_same_again_concludes_nothing_anew() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)

        assert one.say("chain", *CHAIN) is None
        assert one.say("more", (R, "run_of", "pipeline p")) == 2
        with one.store.looking() as driver:
            assert driver.row("SELECT count(*) FROM derivation") == (1,)


def test_a_conclusion_begins_when_the_last_of_its_supports_does() -> None:
    with graph() as one:
        for since, edge in zip((300, 500, 400), CHAIN, strict=True):
            one.say(edge[1], edge, since=since)

        assert one.inferred(Moment(valid_at=499)) == set()
        assert one.inferred(Moment(valid_at=500)) == {GOAL}


def test_a_conclusion_moves_with_the_times_of_its_supports() -> None:
    with graph() as one:
        for since, edge in zip((300, 500, 400), CHAIN, strict=True):
            one.say(edge[1], edge, since=since)
        one.say("executed_for", CHAIN[1], since=200)

        assert one.inferred(Moment(valid_at=399)) == set()
        assert one.inferred(Moment(valid_at=400)) == {GOAL}
        assert one.inferred(Moment(valid_at=450, known_t=3)) == set()


def test_two_conclusions_that_end_at_once_end_each_for_its_own_reason() -> None:
    """v was never trained for t after all; w was, until its cell ended."""
    with graph() as one:
        w: tuple[Edge, ...] = (
            ("model-version w", "produced_by", "run s"),
            ("run s", "executed_for", "ab-cell d"),
            ("ab-cell d", "cell_of", T),
        )
        one.say("v", *CHAIN)
        one.say("w", *w)
        one.now = 10_000
        stated = [tuple(EdgeStatement(uri(a), k, uri(b)) for a, k, b in edges)
                  for edges in ((CHAIN[0], CHAIN[2]), w[:2])]  # fmt: skip
        one.commit(
            *(Record("tool", name, uri("source document"), (), edges, 10_000)
              for name, edges in zip("vw", stated, strict=True))
        )  # fmt: skip

        assert one.inferred() == set()
        assert one.inferred(Moment(valid_at=9_000)) == {("model-version w", "trained_for", T)}


def test_an_inferred_edge_is_explained_by_its_rule_and_supports() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)

        told = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value

    (reason,) = told.reasons
    assert (reason.rule, reason.version) == ("trained_for", "2")
    assert [(s.start.uri, s.kind, s.end.uri) for s in reason.supports] == [
        (uri(a), kind, uri(b)) for a, kind, b in CHAIN
    ]
    assert told.edge.layer is Layer.INFERRED


def test_a_condition_on_an_edge_is_on_each_claim_of_it() -> None:
    """Two say that the alias is there; what only one says counts as long as that one says it."""
    with graph(RULES["superseded_version"]) as one:

        def point(document: str, alias: str | None) -> None:
            said = {} if alias is None else {"alias": alias}
            edge = EdgeStatement(uri("model m"), "points_to", uri("model-version v2"), said)
            one.commit(Record("tool", document, uri("model m"), (), (edge,), one.now))

        for name, day in (("v1", "2026-01-01"), ("v2", "2026-02-01")):
            version = uri(f"model-version {name}")
            said = Statement(version, {"created_at": day})
            of = EdgeStatement(version, "version_of", uri("model m"))
            one.commit(Record("tool", name, version, (said,), (of,), one.now))
        follows = {("model-version v1", "superseded_by", "model-version v2")}

        point("a", "candidate")
        assert not one.inferred()
        point("b", "champion")
        assert one.inferred() == follows
        point("b", "challenger")
        assert not one.inferred()
        point("a", None)
        assert one.inferred() == follows
        one.drop("a")
        assert not one.inferred()


def test_a_tool_may_declare_what_a_rule_concludes_and_outlive_it() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)
        one.say("declared", GOAL)

        one.say("chain")
        (claim,) = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value.edge.claims

        assert claim.layer is Layer.DECLARED
        one.say("declared")
        with pytest.raises(NotFound):
            one.ask.explain(LOCAL, uri(V), "trained_for", uri(T))


BACKWARDS = """
name: served_backwards
version: 1
match: >-
  (t:ab-test)<-[:cell_of]-(c:ab-cell)<-[:executed_for]-(r:run)<-[:produced_by]-(m:model-version)
gives: (m)-[:trained_for]->(t)
why: "{m} was produced for {t}."
"""


@pytest.mark.parametrize("at", range(3))
def test_a_rule_may_give_an_edge_against_its_path_and_takes_it_back(at: int) -> None:
    """The edge begins where the pattern ends."""
    with graph(read_rule(BACKWARDS, file="x", shapes=SHAPES)) as one:
        for edge in CHAIN:
            one.say(edge[1], edge)
        before = one.inferred()
        one.say("more", ("run z", "executed_for", C))
        one.say(CHAIN[at][1])

        assert before == {GOAL}
        assert one.inferred() == set()


# ── Any history ──────────────────────────────────────────────────────────────────────────────────

NUMBERS = st.integers(0, 2)
#: Which edges a document may state; of which kind is up to its name.
STATED: Mapping[str, tuple[str, str, str]] = {
    "v": ("model-version", "produced_by", "run"),
    "r": ("run", "executed_for", "ab-cell"),
    "c": ("ab-cell", "cell_of", "ab-test"),
}
CHANGE = st.tuples(
    st.sampled_from(sorted(STATED)),
    NUMBERS,
    st.sets(NUMBERS, max_size=2) | st.none(),
)


def joined(edges: set[Edge]) -> set[Edge]:
    """Return what follows, by a plain join from scratch."""
    made = {(a, b) for a, kind, b in edges if kind == "produced_by"}
    ran = {(a, b) for a, kind, b in edges if kind == "executed_for"}
    of = {(a, b) for a, kind, b in edges if kind == "cell_of"}
    return {
        (v, "trained_for", t)
        for v, r in made
        for r2, c in ran
        for c2, t in of
        if (r, c) == (r2, c2)
    }


@pytest.mark.promise("P9")
@pytest.mark.timeout(0 if SOAK else 300)
@settings(max_examples=10_000 if SOAK else 30)
@given(st.lists(CHANGE, min_size=1, max_size=12))
def test_what_is_concluded_is_what_follows_from_scratch(
    changes: list[tuple[str, int, set[int] | None]],
) -> None:
    """P9: after every change, whatever documents are replaced, deleted and made again."""
    with graph() as one:
        states: dict[str, set[Edge]] = {}
        happened: dict[str, set[Edge]] = {}
        for sort, number, targets in changes:
            start, kind, end = STATED[sort]
            document = f"{sort}{number}"
            if targets is None:
                one.drop(document)
                states.pop(document, None)
            else:
                edges = {(f"{start} {number}", kind, f"{end} {to}") for to in targets}
                one.say(document, *sorted(edges))
                (states if kind == "cell_of" else happened)[document] = edges

            current = {
                edge for some in (states, happened) for told in some.values() for edge in told
            }
            assert one.inferred() == joined(current)
    ran("P9", "random sequences", 1)


@pytest.mark.promise("P8")
@settings(max_examples=8)
@given(st.lists(CHANGE, min_size=2, max_size=8))
def test_what_was_concluded_then_stays_so(
    changes: list[tuple[str, int, set[int] | None]],
) -> None:
    """P8 for conclusions: what was inferred at a transaction is so for ever."""
    with graph() as one:
        known: dict[int, set[Edge]] = {}
        for sort, number, targets in changes:
            start, kind, end = STATED[sort]
            edges = [(f"{start} {number}", kind, f"{end} {to}") for to in sorted(targets or ())]
            t = one.say(f"{sort}{number}", *edges)
            if t is not None:
                known[t] = one.inferred()
        for t, inferred in known.items():
            assert one.inferred(Moment(known_t=t)) == inferred


# ── Reading rules ────────────────────────────────────────────────────────────────────────────────

GOOD = {
    "name": "trained_for",
    "version": "1",
    "match": "(m:model-version)-[:produced_by]->(r:run)-[:executed_for]->(c:ab-cell)",
    "gives": "(m)-[:served_in]->(c)",
    "why": "'{m} for {c}'",
}


#: The same path with a name for its first arrow.
NAMED = "(m:model-version)-[{}:produced_by]->(r:run)-[:executed_for]->(c:ab-cell)"


def text(**changed: str | None) -> str:
    lines = {**GOOD, **changed}
    return "\n".join(f"{key}: {value}" for key, value in lines.items() if value is not None)


def one(name: str) -> frozenset[str]:
    return frozenset({name})


def test_a_rule_is_read() -> None:
    rule = read_rule(text(), file="x.yaml", shapes=SHAPES)

    assert (rule.name, rule.version, rule.gives, rule.start, rule.end) == (
        "trained_for", "1", "served_in", 0, 2,
    )  # fmt: skip
    assert rule.path.types == tuple(map(one, ("model-version", "run", "ab-cell")))
    assert rule.kinds == {"produced_by", "executed_for"}
    assert [leg.forward for leg in rule.path.legs] == [True, True]


def test_an_arrow_may_point_either_way_and_blanks_do_not_matter() -> None:
    rule = read_rule(
        text(
            match="'( c : ab-cell )<- [ : executed_for ] -( r : run )'",
            gives="(r)-[:executed_for]->(c)",
            why="'{r} ran for {c}'",
        ),
        file="x.yaml", shapes=SHAPES,
    )  # fmt: skip

    # The pattern is read from the end at which the edge that it gives begins.
    assert rule.path.types == (one("run"), one("ab-cell"))
    assert [(leg.kinds, leg.forward) for leg in rule.path.legs] == [(("executed_for",), True)]


@pytest.mark.parametrize(
    ("pattern", "at"),
    [
        ("m", 1),
        ("()", 1),
        ("(m:Model)", 1),
        ("(m:run)-->(c:ab-cell)", 8),
        ("(m:run)-[:executed_for]-(c:ab-cell)", 8),
        ("(m:run)<-[:executed_for]->(c:ab-cell)", 8),
        ("(m:run)-[:executed_for]->", 26),
        ("(m:run)-[:executed_for*]->(c:ab-cell)", 23),
        ("(m:run)-[:executed_for*2..]->(c:ab-cell)", 23),
        ("(m:run)-[:executed_for*1..99]->(c:ab-cell)", 23),
        ("(m:run)-[:executed_for]->(c:ab-cell) and", 38),
        ("(m:run)-[executed_for]->(c:ab-cell)", 8),
        ("(m:run)-[p:executed_for*1..2]->(c:ab-cell)", 8),
    ],
)
def test_an_error_points_at_the_character(pattern: str, at: int) -> None:
    with pytest.raises(RuleError, match=rf"character {at} ") as wrong:
        read_rule(text(match=f"'{pattern}'"), file="x.yaml", shapes=SHAPES)

    assert str(wrong.value).startswith("x.yaml: ")


#: A path that there must not be, whose end has a name.
ELSEWHERE = "'(m)-[:served_in]->(o:ab-cell)'"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"why": None}, "exactly name, version"),
        ({"extra": "1"}, "exactly name, version"),
        ({"match": "'(m:run)-[:likes]->(c:ab-cell)'"}, "no kind 'likes'"),
        ({"match": "'(m:run)-[:cell_of]->(c:ab-cell)'"}, "cell_of does not go from run to ab-cell"),
        ({"match": "'(m:run)<-[:executed_for]-(c:ab-cell)'"}, "does not go from ab-cell to run"),
        ({"match": "'(m:rum)-[:executed_for]->(c:ab-cell)'"}, "does not go from rum to ab-cell"),
        ({"gives": "(m)"}, "not an edge"),
        ({"gives": "(m)<-[:served_in]-(c)"}, "not an edge"),
        ({"gives": "(m)-[:served_in]->(z)"}, "'z' is not a name of the pattern"),
        ({"gives": "(r)-[:served_in]->(c)"}, "served_in does not go from run to ab-cell"),
        ({"match": f"'{NAMED.format('m')}'"}, "'m' stands twice in the rule"),
        ({"match": f"'{NAMED.format('p')}'", "where": "p.n == c.n"}, "the arrow p and of c"),
        (
            {"match": f"'{NAMED.format('p')}'", "where": "q.n == 1"},
            "at character 3 of the condition",
        ),
        ({"unless": "'(m)-[c:served_in]->(:ab-cell)'"}, "'c' stands twice in the rule"),
        ({"unless": ELSEWHERE, "where": "o != q"}, "does not say than what o is another"),
        ({"unless": ELSEWHERE, "where": "[o != c, c != o]"}, "does not say than what o is"),
        ({"unless": f"[{ELSEWHERE}, {ELSEWHERE}]", "where": "o != c"}, "than what o is another"),
        ({"unless": ELSEWHERE, "where": "o.status != 'new'"}, "character 3 of the condition"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(changed: dict[str, str | None], says: str) -> None:
    with pytest.raises(RuleError, match=says) as wrong:
        read_rule(text(**changed), file="x.yaml", shapes=SHAPES)

    assert wrong.value.code == "rule"
    assert wrong.value.file == "x.yaml"


def test_a_condition_on_what_there_must_not_be_is_told_beside_it() -> None:
    rule = read_rule(
        text(
            match=f"'{NAMED.format('p')}'",
            where="[p.role == 'shadow', c.id != '1', o != c, q.alias == 'x']",
            unless=f"[{ELSEWHERE}, '(m)<-[q:points_to]-(:model)']",
        ),
        file="x.yaml", shapes=SHAPES,
    )  # fmt: skip

    told = written(rule)

    assert told.where == ("p.role == 'shadow'", "c.id != '1'")
    assert told.unless == (
        "(m)-[:served_in]->(o:ab-cell) where o != c",
        "(m)<-[q:points_to]-(:model) where q.alias == 'x'",
    )


@pytest.mark.parametrize("content", ["[", "", "just words", "- a", "{name: x"])
def test_what_is_no_mapping_is_refused(content: str) -> None:
    with pytest.raises(RuleError):
        read_rule(content, file="x.yaml", shapes=SHAPES)


def test_an_unknown_kind_to_give_is_refused_as_a_fault_of_the_rule() -> None:
    with pytest.raises(RuleError, match="likes"):
        read_rule(text(gives="(m)-[:likes]->(c)"), file="x.yaml", shapes=SHAPES)


def test_an_inverse_is_no_kind_to_store() -> None:
    """A relation is stored under one kind; a rule that spells the inverse is turned or refused."""
    try:
        rule = read_rule(text(gives="(c)-[:serves_version]->(m)"), file="x.yaml", shapes=SHAPES)
    except RuleError:
        return
    assert (rule.gives, rule.path.types[rule.start]) == ("served_in", one("model-version"))


def test_a_reason_that_speaks_of_nothing_in_the_pattern_is_refused_when_read() -> None:
    """Not at the first commit that the rule applies to."""
    with pytest.raises(RuleError, match="z"):
        read_rule(text(why="'{m} for {z}'"), file="x.yaml", shapes=SHAPES)
