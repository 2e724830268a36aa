"""Impact: the order of what is touched, what a change does to it, and what is used at all."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from lineal.access import LOCAL
from lineal.errors import InvalidQuery, OutOfTime
from lineal.model import Budget, Cut, EdgeStatement, Json, Moment, Record, Statement, Uri
from lineal.query import Ask, Change, Impact, Questions, Touched, diff, use
from lineal.query.things import Things
from lineal.shapes import Shapes
from lineal.store import Between
from tests.graphs import Graph, new, said
from tests.test_lineage import name, uri

DAY = 86_400_000_000


def told(*lines: str, **attributes: dict[str, Json]) -> list[Record]:
    """Return documents: one for each line ``start kind end``, and one for each thing described."""
    found = []
    for line in lines:
        start, kind, end = line.split()
        found.append(said(uri(start), [(uri(start), kind, uri(end))], document=line))
    for thing, values in attributes.items():
        of = uri(thing.replace("_", "."))
        found.append(Record("tool", thing, of, (Statement(of, values),), (), 1_000))
    return found


#: A table with two columns, a feature made of one, two models, one of them serving.
ESTATE = (
    "c.hours column_of d.plays", "c.member column_of d.plays", "f.h7 derived_from c.hours",
    "f.h7 in_set fs.watched", "v.a1 version_of m.a", "v.a1 consumes f.h7",
    "v.b1 version_of m.b", "v.b1 consumes fs.watched", "dep.home deploys v.a1",
    "dep.home deployed_on svc.api", "dep.old deploys v.b1",
)  # fmt: skip
SERVING: dict[str, dict[str, Json]] = {
    "dep_home": {"status": "serving"}, "dep_old": {"status": "stopped"},
}  # fmt: skip


@pytest.fixture(params=["sqlite", "postgres"])
def graph(request: pytest.FixtureRequest) -> Iterator[Graph]:
    with new(request.param) as found:
        yield found


@contextmanager
def estate() -> Iterator[Graph]:
    with new("sqlite") as graph:
        graph.say(*told(*ESTATE, **SERVING))
        yield graph


def effects(found: Impact) -> dict[str, str]:
    return {name(hit.thing.uri): hit.effect for hit in found.hits}


# ── The order, and the counts ────────────────────────────────────────────────────────────────────


def test_what_is_in_use_comes_first_then_what_leads_to_it_then_what_is_near(graph: Graph) -> None:
    graph.say(*told(*ESTATE, **SERVING))
    found = graph.ask.impact(LOCAL, [uri("c.hours")]).value

    assert [(name(hit.thing.uri), hit.in_use, hit.live) for hit in found.hits] == [
        ("dep.home", True, True),
        ("f.h7", False, True),
        ("m.a", False, True),
        ("fs.watched", False, False),
        ("m.b", False, False),
        ("dep.old", False, False),
        ("svc.api", False, False),
    ]
    assert (found.live, found.in_use) == (3, 1)


def test_counts_are_of_all_that_is_touched_and_not_of_the_list(graph: Graph) -> None:
    team = Uri("mlg://team/people/data")
    tables = [f"d.t{at} derived_from d.plays" for at in range(30)]
    owned = [
        said(uri(f"d.t{at}"), [(uri(f"d.t{at}"), "owned_by", team)], document=f"o{at}")
        for at in range(25)
    ]
    graph.say(*told(*tables), *owned, said(team, email="data@example.org", channel="#data"))
    answer = graph.ask.impact(LOCAL, [uri("d.plays")], limit=3)

    assert len(answer.value.hits) == 3
    assert answer.value.by_type == {"dataset": 30}
    assert answer.total == 30
    assert answer.why == (Cut("list", "counted", done=3, total=30),)
    first, nobody = answer.value.by_owner
    assert isinstance(first, Touched)
    assert (first.owner and first.owner.uri, first.count, len(first.things)) == (team, 25, 20)
    assert first.contacts == ("#data", "data@example.org")
    assert (nobody.owner, nobody.count, nobody.by_type) == (None, 5, {"dataset": 5})


def test_impact_is_of_the_asked_time(graph: Graph) -> None:
    graph.say(*told(*ESTATE, **SERVING))
    graph.say(*told(dep_home={"status": "stopped"}))
    now = graph.ask.impact(LOCAL, [uri("f.h7")]).value
    then = graph.ask.impact(LOCAL, [uri("f.h7")], Moment(known_t=1)).value

    assert (now.in_use, then.in_use) == (0, 1)


# ── What is done ─────────────────────────────────────────────────────────────────────────────────


def test_what_is_dropped_breaks_what_surely_rests_on_it() -> None:
    """The second model takes the whole set: perhaps another feature of it."""
    with estate() as graph:
        found = graph.ask.impact(LOCAL, [uri("f.h7")], change=Change("dropped")).value
        whys = {name(hit.thing.uri): hit.why for hit in found.hits}

    assert effects(found) == {
        "m.a": "breaks", "dep.home": "breaks", "svc.api": "breaks",
        "m.b": "may break", "dep.old": "may break",
    }  # fmt: skip
    assert found.by_effect == {"breaks": 3, "may break": 2}
    assert whys["m.a"] == "It takes what is gone."
    assert "nobody has said" in whys["m.b"]


def test_another_type_may_break_who_reads_it_and_changes_what_is_beyond() -> None:
    with estate() as graph:
        found = graph.ask.impact(LOCAL, [uri("c.hours")], change=Change("retyped", "text")).value

    assert effects(found)["f.h7"] == "may break"
    assert {effects(found)[one] for one in ("m.a", "dep.home", "svc.api")} == {"changes"}
    assert found.change == Change("retyped", "text")


def test_another_definition_breaks_nothing_and_models_were_trained_with_the_old_one() -> None:
    with estate() as graph:
        found = graph.ask.impact(LOCAL, [uri("f.h7")], change=Change("redefined")).value

    assert set(effects(found).values()) == {"changes"}
    assert next(hit.why for hit in found.hits if hit.thing.uri == uri("m.a")).startswith(
        "It was made with values of the old definition"
    )


def test_a_version_that_is_rolled_back_gives_way_to_the_one_before() -> None:
    lines = ("v.a1 version_of m.a", "v.a2 version_of m.a", "v.a1 consumes f.old",
             "v.a2 consumes f.new", "v.a2 consumes f.both", "v.a1 consumes f.both",
             "dep.home deploys v.a2", "v.a2 served_in x.two", "x.two cell_of t.1")  # fmt: skip
    made: dict[str, dict[str, Json]] = {
        "v_a1": {"created_at": "2026-01-01"}, "v_a2": {"created_at": "2026-02-01"}
    }  # fmt: skip
    with new("sqlite") as graph:
        graph.say(*told(*lines, **made))
        answer = graph.ask.impact(LOCAL, [uri("v.a2")], change=Change("rolled_back"))
        first = graph.ask.impact(LOCAL, [uri("v.a1")], change=Change("rolled_back"))

    assert answer.value.change == Change("rolled_back", str(uri("v.a1")))
    assert {"dep.home", "x.two", "t.1"} <= effects(answer.value).keys()
    assert answer.notes == (
        "a1 consumes what this version does not: old.",
        "a1 does not consume what this version does: new.",
    )
    assert "No version before this one is known" in first.notes[0]


def test_a_change_that_cannot_be_is_refused() -> None:
    with estate() as graph:
        for thing, what in (("m.a", "dropped"), ("d.plays", "rolled_back"), ("f.h7", "eaten")):
            with pytest.raises(InvalidQuery):
                graph.ask.impact(LOCAL, [uri(thing)], change=Change(what))


# ── What changed by itself ───────────────────────────────────────────────────────────────────────

HOURS, TOTAL = Uri("mlg://column/here/plays/hours"), Uri("mlg://column/here/plays/total")
MEMBER = Uri("mlg://column/here/plays/member")
TABLE, OUT = Uri("mlg://dataset/here/plays"), Uri("mlg://dataset/here/out")


def table(*columns: tuple[Uri, str]) -> Record:
    """Return the document of the table with these columns and their types."""
    record = said(TABLE, [(column, "column_of", TABLE) for column, _ in columns], document="plays")
    stated = [Statement(column, {"data_type": kind}) for column, kind in columns]
    return replace(record, statements=(*record.statements, *stated))


def test_schema_changes_are_found_with_their_cause_and_whom_they_touch(graph: Graph) -> None:
    reading = said(OUT, [(OUT, "derived_from", TABLE)], document="out")
    feature = said(uri("f.h7"), document="feature", expression="sum(hours)")
    graph.say(table((HOURS, "int"), (MEMBER, "int")), reading, feature)
    graph.say(table((TOTAL, "int"), (MEMBER, "text")))
    graph.say(replace(feature, statements=(Statement(uri("f.h7"), {"expression": "avg(hours)"}),)))
    answer = graph.ask.schema_changes(LOCAL, Moment(known_t=1))

    found = {(one.what, one.thing.uri): one for one in answer.value.changes}
    assert answer.value.by_what == {"redefined": 1, "renamed": 1, "retyped": 1}
    assert answer.complete
    renamed, retyped = found[("renamed", HOURS)], found[("retyped", MEMBER)]
    assert (renamed.before, renamed.after, renamed.because.t) == ("hours", "total", 2)
    assert [hit.thing.uri for hit in renamed.hits] == [OUT]
    assert (retyped.attribute, retyped.before, retyped.after) == ("data_type", "int", "text")
    assert (retyped.touched, retyped.hits[0].effect) == (1, "may break")
    assert found[("redefined", uri("f.h7"))].because.t == 3


def test_what_comes_and_goes_alone_is_added_and_dropped() -> None:
    with new("sqlite") as graph:
        graph.say(table((HOURS, "int")))
        graph.say(table((HOURS, "int"), (MEMBER, "int")))
        graph.say(table((MEMBER, "int")))
        ask = graph.ask
        added = ask.schema_changes(LOCAL, Moment(known_t=1), Moment(known_t=2)).value
        gone = ask.schema_changes(LOCAL, Moment(known_t=2), Moment(known_t=3)).value
        none = ask.schema_changes(LOCAL, Moment(known_t=2), types=["dataset"]).value

    assert added.by_what == {"added": 1}
    assert gone.by_what == {"dropped": 1}
    assert none.by_what == {}


def test_schema_changes_of_very_much_are_told_as_far_as_there_was_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = diff.everything

    def until_features(between: Between, shapes: Shapes, kind: str, **how: Any) -> object:
        if kind == "feature":
            raise OutOfTime("The question took longer than 5000 ms.")
        return everything(between, shapes, kind, **how)

    with new("sqlite") as graph:
        graph.say(table((HOURS, "int")))
        graph.say(table((HOURS, "text")))
        monkeypatch.setattr(diff, "everything", until_features)
        answer = graph.ask.schema_changes(LOCAL, Moment(known_t=1))

    assert answer.value.by_what == {"retyped": 1}
    assert answer.why == (Cut("time", "candidates", part=("feature",)),)
    assert not answer.complete


def test_an_alias_that_goes_back_to_an_older_version_is_a_rolling_back() -> None:
    model, old, new_ = uri("m.a"), uri("v.a9"), uri("v.a10")
    with new("sqlite") as graph:
        versions = told("v.a9 version_of m.a", "v.a10 version_of m.a")
        graph.say(*versions, said(model, [(model, "points_to", new_)], document="alias"))
        graph.say(said(model, [(model, "points_to", old)], document="alias"))
        back = graph.ask.schema_changes(LOCAL, Moment(known_t=1)).value
        graph.say(said(model, [(model, "points_to", new_)], document="alias"))
        on = graph.ask.schema_changes(LOCAL, Moment(known_t=2)).value

    assert [(one.what, one.thing.uri, one.after) for one in back.changes] == [
        ("rolled_back", new_, "a9")
    ]
    assert on.by_what == {}


# ── What is used ─────────────────────────────────────────────────────────────────────────────────


def test_assets_are_ranked_by_what_is_in_use_on_them_and_by_teams(graph: Graph) -> None:
    one, other = (Uri(f"mlg://team/people/{name}") for name in ("one", "other"))
    lines = [*ESTATE, "dep.two deploys v.b1", "f.h7 derived_from d.raw"]
    owned = [said(uri(f"dep.{at}"), [(uri(f"dep.{at}"), "owned_by", team)], document=f"own {at}")
             for at, team in (("home", one), ("two", other))]  # fmt: skip
    graph.say(*told(*lines, **SERVING, dep_two={"status": "serving"}), *owned)
    answer = graph.ask.shared(LOCAL)

    ranked = {name(asset.thing.uri): (asset.consumers, asset.teams) for asset in answer.value}
    assert ranked["fs.watched"] == (2, 2)
    assert ranked["d.raw"] == (2, 2)
    assert ranked["f.h7"] == (1, 1)
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
    assert {team.uri for team in answer.value[0].of_teams} == {one, other}
    only = graph.ask.shared(LOCAL, types=["dataset"], limit=1)
    assert [asset.thing.type for asset in only.value] == ["dataset"]


def test_unused_is_what_nothing_live_or_recent_takes_from_and_since_when(graph: Graph) -> None:
    graph.clock.at = 100 * DAY
    read = EdgeStatement(uri("r.one"), "reads", uri("d.old"), valid_from=20 * DAY)
    late = EdgeStatement(uri("r.two"), "reads", uri("d.late"), valid_from=95 * DAY)
    runs = [Record("jobs", f"run {at}", edge.start, (Statement(edge.start, {}),), (edge,), 99 * DAY)
            for at, edge in enumerate((read, late))]  # fmt: skip
    tables = [said(uri(f"d.{at}"), document=f"d {at}") for at in ("old", "late", "never", "plays")]
    graph.say(*told(*ESTATE, **SERVING), *runs, *tables)
    answer = graph.ask.unused(LOCAL, types=["dataset"], days=30)
    now = graph.ask.unused(LOCAL, types=["dataset"], days=0)

    found = {name(one.thing.uri): one for one in answer.value}
    assert found.keys() == {"d.old", "d.never"}
    old, never = found["d.old"], found["d.never"]
    assert (old.since, old.last_used_by and name(old.last_used_by.uri)) == (20 * DAY, "r.one")
    assert (never.last_used_at, never.last_used_by) == (None, None)
    assert never.since == graph.clock.at
    assert [name(one.thing.uri) for one in answer.value] == ["d.old", "d.never"]
    assert "d.late" in {name(one.thing.uri) for one in now.value}


def test_unused_of_very_much_is_told_as_far_as_there_is_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first recorded are looked at first, some at a time; the answer says how many were."""
    monkeypatch.setattr(use, "SLICE", 2)
    monkeypatch.setattr(Things, "must_end", lambda things: True)
    with new("sqlite") as graph:
        graph.say(*(said(uri(f"d.{at}"), document=f"d {at}") for at in range(5)))
        answer = graph.ask.unused(LOCAL, types=["dataset"], days=0)

    assert [name(one.thing.uri) for one in answer.value] == ["d.0", "d.1"]
    assert answer.why == (Cut("time", "since", done=2, total=5),)
    assert answer.total is None


