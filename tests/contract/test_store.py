"""What every store promises: what a commit writes, leaves alone and ends, on each database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal import points
from lineal.access import LOCAL
from lineal.errors import NotFound
from lineal.model import (
    EdgeStatement,
    Instant,
    Moment,
    Record,
    Removal,
    State,
    Statement,
    Uri,
)
from lineal.store import Batch, Committed, Fence, work
from lineal.store.basis import last_by
from lineal.store.driver import Driver, Row
from lineal.store.rows import unpack_feed
from tests.graphs import (
    HOURS,
    JOB,
    MEMBER,
    PLAYS,
    RUN,
    TEAM,
    TITLES,
    Graph,
    gone,
    new,
    said,
)

# ── Differences ──────────────────────────────────────────────────────────────────────────────────


def test_the_first_word_is_written_and_the_same_again_is_not(graph: Graph) -> None:
    word = said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=3)

    first, again = graph.say(word), graph.say(replace(word, observed_at=5_000))

    assert (first.t, dict(first.documents), first.begun, first.ended) == (1, {"new": 1}, 2, 0)
    assert (again.t, dict(again.documents), again.begun, again.ended) == (None, {"same": 1}, 0, 0)


def test_only_what_differs_is_written(graph: Graph) -> None:
    columns = [Statement(HOURS, {"data_type": "int"}), Statement(MEMBER, {"data_type": "text"})]
    edges = [(HOURS, "column_of", PLAYS), (MEMBER, "column_of", PLAYS)]
    graph.say(said(PLAYS, edges, parts=columns))

    changed = [Statement(HOURS, {"data_type": "float"}), columns[1]]
    done = graph.say(said(PLAYS, edges, parts=changed))

    assert (dict(done.documents), done.begun, done.ended) == ({"changed": 1}, 1, 1)


def test_the_order_in_which_a_document_lists_things_is_no_difference(graph: Graph) -> None:
    edges = [(PLAYS, "owned_by", TEAM), (PLAYS, "derived_from", TITLES)]
    graph.say(said(PLAYS, edges, a=1, b=2))

    assert graph.say(said(PLAYS, edges[::-1], b=2, a=1)).t is None


EDGES = [(PLAYS, "owned_by", TEAM), (PLAYS, "derived_from", TITLES)]


def test_of_a_document_that_says_the_same_of_edges_none_is_read(
    graph: Graph, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph.say(said(PLAYS, EDGES, rows=1))
    asked, among = list[str](), Driver.among

    def noted(self: Driver, text: str, *values: Any) -> list[Row]:
        asked.append(text)
        return among(self, text, *values)

    monkeypatch.setattr(Driver, "among", noted)

    done = graph.say(said(PLAYS, EDGES[::-1], rows=2))
    assert [text for text in asked if "edge_out" in text] == []
    assert (done.begun, done.ended) == (1, 1)
    assert graph.edges(PLAYS) == {("owned_by", TEAM), ("derived_from", TITLES)}

    other = graph.say(said(PLAYS, [*EDGES, (PLAYS, "derived_from", RUN)], rows=2))
    assert [text for text in asked if "edge_out" in text]
    assert (other.begun, other.ended) == (1, 0)


def test_a_document_that_comes_again_says_its_edges_again(graph: Graph) -> None:
    word = said(PLAYS, EDGES, rows=1)
    graph.say(word)
    graph.say(gone(word))
    assert graph.edges(PLAYS) == set()

    graph.say(said(PLAYS, EDGES, at=3_000, rows=2))
    assert graph.edges(PLAYS) == {("owned_by", TEAM), ("derived_from", TITLES)}


def test_an_edge_that_was_said_to_begin_later_begins_anew_once_it_has(graph: Graph) -> None:
    """A time later than the observation is not believed until it has come; both words say it."""
    edge = EdgeStatement(PLAYS, "owned_by", TEAM, valid_from=5_000)
    first, second = (
        graph.say(replace(said(PLAYS, at=at, rows=at), edges=(edge,))) for at in (1_000, 9_000)
    )

    assert (first.begun, first.ended) == (2, 0)
    assert (second.begun, second.ended) == (2, 2)


def test_a_digest_of_before_tells_what_it_can(engine: str) -> None:
    """Schema 0006 had none of edges alone: what is the same is the same, all else is looked at."""
    with new(engine) as graph:
        graph.say(said(PLAYS, EDGES, rows=1), said(TITLES, [(TITLES, "owned_by", TEAM)], rows=1))
        with graph.store.working() as ledger:
            ledger.driver.run("UPDATE document SET digest = substr(digest, 1, 16)")

        again = graph.say(said(PLAYS, EDGES, rows=1))
        changed = graph.say(said(PLAYS, EDGES[:1], rows=2), said(TITLES, rows=1))

        assert (again.t, dict(again.documents)) == (None, {"same": 1})
        assert (dict(changed.documents), changed.begun, changed.ended) == ({"changed": 2}, 1, 3)
        assert graph.edges(PLAYS) == {("owned_by", TEAM)}
        assert graph.edges(TITLES) == set()


def test_a_document_is_replaced_whole(graph: Graph) -> None:
    """An attribute, an edge and a part that it does not state any more are gone."""
    parts = [Statement(HOURS, {"data_type": "int"})]
    edges = [(PLAYS, "owned_by", TEAM), (HOURS, "column_of", PLAYS)]
    graph.say(said(PLAYS, edges, parts=parts, rows=3, format="parquet"))

    graph.say(said(PLAYS, rows=4))

    assert graph.thing(PLAYS).attributes == {"rows": 4}
    assert graph.edges(PLAYS) == set()
    assert graph.thing(HOURS).state is State.DELETED
    then = Moment(known_t=1)
    assert graph.thing(PLAYS, then).attributes == {"rows": 3, "format": "parquet"}
    assert graph.edges(PLAYS, then) == {("owned_by", TEAM), ("has_column", HOURS)}


def test_what_another_source_said_is_untouched(graph: Graph) -> None:
    graph.say(said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=3))
    graph.say(said(PLAYS, [(PLAYS, "owned_by", TEAM)], source="lake", format="parquet"))

    graph.say(said(PLAYS, rows=3))

    assert graph.thing(PLAYS).attributes == {"rows": 3, "format": "parquet"}
    assert graph.edges(PLAYS) == {("owned_by", TEAM)}


def test_two_documents_of_one_source_about_one_thing_stand_side_by_side(graph: Graph) -> None:
    schema_page = said(PLAYS, document="schema", tags=["a"], format="parquet")
    usage_page = said(PLAYS, document="usage", tags=["b"], rows=3)
    graph.say(schema_page, usage_page)

    both = graph.thing(PLAYS)
    graph.say(gone(usage_page))

    assert {one.document for one in both.said} == {"schema", "usage"}
    assert sorted(both.attributes["tags"]) == ["a", "b"]  # type: ignore[arg-type, type-var]  # a list
    assert graph.thing(PLAYS).attributes == {"tags": ["a"], "format": "parquet"}
    assert graph.thing(PLAYS).state is State.HYDRATED


def test_an_edge_lives_while_one_claim_of_it_does(graph: Graph) -> None:
    edge = (PLAYS, "owned_by", TEAM)
    graph.say(said(PLAYS, [edge]), said(PLAYS, [edge], source="lake"))

    graph.say(said(PLAYS))
    (claim,) = graph.ask.explain(LOCAL, *edge).value.edge.claims
    graph.say(said(PLAYS, source="lake"))

    assert claim.source == "lake"
    assert graph.edges(PLAYS) == set()


def test_a_single_value_is_the_registered_sources(graph: Graph) -> None:
    graph.store.register({("dataset", "lake"): "lake"})
    graph.say(said(PLAYS, rows=1, owner="x"), said(PLAYS, source="lake", rows=2))

    assert graph.thing(PLAYS).attributes == {"rows": 2, "owner": "x"}
    assert [one.source for one in graph.thing(PLAYS).said] == ["lake", "catalog"]


def test_the_last_word_of_a_document_in_a_batch_counts(graph: Graph) -> None:
    graph.say(said(PLAYS, rows=1), said(PLAYS, rows=2))

    assert graph.thing(PLAYS).attributes == {"rows": 2}


# ── States ───────────────────────────────────────────────────────────────────────────────────────


def test_what_is_only_referred_to_is_a_stub_until_it_is_described(graph: Graph) -> None:
    graph.say(said(PLAYS, [(PLAYS, "derived_from", TITLES)]))
    stub = graph.thing(TITLES)
    graph.say(said(TITLES, rows=1))

    assert (stub.state, stub.said) == (State.REFERENCED, ())
    assert graph.thing(TITLES).state is State.HYDRATED
    assert graph.thing(TITLES, Moment(known_t=1)).state is State.REFERENCED


def test_what_was_never_heard_of_is_not_found(graph: Graph) -> None:
    graph.say(said(PLAYS))

    with pytest.raises(NotFound, match="plays"):
        graph.thing(Uri("mlg://dataset/lake/playz"))


def test_what_its_source_does_not_have_is_missing(graph: Graph) -> None:
    graph.say(said(PLAYS, [(PLAYS, "derived_from", TITLES)]))

    done = graph.say(gone(said(TITLES)))
    again = graph.say(gone(said(TITLES)))

    assert graph.thing(TITLES).state is State.MISSING
    assert dict(done.documents) == {"removed": 1}
    assert (again.t, dict(again.documents)) == (None, {"same": 1})
    assert graph.edges(PLAYS) == {("derived_from", TITLES)}


def test_a_thing_is_deleted_when_its_only_source_says_so(graph: Graph) -> None:
    graph.say(said(PLAYS, rows=1))

    graph.say(gone(said(PLAYS)))

    assert graph.thing(PLAYS).state is State.DELETED
    assert graph.thing(PLAYS, Moment(known_t=1)).state is State.HYDRATED


def test_the_registered_source_says_what_exists(graph: Graph) -> None:
    """Its tombstone deletes what another still describes; another's tombstone does not."""
    graph.store.register({("dataset", "lake"): "lake", ("column", "lake"): "lake"})
    for uri in (PLAYS, TITLES):
        graph.say(said(uri, rows=1), said(uri, source="lake", format="parquet"))

    graph.say(gone(said(PLAYS, source="lake")), gone(said(TITLES)))

    assert graph.thing(PLAYS).state is State.DELETED
    assert graph.thing(TITLES).state is State.HYDRATED


