"""A log's documents are folded from what still matters: as cheap after many entries as before."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

import pytest

from lineal.ingest import Ingest, Tally
from lineal.model import Instant, Json, Record, Uri
from lineal.normalise import Platforms
from lineal.sources import Key
from lineal.sources.openlineage import OpenLineage
from lineal.store import work
from tests.graphs import Graph, new
from tests.promises.recording import SOAK

JOB = Uri("mlg://pipeline/etl/load")
PLAYS = Uri("mlg://dataset/lake/plays")
#: So many events of one job are there before one more comes.
MANY = 20_000 if SOAK else 1_000


class Counting(OpenLineage):
    """Notes how many entries each document was last folded from."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.read: dict[str, int] = {}
        #: What happens between the reading of the job's entries and the writing of what they say.
        self.meanwhile: list[Callable[[], object]] = []

    def fold(
        self, key: Key, entries: Sequence[Mapping[str, Json]], *, observed_at: Instant
    ) -> Record | None:
        self.read[key.document] = len(entries)
        if key.resource == "job" and self.meanwhile:
            self.meanwhile.pop(0)()
        return super().fold(key, entries, observed_at=observed_at)


class Log:
    """A graph that is told of the runs of one job."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.store = graph.store
        self.opened()

    def opened(self, **options: Any) -> None:
        """Begin a process that works on the log."""
        self.source = Counting(**options)
        self.ingest = Ingest(self.store, {}, {self.source.name: self.source}, gather=0)

    def tell(self, *events: Mapping[str, Json]) -> None:
        """Keep events, and work until all are folded."""
        assert not any(self.ingest.take_log(self.source.name, events))
        self.graph.clock.at += 1_000_000
        while self.ingest.turn():
            pass

    @property
    def read(self) -> int:
        """From how many entries the job was last folded."""
        return self.source.read["job:etl/load"]


@pytest.fixture
def log(graph: Graph) -> Log:
    return Log(graph)


def event(number: int, *, state: str = "COMPLETE", **job: Json) -> dict[str, Json]:
    """Return an event of so many seconds after midnight; a run has fifty of them."""
    hours, minutes, seconds = number // 3_600, number // 60 % 60, number % 60
    facets: dict[str, Json] = {"sql": {"query": f"select {number // 50}"}, **job}
    return {
        "eventTime": f"2026-03-01T{hours:02}:{minutes:02}:{seconds:02}Z",
        "eventType": state,
        "run": {"runId": f"0198aaaa-0000-7000-8000-{number // 50:012}"},
        "job": {"namespace": "etl", "name": "load", "facets": facets},
        "inputs": [{"namespace": "lake", "name": "plays", "facets": {
            "schema": {"fields": [{"name": f"c{number // 700}", "type": "int"}]}
        }}],
    }  # fmt: skip


def told(*events: Mapping[str, Json]) -> str:
    """Return the digest of a graph that was told these events together, and never folded before."""
    with new("sqlite") as graph:
        other = Log(graph)
        other.tell(*events)
        return graph.store.digest()


def checkpoints(log: Log) -> list[tuple[Any, ...]]:
    with log.store.looking() as driver:
        return driver.rows("SELECT document, way, told FROM log_checkpoint ORDER BY document")


def test_one_more_event_costs_the_same_however_many_there_were(log: Log) -> None:
    for begin in range(0, MANY, 500):
        log.tell(*map(event, range(begin, begin + 500)))
    before, read = log.store.digest(), list[int]()

    for number in range(MANY, MANY + 80):
        log.tell(event(number))
        read.append(log.read)

    assert max(read) < 150
    assert log.store.digest() == told(*map(event, range(MANY + 80))) != before
    assert log.store.verify().sound


@pytest.mark.parametrize("seed", range(3))
def test_late_and_repeated_entries_give_what_the_whole_set_gives(log: Log, seed: int) -> None:
    """Most come nearly in order, some very late, a few again; between them it is folded."""
    chance, events = Random(seed), [event(number) for number in range(420)]
    events.insert(200, event(500, state="FAIL", sql={"_deleted": True}))
    late = [events.pop(chance.randrange(len(events) - 40)) for _ in range(5)]
    order = sorted(events, key=lambda one: str(one["eventTime"]))
    for place in range(0, len(order) - 12, 12):
        order[place : place + 12] = chance.sample(order[place : place + 12], 12)
    shortened = 0

    while order:
        count = chance.randint(1, 40)
        log.tell(*order[:count], *chance.sample(events, 2))
        del order[:count]
        shortened += log.read < 200
        if late and not chance.randrange(4):
            log.tell(late.pop())
    log.tell(*late)

    assert shortened
    whole = [*map(event, range(420)), event(500, state="FAIL", sql={"_deleted": True})]
    assert log.store.digest() == told(*whole)


def test_what_is_older_than_the_checkpoint_has_all_entries_read_once(log: Log) -> None:
    log.tell(*map(event, range(1, 1_300)))
    log.tell(event(1_300))
    assert log.read < 100

    log.tell(event(0, documentation={"description": "the first"}))
    assert log.read == 1_301
    log.tell(event(1_301))

    assert log.read < 100
    assert log.graph.thing(JOB).attributes["description"] == "the first"


def test_a_producer_that_always_lags_as_much_is_waited_for(log: Log) -> None:
    """Each of its events has let 150 others past: one falls behind a checkpoint, and no more do."""
    log.tell(*map(event, range(0, 2_600, 2)))
    log.tell(event(2_600))
    read = []
    for number in range(2_602, 2_650, 2):
        log.tell(event(number), event(number - 299))
        read.append(log.read)

    assert read[0] > 1_300
    assert max(read[1:]) < 400


def test_another_way_of_folding_reads_all_entries_again(log: Log) -> None:
    log.tell(*map(event, range(200)))
    (way,) = {row[1] for row in checkpoints(log)}

    log.opened(platforms=Platforms({"elsewhere": "here"}))
    log.tell(event(200))

    assert log.read == 201
    assert way not in {row[1] for row in checkpoints(log)}


def test_a_rebuild_reads_all_entries_again(log: Log) -> None:
    log.tell(*map(event, range(200)))
    digest = log.store.digest()

    log.ingest.rebuild(log.source.name, Tally())
    assert checkpoints(log) == []
    while log.ingest.turn():
        pass

    assert log.read == 200
    assert log.store.digest() == digest
    assert {row[0] for row in checkpoints(log)} == {"job:etl/load", "dataset:lake/plays"}


def test_what_a_version_without_checkpoints_kept_is_missed_and_read(log: Log) -> None:
    """It keeps an entry and counts its notice, and says nowhere else that it came."""
    log.tell(*map(event, range(200)))
    assert not any(log.ingest.take_log(log.source.name, [event(200), event(201)]))
    with log.store.working() as ledger:
        ledger.driver.run("DELETE FROM log_since WHERE digest IN (SELECT digest FROM log_body"
                          " WHERE body LIKE '%00:03:20Z%')")  # fmt: skip
    log.tell()
    assert log.read == 202
    log.tell(event(202))

    assert log.read < 100
    assert log.store.digest() == told(*map(event, range(203)))


def test_a_checkpoint_that_was_changed_by_hand_is_not_gone_on_from(log: Log) -> None:
    log.tell(*map(event, range(200)))
    with log.store.working() as ledger:
        ledger.driver.run("UPDATE log_checkpoint SET lasting = '[]'")
    assert not log.store.verify().sound

    log.tell(event(200))

    assert log.read == 201
    assert log.store.verify().sound


def test_what_is_kept_while_a_checkpoint_is_made_is_read_next(log: Log) -> None:
    take = log.ingest.take_log
    log.source.meanwhile = [
        lambda: list(take(log.source.name, [event(300), event(301)])),
        lambda: list(take(log.source.name, [event(302)])),
    ]
    log.tell(*map(event, range(300)))

    assert not log.source.meanwhile
    assert log.read < 100
    assert log.store.digest() == told(*map(event, range(303)))


def test_a_checkpoint_does_not_replace_one_that_was_written_meanwhile(log: Log) -> None:
    log.tell(*map(event, range(200)))
    with log.store.looking() as driver:
        old = work.recent(driver, "openlineage", "job:etl/load", log.source.way)
    assert old is not None
    log.tell(*map(event, range(200, 300)))
    before = checkpoints(log)

    read = frozenset(one.digest for one in old.since)
    late = work.Settled("openlineage", "job:etl/load", log.source.way, old.checkpoint, read, (),
                        frozenset())  # fmt: skip
    with log.store.working() as ledger:
        work.settle(ledger, late)

    assert checkpoints(log) == before


def test_what_is_excised_is_gone_from_the_checkpoint_and_the_rest_goes_on(log: Log) -> None:
    log.tell(*map(event, range(200)))
    log.store.excise([JOB], reason="asked for it", actor="dpo")

    assert {row[0] for row in checkpoints(log)} == {"dataset:lake/plays"}
    log.tell(event(200))
    assert log.read == 1
    assert log.source.read["dataset:lake/plays"] < 100
    assert log.store.verify().sound


def test_an_event_stays_while_another_document_rests_on_it_and_that_is_told(log: Log) -> None:
    log.tell(*map(event, range(60)))
    run, other = (
        Uri.of("run", "etl", f"0198aaaa-0000-7000-8000-{number:012}") for number in range(2)
    )

    shared = log.store.excise([JOB, PLAYS, run], reason="asked for it", actor="dpo").shared
    with log.store.looking() as driver:
        kept = driver.rows("SELECT body FROM log_body")
    rest = log.store.excise([other], reason="asked for it too", actor="dpo").shared

    assert (shared, rest) == (10, 0)
    assert len(kept) == 10
    with log.store.looking() as driver:
        assert driver.rows("SELECT body FROM log_body") == []
    assert log.store.verify().sound


def test_a_moved_graph_reads_all_entries_once(log: Log) -> None:
    log.tell(*map(event, range(200)))
    file = io.BytesIO()
    log.store.export(file)
    file.seek(0)
    with new("sqlite") as graph:
        graph.store.fill(file, "export")
        there = Log(graph)
        there.tell(event(200))

        assert there.read == 201
        log.tell(event(200))
        assert there.store.digest() == log.store.digest()


def test_a_run_of_snapshots_is_read_whole(log: Log) -> None:
    pattern: dict[str, Json] = {"emissionPattern": {"eventContentMode": "COMPLETE_SNAPSHOT"}}
    same: dict[str, Json] = {"run": {"runId": "0198aaaa-0000-7000-8000-000000000001"}}
    for number in range(0, 200, 20):
        log.tell(
            *({**event(at, state="RUNNING", jobType=pattern), **same}
              for at in range(number, number + 20))
        )  # fmt: skip

    assert max(log.source.read[name] for name in log.source.read if "run:" in name) == 200
