"""R30 end to end, as it was published: event, hydrate, normalise, facts, rule, direct edge."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lineal.access import LOCAL
from lineal.errors import NotFound
from lineal.model import Layer, Moment, Uri
from tests.databases import ENGINES
from tests.estate import Joined, joined

VERSION = Uri("mlg://model-version/registry/ranking-model-v5-20XX0101")
RUN = Uri("mlg://run/orchestrator/train-weekly-ranking-20XX0101")
CELL = Uri("mlg://ab-cell/exp/12345/2")
TEST = Uri("mlg://ab-test/exp/12345")


@pytest.fixture(params=ENGINES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Joined]:
    with joined(tmp_path_factory.mktemp("r30"), engine=request.param) as both:
        yield both


def announce_instance(both: Joined) -> None:
    """The one thin event of R30; everything else is found by following references."""
    both.lineal.receive(
        None,
        [{"event_type": "model_instance_created", "instance_id": "ranking-model-v5-20XX0101"}],
    )
    assert both.lineal.drain(timeout=60).complete


def test_one_event_leads_to_the_test_and_back(both: Joined) -> None:
    """The version's event alone brings in the run, the cell and the test, and joins both ends."""
    announce_instance(both)
    ask = both.lineal.ask

    forward = ask.tests_of(LOCAL, VERSION).value
    backward = ask.versions_in(LOCAL, TEST).value

    assert {(one.test.uri, one.how, one.running) for one in forward} >= {(TEST, "trained", True)}
    assert {(one.version.uri, one.how) for one in backward} >= {(VERSION, "trained")}
    assert ask.get(LOCAL, TEST).value.name == "Ranking Model v5 vs v4"
    assert ask.get(LOCAL, RUN).value.attributes["status"] == "succeeded"


def test_the_record_is_in_our_words(both: Joined) -> None:
    """R15: ids are URIs, the foreign key is a reference, owners are people, labels are tags."""
    both.estate.announce()
    both.deliver()
    ask = both.lineal.ask

    version = ask.get(LOCAL, VERSION).value
    relations = {(one.relation, one.other.uri) for one in ask.neighbours(LOCAL, VERSION).value}

    assert version.attributes["tags"] == ["team::personalization"]
    assert ("produced_by", RUN) in relations
    assert ("owned_by", Uri("mlg://user/identity/alice")) in relations


def test_the_explanation_lists_the_three_edges_and_their_responses(both: Joined) -> None:
    announce_instance(both)

    explained = both.lineal.ask.explain(LOCAL, VERSION, "trained_for", TEST).value

    assert explained.edge.layer is Layer.INFERRED
    (reason,) = explained.reasons
    assert reason.rule == "trained_for"
    edges = [(s.start.uri, s.kind, s.end.uri) for s in reason.supports]
    assert edges == [
        (VERSION, "produced_by", RUN),
        (RUN, "executed_for", CELL),
        (CELL, "cell_of", TEST),
    ]
    asked = [
        "instances/ranking-model-v5-20XX0101",
        "pipeline-runs/train-weekly-ranking-20XX0101",
        "tests/12345",
    ]
    for support, path in zip(reason.supports, asked, strict=True):
        responses = [one.response for one in support.claims if one.response]
        assert path in {response.url.split("/api/v1/")[1] for response in responses}
        assert all(len(response.sha256) == 64 for response in responses)


def test_withdrawing_a_support_withdraws_the_edge_but_not_the_past(both: Joined) -> None:
    announce_instance(both)
    ask = both.lineal.ask
    before = ask.get(LOCAL, VERSION).basis_t

    both.estate.change.retract_cells("train-weekly-ranking-20XX0101")
    both.deliver()

    with pytest.raises(NotFound):
        ask.explain(LOCAL, VERSION, "trained_for", TEST)
    assert not [one for one in ask.tests_of(LOCAL, VERSION).value if one.how == "trained"]
    then = Moment(known_t=before)
    assert len(ask.explain(LOCAL, VERSION, "trained_for", TEST, then).value.reasons) == 1
    assert [one.how for one in ask.tests_of(LOCAL, VERSION, then).value].count("trained") == 1
    told = [one.what for one in ask.history(LOCAL, VERSION).value if "trained_for" in one.details]
    assert told == ["corrected", "joined"]


def test_an_ended_test_does_not_unmake_what_was_trained_for_it(both: Joined) -> None:
    announce_instance(both)

    both.estate.change.end_test("12345")
    both.deliver()

    (trained,) = [
        one for one in both.lineal.ask.tests_of(LOCAL, VERSION).value if one.how == "trained"
    ]
    assert trained.test.uri == TEST
    assert not trained.running