def test_a_deleted_thing_comes_back_with_a_new_word(graph: Graph) -> None:
    word = said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1)
    graph.say(word)
    graph.say(gone(word, at=2_500))

    done = graph.say(replace(word, observed_at=4_000))

    assert dict(done.documents) == {"changed": 1}
    assert [graph.thing(PLAYS, Moment(known_t=t)).state for t in (1, 2, 3)] == [
        State.HYDRATED, State.DELETED, State.HYDRATED,
    ]  # fmt: skip
    assert [len(graph.edges(PLAYS, Moment(known_t=t))) for t in (1, 2, 3)] == [1, 0, 1]


def test_what_happened_outlives_the_document_that_said_so(graph: Graph) -> None:
    """A tombstone ends states; that a run read a table stays true."""
    word = said(
        RUN,
        [(RUN, "reads", PLAYS), (RUN, "run_of", JOB), (RUN, "owned_by", TEAM)],
        source="orc",
        status="succeeded",
    )
    graph.say(word)

    graph.say(gone(word))

    assert graph.thing(RUN).state is State.DELETED
    assert graph.edges(RUN) == {("reads", PLAYS), ("run_of", JOB)}


def test_what_a_document_no_longer_says_to_have_happened_never_did(graph: Graph) -> None:
    reads = (RUN, "reads", PLAYS)
    graph.say(said(RUN, [reads], source="orc"))
    graph.say(said(RUN, source="orc"))

    (event,) = [
        one for one in graph.ask.history(LOCAL, RUN).value if one.what in ("corrected", "parted")
    ]
    assert event.what == "corrected"
    assert graph.edges(RUN, Moment(valid_at=graph.clock.at - 500)) == set()
    assert graph.edges(RUN, Moment(known_t=1)) == {("reads", PLAYS)}


