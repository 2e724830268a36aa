"""What differs between two moments, and why: cases worked out by hand, and random histories."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineal.access import LOCAL
from lineal.errors import InvalidQuery, NotFound, NotObserved
from lineal.model import (
    Answer,
    Cut,
    EdgeStatement,
    Entity,
    Instant,
    Json,
    Moment,
    Record,
    Removal,
    State,
    Uri,
)
from lineal.query import Differences
from lineal.query.diff import Because
from lineal.store import Batch
from tests.graphs import JOB, PLAYS, RUN, TEAM, TITLES, Graph, gone, opened, said

OTHER = Uri("mlg://team/people/platform")
MIRROR = Uri("mlg://dataset/s3/plays")
MODEL = Uri("mlg://model/reg/ranker")
OLD = Uri("mlg://model-version/reg/ranker/v1")
NEW = Uri("mlg://model-version/reg/ranker/v2")
SERVING = Uri("mlg://deployment/serving/home")


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    with opened(tmp_path / "graph.db") as one:
        yield one


def commit(graph: Graph, cause: str, *words: Record | Removal) -> int:
    """Commit words as one transaction with a cause of its own."""
    graph.clock.at += 1_000
    dated = [replace(word, observed_at=graph.clock.at) for word in words]
    done = graph.store.commit(Batch(dated, f"actor of {cause}", cause))
    assert done.t is not None
    return done.t


def known(t: int, valid_at: int | None = None) -> Moment:
    return Moment(known_t=t, valid_at=valid_at)


def things(found: Answer[Differences]) -> dict[Uri, tuple[str, int | None]]:
    """Return what became of each thing, and in which transaction."""
    return {one.thing.uri: (one.what, one.because.t) for one in found.value.things}


def edges(found: Answer[Differences]) -> dict[tuple[Uri, str, Uri], tuple[str, int | None]]:
    return {
        (one.start.uri, one.kind, one.end.uri): (one.what, one.because.t)
        for one in found.value.edges
    }


def changes(found: Answer[Differences], uri: Uri) -> dict[str, tuple[object, object, int | None]]:
    """Return what each attribute of a thing was and is, and in which transaction it changed."""
    (one,) = [one for one in found.value.things if one.thing.uri == uri]
    return {it.name: (it.before, it.after, it.because.t) for it in one.changes}


# ── A thing and what is around it ────────────────────────────────────────────────────────────────


def test_each_attribute_is_told_with_the_transaction_that_made_it_differ(graph):
    commit(graph, "first", said(PLAYS, rows=1, format="parquet", private=True))
    commit(graph, "second", said(PLAYS, rows=2, format="parquet", private=True))
    commit(graph, "third", said(PLAYS, rows=2, format="orc"))
    commit(graph, "elsewhere", said(TITLES, rows=9))

    found = graph.ask.diff(LOCAL, PLAYS, known(1))

    assert changes(found, PLAYS) == {
        "rows": (1, 2, 2), "format": ("parquet", "orc", 3), "private": (True, None, 3),
    }  # fmt: skip
    (one,) = found.value.things
    assert (one.what, one.because.actor, one.because.cause) == (
        "changed",
        "actor of third",
        "third",
    )
    assert found.value.counts["things"] == {"appeared": 0, "vanished": 0, "changed": 1}
    assert (found.total, found.complete, found.value.along) == (1, True, "both")
    assert (found.value.before.t, found.basis_t) == (1, 4)


def test_a_word_that_made_no_difference_is_not_the_cause(graph):
    """A weaker source says something of the same attribute later, twice."""
    lake = said(PLAYS, source="lake", rows=7)
    commit(graph, "first", said(PLAYS, rows=1))
    commit(graph, "change", said(PLAYS, rows=2))
    graph.store.register({("dataset", "lake"): "catalog"})
    commit(graph, "weaker", lake)
    commit(graph, "weaker again", replace(lake, statements=said(PLAYS, rows=8).statements))

    found = graph.ask.diff(LOCAL, PLAYS, known(1), known(4))

    assert changes(found, PLAYS) == {"rows": (1, 2, 2)}


def test_what_came_and_went_between_two_moments_differs_in_nothing(graph):
    commit(graph, "first", said(PLAYS, rows=1))
    commit(graph, "there", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=2))
    commit(graph, "and back", said(PLAYS, rows=1))

    found = graph.ask.diff(LOCAL, PLAYS, known(1), known(3))

    assert (found.value.things, found.value.edges, found.total) == ((), (), 0)


def test_one_is_not_true(graph):
    commit(graph, "first", said(PLAYS, flag=1))
    commit(graph, "second", said(PLAYS, flag=True))

    assert changes(graph.ask.diff(LOCAL, PLAYS, known(1)), PLAYS) == {"flag": (1, True, 2)}


def test_edges_that_appear_and_vanish_are_told_with_their_claims(graph):
    commit(graph, "first", said(PLAYS, [(PLAYS, "owned_by", TEAM)]), said(TEAM), said(OTHER))
    commit(graph, "handed over", said(PLAYS, [(PLAYS, "owned_by", OTHER)]))

    found = graph.ask.diff(LOCAL, PLAYS, known(1))

    assert edges(found) == {
        (PLAYS, "owned_by", OTHER): ("appeared", 2),
        (PLAYS, "owned_by", TEAM): ("vanished", 2),
    }
    assert things(found) == {OTHER: ("appeared", 2), TEAM: ("vanished", 2)}
    appeared, vanished = found.value.edges
    (claim,) = appeared.claims
    assert (claim.what, claim.source, claim.document) == ("appeared", "catalog", "doc:plays")
    assert (claim.before, claim.after) == (None, "declared")
    assert [(one.what, one.before, one.after) for one in vanished.claims] == [
        ("vanished", "declared", None)
    ]
    team = next(one for one in found.value.things if one.thing.uri == TEAM)
    assert (team.before, team.after) == (State.HYDRATED, State.HYDRATED)


def test_a_second_source_s_word_changes_an_edge_and_so_do_its_attributes(graph):
    deploys = EdgeStatement(SERVING, "deploys", NEW, {"weight": 0.1})
    word = replace(said(SERVING), edges=(deploys,))
    commit(graph, "canary", word)
    commit(graph, "full", replace(word, edges=(deploys._replace(attributes={"weight": 1.0}),)))
    commit(graph, "seen", said(SERVING, [(SERVING, "deploys", NEW)], source="mesh"))

    (one,) = graph.ask.diff(LOCAL, SERVING, known(1)).value.edges

    assert (one.what, one.because.t) == ("changed", 3)
    assert [(it.what, it.source, dict(it.attributes), it.because.t) for it in one.claims] == [
        ("changed", "catalog", {"weight": (0.1, 1.0)}, 2),
        ("appeared", "mesh", {}, 3),
    ]


def test_a_thing_that_is_deleted_vanishes_and_one_that_is_made_again_appears(graph):
    word = said(PLAYS, rows=1)
    commit(graph, "first", word)
    commit(graph, "dropped", gone(word))
    commit(graph, "again", word)

    dropped = graph.ask.diff(LOCAL, PLAYS, known(1), known(2))
    again = graph.ask.diff(LOCAL, PLAYS, known(2), known(3))
    stayed = graph.ask.diff(LOCAL, PLAYS, known(1), known(3))

    assert things(dropped) == {PLAYS: ("vanished", 2)}
    assert dropped.value.things[0].after is State.DELETED
    assert things(again) == {PLAYS: ("appeared", 3)}
    assert things(stayed) == {}


def test_a_stub_that_is_described_has_changed(graph):
    commit(graph, "mention", said(PLAYS, [(PLAYS, "owned_by", TEAM)]))
    commit(graph, "description", said(TEAM, name="Data"))

    (one,) = graph.ask.diff(LOCAL, TEAM, known(1)).value.things

    assert (one.what, one.before, one.after) == ("changed", State.REFERENCED, State.HYDRATED)
    assert one.because.t == 2


def test_a_thing_that_was_not_known_at_the_first_moment_appeared(graph):
    commit(graph, "before", said(TITLES))
    commit(graph, "first", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1))
    commit(graph, "later", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=2))

    found = graph.ask.diff(LOCAL, PLAYS, known(1))

    assert things(found) == {PLAYS: ("appeared", 2), TEAM: ("appeared", 2)}
    assert edges(found) == {(PLAYS, "owned_by", TEAM): ("appeared", 2)}


# ── Another time is asked about ──────────────────────────────────────────────────────────────────


def test_at_one_knowledge_things_differ_only_by_when_they_were_so(graph):
    commit(graph, "first", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1))
    first = graph.clock.at
    commit(graph, "second", said(PLAYS, rows=2))

    found = graph.ask.diff(LOCAL, PLAYS, known(2, first), known(2))

    (one,) = [one for one in found.value.things if one.thing.uri == PLAYS]
    assert [(it.name, it.before, it.after) for it in one.changes] == [("rows", 1, 2)]
    assert {it.because.how for it in (*found.value.things, *found.value.edges)} == {"valid_time"}
    assert found.value.along == "valid"
    assert "the same was known (transaction 2)" in found.notes[0]


def test_what_is_learned_late_of_the_same_time_differs_along_knowledge(graph):
    commit(graph, "first", said(PLAYS, rows=1))
    asked = graph.clock.at + 10
    late = said(PLAYS, rows=2)
    late = replace(late, statements=(late.statements[0]._replace(valid_from=asked - 5),))
    commit(graph, "late", late)

    found = graph.ask.diff(LOCAL, PLAYS, known(1, asked), known(2, asked))

    assert found.value.along == "known"
    assert changes(found, PLAYS) == {"rows": (1, 2, 2)}


def test_a_state_whose_end_was_said_beforehand_ends_by_itself(graph):
    until = graph.clock.at + 5_000
    owned = EdgeStatement(PLAYS, "owned_by", TEAM, valid_to=until)
    commit(graph, "for a while", replace(said(PLAYS), edges=(owned,)))
    commit(graph, "else", said(TITLES))

    found = graph.ask.diff(LOCAL, PLAYS, known(1), known(2, until + 1))

    assert [(one.what, one.because.how) for one in found.value.edges] == [
        ("vanished", "valid_time")
    ]


def test_two_moments_that_are_the_same_differ_in_nothing_and_say_so(graph):
    commit(graph, "first", said(PLAYS))

    found = graph.ask.diff(LOCAL, PLAYS, known(1), known(1))

    assert (found.value.along, found.total) == ("neither", 0)
    assert found.notes == ("Both moments are the same: nothing can differ.",)


def test_the_earlier_knowledge_comes_first(graph):
    commit(graph, "first", said(PLAYS))
    commit(graph, "second", said(PLAYS, rows=2))

    with pytest.raises(InvalidQuery, match="earlier knowledge"):
        graph.ask.diff(LOCAL, PLAYS, known(2), known(1))


def test_what_neither_moment_knows_is_told_apart_from_what_nobody_knows(graph):
    commit(graph, "first", said(PLAYS))
    commit(graph, "second", said(TITLES))

    with pytest.raises(NotObserved):
        graph.ask.diff(LOCAL, TITLES, known(0), known(1))
    with pytest.raises(NotFound, match="Nothing is known as"):
        graph.ask.diff(LOCAL, Uri("mlg://dataset/lake/nothing"), known(0), known(1))


# ── Several names ────────────────────────────────────────────────────────────────────────────────


def test_a_merge_is_told_as_names_that_joined_and_compares_the_whole_group(graph):
    mirror = said(MIRROR, [(MIRROR, "owned_by", OTHER)], document="mirror", format="parquet")
    commit(graph, "first", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=1))
    commit(graph, "mirror", mirror)
    commit(graph, "merge", said(PLAYS, [(PLAYS, "same_as", MIRROR)], source="person"))
    commit(graph, "rows", said(PLAYS, [(PLAYS, "owned_by", TEAM)], rows=2))

    found = graph.ask.diff(LOCAL, PLAYS, known(2))

    (name,) = found.value.names
    assert (name.what, name.name, name.because.t) == ("joined", MIRROR, 3)
    assert found.value.counts["names"] == {"joined": 1, "parted": 0}
    (one,) = [one for one in found.value.things if one.what == "changed"]
    assert {it.name: (it.before, it.after, it.because.t) for it in one.changes} == {
        "rows": (1, 2, 4), "format": (None, "parquet", 3),
    }  # fmt: skip
    assert edges(found) == {(PLAYS, "owned_by", OTHER): ("appeared", 3)}


def test_a_split_is_told_as_a_name_that_parted(graph):
    joined = said(PLAYS, [(PLAYS, "same_as", MIRROR)], source="person")
    mirror = said(MIRROR, [(MIRROR, "owned_by", OTHER)], document="mirror")
    commit(graph, "first", said(PLAYS, rows=1), mirror, joined)
    commit(graph, "split", replace(joined, edges=()))

    found = graph.ask.diff(LOCAL, PLAYS, known(1))

    assert [(one.what, one.name, one.because.t) for one in found.value.names] == [
        ("parted", MIRROR, 2)
    ]
    assert things(found) == {OTHER: ("vanished", 2)}
    assert {what for what, _ in edges(found).values()} == {"vanished"}
    assert {t for _, t in edges(found).values()} == {2}


def test_a_merge_alone_makes_nothing_of_a_type_appear_or_vanish(graph):
    commit(graph, "first", said(PLAYS, rows=1), said(MIRROR, document="mirror", rows=1))
    commit(graph, "merge", said(PLAYS, [(PLAYS, "same_as", MIRROR)], source="person"))

    found = graph.ask.diff_type(LOCAL, "dataset", known(1))

    assert (things(found), edges(found)) == ({}, {})
    assert [(one.what, one.because.t) for one in found.value.names] == [("joined", 2)]


# ── A lineage ────────────────────────────────────────────────────────────────────────────────────


def test_what_joins_a_lineage_comes_with_the_edge_that_brought_it(graph):
    """The run was known all along; when the table is said to be its work, all behind it comes."""
    commit(graph, "run", said(RUN, [(RUN, "reads", TITLES)]), said(TITLES), said(PLAYS))
    commit(graph, "elsewhere", said(TEAM))
    commit(graph, "joined", said(PLAYS, [(PLAYS, "produced_by", RUN)]))
    commit(graph, "more", said(TEAM, name="Data"))

    found = graph.ask.diff_lineage(LOCAL, [PLAYS], known(1), known(4), up=5, down=0)

    assert things(found) == {RUN: ("appeared", 3), TITLES: ("appeared", 3)}
    assert edges(found) == {
        (PLAYS, "produced_by", RUN): ("appeared", 3),
        (RUN, "reads", TITLES): ("appeared", 3),
    }


def test_an_alias_that_moves_changes_the_lineage_of_its_model(graph):
    """No edge of the old version ended: it counts no more, since the alias points elsewhere."""
    commit(
        graph, "first",
        said(MODEL, [(MODEL, "points_to", OLD)]),
        said(OLD, [(OLD, "version_of", MODEL), (OLD, "trained_on", PLAYS)]),
        said(NEW, [(NEW, "version_of", MODEL), (NEW, "trained_on", TITLES)]),
    )  # fmt: skip
    commit(graph, "elsewhere", said(TEAM))
    commit(graph, "promoted", said(MODEL, [(MODEL, "points_to", NEW)]))

    found = graph.ask.diff_lineage(LOCAL, [MODEL], known(1), up=5, down=0)

    assert things(found) == {TITLES: ("appeared", 3), PLAYS: ("vanished", 3)}
    assert edges(found) == {
        (MODEL, "trained_on", TITLES): ("appeared", 3),
        (MODEL, "trained_on", PLAYS): ("vanished", 3),
    }


def test_an_attribute_of_a_thing_in_the_lineage_is_told(graph):
    commit(graph, "first", said(PLAYS, [(PLAYS, "derived_from", TITLES)]), said(TITLES, rows=1))
    commit(graph, "second", said(TITLES, rows=2))

    found = graph.ask.diff_lineage(LOCAL, [PLAYS], known(1))

    assert changes(found, TITLES) == {"rows": (1, 2, 2)}


def test_a_lineage_that_was_cut_says_at_which_moment(graph):
    commit(graph, "first", said(PLAYS))
    commit(
        graph, "second",
        said(PLAYS, [(PLAYS, "derived_from", TITLES)]),
        said(TITLES, [(TITLES, "produced_by", JOB)]),
    )  # fmt: skip

    found = graph.ask.diff_lineage(LOCAL, [PLAYS], known(1), up=1, down=0)

    assert not found.complete
    assert found.why == (Cut("depth", done=1, part=("after", "upstream")),)


# ── All of a type ────────────────────────────────────────────────────────────────────────────────


def test_of_a_type_everything_is_counted_and_some_is_listed(graph):
    tables = [Uri(f"mlg://dataset/lake/t{number}") for number in range(9)]
    commit(graph, "first", *(said(one, rows=1) for one in tables[:6]))
    commit(graph, "new", *(said(one, [(one, "owned_by", TEAM)]) for one in tables[6:]))
    commit(graph, "changed", said(tables[0], rows=2), gone(said(tables[1])))

    found = graph.ask.diff_type(LOCAL, "dataset", known(1), limit=2)

    assert found.value.counts == {
        "things": {"appeared": 3, "vanished": 1, "changed": 1},
        "edges": {"appeared": 3, "vanished": 0, "changed": 0},
        "names": {"joined": 0, "parted": 0},
    }
    assert things(found) == {tables[6]: ("appeared", 2), tables[7]: ("appeared", 2)}
    assert found.total == 8
    assert found.why == (
        Cut("list", "things counted", done=2, total=5),
        Cut("list", "edges counted", done=2, total=3),
    )


def test_a_type_that_nobody_declared_is_refused(graph):
    with pytest.raises(InvalidQuery, match="no type 'datset'"):
        graph.ask.diff_type(LOCAL, "datset", known(0))


# ── Random histories ─────────────────────────────────────────────────────────────────────────────

#: A small world: what a document may say, and of what.
_THINGS = [PLAYS, TITLES, MIRROR]
_WORDS = st.fixed_dictionaries(
    {
        "subject": st.sampled_from(_THINGS),
        "source": st.sampled_from(["catalog", "lake"]),
        "rows": st.sampled_from([1, 2, None]),
        "edges": st.sets(
            st.sampled_from(
                [
                    (PLAYS, "derived_from", TITLES), (MIRROR, "derived_from", TITLES),
                    (PLAYS, "owned_by", TEAM), (PLAYS, "same_as", MIRROR),
                    (TITLES, "produced_by", RUN),
                ]
            ),
            max_size=3,
        ),
        "gone": st.sampled_from([False, False, False, True]),
    }
)  # fmt: skip


def _told(graph: Graph, word: dict[str, Any]) -> None:
    subject = word["subject"]
    rows = {} if word["rows"] is None else {"rows": word["rows"]}
    stated = sorted(edge for edge in word["edges"] if edge[0] == subject)
    graph.clock.at += 1_000
    record = said(
        subject, stated, source=word["source"], document=subject, at=graph.clock.at, **rows
    )
    one = gone(record, at=graph.clock.at) if word["gone"] else record
    graph.store.commit(Batch([one], "test", "a test"))


def _entity(graph: Graph, uri: Uri, moment: Moment) -> Entity | None:
    try:
        return graph.thing(uri, moment)
    except NotFound:
        return None


@settings(max_examples=60)
@given(st.lists(_WORDS, min_size=2, max_size=8), st.data())
def test_differences_are_those_of_the_answers_and_causes_are_where_they_changed(words, data):
    """What differs is what `get` and `neighbours` tell otherwise; a cause is where that began."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "g.db") as graph:
        for word in words:
            _told(graph, word)
        with graph.store.read(LOCAL) as reader:
            last = reader.basis.t
        first = data.draw(st.integers(0, last))
        uri = data.draw(st.sampled_from(_THINGS))
        before, after = known(first), known(last)
        if _entity(graph, uri, after) is None:
            with pytest.raises(NotFound):
                graph.ask.diff(LOCAL, uri, before, after)
            return

        found = graph.ask.diff(LOCAL, uri, before, after).value

        _holds_of_attributes(graph, found, uri, first, last)
        _holds_of_edges(graph, found, uri, before, after)
        _holds_of_types(graph, before, after)


