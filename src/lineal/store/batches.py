"""What is committed together, and what a commit did; what every commit of a store looks up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from lineal.model import Instant, Record, Removal
from lineal.shapes import Shapes
from lineal.store import text
from lineal.store.conclusions import Rules
from lineal.store.findings import Examined, Name
from lineal.store.names import Names
from lineal.store.terms import Terms
from lineal.store.text import Describe


class Listing(NamedTuple):
    """What a list says of a document that came whole with it."""

    #: The sweep, and since when it lists.
    generation: int
    began_at: Instant
    #: The list's own version of the document; and when the page was asked for, if it holds all.
    version: str | None
    whole_at: Instant | None = None


# Of these there is one for each document: named tuples are made in a third of the time.
class Fence(NamedTuple):
    """Which mark of a document a fetch answers, so that an old answer never replaces a newer."""

    source: str
    document: str
    seq: int
    etag: str | None = None
    #: How many notices it answers, of all that the document ever got.
    told: int = 0
    #: Who asked, so that the lease is given back.
    lease: str | None = None
    #: False where the source was not asked, and so has confirmed nothing.
    asked: bool = True
    #: How new the answer is, where it says so.
    seen: int | None = None
    #: In how many microseconds to look once more, and which look comes after that.
    look_in: Instant | None = None
    looks: int | None = None
    #: True where the next list that has it lets it be asked for again, though it be of the same
    #: version there: the answer was refused, or said that there is no such thing.
    doubted: bool = False
    #: Where nobody asked for the document, as it came with a list: then its mark is made, and
    #: answered, only in the transaction that writes it.
    listing: Listing | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """What to commit together, by whom and why."""

    words: Sequence[Record | Removal]
    actor: str
    cause: str
    #: A text that makes a repeated commit of the same batch do nothing.
    token: str | None = None
    fences: Sequence[Fence] = ()
    #: What of documents does not fit, by source and name; what is not here stays as it was.
    examined: Mapping[Name, Examined] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit did. *t* is None where nothing changed."""

    t: int | None
    #: How many documents were new, changed, removed, same, or superseded by a newer word.
    documents: Mapping[str, int]
    #: How many rows of facts began and ended.
    begun: int = 0
    ended: int = 0


@dataclass(slots=True)
class Loaded:
    """What many commits did, added up."""

    #: How many records there were.
    count: int = 0
    documents: Counter[str] = field(default_factory=Counter)
    begun: int = 0
    ended: int = 0

    def add(self, count: int, committed: Committed) -> None:
        """Add what a commit of so many records did."""
        self.count += count
        self.documents.update(committed.documents)
        self.begun += committed.begun
        self.ended += committed.ended


class Grammar:
    """What the shapes say of edges, looked up once: a commit asks it of every edge."""

    def __init__(self, shapes: Shapes) -> None:
        self.shapes = shapes
        self._natures: dict[tuple[str, str, str], str] = {}
        #: The types that are parts of a whole.
        self.parts = _parts(shapes)

    def nature(self, kind: str, start: str, end: str) -> str:
        """Return ``event`` or ``state`` for an edge between these types."""
        name = (kind, start, end)
        if name not in self._natures:
            self._natures[name] = self.shapes.nature(*name)
        return self._natures[name]


@lru_cache(maxsize=8)
def _parts(shapes: Shapes) -> frozenset[str]:
    return frozenset(name for name in shapes.types if shapes.whole_kinds(name))


@dataclass(slots=True)
class Agreed:
    """Which rules are kept up that are not in use, as it was under one seal of their table."""

    seal: int | None = None
    idle: frozenset[str] | None = None

    def forget(self) -> None:
        """Forget all: it may have been read in a transaction that is undone."""
        self.seal, self.idle = None, None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a transaction needs to know of the store that it is made in."""

    grammar: Grammar
    terms: Terms
    names: Names
    facets: text.Facets
    rules: Sequence[Rules] = ()
    describe: Describe | None = None
    agreed: Agreed = field(default_factory=Agreed)