def test_what_happened_is_not_doubled_by_a_revival(graph: Graph) -> None:
    word = said(RUN, [(RUN, "reads", PLAYS)], source="orc", status="x")
    graph.say(word)
    graph.say(gone(word))
    graph.say(word)

    assert len(graph.ask.explain(LOCAL, RUN, "reads", PLAYS).value.edge.claims) == 1
    assert graph.thing(RUN).state is State.HYDRATED


# ── Old words ────────────────────────────────────────────────────────────────────────────────────


def test_an_older_word_of_the_source_never_replaces_a_newer(graph: Graph) -> None:
    graph.say(said(PLAYS, said_at=500, rows=2))

    late = graph.say(said(PLAYS, said_at=400, rows=1))
    tombstone = graph.say(gone(said(PLAYS), said_at=300))

    assert dict(late.documents) == dict(tombstone.documents) == {"superseded": 1}
    assert (late.t, tombstone.t) == (None, None)
    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_an_older_word_in_the_same_batch_does_not_count(graph: Graph) -> None:
    graph.say(said(PLAYS, said_at=500, rows=2), said(PLAYS, said_at=400, rows=1))

    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_an_undated_word_does_not_let_older_ones_count_again(graph: Graph) -> None:
    graph.say(said(PLAYS, said_at=500, rows=1))
    graph.say(said(PLAYS, rows=2))

    graph.say(said(PLAYS, said_at=400, rows=3))

    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_words_count_in_one_batch_as_they_do_one_after_another(graph: Graph) -> None:
    times = (500, None, 400, 600)
    for number, order in enumerate(permutations(range(4))):
        one, other = (Uri(f"mlg://dataset/lake/{name}-{number}") for name in ("one", "other"))
        words = [[said(uri, said_at=times[at], rows=at) for at in order] for uri in (one, other)]
        graph.say(words[1][0])
        graph.say(*words[1][1:])
        for word in words[0]:
            graph.say(word)
        assert graph.thing(one).attributes == graph.thing(other).attributes, order