def _holds_of_attributes(graph: Graph, found: Differences, uri: Uri, first: int, last: int) -> None:
    was, now = (_entity(graph, uri, known(t)) for t in (first, last))
    assert now is not None
    at = graph.ask.get(LOCAL, uri, known(last)).valid_at
    names = {now.uri, uri, *now.also, *((was.uri, *was.also) if was else ())}
    own = [one for one in found.things if one.thing.uri in names]
    there = [one is not None and one.state is not State.DELETED for one in (was, now)]
    if was and there == [True, True] and was.attributes != now.attributes:
        (change,) = [one for one in own if one.what == "changed"]
        told = {it.name: (it.before, it.after) for it in change.changes}
        assert told == {"rows": (was.attributes.get("rows"), now.attributes.get("rows"))}
        for it in change.changes:
            _began_there(graph, uri, it.name, it.after, it.because, at)
    if there[0] != there[1]:
        what = "appeared" if there[1] else "vanished"
        assert what in {one.what for one in own}


def _began_there(
    graph: Graph, uri: Uri, name: str, value: Json, because: Because, at: Instant
) -> None:
    """As of the cause the value is as it is now, and one transaction earlier it is not."""
    if because.t is None:
        assert because.how == "valid_time"
        return
    at_cause = _entity(graph, uri, known(because.t, at))
    earlier = _entity(graph, uri, known(because.t - 1, at))
    assert at_cause is not None
    assert at_cause.attributes.get(name) == value
    assert earlier is None or earlier.attributes.get(name) != value


