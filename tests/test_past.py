"""Answers about the past never change (P8): each is asked again after everything that follows.

A history of a small estate is told step by step: changes, corrections, late arrivals, removals,
things made again, names joined and parted, rules, documents without a time and with one in the
future. After each step some answers are recorded at past moments; all recorded answers are asked
again after every later step, and after the file was closed, vacuumed and copied.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lineal.access import LOCAL
from lineal.enrich.rules import RuleBook, builtin_rules
from lineal.errors import LinealError
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
from lineal.store import work as marks
from lineal.surfaces import differing, formats, formats_walks
from tests.promises.recording import SOAK, found, ran

#: How many answers are recorded over all histories. More is more of the same, only slower.
ANSWERS = 10_000 if SOAK else 1_000
#: How many histories they are spread over, and how many steps each has.
HISTORIES, STEPS = 16, 8

DAY = 86_400_000_000

TABLE, RAW = Uri("mlg://dataset/lake/plays"), Uri("mlg://dataset/lake/raw")
MIRROR = Uri("mlg://dataset/s3/plays")
COLUMN, RAW_COLUMN = Uri("mlg://column/lake/plays/hours"), Uri("mlg://column/lake/raw/hours")
TEAM, OTHER = Uri("mlg://team/people/data"), Uri("mlg://team/people/platform")
MODEL = Uri("mlg://model/reg/ranker")
OLD, NEW = (Uri(f"mlg://model-version/reg/ranker/v{number}") for number in (1, 2))
RUN, CELL = Uri("mlg://run/orc/train-1"), Uri("mlg://ab-cell/exp/12345/2")
TEST, DEPLOYMENT = Uri("mlg://ab-test/exp/12345"), Uri("mlg://deployment/serving/home")
JOB = Uri("mlg://pipeline/orc/train")
FEATURE, SET = Uri("mlg://feature/fs/hours/h7"), Uri("mlg://feature-set/fs/hours")

#: Every thing, and the edges that a document about it may state.
MAY_SAY: dict[Uri, tuple[tuple[Uri, str, Uri], ...]] = {
    TABLE: (
        (TABLE, "owned_by", TEAM), (TABLE, "owned_by", OTHER), (TABLE, "derived_from", RAW),
        (TABLE, "produced_by", JOB), (COLUMN, "column_of", TABLE),
        (COLUMN, "derived_from", RAW_COLUMN), (TABLE, "same_as", MIRROR),
    ),
    RAW: ((RAW, "owned_by", OTHER), (RAW_COLUMN, "column_of", RAW)),
    MIRROR: ((MIRROR, "owned_by", OTHER), (MIRROR, "derived_from", RAW)),
    MODEL: (
        (MODEL, "points_to", OLD), (MODEL, "points_to", NEW), (MODEL, "owned_by", TEAM),
    ),
    OLD: (
        (OLD, "version_of", MODEL), (OLD, "trained_on", TABLE), (OLD, "produced_by", RUN),
        (OLD, "consumes", SET),
    ),
    NEW: (
        (NEW, "version_of", MODEL), (NEW, "trained_on", RAW), (NEW, "produced_by", RUN),
        (NEW, "consumes", FEATURE),
    ),
    RUN: ((RUN, "run_of", JOB), (RUN, "executed_for", CELL), (RUN, "reads", TABLE)),
    CELL: ((CELL, "cell_of", TEST), (OLD, "served_in", CELL), (NEW, "served_in", CELL)),
    DEPLOYMENT: ((DEPLOYMENT, "deploys", OLD), (DEPLOYMENT, "deploys", NEW)),
    SET: ((FEATURE, "in_set", SET), (SET, "derived_from", TABLE), (FEATURE, "derived_from", RAW)),
    TEAM: (),
    TEST: ((TEST, "owned_by", TEAM),),
}  # fmt: skip

EVERY = tuple(MAY_SAY)


# ── What is asked ────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Question:
    """A question at a moment, and how it is put."""

    name: str
    uris: tuple[Uri, ...]
    moment: Moment


def _put(ask: Questions, one: Question) -> Any:
    first, last, at = one.uris[0], one.uris[-1], one.moment
    way: dict[str, Callable[[], Any]] = {
        "get": lambda: formats.entity(ask.get(LOCAL, first, at)),
        "neighbours": lambda: formats.neighbours(ask.neighbours(LOCAL, first, at)),
        "history": lambda: formats.history(ask.history(LOCAL, first, at)),
        "lineage": lambda: formats_walks.lineage(ask.lineage(LOCAL, [first], at)),
        "paths": lambda: formats_walks.paths(ask.paths(LOCAL, first, last, at)),
        "between": lambda: formats_walks.lineage(ask.between(LOCAL, first, last, at)),
        "closure": lambda: formats_walks.closure(ask.closure(LOCAL, [first], at)),
        "common": lambda: formats_walks.common(ask.common(LOCAL, [first, last], at)),
        "unused": lambda: formats_walks.unused(ask.unused(LOCAL, moment=at, days=1)),
        "shared": lambda: formats_walks.shared(ask.shared(LOCAL, at)),
        "impact": lambda: formats_walks.impact(ask.impact(LOCAL, [first], at)),
        "explain": lambda: formats.explanation(ask.explain(LOCAL, *_edge_of(first, last), at)),
        "counts": lambda: formats.counts(ask.counts(LOCAL, at)),
        "recent": lambda: formats.recent(ask.recent(LOCAL, at, limit=5)),
        "diff": lambda: differing.differences(ask.diff(LOCAL, first, Moment(known_t=1), at)),
        "owners": lambda: formats.owned(ask.owners_of_chain(LOCAL, first, at)),
        "similar": lambda: formats_walks.similar(ask.similar(LOCAL, first, at)),
        "wanted": lambda: formats_walks.wanted(ask.wanted(LOCAL, first, at)),
        "search": lambda: _hits(ask, first, at),
    }
    return way[one.name]()


def _edge_of(first: Uri, last: Uri) -> tuple[Uri, str, Uri]:
    """Choose one of the edges that may be said of a thing, or the one that a rule concludes."""
    may_be = (*MAY_SAY[first], (OLD, "trained_for", TEST), (NEW, "trained_for", TEST))
    return may_be[hash_of(last) % len(may_be)]


def hash_of(text: str) -> int:
    """Return a number that is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4])