def test_saying_the_same_later_makes_what_lies_between_old(graph: Graph) -> None:
    """The document said 2 at 500 and still at 700: what it said at 600 is older than that."""
    graph.say(said(PLAYS, said_at=500, rows=2))
    graph.say(said(PLAYS, said_at=700, rows=2))

    graph.say(said(PLAYS, said_at=600, rows=1))

    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_a_deleted_document_stays_deleted_for_older_words(graph: Graph) -> None:
    graph.say(said(PLAYS, said_at=500, rows=2))
    graph.say(gone(said(PLAYS), said_at=700))

    graph.say(said(PLAYS, said_at=600, rows=1))

    assert graph.thing(PLAYS).state is State.DELETED


@pytest.fixture
def marked(graph: Graph) -> Callable[[], Fence]:
    """Mark the document of plays as changed, and give the fence of a fetch that begins now."""

    def mark() -> Fence:
        with graph.store.working() as ledger:
            work.mark(ledger, "catalog", "doc:plays", deleted=False, due_at=0)
            (dirty,) = work.due(ledger.driver, graph.clock.at, 10)
        return Fence("catalog", "doc:plays", dirty.seq)

    return mark


def test_an_older_fetch_never_replaces_a_newer(graph: Graph, marked: Callable[[], Fence]) -> None:
    older, newer = marked(), marked()

    def answer(fence: Fence, rows: int) -> Committed:
        return graph.store.commit(Batch([said(PLAYS, rows=rows)], "test", "x", fences=[fence]))

    first, late, twice = answer(newer, 2), answer(older, 1), answer(newer, 3)

    assert dict(first.documents) == {"new": 1}
    assert dict(late.documents) == dict(twice.documents) == {"superseded": 1}
    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_a_change_during_the_fetch_leaves_the_document_due(
    graph: Graph, marked: Callable[[], Fence]
) -> None:
    fence = marked()
    marked()

    graph.store.commit(Batch([said(PLAYS, rows=1)], "test", "x", fences=[fence]))

    with graph.store.looking() as connection:
        assert [dirty.seq for dirty in work.due(connection, graph.clock.at, 10)] == [2]


def test_an_answer_that_says_the_same_clears_the_mark(
    graph: Graph, marked: Callable[[], Fence]
) -> None:
    graph.say(said(PLAYS, rows=1))
    batch = Batch([said(PLAYS, rows=1)], "test", "x", fences=[marked()])

    assert graph.store.commit(batch).t is None
    with graph.store.looking() as connection:
        assert work.due(connection, graph.clock.at, 10) == []
    assert graph.thing(PLAYS).confirmed_at is not None


def test_a_batch_whose_token_is_known_is_not_written_again(graph: Graph) -> None:
    first = graph.say(said(PLAYS, rows=1), token="batch-1")
    graph.say(said(PLAYS, rows=2), token="batch-2")

    again = graph.say(said(PLAYS, rows=1), token="batch-1")

    assert (again.t, dict(again.documents)) == (first.t, {"same": 1})
    assert graph.thing(PLAYS).attributes == {"rows": 2}


