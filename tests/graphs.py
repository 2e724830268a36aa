"""A real store on a fresh database, and short words to write to it and ask it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lineal.access import LOCAL
from lineal.model import (
    Answer,
    EdgeStatement,
    Entity,
    Instant,
    Json,
    Moment,
    Record,
    Removal,
    Statement,
    Uri,
)
from lineal.query import Found, Questions
from lineal.search import describing
from lineal.shapes import Shapes
from lineal.store import Batch, Committed, Rules, Store
from tests.databases import fresh

PLAYS = Uri("mlg://dataset/lake/plays")
TITLES = Uri("mlg://dataset/lake/titles")
HOURS = Uri("mlg://column/lake/plays/hours")
MEMBER = Uri("mlg://column/lake/plays/member")
RUN = Uri("mlg://run/orc/run-1")
JOB = Uri("mlg://pipeline/orc/job")
TEAM = Uri("mlg://team/people/data")


class Clock:
    """A clock that shows what it is told to show."""

    def __init__(self, at: Instant = 1_000) -> None:
        self.at = at

    def __call__(self) -> Instant:
        return self.at


class Graph:
    """A real store, and short words to write to it and ask it."""

    def __init__(
        self,
        place: Path | str,
        clock: Clock,
        *,
        writable: bool = True,
        rules: Sequence[Rules] = (),
    ) -> None:
        self.clock = clock
        self.store = Store(
            place,
            shapes=Shapes.builtin(),
            writable=writable,
            rules=rules,
            describe=describing(Shapes.builtin()),
            now=clock,
        )
        self.ask = Questions(self.store)

    def say(self, *words: Record | Removal, token: str | None = None) -> Committed:
        """Commit words, as of the clock's next tick."""
        self.clock.at += 1_000
        return self.store.commit(Batch(words, "test", "a test", token))

    def thing(self, uri: Uri, moment: Moment | None = None) -> Entity:
        return self.ask.get(LOCAL, uri, moment or Moment()).value

    def edges(self, uri: Uri, moment: Moment | None = None) -> set[tuple[str, Uri]]:
        """Return what a thing is joined to."""
        found = self.ask.neighbours(LOCAL, uri, moment or Moment()).value
        return {(one.relation, one.other.uri) for one in found}

    def hits(self, text: str) -> list[Uri]:
        found: Answer[Found] = self.ask.search(LOCAL, text)
        return [hit.uri for hit in found.value.hits]


@contextmanager
def opened(
    place: Path | str, *, writable: bool = True, rules: Sequence[Rules] = ()
) -> Iterator[Graph]:
    """Open a graph on a database."""
    graph = Graph(place, Clock(), writable=writable, rules=rules)
    try:
        yield graph
    finally:
        graph.store.close()


@contextmanager
def new(engine: str, *, rules: Sequence[Rules] = ()) -> Iterator[Graph]:
    """Open a graph on a fresh database of this engine."""
    with (
        tempfile.TemporaryDirectory() as folder,
        fresh(engine, Path(folder)) as place,
        opened(place, rules=rules) as graph,
    ):
        yield graph


def said(
    subject: Uri,
    edges: Sequence[tuple[Uri, str, Uri]] = (),
    *,
    source: str = "catalog",
    document: str | None = None,
    parts: Sequence[Statement] = (),
    at: Instant = 1_000,
    said_at: Instant | None = None,
    **attributes: Json,
) -> Record:
    """Return a document about one thing."""
    return Record(
        source,
        document or f"doc:{subject.name}",
        subject,
        (Statement(subject, attributes), *parts),
        tuple(EdgeStatement(*edge) for edge in edges),
        at,
        said_at,
    )


def gone(word: Record, *, at: Instant = 1_900, said_at: Instant | None = None) -> Removal:
    """Return the tombstone of a document."""
    return Removal(word.source, word.document, word.subject, at, said_at)
