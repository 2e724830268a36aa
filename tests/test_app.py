"""Putting the parts together, and the background work: it keeps up with every source."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import ConfigError
from lineal.model import Json, Uri
from lineal.sources import Key
from lineal.store import Batch
from tests.estate import joined

TEST = Uri("mlg://ab-test/exp/12345")


def wait_for(condition: Callable[[], bool], *, seconds: float = 60.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_sources_that_were_never_heard_of_are_listed_whole_at_the_start(tmp_path: Path) -> None:
    """No event is sent; and a source that is down keeps none of the others waiting."""
    with joined(tmp_path) as both:
        both.estate.fail("catalog", status=503)
        both.lineal.start()

        def documents() -> dict[str, int]:
            return {one.source: one.documents for one in both.lineal.health()}

        others = {"experiments", "features", "identity", "orchestrator", "registry", "serving"}
        assert wait_for(lambda: all(documents().get(name, 0) > 0 for name in others))
        assert documents().get("catalog", 0) == 0
        both.lineal.stop()

        assert both.lineal.ask.get(LOCAL, TEST).value.name == "Ranking Model v5 vs v4"


def test_events_are_worked_through_in_the_background(tmp_path: Path) -> None:
    with joined(tmp_path) as both:
        event = {"event_type": "model_instance_created", "instance_id": "ranking-model-v5-20XX0101"}
        both.lineal.receive("registry", [event])
        both.lineal.start()

        def known() -> bool:
            return both.lineal.ask.counts(LOCAL).value.get("ab-test", 0) > 0

        assert wait_for(known)


def test_what_a_killed_process_only_referred_to_is_asked_for_after_a_start(tmp_path: Path) -> None:
    """The version was committed; the process died before it asked for the run."""
    version = Uri("mlg://model-version/registry/ranking-model-v5-20XX0101")
    with joined(tmp_path) as both:
        fetched = both.lineal.sources["registry"].fetch(Key("instance", version.name))
        assert fetched.record is not None
        both.lineal.store.commit(Batch([fetched.record], actor="test", cause="before the kill"))

        assert both.lineal.drain(timeout=60).complete

        assert both.lineal.ask.get(LOCAL, TEST).value.name == "Ranking Model v5 vs v4"


FILES = """
source: jobs
files:
  - {path: jobs.jsonl, resource: job}
resources:
  job:
    subject: {type: pipeline, platform: cron}
    key: id
    map: {name: id}
    edges:
      - {kind: reads, to: {dataset: {namespace: space, name: table}}}
"""

SECRET = """
auth: {bearer: "env:TOKEN"}
resources:
  job:
    subject: {type: pipeline}
    key: id
    fetch: {path: "/jobs/{id}"}
    map: {name: id}
"""


def test_other_names_of_platforms_hold_for_declared_sources(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(FILES, encoding="utf-8")
    line = '{"id": "load", "space": "postgres://db:5432", "table": "shop.public.orders"}'
    (tmp_path / "jobs.jsonl").write_text(line, encoding="utf-8")
    config = Config(db=tmp_path / "graph.db", platforms={"postgres://db:5432": "wh"})

    with Lineal.open(config) as lineal:
        assert lineal.import_files(tmp_path / "jobs.yaml", tmp_path).refused == ()
        (read,) = lineal.ask.neighbours(LOCAL, Uri("mlg://pipeline/cron/load")).value

    assert read.other.uri == Uri("mlg://dataset/wh/shop.public.orders")


def test_a_source_that_cannot_be_made_leaves_the_database_free(tmp_path: Path) -> None:
    text = "source: tool\nplatform: tool\nbase_url: https://tool.example/api\n" + SECRET
    (tmp_path / "tool.yaml").write_text(text, encoding="utf-8")
    broken = Config(db=tmp_path / "graph.db", sources=(tmp_path / "tool.yaml",))

    with pytest.raises(ConfigError, match="TOKEN"), Lineal.open(broken):
        pass

    with Lineal.open(Config(db=tmp_path / "graph.db")) as lineal:
        assert lineal.health() == []


def test_rewrites_are_read_from_the_environment_and_hold_for_every_source(tmp_path: Path) -> None:
    rule = "bigquery old.*=bigquery new.*"
    config = Config.from_environment(
        {
            "LINEAL_DB": str(tmp_path / "graph.db"),
            "LINEAL_REWRITES": f"{rule},snowflake://a=snowflake://b",
        }
    )
    event: dict[str, Json] = {
        "eventTime": "2026-01-01T00:00:00Z",
        "producer": "https://x.example",
        "dataset": {"namespace": "bigquery", "name": "old.d.t"},
    }
    with Lineal.open(config) as lineal:
        lineal.receive_log([event])
        lineal.drain()
        old = Uri("mlg://dataset/bigquery/old.d.t")
        (same,) = lineal.ask.neighbours(LOCAL, old).value

    assert config.rewrites["snowflake://a"] == "snowflake://b"
    assert (same.relation, same.other.uri) == ("same_as", "mlg://dataset/bigquery/new.d.t")


@pytest.mark.parametrize("rule", ["bigquery old.*", "bigquery old.*=bigquery new", "=bigquery a"])
def test_a_rewrite_that_cannot_be_is_said_at_the_start(tmp_path: Path, rule: str) -> None:
    def start() -> None:
        variables = {"LINEAL_DB": str(tmp_path / "graph.db"), "LINEAL_REWRITES": rule}
        with Lineal.open(Config.from_environment(variables)):
            pass

    with pytest.raises(ConfigError, match="LINEAL_REWRITES"):
        start()
