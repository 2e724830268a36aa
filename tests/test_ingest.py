"""The write path: events are durable, faults of sources lose nothing, and nothing stands still."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import quote

import pytest

from lineal.access import LOCAL
from lineal.app import Lineal
from lineal.config import Config
from lineal.errors import InvalidEvent, NotFound, Overloaded, SourceDown, SourceGarbled
from lineal.ingest import GRACE, TRIES, Ingest
from lineal.model import Instant, Json, State, Uri
from lineal.store import work
from lineal.store.work import Account
from lineal.testing.estate.server import Estate
from tests.databases import ENGINES, fresh
from tests.estate import SOURCES, uri_of

MODEL = uri_of("model", "ranking-v5")
SECOND = 1_000_000

Event: TypeAlias = dict[str, Json]


class Clock:
    """A clock that goes on only when it is told to."""

    def __init__(self) -> None:
        self.at: Instant = 1_770_000_000 * SECOND

    def __call__(self) -> Instant:
        return self.at

    def wait(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


class Joined:
    """An estate, a Lineal that listens to it, and the clock of the latter."""

    def __init__(self, estate: Estate, lineal: Lineal, clock: Clock) -> None:
        self.estate, self.lineal, self.clock = estate, lineal, clock

    def tell(self, ident: str = "ranking-v5", *, gone: bool = False) -> None:
        """Send the registry's event about a model."""
        verb = "deleted" if gone else "updated"
        self.lineal.receive("registry", [{"event_type": f"model_{verb}", "model_id": ident}])

    def work(self) -> None:
        """Work until nothing is due, as of the clock."""
        assert self.lineal.drain(timeout=60).complete

    def state(self, uri: Uri = MODEL) -> State:
        return self.lineal.ask.get(LOCAL, uri).value.state

    def description(self) -> Json:
        return self.lineal.ask.get(LOCAL, MODEL).value.attributes["description"]

    def rows(self, query: str) -> list[tuple[Json, ...]]:
        """Look into the database itself."""
        with self.lineal.store.looking() as driver:
            return driver.rows(query)

    def accounts(self) -> list[Account]:
        """Return what became of the notices of each source; the law holds whenever it is asked."""
        with self.lineal.store.looking() as driver:
            found = list(work.accounts(driver).values())
        assert [one.missing for one in found] == [0] * len(found)
        return found

    def watched(self, document: str = "model:ranking-v5") -> tuple[Json, ...]:
        """Return how often a document was tried, when it is due, and whether it is dirty."""
        (row,) = self.rows(
            "SELECT attempts, due_at, dirty_seq > clean_seq, error FROM watch "
            f"WHERE source = 'registry' AND document = '{document}'"
        )
        return row


@contextlib.contextmanager
def small() -> Iterator[Estate]:
    """Open an estate whose registry is small enough to be swept in no time."""
    with Estate(seed=7, scale=0.1) as estate:
        world = estate.world
        for ident in sorted(world.instances)[30:]:
            estate.change.delete("instance", ident, announce=False)
        for ident in sorted(world.models.keys() - {"ranking-v5"})[20:]:
            estate.change.delete("model", ident, announce=False)
        yield estate


@contextlib.contextmanager
def listening(estate: Estate, place: Path | str) -> Iterator[Joined]:
    """Open a Lineal that listens to an estate."""
    clock = Clock()
    config = Config(db=place, sources=(SOURCES,), variables={"ESTATE_URL": estate.url})
    with Lineal.open(config, clock=clock, chance=lambda: 0.0) as lineal:
        yield Joined(estate, lineal, clock)


