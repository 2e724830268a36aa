"""Asking a source itself: what it lists, finds, says, and says to be gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Protocol, TypeAlias

from lineal.app.conformance.checks import Findings, dice, some
from lineal.errors import InvalidEvent, LinealError, ShapeError, SourceGone
from lineal.model import Json, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, FetchedSource, Key, Listed, Marked, Refused
from lineal.sources.files import FileSource

Source: TypeAlias = FetchedSource
Understand: TypeAlias = Callable[[Mapping[str, Json]], Sequence[Marked]]


class Naming(Protocol):
    """How a source names things: what the histories need of it."""

    @property
    def name(self) -> str:
        """The source's name."""

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs that it describes."""

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*."""

    def subject(self, key: Key) -> Uri:
        """Return the thing that a document is about."""


class OfFiles:
    """A source of files as one that names things."""

    def __init__(self, source: FileSource) -> None:
        self._source = source

    @property
    def name(self) -> str:
        """The source's name."""
        return self._source.name

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs that it describes."""
        return self._source.platforms

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*."""
        return self._source.key_of(uri)

    def subject(self, key: Key) -> Uri:
        """Return the thing that a document is about."""
        return self._source.subject(key)


@dataclass(slots=True)
class Heard:
    """What a source said of itself."""

    listed: int = 0
    #: The documents that were looked at.
    fetched: dict[Key, Fetched] = field(default_factory=dict)

    @property
    def records(self) -> dict[Key, Record]:
        """The records among them."""
        return {key: one.record for key, one in self.fetched.items() if one.record is not None}


def look(source: Source, shapes: Shapes, findings: Findings, *, documents: int, seed: int) -> Heard:
    """List everything, fetch some of each sort, and see whether it is consistent."""
    heard = Heard()
    listed = _list(source, findings)
    heard.listed = len(listed)
    faults: list[str] = []
    for key in sample(listed, documents, dice(seed, "sample")):
        try:
            heard.fetched[key] = source.fetch(key)
        except Exception as error:  # whatever it raises is what is to be told
            faults.append(f"{key.document}: {worded(error)}")
    findings.judge(
        "finds what it lists",
        faults,
        f"{len(heard.fetched)} documents were fetched by the keys that the list gave.",
        "A document that is listed must be found; what cannot be read is never taken in.",
    )
    _same_again(source, heard, findings)
    _names(source, heard.records, findings)
    noted_words(heard.records, shapes, findings)
    return heard


def read(
    source: FileSource, root: Path, shapes: Shapes, findings: Findings, *, documents: int, seed: int
) -> Heard:
    """Read all files, and see whether they are consistent."""
    found: dict[Key, Record] = {}
    faults: list[str] = []
    for item in source.snapshot(root):
        if isinstance(item, Refused):
            faults.append(f"{item.file} {item.index}: {item.reason}")
        else:
            found[Key.of(item.document)] = item
    if not found:
        faults.append("nothing was read")
    findings.judge(
        "reads what there is",
        faults,
        f"{len(found)} documents were read, and none was refused.",
        "What is refused is not taken in, and while something is, nothing is removed.",
    )
    again = [one for one in source.snapshot(root) if isinstance(one, Record)]
    said = {Key.of(one.document): timeless(one) for one in again}
    other = [k.document for k, one in found.items() if said.get(k) != timeless(one)]
    findings.judge("says the same again", other, "Read twice, every document says the same.")
    _names(source, found, findings)
    noted_words(found, shapes, findings)
    chosen = sample([Listed(key) for key in found], documents, dice(seed, "sample"))
    return Heard(len(found), {key: Fetched(key, found[key]) for key in chosen})


def missing(source: Source, heard: Heard, findings: Findings, thrown: Random) -> None:
    """Ask for what cannot be there: only a source that says "gone" then can ever remove."""
    faults = []
    by_resource = {key.resource: key for key in heard.fetched}
    for key in by_resource.values():
        invented = _invented(key, thrown)
        try:
            source.fetch(invented)
        except SourceGone:
            continue
        except Exception as error:  # whatever it raises is what is to be told
            faults.append(f"{invented.document}: {worded(error)}")
        else:
            faults.append(f"{invented.document}: it was found")
    findings.judge(
        "says what is gone",
        faults,
        "Asked for what cannot be there, it says that there is none.",
        "See `gone`: while a missing document looks like an error, a deletion is never noticed.",
    )