def test_a_batch_that_fails_leaves_nothing_behind(graph: Graph) -> None:
    graph.say(said(PLAYS, rows=1))
    digest = graph.store.digest()
    unwritable = said(TITLES, rows=object())  # type: ignore[arg-type]  # cannot be JSON

    with pytest.raises(TypeError):
        graph.say(said(PLAYS, rows=2), unwritable)

    assert graph.store.digest() == digest
    with pytest.raises(NotFound):
        graph.thing(TITLES)
    assert graph.say(said(PLAYS, rows=3)).t == 2


# ── Transactions ─────────────────────────────────────────────────────────────────────────────────


def transactions(graph: Graph) -> list[tuple[int, Instant]]:
    with graph.store.looking() as driver:
        return [(row[0], row[1]) for row in driver.rows("SELECT t, instant FROM tx ORDER BY t")]


def test_an_empty_batch_writes_nothing(graph: Graph) -> None:
    done = graph.say()

    assert (done.t, dict(done.documents)) == (None, {})
    assert transactions(graph) == []


def test_transactions_are_numbered_without_a_gap(graph: Graph) -> None:
    """A batch that changes nothing, or fails, takes no number."""
    ts = []
    for rows in (1, 1, 2, 2, 3):
        ts.append(graph.say(said(PLAYS, rows=rows)).t)
        with pytest.raises(TypeError):
            graph.say(said(TITLES, x=object()))  # type: ignore[arg-type]  # cannot be JSON

    assert ts == [1, None, 2, None, 3]
    assert [t for t, _ in transactions(graph)] == [1, 2, 3]


@settings(max_examples=10)
@given(st.lists(st.integers(min_value=-(10**15), max_value=10**15), min_size=2, max_size=6))
def test_the_labels_of_transactions_never_run_backwards(engine: str, times: list[int]) -> None:
    with new(engine) as one:
        for rows, at in enumerate(times):
            one.clock.at = at
            one.store.commit(Batch([said(PLAYS, rows=rows, at=at)], "test", "x"))
        labels = [at for _, at in transactions(one)]

    assert labels == sorted(set(labels))
    assert len(labels) == len(times)


def test_an_instant_that_is_over_answers_alike_once_what_was_being_written_is_there(
    graph: Graph,
) -> None:
    """A transaction takes its time: its label is of its end, which nobody has asked about yet."""
    graph.say(said(PLAYS, rows=1))
    asked: list[Moment] = []

    def rows() -> object:
        return graph.thing(PLAYS, asked[0]).attributes["rows"]

    def listener(point: str) -> None:
        if point == "facts-written" and not asked:
            graph.clock.at += 3_000_000
            asked.append(Moment(known_at=graph.clock.at - 1_000_000))
            meanwhile.append(rows())
            graph.clock.at += 1_000_000

    meanwhile: list[object] = []
    points.listen(listener)
    try:
        graph.say(said(PLAYS, rows=2))
    finally:
        points.listen(None)

    assert meanwhile == [1]
    assert rows() == 1
    assert graph.thing(PLAYS).attributes["rows"] == 2


def test_at_each_instant_the_last_transaction_by_then_is_found(graph: Graph) -> None:
    """There is no index by instant: the span in which it lies is narrowed (`last_by`)."""
    for rows in range(120):
        graph.clock.at += rows % 7 * 500
        graph.say(said(PLAYS, rows=rows))

    with graph.store.looking() as driver:
        for t, instant in transactions(graph):
            assert last_by(driver, instant - 1) == t - 1
            assert last_by(driver, instant) == t
        assert last_by(driver, 0) == 0
        assert last_by(driver, graph.clock.at + 1_000_000) == t


def test_asking_by_time_under_a_clock_gone_back_finds_what_was_known(graph: Graph) -> None:
    graph.clock.at = 10_000_000
    graph.store.commit(Batch([said(PLAYS, rows=1)], "test", "x"))
    graph.clock.at = 5_000
    graph.store.commit(Batch([said(PLAYS, rows=2)], "test", "x"))
    (_, first), (_, second) = transactions(graph)

    known = [
        graph.ask.get(LOCAL, PLAYS, Moment(known_at=at)).value.attributes["rows"]
        for at in (first, second)
    ]
    assert known == [1, 2]
    with pytest.raises(NotFound):
        graph.thing(PLAYS, Moment(known_at=first - 1))


