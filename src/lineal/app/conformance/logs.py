"""A log source examined: its entries told again through the write path, in every order.

Its events are themselves the truth, so there is nothing to ask: the graph must hang on which
entries were told, and on nothing else. What a snapshot of files says is examined as well.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random

from lineal.app.conformance.checks import Findings, dice
from lineal.app.conformance.histories import EMPTY, Clock, folder_of
from lineal.app.conformance.looking import (
    Heard,
    noted_words,
    refuses_nonsense,
    timeless,
    worded,
)
from lineal.errors import InvalidEvent
from lineal.ingest import Ingest
from lineal.model import Json, Record, Uri
from lineal.shapes import Shapes
from lineal.sources import Fetched, Key, LogSource, Refused
from lineal.store import Store, work

#: The ways in which a log is told: each must end in the graph of the plain one.
WAYS: Mapping[str, str] = {
    "replays": "Every entry told once more at the end",
    "reorders": "Entries told in another order, and worked on between",
    "drops": "Four of ten entries lost, and sent again later",
    "duplicates": "Entries told up to four times",
    "delays": "One half told only when the other was worked on",
    "garbles": "Between them, entries that are cut or make no sense",
    "all": "All of it together",
}
#: So many entries are told together.
_TOGETHER = 20
Entry = Mapping[str, Json]


def look(
    source: LogSource, entries: Sequence[Entry], shapes: Shapes, findings: Findings,
    *, documents: int, seed: int,
) -> Heard:  # fmt: skip
    """See whether entries are understood, told apart, and folded the same in every order."""
    refuses_nonsense(source.understand, findings)
    of, faults = _understood(source, entries)
    if not entries:
        faults.append("there is no entry to try: give some by --events")
    findings.judge(
        "understands events", faults, f"{len(entries)} entries speak of {len(of)} documents."
    )
    _told_apart(source, entries, findings)
    thrown = dice(seed, "sample")
    chosen = thrown.sample(sorted(of), min(documents, len(of)))
    heard = Heard(len(of))
    faults = []
    for key in chosen:
        try:
            record = _folded(source, key, of[key], thrown)
        except Exception as error:  # whatever it raises is what is to be told
            faults.append(f"{key.document}: {worded(error)}")
            continue
        heard.fetched[key] = Fetched(key, record)
    findings.judge(
        "folds a set",
        faults,
        f"{len(chosen)} documents say the same whatever the order of their entries, and if each "
        "comes twice.",
        "A fold may hang on the set of entries alone: order them by their own times.",
    )
    noted_words(heard.records, shapes, findings)
    return heard


def _understood(
    source: LogSource, entries: Sequence[Entry]
) -> tuple[dict[Key, list[Entry]], list[str]]:
    of: dict[Key, list[Entry]] = {}
    faults = []
    for place, entry in enumerate(entries):
        try:
            for marked in source.understand(entry):
                of.setdefault(marked.key, []).append(entry)
        except Exception as error:  # whatever it raises is what is to be told
            faults.append(f"entry {place}: {worded(error)}")
    return of, faults


def _told_apart(source: LogSource, entries: Sequence[Entry], findings: Findings) -> None:
    faults = []
    for place, entry in enumerate(entries):
        turned = dict(reversed(list(entry.items())))
        if source.entry_hash(turned) != source.entry_hash(entry):
            faults.append(f"entry {place} has another hash where its fields stand in another order")
    hashes = {source.entry_hash(entry) for entry in entries}
    findings.judge(
        "tells entries apart",
        faults,
        f"{len(hashes)} different entries, whatever the order of their fields.",
        "The hash is of the canonical form: an entry that comes again must have the same.",
    )


def _folded(source: LogSource, key: Key, entries: Sequence[Entry], thrown: Random) -> Record | None:
    """Fold a document's entries, in several orders; raises `ValueError` where these differ."""
    plain = _said(source, key, entries)
    for _ in range(3):
        other = [*entries, *entries]
        thrown.shuffle(other)
        if _said(source, key, other) != plain:
            raise ValueError("told in another order, it says something else")
        in_order = sorted(entries, key=source.order)
        closed = in_order[: thrown.randint(1, len(in_order))]
        some = [closed[place] for place in source.lasting(key, closed)] + in_order[len(closed) :]
        if not source.needs_all(key, some) and _said(source, key, some) != plain:
            raise ValueError("without what is said to matter no more, it says something else")
    return source.fold(key, entries, observed_at=0)


def _said(source: LogSource, key: Key, entries: Sequence[Entry]) -> Record | None:
    record = source.fold(key, entries, observed_at=0)
    return None if record is None else timeless(record)


# ── Through the write path ───────────────────────────────────────────────────────────────────────