def events(
    source: Source,
    heard: Heard,
    findings: Findings,
    told: Sequence[Mapping[str, Json]],
    *,
    given: bool,
) -> None:
    """See whether events are understood, and nonsense is refused."""
    refuses_nonsense(source.understand, findings)
    if not told:
        findings.skipped("understands events", "There is no event to try: give some by --events.")
        return
    faults = [fault for body in told for fault in _event_faults(source, heard, body)]
    origin = "given" if given else "made from its rules"
    findings.judge(
        "understands events", faults, f"{len(told)} events, {origin}, mark documents it can fetch."
    )


def refuses_nonsense(understand: Understand, findings: Findings) -> None:
    """See whether events that mean nothing are refused."""
    nonsense: list[dict[str, Json]] = [{}, {"lineal": "nonsense"}, {"event_type": "nonsense"}]
    taken = [(body, _taken(understand, body)) for body in nonsense]
    faults = [f"{body}: {fault}" for body, fault in taken if fault]
    findings.judge(
        "refuses nonsense",
        faults,
        "Events that mean nothing are refused.",
        "An event that any rule fits hides that a tool has changed its events.",
    )


def _event_faults(source: Source, heard: Heard, body: Mapping[str, Json]) -> Iterator[str]:
    try:
        marks = source.understand(body)
    except Exception as error:  # whatever it raises is what is to be told
        yield f"{dict(body)}: {worded(error)}"
        return
    for mark in marks:
        if mark.key in heard.fetched:
            continue
        try:
            source.fetch(mark.key)
        except SourceGone:
            continue
        except Exception as error:  # whatever it raises is what is to be told
            yield f"{dict(body)}: {mark.key.document}: {worded(error)}"


def _taken(understand: Understand, body: Mapping[str, Json]) -> str | None:
    """Return what is wrong with how nonsense is taken, None where it is refused."""
    try:
        understand(body)
    except InvalidEvent:
        return None
    except Exception as error:  # whatever it raises is what is to be told
        return worded(error)
    return "it is understood"


# ── The list ─────────────────────────────────────────────────────────────────────────────────────


def _list(source: Source, findings: Findings) -> list[Listed]:
    try:
        listed, again = list(source.list()), list(source.list())
        if _versions(listed) != _versions(again):
            # Perhaps it changed just then: once more.
            listed, again = again, list(source.list())
    except Exception as error:  # whatever it raises is what is to be told
        findings.broken("lists everything", worded(error), "Nothing can be swept without it.")
        return []
    keys = [one.key for one in listed]
    faults = [f"{key.document} is listed twice" for key in sorted(set(_twice(keys)))]
    if not keys:
        faults.append("nothing is listed")
    if _versions(listed) != _versions(again):
        differing = _versions(listed).items() ^ _versions(again).items()
        names = sorted({key.document for key, _ in differing})
        faults.append(f"listed twice, it differs: {some(names)}")
    findings.judge(
        "lists everything",
        faults,
        f"{len(keys)} documents, each once, and twice the same.",
        "What a list lacks is asked for, and removed if it is gone.",
    )
    without = sum(1 for one in listed if one.version is None)
    if without:
        findings.noted(
            "lists versions",
            f"{without} of {len(listed)} have none: each sweep fetches them all.",
            "Give `list.version` something that changes with the document.",
        )
    elif listed:
        findings.kept("lists versions", "A sweep fetches only what has changed.")
    return listed


def _versions(listed: Sequence[Listed]) -> dict[Key, str | None]:
    return {one.key: one.version for one in listed}


def _twice(keys: Sequence[Key]) -> Iterator[Key]:
    seen: set[Key] = set()
    for key in keys:
        if key in seen:
            yield key
        seen.add(key)


def sample(listed: Sequence[Listed], documents: int, thrown: Random) -> list[Key]:
    """Choose some of each sort of document."""
    by_resource: defaultdict[str, list[Key]] = defaultdict(list)
    for one in listed:
        by_resource[one.key.resource].append(one.key)
    chosen: list[Key] = []
    for _, keys in sorted(by_resource.items()):
        unique = sorted(set(keys))
        chosen += thrown.sample(unique, min(documents, len(unique)))
    return chosen