def test_the_feed_names_what_changed(graph: Graph) -> None:
    graph.say(said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1), said(TITLES, rows=1))
    graph.say(said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=2))
    graph.say(said(PLAYS, rows=2))

    with graph.store.looking() as driver:
        names = {row[0]: row[1] for row in driver.rows("SELECT key, uri FROM entity")}
        feed = driver.rows("SELECT actor, cause, changed FROM tx ORDER BY t")
    changed = [{names[key] for key in unpack_feed(bytes(keys))} for _, _, keys in feed]

    assert changed == [{PLAYS, TITLES, TEAM}, {PLAYS}, {PLAYS, TEAM}]
    assert {line[:2] for line in feed} == {("test", "a test")}


def test_every_answer_names_its_basis(graph: Graph) -> None:
    for rows in range(3):
        graph.say(said(PLAYS, rows=rows))

    now, then = (graph.ask.get(LOCAL, PLAYS, moment) for moment in (Moment(), Moment(known_t=2)))

    assert (now.basis_t, now.value.attributes) == (3, {"rows": 2})
    assert (then.basis_t, then.value.attributes) == (2, {"rows": 1})


# ── The past stays as it was ─────────────────────────────────────────────────────────────────────

WORDS = (
    said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1),
    said(PLAYS, [(PLAYS, "derived_from", TITLES)], rows=2),
    said(PLAYS, [(HOURS, "column_of", PLAYS)], parts=[Statement(HOURS, {"data_type": "int"})]),
    gone(said(PLAYS)),
    said(TITLES, rows=1),
    said(TITLES, source="lake", rows=5),
    gone(said(TITLES, source="lake")),
    said(RUN, [(RUN, "reads", PLAYS), (RUN, "owned_by", TEAM)], source="orc"),
    said(RUN, [(RUN, "reads", TITLES)], source="orc"),
    gone(said(RUN, source="orc")),
)


def _all(one: Graph, t: int) -> list[object]:
    """Return everything there is to ask about what was known at a transaction."""
    moment = Moment(known_t=t, valid_at=10**9)
    found: list[object] = []
    for uri in (PLAYS, TITLES, HOURS, RUN, TEAM):
        try:
            thing = one.thing(uri, moment)
        except NotFound:
            found.append((uri, "not known"))
            continue
        heard = [(at.source, at.t_from, at.t_to, at.valid_to, at.ended) for at in thing.said]
        near = one.ask.neighbours(LOCAL, uri, moment).value
        found.append((thing.uri, thing.state, dict(thing.attributes), heard, near))
        found.append(one.ask.history(LOCAL, uri, moment).value)
    return found


@settings(max_examples=12)
@given(st.lists(st.sampled_from(WORDS), min_size=2, max_size=5))
def test_an_answer_about_the_past_never_changes(engine: str, words: list[Record | Removal]) -> None:
    """P8: whatever is committed later, what was known at a transaction stays as it was."""
    with new(engine) as one:
        answers: dict[int, list[object]] = {}
        for word in words:
            t = one.say(word).t
            if t is not None:
                answers[t] = _all(one, t)
            for earlier, answer in answers.items():
                assert _all(one, earlier) == answer, earlier


def test_the_newest_transaction_answers_as_it_will_when_it_is_an_old_one(graph: Graph) -> None:
    """Left out, the asked moment is that of the transaction, and not of whoever asks."""
    until = EdgeStatement(PLAYS, "owned_by", TEAM, valid_to=2_500)
    graph.say(replace(said(PLAYS), edges=(until,)))
    graph.clock.at = 50_000
    before = graph.edges(PLAYS, Moment(known_t=1))

    graph.say(said(TITLES))

    assert graph.edges(PLAYS, Moment(known_t=1)) == before


def test_a_history_tells_each_source_by_itself(graph: Graph) -> None:
    """Two sources may call their documents alike."""
    edge = (PLAYS, "owned_by", TEAM)
    graph.say(said(PLAYS, [edge]))
    graph.say(said(PLAYS), said(PLAYS, [edge], source="lake"))

    told = {
        (one.what, one.source, one.t)
        for one in graph.ask.history(LOCAL, PLAYS).value
        if one.what != "said"
    }
    assert told == {("joined", "catalog", 1), ("parted", "catalog", 2), ("joined", "lake", 2)}