def test_unused_of_an_owner_is_what_is_theirs() -> None:
    team = Uri("mlg://team/people/data")
    with new("sqlite") as graph:
        ours = said(uri("d.ours"), [(uri("d.ours"), "owned_by", team)])
        graph.say(ours, said(uri("d.theirs")), said(team))
        found = graph.ask.unused(LOCAL, team).value

    assert [name(one.thing.uri) for one in found] == ["d.ours"]


def test_models_are_alike_by_the_rare_features_that_they_share(graph: Graph) -> None:
    lines = [f"m.{model} consumes f.{feature}" for model, features in
             {"a": "xyz", "b": "xyw", "c": "z", "d": "z", "e": "q"}.items()
             for feature in features]  # fmt: skip
    graph.say(*told(*lines))
    answer = graph.ask.similar(LOCAL, uri("m.a"))

    found = {name(one.thing.uri): one for one in answer.value}
    many = {"x": 2, "y": 2, "z": 3, "w": 1, "q": 1}
    weight = {feature: math.log1p(5 / n) for feature, n in many.items()}
    expected = (weight["x"] + weight["y"]) / sum(weight[one] for one in "xyzw")
    assert found["m.b"].score == round(expected, 4)
    assert list(found) == ["m.b", "m.c", "m.d"]
    assert (found["m.b"].only_this, found["m.b"].only_other) == (1, 1)
    assert found["m.b"].reason == (
        "Both consume 2 of the 4 features of either: x (2 of 5 models), y (2 of 5 models)."
    )
    back = graph.ask.similar(LOCAL, uri("m.b")).value
    assert next(one.score for one in back if one.thing.uri == uri("m.a")) == found["m.b"].score