def _hits(ask: Questions, uri: Uri, at: Moment) -> Any:
    """Text is of now, so what a search finds may change: what it tells of the thing may not."""
    found = ask.search(LOCAL, uri, at)
    assert any("Search text is of now" in note for note in found.notes)
    return formats.things(hit for hit in found.value.hits if hit.uri == uri)


QUESTIONS = (
    "get", "neighbours", "history", "lineage", "paths", "impact", "explain", "counts", "diff",
    "recent", "between", "common", "unused", "shared", "closure",
    "owners", "similar", "wanted", "search",
)  # fmt: skip


def answered(ask: Questions, one: Question) -> bytes:
    """
    Return the digest of a whole answer, as every surface gives it.

    A refusal tells nothing of the past, so it is all one: what was unknown then may be known now.
    """
    try:
        answer = _put(ask, one)
    except LinealError:
        return b"refused"
    return hashlib.sha256(msgspec.json.encode(answer, order="sorted")).digest()


# ── What happens ─────────────────────────────────────────────────────────────────────────────────


@dataclass
class Teller:
    """Makes up what the sources say, step by step, from one seed."""

    random: random.Random
    day: int = 3
    #: What is told of each step, for the message of a failure.
    told: list[str] = field(default_factory=list)
    said: list[tuple[str, Uri]] = field(default_factory=list)

    @property
    def now(self) -> Instant:
        """The time of the clock: one day a step."""
        return self.day * DAY

    def step(self) -> list[Record | Removal]:
        """Return what is said on one day: of one thing, or of several at once."""
        self.day += 1
        words = [self._word() for _ in range(self.random.choice([1, 1, 2, 4]))]
        self.told.append(f"day {self.day}: {words}")
        return words

    def _word(self) -> Record | Removal:
        choice = self.random
        source, subject = choice.choice(["catalog", "catalog", "lake"]), choice.choice(EVERY)
        if self.said and choice.random() < 0.2:
            source, subject = choice.choice(self.said)
            return Removal(source, str(subject), subject, self.now, self._dated())
        self.said.append((source, subject))
        edges = [edge for edge in MAY_SAY[subject] if choice.random() < 0.6]
        others = {end for start, _, _ in edges for end in [start] if end != subject}
        statements = [Statement(subject, self._attributes(), self._dated())]
        statements += [Statement(other, self._attributes()) for other in sorted(others)]
        stated = tuple(self._edge(*edge) for edge in edges)
        return Record(
            source, str(subject), subject, tuple(statements), stated, self.now, self._dated()
        )

    def _edge(self, start: Uri, kind: str, end: Uri) -> EdgeStatement:
        weight = {"weight": self.random.choice([0, 1])} if kind == "deploys" else {}
        layer = self.random.choice([Layer.DECLARED, Layer.DECLARED, Layer.OBSERVED])
        until = self._dated() if self.random.random() < 0.2 else None
        return EdgeStatement(start, kind, end, weight, layer, self._dated(), until)

    def _attributes(self) -> dict[str, Any]:
        choice = self.random
        every = {
            "name": choice.choice(["plays", "hours"]), "rows": choice.randint(1, 3),
            "status": choice.choice(["live", "running", "ended"]),
            "tags": choice.sample(["a", "b", "c"], 2),
            "created_at": f"2026-01-0{choice.randint(1, 9)}",
        }  # fmt: skip
        return {name: value for name, value in every.items() if choice.random() < 0.6}

    def _dated(self) -> Instant | None:
        """Mostly no time; else one of before, or one that is still to come."""
        choice = self.random.random()
        if choice < 0.6:
            return None
        return self.now + self.random.randint(-4, 3 if choice > 0.9 else 0) * DAY

    def question(self, t: int) -> Question:
        """Return a question about a moment by which no more than is known was known."""
        known = max(self.random.randint(1, t), self.random.randint(1, t))
        valid = self.random.choice([None, None, self.random.randint(3, self.day + 2) * DAY])
        spoken_of = [subject for _, subject in self.said]
        uris = self.random.choice(spoken_of), self.random.choice(spoken_of)
        return Question(self.random.choice(QUESTIONS), uris, Moment(known_t=known, valid_at=valid))