# ── Order ────────────────────────────────────────────────────────────────────────────────────────


def _documents() -> list[Record]:
    """One last word of each of several documents, of two sources, that speak of each other."""
    return [
        said(PLAYS, [(PLAYS, "owned_by", TEAM), (PLAYS, "derived_from", TITLES)], rows=1),
        said(PLAYS, [(PLAYS, "owned_by", TEAM)], source="lake", tags=["a"]),
        said(TITLES, [(TITLES, "produced_by", RUN)], rows=2),
        said(RUN, [(RUN, "reads", PLAYS), (TITLES, "produced_by", RUN)], source="orc", status="x"),
        said(TEAM, source="people", name="Data"),
    ]


def digest_of(engine: str, batches: Sequence[Sequence[Record | Removal]]) -> str:
    with new(engine) as one:
        for batch in batches:
            one.say(*batch)
        return one.store.digest()


@settings(max_examples=15)
@given(st.permutations(_documents()), st.lists(st.sampled_from(_documents())), st.data())
def test_order_batches_and_repetition_leave_no_trace(
    engine: str, words: list[Record], again: list[Record], data: st.DataObject
) -> None:
    batches: list[list[Record]] = []
    rest = [*words, *again]
    while rest:
        size = data.draw(st.integers(1, len(rest)))
        batches.append(rest[:size])
        rest = rest[size:]

    assert digest_of(engine, batches) == digest_of(engine, [_documents()])


VERSIONS = (
    said(PLAYS, [(PLAYS, "owned_by", TEAM)], said_at=100, rows=1),
    said(PLAYS, [(PLAYS, "derived_from", TITLES)], said_at=200, rows=2),
    said(PLAYS, said_at=300, rows=3),
    said(PLAYS, [(PLAYS, "owned_by", TITLES)], said_at=400, rows=4),
)


@settings(max_examples=15)
@given(st.permutations(VERSIONS))
def test_the_last_word_of_a_document_counts_in_whatever_order_it_is_heard(
    engine: str, words: list[Record]
) -> None:
    assert digest_of(engine, [[word] for word in words]) == digest_of(engine, [[VERSIONS[-1]]])


def test_the_date_of_an_earlier_copy_leaves_no_trace(engine: str) -> None:
    """The same edge, said at 100 and at 200, is the same whether we heard one or both."""
    one, two = (said(PLAYS, [(PLAYS, "owned_by", TEAM)], said_at=at, rows=at) for at in (100, 200))

    assert (
        digest_of(engine, [[one], [two]])
        == digest_of(engine, [[two], [one]])
        == digest_of(engine, [[two]])
    )


# ── Search rows ──────────────────────────────────────────────────────────────────────────────────


def test_search_rows_follow_the_facts_in_the_same_commit(graph: Graph) -> None:
    graph.say(said(PLAYS, name="Weekly plays", tags=["gold"], status="active"))
    found = graph.hits("weekly"), graph.hits("tag:gold"), graph.hits("status:active")
    graph.say(said(PLAYS, name="Daily plays", tags=["silver"]))

    assert found == ([PLAYS], [PLAYS], [PLAYS])
    assert graph.hits("weekly") == graph.hits("tag:gold") == graph.hits("status:active") == []
    assert graph.hits("daily") == graph.hits("tag:silver") == [PLAYS]


def test_a_stub_is_found_by_its_id_and_a_deleted_thing_is_marked(graph: Graph) -> None:
    graph.say(said(PLAYS, [(PLAYS, "derived_from", TITLES)], name="Plays"))
    graph.say(gone(said(PLAYS)))

    assert graph.hits("titles") == [TITLES]
    (hit,) = graph.ask.search(LOCAL, "plays").value.hits
    assert hit.state is State.DELETED


def test_facets_are_counted(graph: Graph) -> None:
    graph.say(said(PLAYS, tags=["a", "b::c"]), said(TITLES, tags=["a"]))

    counts = graph.ask.search(LOCAL, "type:dataset").value.facets

    assert counts["type"] == {"dataset": 2}
    assert counts["tag"] == {"a": 2, "b": 1, "b::c": 1}