def test_features_are_suggested_that_models_alike_consume(graph: Graph) -> None:
    consumed = {"a": "xy", "b": "xyw", "c": "xv", "d": "q"}
    lines = [f"m.{model} consumes f.{one}" for model, some in consumed.items() for one in some]
    graph.say(*told(*lines))
    alike = {name(one.thing.uri): one.score for one in graph.ask.similar(LOCAL, uri("m.a")).value}

    found = graph.ask.wanted(LOCAL, uri("m.a"))

    assert [name(one.thing.uri) for one in found.value] == ["f.w", "f.v"]
    assert found.value[0].score == pytest.approx(alike["m.b"] / sum(alike.values()), abs=1e-3)
    assert found.value[0].reason == "1 of the 2 models that are alike consume it: b."
    held_out = graph.ask.wanted(LOCAL, uri("m.b"), without=[uri("f.y")]).value
    assert "f.y" in {name(one.thing.uri) for one in held_out}
    with pytest.raises(InvalidQuery):
        graph.ask.wanted(LOCAL, uri("f.x"))


def test_features_are_alike_by_the_choosy_models_that_consume_both(graph: Graph) -> None:
    lines = [f"m.{model} consumes f.{feature}" for model, features in
             {"a": "xy", "b": "xyzw", "c": "xz"}.items() for feature in features]  # fmt: skip
    graph.say(*told(*lines, "f.x derived_from d.plays"))
    answer = graph.ask.similar(LOCAL, uri("f.x"))

    found = {name(one.thing.uri): one for one in answer.value}
    weight = {model: math.log1p(4 / n) for model, n in {"a": 2, "b": 4, "c": 2}.items()}
    every = sum(weight.values())
    assert list(found) == ["f.y", "f.z", "f.w"]
    assert found["f.y"].score == round((weight["a"] + weight["b"]) / every, 4)
    assert found["f.w"].score == round(weight["b"] / every, 4)
    assert (found["f.w"].only_this, found["f.w"].only_other) == (2, 0)
    assert found["f.y"].reason == (
        "2 of the 3 models that consume either consume both: "
        "a (2 of 4 features), b (4 of 4 features)."
    )
    with pytest.raises(InvalidQuery):
        graph.ask.similar(LOCAL, uri("d.plays"))


