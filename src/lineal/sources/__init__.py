"""The tools that Lineal listens to: how an event is understood and the truth is fetched.

A source is a tool as *reporter* of records. Three ways to be one:

* a **fetched** source is asked again for each document that changed (`sources.http`,
  `sources.reviewers`);
* a **log** source sends events that are themselves the truth (`sources.openlineage`): its record
  of a document is folded from all kept entries that speak of it;
* a **snapshot** is a set of files that say everything at once (`sources.dbt`, `sources.files`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lineal.errors import SourceGarbled
from lineal.model import Instant, Json, Record, Response, Uri
from lineal.shapes.examining import Finding


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One document of a source, in the source's own words: which resource, and its id there."""

    resource: str
    id: str

    @property
    def document(self) -> str:
        """The name of the document in the store."""
        return f"{self.resource}:{self.id}"

    @classmethod
    def of(cls, document: str) -> Key:
        """Return the key of the document with this name."""
        resource, _, name = document.partition(":")
        return cls(resource, name)


@dataclass(frozen=True, slots=True)
class Marked:
    """A document that an event says has changed, or is gone (a delete event)."""

    key: Key
    deleted: bool = False
    #: How new the document is by now, where the event says so: a version's number or a time.
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document as the source answered it; None for *record* means: unchanged since *etag*."""

    key: Key
    record: Record | None
    etag: str | None = None
    #: How new the document is, where it says so; in the same numbers as `Marked.version`.
    version: int | None = None
    #: Its fields that nothing maps and nobody said to ignore; None where nothing is known of them.
    unmapped: tuple[str, ...] | None = None
    #: What of it does not fit the shapes, where that was looked for already.
    findings: tuple[Finding, ...] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a source's list of everything; *version* is None where the list has none."""

    key: Key
    version: str | None = None
    #: Where the list holds whole documents: words this one (raising `SourceGarbled`), and when the
    #: page that holds it was asked for. What is told so need not be asked for again.
    whole: Callable[[], Fetched] | None = None
    asked_at: Instant = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """An item that could not be read: which, and why. The rest goes in."""

    file: str
    #: Position of the item in the file, counted from 0; None: the whole file.
    index: int | None
    reason: str
    #: Where in the item, as a path such as ``run.runId``.
    path: str = ""


@dataclass(frozen=True, slots=True)
class Habits:
    """How a source wants to be asked, and what can be relied on."""

    #: Requests at the same time.
    places: int = 4
    #: How many documents of a resource one request may be for; 1 where it is not here.
    batches: Mapping[str, int] = field(default_factory=dict)
    #: The longest that a question takes, the wait for its turn included, in seconds.
    timeout: float = 30.0
    #: After how many seconds to look again at what changed: the source may lag behind its events.
    looks: tuple[float, ...] = (30.0, 300.0)
    #: When everything is listed, as a cron expression in UTC; None: only when somebody asks.
    sweep: str | None = None
    #: What becomes of a document of which something does not fit: ``store``, ``quarantine`` or
    #: ``reject``, by what it is: ``values``, ``attributes``, ``edges``, ``fields``.
    unfit: Mapping[str, str] = field(default_factory=dict)


class FetchedSource(Protocol):
    """A tool that is asked for each document that changed."""

    @property
    def name(self) -> str:
        """The source's name, unique in an installation."""

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs whose things this source is registered to describe."""

    @property
    def habits(self) -> Habits:
        """How the source wants to be asked."""

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Return the documents that an event marks; raises `InvalidEvent`."""

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*, None if this source has none."""

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about."""

    def fetch(self, key: Key, etag: str | None = None) -> Fetched:
        """Ask for one document; raises `SourceGone`, `SourceDown`, `SourceGarbled`."""

    def fetch_many(self, keys: Sequence[Key]) -> Mapping[Key, Fetched | SourceGarbled]:
        """
        Ask for several documents of one resource by one request, at most `Habits.batches`.

        Raises `SourceDown` where the source does not answer.

        What the answer does not hold is left out: whether it is gone is asked for each alone.
        """

    def reword(self, key: Key, raw: Mapping[str, Json], at: Instant) -> Record:
        """Word a document anew from what was kept of it; raises `SourceGarbled`."""

    def list(self) -> Iterator[Listed]:
        """
        List everything, page by page.

        Raises:
            SourceDown, SourceGarbled: it cannot be listed. SourceMoved: half of it was listed,
                and where it goes on is not known any more: begin again.
        """

    def close(self) -> None:
        """Close what is open."""


class LogSource(Protocol):
    """A tool whose events are the truth and are kept."""

    @property
    def name(self) -> str:
        """The source's name, unique in an installation."""

    def understand(self, body: Mapping[str, Json]) -> tuple[Marked, ...]:
        """Return the documents that an entry speaks of; raises `InvalidEvent`."""

    def entry_hash(self, body: Mapping[str, Json]) -> str:
        """Return the hash of the canonical form of an entry."""

    def subject(self, key: Key) -> Uri:
        """Return the URI of the thing that the document is about."""

    def fold(
        self, key: Key, entries: Sequence[Mapping[str, Json]], *, observed_at: Instant
    ) -> Record | None:
        """
        Fold all kept entries that speak of *key* into one record.

        A pure function of the *set* of entries: neither order nor repetition matters.
        None: the entries say nothing of it.
        """

    @property
    def way(self) -> str:
        """How it folds; under another name other entries may matter, and all are read again."""

    def order(self, entry: Mapping[str, Json]) -> tuple[int, str]:
        """Return what orders an entry among others: its own time, then its hash."""

    def lasting(self, key: Key, entries: Sequence[Mapping[str, Json]]) -> Collection[int]:
        """
        Return which of these entries still matter, by their places.

        Folded with any that are later than all of these, they give the record that all give. Each
        call may get what a call before it returned, and entries later than those.
        """

    def needs_all(self, key: Key, entries: Sequence[Mapping[str, Json]]) -> bool:
        """Say whether, as these entries tell, what lasts is not enough, and all must be read."""


__all__ = [
    "Fetched",
    "FetchedSource",
    "Habits",
    "Key",
    "Listed",
    "LogSource",
    "Marked",
    "Record",
    "Refused",
    "Response",
]