class Past:
    """A graph, and all the answers about its past that were given so far."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path, self.seed = path, seed
        self.teller = Teller(random.Random(seed))
        self.given: dict[Question, bytes] = {}
        self.asked = 0
        self.store = self._open()

    def _open(self) -> Store:
        return Store(
            self.path,
            shapes=Shapes.builtin(),
            rules=[RuleBook(builtin_rules())],
            describe=describing(Shapes.builtin()),
            now=lambda: self.teller.now,
        )

    def step(self, answers: int) -> None:
        """Let a day pass, ask all again, and give some more answers."""
        self.store.commit(Batch(self.teller.step(), "test", f"day {self.teller.day}"))
        self._hear_of_sources()
        self.ask_again(Questions(self.store), "after a later commit")
        with self.store.read(LOCAL) as reader:
            t = reader.basis.t
        while answers and t:
            one = self.teller.question(t)
            if one not in self.given:
                self.given[one] = answered(Questions(self.store), one)
                answers -= 1

    def _hear_of_sources(self) -> None:
        """Sources confirm, and fail to answer: this is of now, and no part of the past."""
        source, subject = self.teller.random.choice(self.teller.said)
        with self.store.working() as connection:
            marks.mark(connection, source, str(subject), deleted=False, due_at=0)
            (dirty,) = [
                one for one in marks.due(connection.driver, self.teller.now, 100)
                if (one.source, one.document) == (source, str(subject))
            ]  # fmt: skip
            if self.teller.random.random() < 0.5:
                marks.answered(connection, [dirty.fence()], self.teller.now)
            else:
                marks.put_off(connection, dirty, due_at=self.teller.now + DAY, error="down")

    def ask_again(self, ask: Questions, when: str) -> None:
        """Ask every question again that was answered before."""
        for one, before in self.given.items():
            self.asked += 1
            told = "\n".join(self.teller.told)
            assert answered(ask, one) == before, f"seed {self.seed}, {when}: {one}\n{told}"

    def reopen(self) -> None:
        """Close the file and open it again, as at a restart."""
        self.store.close()
        self.store = self._open()


@pytest.mark.promise("P8")
@pytest.mark.timeout(0 if SOAK else 300)
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_answers_about_the_past_never_change(seed: int, tmp_path: Path) -> None:
    past = Past(tmp_path / "past.db", seed)
    each = -(-ANSWERS // (HISTORIES * STEPS))
    for _ in range(STEPS):
        past.step(each)
    past.store.tidy()
    past.store.compact()
    past.reopen()
    past.ask_again(Questions(past.store), "after the file was written anew, and a restart")
    past.store.close()
    _in_a_copy(past, tmp_path / "copy.db")

    assert len(past.given) >= ANSWERS // HISTORIES
    assert len({*past.given.values()}) > len(past.given) // 3
    refused = sum(answer == b"refused" for answer in past.given.values())
    assert refused < len(past.given) // 2
    ran("P8", "answers asked again", len(past.given))
    found(times_asked=past.asked)


def _in_a_copy(past: Past, copy: Path) -> None:
    """Ask all again of a backup that was made while the database was open."""
    with closing(sqlite3.connect(past.path)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    past.path = copy
    past.store = past._open()
    past.ask_again(Questions(past.store), "in a copy")
    past.store.close()