def test_use_is_asked_at_the_two_times() -> None:
    with new("sqlite") as graph:
        graph.say(*told(*ESTATE, **SERVING), said(uri("d.plays"), document="plays"))
        graph.say(*told(dep_home={"status": "stopped"}))
        ask: Questions = graph.ask
        then = Moment(known_t=1)

        assert ask.shared(LOCAL).value == ()
        assert len(ask.shared(LOCAL, then).value) >= 2
        assert ask.unused(LOCAL, moment=then, types=["dataset"], days=0).value == ()
        assert len(ask.unused(LOCAL, types=["dataset"], days=0).value) == 1


def test_a_schema_change_whose_impact_was_cut_says_so(graph: Graph) -> None:
    graph.say(*told(*(f"m.{at} consumes f.x" for at in range(20)), f_x={"data_type": "int"}))
    graph.say(*told(f_x={"data_type": "long"}))
    whole = graph.ask.schema_changes(LOCAL, Moment(known_t=1))
    cut = graph.ask.schema_changes(LOCAL, Moment(known_t=1), ask=Ask(Budget(nodes=5)))

    assert whole.complete
    assert whole.value.changes[0].touched == 20
    assert cut.value.changes[0].touched < 20
    assert {(one.limit, one.part) for one in cut.why} == {("nodes", ("impact",))}