@pytest.fixture(params=ENGINES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Yield a fresh database of each engine."""
    with fresh(request.param, tmp_path) as found:
        yield found


@pytest.fixture
def both(place: Path | str) -> Iterator[Joined]:
    with small() as estate, listening(estate, place) as one:
        yield one


@pytest.fixture
def known(both: Joined) -> Joined:
    """A Lineal that knows one model, and what that refers to."""
    both.tell()
    both.work()
    assert both.state() is State.HYDRATED
    return both


# ── Doors ────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_is_on_disk_before_it_is_acknowledged(both: Joined) -> None:
    both.tell()

    assert both.rows("SELECT source, body FROM inbox") == [
        ("registry", '{"event_type":"model_updated","model_id":"ranking-v5"}')
    ]


def test_an_event_that_was_taken_outlives_the_process(place: Path | str) -> None:
    with small() as estate:
        with listening(estate, place) as before:
            before.tell()
        with listening(estate, place) as after:
            after.work()
            assert after.state() is State.HYDRATED
            assert after.rows("SELECT * FROM inbox") == []


GOOD: dict[str, Json] = {"event_type": "model_updated", "model_id": "ranking-v5"}


@pytest.mark.parametrize(
    ("source", "events", "says"),
    [
        ("nobody", [GOOD], "no source 'nobody'"),
        ("registry", [GOOD, {"event_type": "model_painted", "model_id": "x"}], "knows no such"),
        ("registry", [GOOD, {}], "knows no such event"),
        ("registry", [{"event_type": "model_updated"}], "registry"),
        ("registry", [{"event_type": "model_updated", "model_id": None}], "registry"),
        ("registry", [{"event_type": "model_updated", "model_id": {}}], "registry"),
        ("registry", [{"event_type": "model_updated", "model_id": ""}], "registry"),
        ("registry", [{"event_type": "model_updated", "model_id": ".."}], "registry"),
        ("registry", [{"event_type": "model_updated", "model_id": "a\x00b"}], "registry"),
        ("registry", [{"event_type": ["model_updated"], "model_id": "x"}], "knows no such"),
        (None, [GOOD, {"hello": "world"}], "no source"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused_and_none_is_kept(
    both: Joined, source: str | None, events: list[dict[str, Json]], says: str
) -> None:
    with pytest.raises(InvalidEvent, match=says):
        both.lineal.receive(source, events)

    assert both.rows("SELECT * FROM inbox") == []


def test_a_full_inbox_takes_nothing_more_and_says_when_to_come_again(place: Path | str) -> None:
    with small() as estate, listening(estate, place) as both:
        ingest = Ingest(both.lineal.store, both.lineal.sources, {}, inbox=3)
        ingest.receive("registry", [GOOD, GOOD])
        before = ingest.room()
        with pytest.raises(Overloaded) as refused:
            ingest.receive("registry", [GOOD, GOOD])
        ingest.receive("registry", [GOOD])
        full = ingest.room()
        ingest.turn()
        ingest.close()

        assert (before.events, before.wait, bool(before)) == (1, 0, True)
        assert refused.value.retry_after > 0
        assert (full.events, bool(full)) == (0, False)
        assert full.wait > 0
        assert ingest.room().events == 3


def test_a_batch_that_is_larger_than_the_inbox_gets_in_when_it_is_empty(
    place: Path | str,
) -> None:
    with small() as estate, listening(estate, place) as both:
        ingest = Ingest(both.lineal.store, both.lineal.sources, {}, inbox=1)

        assert ingest.receive("registry", [GOOD] * 4) == 4


def test_an_event_without_a_source_goes_to_the_one_that_understands_it(both: Joined) -> None:
    assert both.lineal.receive(None, [GOOD]) == 1

    assert both.rows("SELECT source FROM inbox") == [("registry",)]


def test_several_events_about_one_thing_cost_one_question(both: Joined) -> None:
    for _ in range(5):
        both.tell()
    both.work()
    (account,) = [one for one in both.accounts() if one.source == "registry"]

    assert len(both.rows("SELECT * FROM tx WHERE cause LIKE '%model:ranking-v5%'")) == 1
    assert (account.accepted, account.applied, account.superseded) == (5, 1, 4)


def test_the_same_event_again_changes_nothing(known: Joined) -> None:
    digest = known.lineal.store.digest()
    known.tell()
    known.work()

    assert known.lineal.store.digest() == digest
    assert len(known.rows("SELECT * FROM tx WHERE cause LIKE '%model:ranking-v5%'")) == 1


def test_a_change_is_followed(known: Joined) -> None:
    known.estate.change.describe("model", "ranking-v5", "another description")
    known.tell()
    known.work()

    assert known.description() == "another description"


# ── Faults of sources ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [401, 403, 408, 429, 500, 502, 503])
def test_a_source_that_is_down_is_asked_later_and_nothing_is_removed(
    known: Joined, status: int
) -> None:
    digest = known.lineal.store.digest()
    known.estate.change.describe("model", "ranking-v5", "another description")
    known.estate.fail("registry", status=status)
    known.tell()
    known.work()
    down = known.state(), known.lineal.store.digest()

    known.estate.heal()
    known.clock.wait(2)
    known.work()

    assert down == (State.STALE, digest)
    assert known.description() == "another description"
    assert known.state() is State.HYDRATED
    assert known.lineal.dead_letters() == []


def test_a_source_that_is_down_is_asked_ever_more_rarely_and_for_ever(known: Joined) -> None:
    known.estate.fail("registry", status=503)
    known.tell()
    waits = []
    for _ in range(12):
        known.work()
        _, due, dirty, error = known.watched()
        assert isinstance(due, int)
        assert dirty
        assert "503" in str(error)
        waits.append((due - known.clock.at) // SECOND)
        known.clock.at = due

    assert waits[:5] == [1, 2, 4, 8, 16]
    assert waits == sorted(waits)
    assert waits[-1] == 300
    assert known.lineal.dead_letters() == []


def test_a_source_may_say_when_it_is_to_be_asked_again(known: Joined) -> None:
    known.estate.fail("registry", status=429, retry_after=77)
    known.tell()
    known.work()

    due = known.watched()[1]
    assert isinstance(due, int)
    assert due - known.clock.at == 77 * SECOND


def test_one_source_that_is_down_does_not_stop_the_others(both: Joined) -> None:
    both.estate.fail("registry", status=503)
    both.tell()
    both.lineal.receive("experiments", [{"topic": "test.updated", "test": 12345}])
    both.work()

    assert both.state(uri_of("test", "12345")) is State.HYDRATED


def test_what_is_garbled_again_and_again_is_put_aside_with_its_reason(known: Joined) -> None:
    digest = known.lineal.store.digest()
    known.estate.garble("registry")
    known.tell()
    for _ in range(TRIES):
        assert known.lineal.dead_letters() == []
        known.work()
        known.clock.wait(300)
    known.work()

    (letter,) = known.lineal.dead_letters()
    assert (letter.source, letter.document, letter.stage) == (
        "registry", "model:ranking-v5", "fetch",
    )  # fmt: skip
    assert (letter.error, letter.attempts) == ("source_garbled", TRIES)
    assert "JSON" in letter.reason
    assert known.lineal.store.digest() == digest


def test_what_was_put_aside_is_tried_again_when_it_changes(known: Joined) -> None:
    known.estate.garble("registry", times=TRIES)
    known.tell()
    for _ in range(TRIES):
        known.work()
        known.clock.wait(300)
    known.estate.heal()
    known.estate.change.describe("model", "ranking-v5", "mended")

    known.tell()
    known.work()

    assert known.description() == "mended"


def test_what_is_garbled_for_a_while_is_not_put_aside(known: Joined) -> None:
    known.estate.change.describe("model", "ranking-v5", "mended")
    known.estate.garble("registry", times=TRIES - 1)
    known.tell()
    for _ in range(TRIES):
        known.work()
        known.clock.wait(300)

    assert known.lineal.dead_letters() == []
    assert known.description() == "mended"


def test_one_document_that_cannot_be_worded_does_not_stop_the_others(both: Joined) -> None:
    """One model's alias names a version whose name is too long for any URI of ours."""
    other = sorted(both.estate.world.models.keys() - {"ranking-v5"})[0]
    model = both.estate.world.models[other]
    both.estate.change.put(replace(model, aliases=(("production", "x" * 3_000),)))
    for ident in (other, "ranking-v5"):
        both.tell(ident)
    both.work()
    state = both.state()
    for _ in range(TRIES):
        both.clock.wait(300)
        both.work()

    (letter,) = both.lineal.dead_letters()
    assert state is State.HYDRATED
    assert letter.attempts == TRIES
    assert "2048" in letter.reason


def test_an_id_that_can_be_none_of_ours_is_refused_at_the_door(both: Joined) -> None:
    with pytest.raises(InvalidEvent, match="2048"):
        both.tell("x" * 2_500)


# ── Deletions ────────────────────────────────────────────────────────────────────────────────────


def test_a_404_without_a_delete_event_is_believed_after_a_grace(known: Joined) -> None:
    known.estate.change.delete("model", "ranking-v5", announce=False)
    known.tell()
    known.work()
    at_first = known.state()
    known.clock.wait(GRACE / SECOND - 1)
    known.work()
    just_before = known.state()

    known.clock.wait(1)
    known.work()

    assert {at_first, just_before} <= {State.HYDRATED, State.STALE}
    assert known.state() is State.DELETED


def test_a_404_that_goes_away_again_removes_nothing(known: Joined) -> None:
    digest = known.lineal.store.digest()
    model = known.estate.world.models["ranking-v5"]
    known.estate.change.delete("model", "ranking-v5", announce=False)
    known.tell()
    known.work()

    known.estate.change.put(model, announce=False)
    known.clock.wait(GRACE / SECOND)
    known.work()

    assert known.state() is State.HYDRATED
    assert known.lineal.store.digest() == digest


def test_a_delete_event_and_a_404_are_believed_at_once(known: Joined) -> None:
    known.estate.change.delete("model", "ranking-v5", announce=False)
    known.tell(gone=True)
    known.work()

    assert known.state() is State.DELETED


def test_a_delete_event_alone_removes_nothing(known: Joined) -> None:
    """An event is never the truth: the source still has it."""
    known.tell(gone=True)
    known.work()

    assert known.state() is State.HYDRATED


def test_a_run_that_was_thrown_away_answers_410_and_is_believed_after_its_event(
    both: Joined,
) -> None:
    name = "train-weekly-ranking-20XX0101"
    run, tool = uri_of("run", name), both.estate.tools["orchestrator"]
    both.lineal.receive(tool.name, [cast(Event, tool.notice("run", name, "updated"))])
    both.work()
    before = both.state(run)

    both.estate.change.purge(name)
    both.lineal.receive(tool.name, [cast(Event, tool.notice("run", name, "deleted"))])
    both.work()

    assert (before, both.state(run)) == (State.HYDRATED, State.DELETED)
    relations = {one.relation for one in both.lineal.ask.neighbours(LOCAL, run).value}
    assert "run_of" in relations, "what happened outlives the document"


def test_an_answer_from_somebody_else_than_the_tool_removes_nothing(known: Joined) -> None:
    """A 404 that is not in the tool's own words is a bad deploy, not a deletion."""
    known.estate.tools.pop("registry")
    known.tell(gone=True)
    known.work()
    known.clock.wait(GRACE / SECOND + 1)
    known.work()

    assert known.state() in (State.STALE, State.HYDRATED)
    assert known.lineal.ask.get(LOCAL, MODEL).value.said


def test_what_comes_back_after_its_deletion_is_there_again(known: Joined) -> None:
    model = known.estate.world.models["ranking-v5"]
    known.estate.change.delete("model", "ranking-v5", announce=False)
    known.tell(gone=True)
    known.work()
    known.estate.change.put(model, announce=False)
    known.tell()
    known.work()

    assert known.state() is State.HYDRATED


def test_a_late_event_revives_nothing(known: Joined) -> None:
    """An event sent before the deletion comes after it: the source is asked, and decides."""
    known.estate.change.delete("model", "ranking-v5", announce=False)
    known.tell(gone=True)
    known.work()
    digest = known.lineal.store.digest()

    for _ in range(3):
        known.tell()
        known.work()
        known.clock.wait(GRACE / SECOND + 1)

    assert known.state() is State.DELETED
    assert known.lineal.store.digest() == digest


# ── Sweeps ───────────────────────────────────────────────────────────────────────────────────────


def test_a_sweep_finds_what_no_event_told(known: Joined) -> None:
    known.estate.change.describe("model", "ranking-v5", "nobody told", announce=False)

    swept = known.lineal.sweep("registry")
    known.work()

    assert swept.marked > 0
    assert not swept.held
    assert known.description() == "nobody told"


def test_a_second_sweep_marks_only_what_has_no_version(both: Joined) -> None:
    first = both.lineal.sweep("registry")
    both.work()
    digest = both.lineal.store.digest()

    second = both.lineal.sweep("registry")
    both.work()

    assert second.listed == first.listed
    assert second.marked < first.marked
    assert (second.absent, second.held) == (0, False)
    assert both.lineal.store.digest() == digest


def test_a_sweep_removes_what_is_gone_after_asking_once_more(both: Joined) -> None:
    both.lineal.sweep("registry")
    both.work()
    both.estate.change.delete("model", "ranking-v5", announce=False)

    swept = both.lineal.sweep("registry")
    asked = both.estate.requests["registry"]
    both.work()

    assert (swept.absent, swept.held) == (1, False)
    assert both.estate.requests["registry"] > asked
    assert both.state() is State.DELETED


def test_a_sweep_that_misses_too_much_is_held(both: Joined) -> None:
    both.lineal.sweep("registry")
    both.work()
    digest = both.lineal.store.digest()
    idents = sorted(both.estate.world.instances)
    for ident in idents[:11]:
        both.estate.change.delete("instance", ident, announce=False)

    swept = both.lineal.sweep("registry")
    both.work()

    assert (swept.held, swept.absent) == (True, 11)
    assert both.lineal.store.digest() == digest


def test_a_sweep_that_misses_a_few_is_not_held(both: Joined) -> None:
    both.lineal.sweep("registry")
    both.work()
    gone = sorted(both.estate.world.instances)[:10]
    for ident in gone:
        both.estate.change.delete("instance", ident, announce=False)

    swept = both.lineal.sweep("registry")
    both.work()

    assert (swept.held, swept.absent) == (False, 10)
    assert {both.state(uri_of("instance", ident)) for ident in gone} == {State.DELETED}


@pytest.mark.parametrize(("fault", "error"), [("fail", SourceDown), ("garble", SourceGarbled)])
def test_a_sweep_that_breaks_off_removes_nothing(
    both: Joined, fault: str, error: type[Exception]
) -> None:
    both.lineal.sweep("registry")
    both.work()
    digest = both.lineal.store.digest()
    getattr(both.estate, fault)("registry")

    with pytest.raises(error):
        both.lineal.sweep("registry")
    both.estate.heal()
    both.work()

    assert both.lineal.store.digest() == digest


def test_only_a_known_source_can_be_swept(both: Joined) -> None:
    with pytest.raises(NotFound, match="nobody"):
        both.lineal.sweep("nobody")


# ── How it stands ────────────────────────────────────────────────────────────────────────────────


def test_the_health_of_a_source_tells_what_waits_and_what_fails(known: Joined) -> None:
    known.estate.fail("registry")
    known.tell()
    waiting = {one.source: one for one in known.lineal.health()}["registry"]
    known.work()
    failing = {one.source: one for one in known.lineal.health()}["registry"]

    assert (waiting.waiting, waiting.dirty) == (1, 0)
    assert (failing.waiting, failing.dirty, failing.failing) == (0, 1, 1)
    assert failing.documents > 0
    assert failing.confirmed_at is not None
    assert abs(failing.confirmed_at - known.clock.at) < SECOND


@pytest.mark.promise("P11")
def test_no_event_is_unaccounted_for(both: Joined) -> None:
    """P11: what was accepted is applied, waiting or put aside."""
    both.estate.garble("registry")
    idents = sorted(both.estate.world.models)[:6]
    for ident in idents:
        both.tell(ident)
    for _ in range(TRIES + 1):
        both.work()
        both.clock.wait(300)

    aside = {letter.document for letter in both.lineal.dead_letters()}
    assert aside == {f"model:{quote(ident, safe='')}" for ident in idents}
    assert both.rows("SELECT * FROM inbox") == []