def play(
    source: LogSource, entries: Sequence[Entry], findings: Findings, shapes: Shapes, *, seed: int
) -> None:
    """Tell all entries plainly and in every other way, and compare the graphs."""
    why = "there are too few entries" if len(entries) < 2 else ""
    if findings.is_broken("speaks our words") or findings.is_broken("understands events"):
        why = "what it says cannot be kept"
    if why:
        for way, words in WAYS.items():
            findings.skipped(way, f"{words}: {why}.")
        return
    with folder_of(shapes) as folder:
        plain = _digest(source, entries, folder, "plain", seed, shapes)
        for way, words in WAYS.items():
            if _digest(source, entries, folder, way, seed, shapes) == plain:
                findings.kept(way, f"{words} ({len(entries)} entries): the same graph.")
            else:
                findings.broken(
                    way,
                    f"{words}: another graph than when all goes well.",
                    f"It comes again with --seed {seed}. A fold may hang on the set of entries "
                    "alone.",
                )


def _digest(
    source: LogSource, entries: Sequence[Entry], folder: Path, way: str, seed: int, shapes: Shapes
) -> str:
    place, clock = folder / f"{way}.db", Clock()
    shutil.copyfile(folder / EMPTY, place)
    store = Store(place, shapes=shapes, now=clock)
    ingest = Ingest(store, {}, {source.name: source}, gather=0)
    try:
        for some in _batches(entries, way, dice(seed, way)):
            ingest.receive_log(source.name, some)
            if way != "plain":
                ingest.turn()
            clock.wait(1)
        while ingest.turn():
            clock.wait(1)
        with store.looking() as driver:
            if any(one.missing for one in work.accounts(driver).values()):
                raise AssertionError("a notice is unaccounted for")
        return store.digest()
    finally:
        ingest.close()
        store.close()


def _batches(entries: Sequence[Entry], way: str, thrown: Random) -> Iterable[Sequence[Entry]]:
    """Yield the entries as they are told together, meddled with."""
    everything = way == "all"
    told, later = list(entries), list[Entry]()
    if way in ("drops", "delays") or everything:
        lost = [thrown.random() < (0.5 if way == "delays" else 0.4) for _ in told]
        later = [one for one, is_lost in zip(told, lost, strict=True) if is_lost]
        told = [one for one, is_lost in zip(told, lost, strict=True) if not is_lost]
    if way == "duplicates" or everything:
        told = [one for one in told for _ in range(thrown.randint(1, 4))]
    if way == "reorders" or everything:
        thrown.shuffle(told)
    if way == "garbles" or everything:
        told = [each for one in told for each in (one, *_garbled(one, thrown))]
    if way == "replays" or everything:
        later += list(entries)
    for some in (told, later):
        for at in range(0, len(some), _TOGETHER):
            yield some[at : at + _TOGETHER]


def _garbled(entry: Entry, thrown: Random) -> list[Entry]:
    """Return something in the likeness of an entry that nobody can understand, now and then."""
    if thrown.random() < 0.5 or not entry:
        return []
    return [thrown.choice([{}, {"lineal": "nonsense"}, dict.fromkeys(entry, None)])]


# ── Snapshots ────────────────────────────────────────────────────────────────────────────────────


class OfRecords:
    """What a snapshot said, as a source that names things."""

    def __init__(self, name: str, records: Iterable[Record]) -> None:
        self.name = name
        self._subjects = {Key.of(one.document): one.subject for one in records}
        self._keys = {subject: key for key, subject in self._subjects.items()}

    @property
    def platforms(self) -> frozenset[tuple[str, str]]:
        """The (type, platform) pairs that it describes."""
        return frozenset((uri.type, uri.platform) for uri in self._keys)

    def key_of(self, uri: Uri) -> Key | None:
        """Return the document that describes *uri*."""
        return self._keys.get(uri)

    def subject(self, key: Key) -> Uri:
        """Return the thing that a document is about."""
        return self._subjects[key]


def read_whole(
    read: Callable[[], Iterable[Record | Refused]], findings: Findings
) -> tuple[str, list[Record]]:
    """Read a snapshot twice; return the name of its first source, and that one's records."""
    try:
        items = list(read())
        again = {one.document: timeless(one) for one in read() if isinstance(one, Record)}
    except InvalidEvent as error:
        findings.broken("reads what there is", error.message)
        return "", []
    records = [one for one in items if isinstance(one, Record)]
    faults = [f"{one.file} {one.index}: {one.reason}" for one in items if isinstance(one, Refused)]
    if not records:
        faults.append("nothing was read")
    findings.judge(
        "reads what there is",
        faults,
        f"{len(records)} documents were read, and none was refused.",
        "What is refused is not taken in, and while something is, nothing is removed.",
    )
    other = [one.document for one in records if again.get(one.document) != timeless(one)]
    findings.judge("says the same again", other, "Read twice, every document says the same.")
    name = records[0].source if records else ""
    others = sorted({one.source for one in records} - {name})
    if others:
        findings.noted(
            "is of one source",
            f"Only what {name} says is told again, and not {', '.join(others)}.",
            "Name the folder of each alone.",
        )
    return name, [one for one in records if one.source == name]
