"""The two times: every line of the table in ``docs/explanation/time.md``, put to a real graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeAlias

import pytest

from lineal.access import LOCAL
from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.errors import NotFound, NotObserved
from lineal.model import EdgeStatement, Instant, Moment, Record, Removal, State, Statement, Uri
from lineal.query import Questions
from lineal.shapes import Shapes
from lineal.store import Batch, Store
from tests.conftest import ROOT
from tests.databases import ENGINES, fresh

PAGE = ROOT / "docs" / "explanation" / "time.md"
DAY = 86_400_000_000
TODAY = 10

TABLE = Uri("mlg://dataset/lake/plays")
OTHER = Uri("mlg://dataset/bucket/plays")
TEAM = Uri("mlg://team/people/data")
RUN = Uri("mlg://run/orc/train-1")
VERSION = Uri("mlg://model-version/registry/ranker/v1")
CELL = Uri("mlg://ab-cell/exp/12345/2")
TEST = Uri("mlg://ab-test/exp/12345")

#: What each word of the table asks for, or states.
EDGES = {
    "owner": (TABLE, "owned_by", TEAM),
    "read": (RUN, "reads", TABLE),
    "trained": (VERSION, "trained_for", TEST),
    "joined": (TABLE, "same_as", OTHER),
    "parted": (OTHER, "not_same_as", TABLE),
}
SUBJECTS = {
    "rows": TABLE, "owner": TABLE, "joined": TABLE, "state": TABLE, "read": RUN, "run": RUN,
    "cell": CELL, "person": OTHER,
}  # fmt: skip

#: How an empty graph is opened whose clock is given.
Open: TypeAlias = Callable[[Callable[[], Instant]], Store]


@pytest.fixture(scope="module", params=ENGINES)
def database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Open]:
    """Open graphs: the one place of this module that knows on which database, by its parameter."""
    folder = tmp_path_factory.mktemp("time")
    with ExitStack() as stack:

        def open_one(now: Callable[[], Instant]) -> Store:
            place = stack.enter_context(fresh(request.param, folder))
            rules = [RuleBook(builtin_rules())]
            store = Store(place, shapes=Shapes.builtin(), rules=rules, now=now)
            return stack.enter_context(closing(store))

        yield open_one


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    at: int
    case: str
    told: str
    asked: str
    known: str
    valid: str
    answer: str

    def __str__(self) -> str:
        return f"{self.case}, {self.asked} known {self.known or '-'} valid {self.valid or '-'}"


def lines() -> Iterator[Line]:
    """Read the last table of the page; an empty first or second cell means: as above."""
    case = told = ""
    inside = False
    for at, text in enumerate(PAGE.read_text("utf-8").splitlines(), start=1):
        if not text.startswith("|"):
            inside = False
            continue
        cells = [cell.strip() for cell in text.strip("|").split("|")]
        if cells[:2] == ["case", "told"]:
            inside = True
        elif inside and cells[0] != "---":
            case, told = cells[0] or case, cells[1] or told
            yield Line(at, case, told, *cells[2:])


LINES = [line for line in lines() if line.asked]


class Told:
    """A graph whose clock is set by the day, and the words of the table as records."""

    def __init__(self, database: Open) -> None:
        self.day = 0
        self.store = database(lambda: self.day * DAY)

    def tell(self, told: str, asked: str) -> None:
        for part in filter(None, told.split(";")):
            day, _, word = part.strip().partition(":")
            self.day = int(day)
            self.store.commit(Batch(self.words(word.strip(), asked), "test", part))

    def words(self, word: str, asked: str) -> list[Record | Removal]:
        """Return what one entry of the second column means."""
        if word == "all":
            return [
                self.record(VERSION, [(VERSION, "produced_by", RUN)]),
                self.record(RUN, [(RUN, "executed_for", CELL)]),
                self.record(CELL, [(CELL, "cell_of", TEST)]),
            ]
        if word == "mention":
            return [self.record(RUN, [EDGES["read"]])]
        name, *rest = word.split()
        if name in ("run", "cell", "person"):
            subject = SUBJECTS[name]
            name, *rest = rest
        else:
            subject = SUBJECTS[asked]
        if name == "gone":
            dated = int(rest[1]) * DAY if rest else None
            return [Removal("tool", str(subject), subject, self.day * DAY, dated)]
        value = rest.pop(0) if name == "rows" else ""
        times = {key: int(day) * DAY for key, day in zip(rest[::2], rest[1::2], strict=True)}
        assert set(times) <= {"since", "until", "dated"}
        rows = int(value) if value else None
        edges = [EDGES[name]] if name in EDGES else []
        return [self.record(subject, edges, rows, **times)]

    def record(
        self,
        subject: Uri,
        edges: Sequence[tuple[Uri, str, Uri]],
        rows: int | None = None,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        dated: Instant | None = None,
    ) -> Record:
        stated = tuple(EdgeStatement(*edge, valid_from=since, valid_to=until) for edge in edges)
        attributes = {} if rows is None else {"rows": rows}
        own = (Statement(subject, attributes, since if rows is not None else None),)
        return Record("tool", str(subject), subject, own, stated, self.day * DAY, dated)

    def answer(self, asked: str, moment: Moment) -> str:
        """Ask, and word the answer as the table does."""
        self.day = TODAY
        ask = Questions(self.store)
        if asked == "joined":
            return self._joined(ask, moment)
        if asked == "state":
            return self.state(ask, moment)
        if asked != "rows":
            try:
                ask.explain(LOCAL, *EDGES[asked], moment)
            except NotFound:
                return "no"
            return "yes"
        try:
            rows = ask.get(LOCAL, TABLE, moment).value.attributes.get("rows")
        except NotFound:
            rows = None
        return "–" if rows is None else str(rows)

    @staticmethod
    def _joined(ask: Questions, moment: Moment) -> str:
        """Is the table known under its other name too?"""
        try:
            found = ask.get(LOCAL, TABLE, moment).value
        except NotFound:
            return "no"
        return "yes" if OTHER in (found.uri, *found.also) else "no"

    def state(self, ask: Questions, moment: Moment) -> str:
        try:
            state = ask.get(LOCAL, TABLE, moment).value.state
        except NotFound:
            return "unknown"
        return "described" if state is State.HYDRATED else state.replace("_", " ")


def _day(text: str) -> Instant | None:
    return int(text) * DAY if text else None


class Shelf:
    """Graphs by what they were told, each made once."""

    def __init__(self, database: Open) -> None:
        self._database = database
        self._graphs: dict[tuple[str, str], Told] = {}

    def __call__(self, told: str, asked: str) -> Told:
        if (told, asked) not in self._graphs:
            graph = Told(self._database)
            graph.tell(told, asked)
            self._graphs[(told, asked)] = graph
        return self._graphs[(told, asked)]


@pytest.fixture(scope="module")
def graphs(database: Open) -> Shelf:
    return Shelf(database)


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.at}: {line}")
def test_every_line_of_the_page_is_so(line: Line, graphs: Shelf) -> None:
    moment = Moment(known_at=_day(line.known), valid_at=_day(line.valid))

    answer = graphs(line.told, line.asked).answer(line.asked, moment)

    assert answer == line.answer, f"{PAGE.name}:{line.at}"


@pytest.mark.parametrize("line", LINES, ids=lambda line: f"{line.at}: {line}")
def test_what_was_known_then_needs_nothing_that_came_later(line: Line, graphs: Shelf) -> None:
    """A graph that was told only what was known by then gives the same answer."""
    known = int(line.known or TODAY)
    parts = [part for part in line.told.split(";") if int(part.split(":")[0]) <= known]
    at = _day(line.valid) if line.valid else known * DAY

    answer = graphs(";".join(parts), line.asked).answer(line.asked, Moment(valid_at=at))

    assert answer == line.answer, f"{PAGE.name}:{line.at}"


#: What a table must show: of each kind of event a case, asked about without times and with both.
SHOWN = {
    "change": "a change",
    "correction of a state": "a state began earlier than was said",
    "correction of an event": "an event is taken back",
    "late arrival": "a late arrival",
    "removal of an attribute": "an attribute is dropped",
    "removal of a thing": "a table is deleted",
    "re-creation": "deleted and made again",
    "no source time": "no time from the source",
    "source time in the future": "a time in the future",
    "how far it is known": "a table that was mentioned, described, deleted",
}


@pytest.mark.parametrize("case", SHOWN.values(), ids=SHOWN.keys())
def test_each_kind_of_event_is_asked_about_at_every_pair_of_times(case: str) -> None:
    asked = {(bool(line.known), bool(line.valid)) for line in LINES if line.case == case}

    assert asked == {(False, False), (True, False), (False, True), (True, True)}


def test_the_page_covers_what_it_promises() -> None:
    cases = {line.case for line in LINES}

    assert len(cases) >= 16
    assert {bool(line.known) for line in LINES} == {bool(line.valid) for line in LINES} == {
        True, False,
    }  # fmt: skip
    assert {line.asked for line in LINES} == {
        "rows", "owner", "read", "trained", "joined", "state",
    }  # fmt: skip
    states = {"described", "referenced", "deleted", "not observed", "unknown"}
    assert {line.answer for line in LINES if line.asked == "state"} == states
    others = [line.answer for line in LINES if line.asked != "state"]
    assert all(re.fullmatch(r"–|\d+|yes|no", answer) for answer in others)


def test_a_row_says_whether_its_time_was_said_of_the_fact_itself(database: Open) -> None:
    """The date of its document, or of our observation, is not a word on the fact."""
    for word, said in (("rows 1 since 1", True), ("rows 1 dated 1", False), ("rows 1", False),
                       ("rows 1 since 9", False)):  # fmt: skip
        told = Told(database)
        told.tell(f"2: {word}", "rows")
        (own,) = Questions(told.store).get(LOCAL, TABLE).value.said

        assert own.valid_said is said, word


# ── Not observed, not there, not known ───────────────────────────────────────────────────────────


def test_what_was_not_known_of_yet_is_told_apart_from_what_nobody_knows(database: Open) -> None:
    told = Told(database)
    told.tell("1: mention; 4: rows 1", "state")
    ask, before = Questions(told.store), Moment(known_at=0)

    with pytest.raises(NotObserved, match="first recorded by transaction 1, at 1970-01-02"):
        ask.get(LOCAL, TABLE, before)
    with pytest.raises(NotFound, match="Nothing is known as") as unknown:
        ask.get(LOCAL, Uri("mlg://dataset/lake/nothing"), before)
    assert not isinstance(unknown.value, NotObserved)


def test_an_observation_that_was_taken_back_is_none(database: Open) -> None:
    """What is known today of day 1: nothing was observed; what was said of it never was so."""
    told = Told(database)
    told.tell("1: mention; 3: rows 1", "state")
    told.day = 5
    told.store.commit(Batch([told.record(RUN, [])], "test", "5: taken back"))
    told.day = TODAY
    ask, then = Questions(told.store), 2 * DAY

    assert told.state(ask, Moment(valid_at=then)) == "not observed"
    assert told.state(ask, Moment(known_at=4 * DAY, valid_at=then)) == "referenced"


def test_in_the_past_a_thing_is_confirmed_as_it_was_recorded_then(database: Open) -> None:
    """What a source confirms or fails to answer later is no part of an answer about the past."""
    told = Told(database)
    told.tell("2: rows 1; 6: rows 2", "rows")
    told.day = TODAY
    ask = Questions(told.store)

    def confirmed(moment: Moment) -> Instant | None:
        return ask.get(LOCAL, TABLE, moment).value.confirmed_at

    assert confirmed(Moment(known_at=5 * DAY)) == 2 * DAY
    assert confirmed(Moment(known_at=7 * DAY)) == 6 * DAY
    assert confirmed(Moment(valid_at=4 * DAY)) == 2 * DAY
    assert confirmed(Moment(known_t=2)) == 6 * DAY
    assert confirmed(Moment()) is None