def _holds_of_edges(
    graph: Graph, found: Differences, uri: Uri, before: Moment, after: Moment
) -> None:
    def around(moment: Moment) -> set[tuple[str, Uri]]:
        if _entity(graph, uri, moment) is None:
            return set()
        return {(kind, end) for kind, end in graph.edges(uri, moment) if kind != "same_as"}

    was, now = around(before), around(after)
    if was == now:
        names = {edge.kind for edge in found.edges if edge.what != "changed"}
        assert not names
    for what, some in (("appeared", now - was), ("vanished", was - now)):
        ends = {end for _, end in some if end in (TEAM, RUN)}
        told = {e for one in found.edges if one.what == what for e in (one.start.uri, one.end.uri)}
        assert ends <= told


def _holds_of_types(graph: Graph, before: Moment, after: Moment) -> None:
    """The feed names at least what the facts show to have changed, and nothing is left out."""
    with graph.store.between(LOCAL, before, after) as between:
        by_facts, by_feed = (
            {key for some in between.changed("dataset", **how) for key in some}
            for how in ({"feed": 0}, {})
        )
        assert by_facts <= by_feed
    found = graph.ask.diff_type(LOCAL, "dataset", before, after)
    told = {one.thing.uri for one in found.value.things}
    for uri in _THINGS:
        was, now = (_entity(graph, uri, moment) for moment in (before, after))
        alone = all(one is None or not one.also for one in (was, now))
        if alone and was and now and was.attributes != now.attributes:
            assert uri in told
