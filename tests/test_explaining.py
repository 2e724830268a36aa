"""Why an edge is believed: down to what was observed, when, and whether it ever was so together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.config import Config
from lineal.enrich.rules import RuleBook, read_rule
from lineal.errors import ConfigError
from lineal.model import EdgeStatement, Instant, Moment, Record, Response, Statement, Uri
from lineal.query import Questions
from lineal.query.explaining import DEEP
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from lineal.surfaces import formats
from tests.test_rules import CHAIN, T, V, graph, uri

HOUR = 3_600_000_000
DAY = 24 * HOUR


def said(document: str, thing: str, at: Instant, **values: str) -> Record:
    """Return a source's word on a thing, with the answer that it came in."""
    response = Response(f"https://tool.example/{document}", "ab" * 32, at)
    return Record(
        "tool", document, uri(thing), (Statement(uri(thing), dict(values)),), (), at,
        response=response,
    )  # fmt: skip


def test_each_support_says_when_it_was_observed() -> None:
    with graph() as one:
        one.say("first", *CHAIN[1:])
        late = one.now + DAY
        one.now = late - 1_000
        one.say("then", CHAIN[0])

        (reason,) = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value.reasons

    observed = [stated.observed_at for s in reason.supports for stated in s.claims]
    assert observed == [late, 2_000, 2_000]


def test_what_was_never_known_together_is_told() -> None:
    """The cell was of the test when somebody last looked; the run came days later."""
    with graph() as one:
        one.say("cells", CHAIN[2])
        one.now += 3 * DAY
        one.say("runs", *CHAIN[:2])

        answer = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T))
        lenient = Questions(one.store, skew=4 * DAY)
        past = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T), Moment(known_t=answer.basis_t))
        bound = lenient.explain(LOCAL, uri(V), "trained_for", uri(T)).value.reasons[0]

    (reason,) = answer.value.reasons
    assert reason.skew is not None
    assert reason.skew.gap == 3 * DAY + 1_000
    assert "3.0 days after it was last confirmed that" in reason.skew.words
    assert reason.skew.words in answer.value.words
    assert bound.skew is None
    assert past.value.reasons[0].skew is None


def test_what_happened_stays_true_however_long_ago() -> None:
    """A run that was seen once is not doubted because nobody looked at it again."""
    with graph() as one:
        one.say("runs", *CHAIN[:2])
        one.now += 30 * DAY
        one.say("cells", CHAIN[2])

        (reason,) = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T)).value.reasons

    assert reason.skew is None


def test_an_equal_value_is_shown_with_who_says_it_and_since_when() -> None:
    with graph() as one:
        one.commit(said("d", "deployment d1", 1, image_digest="sha256:0a", status="serving"))
        first = one.now
        one.commit(said("v", "model-version v1", 2, image_digest="sha256:0a"))
        one.now += DAY
        one.commit(said("d", "deployment d1", 3, image_digest="sha256:0a", status="paused"))

        answer = one.ask.explain(LOCAL, uri("deployment d1"), "deploys", uri("model-version v1"))

    (reason,) = answer.value.reasons
    (support,) = reason.supports
    assert (reason.rule, reason.confidence, support.claims) == ("deployed_artifact", 0.95, ())
    assert [(one.source, one.document, one.value, one.attribute) for one in support.values] == [
        ("tool", "d", "sha256:0a", "image_digest"), ("tool", "v", "sha256:0a", "image_digest"),
    ]  # fmt: skip
    assert support.values[0].observed_at == first, "the value did not change with the status"
    assert support.values[0].response is not None
    assert "confidence 0.95" in answer.value.words
    told = formats.explanation(answer)["value"]
    assert isinstance(told, dict)
    assert told["reasons"][0]["supports"][0]["values"][1]["response"]["sha256"] == "ab" * 32  # type: ignore[index,call-overload]


def test_a_conclusion_under_another_is_explained_down_to_sources() -> None:
    with graph() as one:
        one.say("chain", *CHAIN)
        one.commit(said("t", T, 1, status="running"))

        answer = one.ask.explain(LOCAL, uri(V), "trained_unserved", uri(T))

    (reason,) = answer.value.reasons
    (support,) = reason.supports
    (below,) = support.reasons
    assert (support.kind, below.rule) == ("trained_for", "trained_for")
    assert [one.kind for one in below.supports] == [kind for _, kind, _ in CHAIN]
    assert all(s.claims[0].claim.source == "tool" for s in below.supports)
    assert answer.complete


def test_of_many_ways_the_total_is_told() -> None:
    with graph() as one:
        cells = [(f"run r{n}", f"ab-cell c{n}") for n in range(25)]
        one.say("made", *((V, "produced_by", run) for run, _ in cells))
        one.say("ran", *((run, "executed_for", cell) for run, cell in cells))
        one.say("cells", *((cell, "cell_of", T) for _, cell in cells))
        one.commit(said("t", T, 1, status="running"))

        answer = one.ask.explain(LOCAL, uri(V), "trained_for", uri(T))
        above = one.ask.explain(LOCAL, uri(V), "trained_unserved", uri(T))

    assert (len(answer.value.reasons), answer.value.derivations) == (20, 25)
    assert [(cut.what, cut.done, cut.total) for cut in answer.why] == [("derivations", 20, 25)]
    assert [cut.what for cut in above.why] == ["ways"]
    assert len(above.value.reasons[0].supports[0].reasons) == 3


KINDS = "\n".join(
    f"  step{n}:\n    inverse: stepped{n}\n    description: Step {n}.\n    from: [dataset]\n"
    f"    to: [dataset]\n    class: none\n    nature: state\n"
    for n in range(DEEP + 3)
)


@contextmanager
def stairs(folder: Path) -> Iterator[Questions]:
    """Open a store in which each kind follows from the one before."""
    (folder / "steps.yaml").write_text(f"kinds:\n{KINDS}")
    shapes = Shapes.load(folder / "steps.yaml")
    rules = [
        read_rule(
            f"name: up{n}\nversion: 1\nmatch: (a:dataset)-[:step{n}]->(b:dataset)\n"
            f"gives: (a)-[:step{n + 1}]->(b)\nwhy: up\n",
            file=f"up{n}.yaml", shapes=shapes,
        )
        for n in range(DEEP + 2)
    ]  # fmt: skip
    store = Store(
        folder / "a.db", shapes=shapes, rules=[RuleBook(rules, shapes)], describe=describing(shapes)
    )
    with closing(store):
        a, b = uri("dataset a"), uri("dataset b")
        word = Record("tool", "a", a, (), (EdgeStatement(a, "step0", b),), 1)
        store.commit(Batch([word], "a", "b"))
        yield Questions(store)


def test_how_deep_is_explained_has_an_end_and_says_so(tmp_path: Path) -> None:
    with stairs(tmp_path) as ask:
        ends: tuple[Uri, Uri] = uri("dataset a"), uri("dataset b")
        within = ask.explain(LOCAL, ends[0], f"step{DEEP}", ends[1])
        beyond = ask.explain(LOCAL, ends[0], f"step{DEEP + 1}", ends[1])

    assert within.complete
    assert [(cut.limit, cut.what, cut.done) for cut in beyond.why] == [("depth", "reasons", DEEP)]


def test_the_bound_is_a_setting() -> None:
    assert Config.from_environment({}).skew == DAY
    assert Config.from_environment({"LINEAL_SKEW": "3d"}).skew == 3 * DAY
    with pytest.raises(ConfigError, match="such as 24h"):
        Config.from_environment({"LINEAL_SKEW": "soon"})