# ── The documents ────────────────────────────────────────────────────────────────────────────────


def _same_again(source: Source, heard: Heard, findings: Findings) -> None:
    faults, tags, honoured = [], 0, 0
    for key, first in heard.fetched.items():
        try:
            again = source.fetch(key)
            if first.etag is not None:
                tags += 1
                honoured += source.fetch(key, first.etag).record is None
        except Exception as error:  # whatever it raises is what is to be told
            faults.append(f"{key.document}: {worded(error)}")
            continue
        if first.record is None or again.record is None:
            faults.append(f"{key.document}: nothing is said, though it was asked for whole")
        elif timeless(first.record) != timeless(again.record):
            faults.append(f"{key.document}: it says something else each time")
    findings.judge(
        "says the same again",
        faults,
        "Fetched twice, every document says the same.",
        "A record must depend on its document alone: leave out what changes by itself.",
    )
    if not tags:
        findings.skipped("says what is unchanged", "It gives no ETag: every fetch is whole.")
    elif honoured < tags:
        findings.noted(
            "says what is unchanged", f"{tags - honoured} of {tags} were sent whole all the same."
        )
    else:
        findings.kept("says what is unchanged", f"{tags} documents were not sent again.")


def timeless(record: Record) -> Record:
    """Return a record without when and how it was asked for."""
    return replace(record, observed_at=0, response=None)


def _names(source: Naming, records: Mapping[Key, Record], findings: Findings) -> None:
    faults, subjects = [], dict[Uri, Key]()
    for key, record in records.items():
        if (record.source, record.document) != (source.name, key.document):
            faults.append(f"{key.document}: it is called {record.source} {record.document}")
        elif record.subject != source.subject(key):
            faults.append(f"{key.document}: it is about {record.subject}")
        elif source.key_of(record.subject) != key:
            faults.append(f"{key.document}: {record.subject} does not lead back to it")
        elif record.subject in subjects:
            faults.append(f"{key.document} and {subjects[record.subject].document} are about one")
        subjects[record.subject] = key
    findings.judge(
        "names lead there and back",
        faults,
        "From each document to its thing, and from the thing to the document.",
        "See `key` and `subject.id`.",
    )


def noted_words(records: Mapping[Key, Record], shapes: Shapes, findings: Findings) -> None:
    """See whether records speak of types, kinds and attributes that are known."""
    faults: dict[str, None] = {}
    unknown: dict[str, None] = {}
    for record in records.values():
        for statement in record.statements:
            try:
                shape = shapes.type(statement.uri.type)
            except ShapeError as error:
                faults[error.message] = None
                continue
            for name in statement.attributes:
                if shape.attribute(name) is None and name != "environment":
                    unknown[f"{statement.uri.type}.{name}"] = None
        for edge in record.edges:
            try:
                fits = shapes.allows(edge.kind, edge.start.type, edge.end.type)
            except ShapeError as error:
                faults[error.message] = None
                continue
            if not fits:
                faults[f"{edge.kind} from {edge.start.type} to {edge.end.type}"] = None
    findings.judge(
        "speaks our words",
        list(faults),
        "Every type and kind is known, and goes between what it may.",
        "See `lineal types`, or declare your own by --shapes.",
    )
    if unknown:
        findings.noted(
            "knows its attributes",
            f"Kept as they are, and neither searched nor counted: {some(list(unknown))}.",
            "Name them as the type does, or declare them in a file of shapes.",
        )


def _invented(key: Key, thrown: Random) -> Key:
    """Return a key that nothing has, of the form that keys have there."""
    head, slash, last = key.id.rpartition("/")
    number = thrown.randrange(10**8, 10**9)
    return Key(key.resource, f"{head}{slash}{number if last.isdigit() else f'{last}-{number}'}")


def worded(error: Exception) -> str:
    """Return what an error says, and whether it is one that a source may raise."""
    if isinstance(error, LinealError):
        return error.message
    return f"an error that is none of ours, {type(error).__name__}: {error}"
