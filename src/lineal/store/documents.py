"""Documents in one transaction: what each last said, what it says now, and which of them counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lineal import digests
from lineal.model import Instant, Record, Removal, Uri
from lineal.store import facts, schema, seals
from lineal.store.driver import Row
from lineal.store.ledger import Ledger
from lineal.store.rows import pack, unpack


class Document:
    """What is known of a document: what it last said, in short."""

    __slots__ = ("digest", "fine", "id", "live", "raw", "said_at", "touched")

    def __init__(self, row: Row) -> None:
        self.id, _, _, subject, digest, self.said_at, live, fine, touched = row
        #: The whole row, as it lies there.
        self.raw = row
        self.digest, self.live, self.fine = bytes(digest), bool(live), bool(fine)
        self.touched = (subject,) if touched is None else unpack(bytes(touched))


@dataclass(slots=True)
class Word:
    """A document's new word beside what is known of the document."""

    word: Record | Removal
    row: Document | None
    digest: bytes
    fine: bool
    #: The latest time that the source gave any word of the document.
    said_at: Instant | None
    id: int = 0
    #: Where edges begin that stay although the document is gone: what happened, happened.
    kept: set[int] = field(default_factory=set)
    #: True once rows began by it.
    wrote: bool = False
    #: True where all its edges stand as they are said, and need not be looked at.
    edges_stand: bool = False

    @property
    def name(self) -> seals.Owner:
        """The document's source and name."""
        return self.word.source, self.word.document


def _outcome(word: Record | Removal, row: Document | None, digest: bytes) -> str:
    """Return what a word that counts is beside what is known: new, changed, removed or same."""
    if row is None:
        return "new" if isinstance(word, Record) else "removed"
    if isinstance(word, Removal):
        return "removed" if row.live else "same"
    return "same" if row.live and digests.is_same(digest, row.digest) else "changed"


def _older(word: Record | Removal, said_at: Instant | None) -> bool:
    """Return whether the source said a word before what we have."""
    return said_at is not None and word.said_at is not None and word.said_at < said_at


class Documents:
    """The documents of one transaction: which say another now, and what each last said."""

    def __init__(self, ledger: Ledger, parts: Collection[str], *, forgot: bool) -> None:
        """*parts* are the types of parts; *forgot*: something was once forgotten on purpose."""
        self._driver, self._ledger = ledger.driver, ledger
        self._parts, self._forgot = parts, forgot
        #: How many words were new, changed, removed, the same, or superseded.
        self.outcomes: Counter[str] = Counter()

    def changed(self, words: Sequence[Record | Removal]) -> list[Word]:
        """Leave out what says the same as before, or is older than what we have."""
        known = self._known(words)
        changed = []
        for word, said_at in self._last(words, known):
            row = known.get((word.source, word.document))
            digest = digests.digest_of(word) if isinstance(word, Record) else b""
            found = _outcome(word, row, digest)
            self.outcomes[found] += 1
            if found == "same" and row is not None:
                self._date(word, row)
            if found in ("new", "changed", "removed"):
                fine = isinstance(word, Record) and facts.is_fine(word, self._parts)
                new = Word(word, row, digest, fine, said_at)
                new.edges_stand = self._do_edges_stand(new)
                changed.append(new)
        return changed

    def remember(self, words: Sequence[Word], keys: Mapping[Uri, int]) -> None:
        """Keep what each document last said."""
        new, known = [], []
        for word in words:
            row = _row(word, keys)
            if word.row is None:
                new.append((word.id, *word.name, *row))
            else:
                known.append((*row, word.id))
                self._ledger.taken(schema.document, [word.row.raw])
                self._ledger.added(schema.document, [(word.id, *word.name, *row)])
        self._ledger.insert(schema.document, new)
        self._driver.many(_REMEMBER, known)

    def _do_edges_stand(self, word: Word) -> bool:
        """
        Does a document say of edges what stands of it already?

        What was forgotten no longer stands, and when an edge began may turn out later.
        """
        said, row = word.word, word.row
        return (
            row is not None
            and isinstance(said, Record)
            and digests.has_same_edges(word.digest, row.digest)
            and not self._forgot
            and all(edge.valid_from is None for edge in said.edges)
        )

    def _last(
        self, words: Sequence[Record | Removal], known: Mapping[tuple[str, str], Document]
    ) -> Iterable[tuple[Record | Removal, Instant | None]]:
        """
        Return the last word of each document, and the source's latest time of any.

        It is that which would count if they were committed one after another.
        """
        last: dict[tuple[str, str], tuple[Record | Removal, Instant | None]] = {}
        for word in words:
            name = (word.source, word.document)
            if name in last:
                newest = last[name][1]
            else:
                newest = known[name].said_at if name in known else None
            if _older(word, newest):
                self.outcomes["superseded"] += 1
            else:
                last[name] = (word, newest if word.said_at is None else word.said_at)
        return last.values()

    def _date(self, word: Record | Removal, row: Document) -> None:
        """The same said again, and later: what was said in between is old."""
        if word.said_at is not None and (row.said_at is None or row.said_at < word.said_at):
            self._driver.run("UPDATE document SET said_at = ? WHERE id = ?", word.said_at, row.id)
            self._ledger.taken(schema.document, [row.raw])
            row.raw = (*row.raw[:5], word.said_at, *row.raw[6:])
            self._ledger.added(schema.document, [row.raw])

    def _known(self, words: Sequence[Record | Removal]) -> dict[tuple[str, str], Document]:
        """What did these documents last say?"""
        names: dict[str, set[str]] = {}
        for word in words:
            names.setdefault(word.source, set()).add(word.document)
        found: dict[tuple[str, str], Document] = {}
        for source, some in sorted(names.items()):
            for row in self._driver.among(_KNOWN, some, source):
                found[(source, row[2])] = Document(row)
        return found


def _row(word: Word, keys: Mapping[Uri, int]) -> tuple[object, ...]:
    """Return subject, digest, said_at, live, fine and touched."""
    said = word.word
    subject = keys[said.subject]
    touched = {subject, *word.kept}
    if isinstance(said, Record):
        touched.update(keys[statement.uri] for statement in said.statements)
        touched.update(keys[edge.start] for edge in said.edges)
    fine = word.fine or (word.row is not None and word.row.fine)
    packed = None if touched == {subject} else pack(touched)
    return subject, word.digest, word.said_at, isinstance(said, Record), fine, packed


#: What did these documents of a source last say?
_KNOWN = """
    SELECT id, source, name, subject, digest, said_at, live, fine, touched
    FROM document WHERE source = ? AND name {among}
"""
#: Keep what a document last said.
_REMEMBER = """
    UPDATE document SET subject = ?, digest = ?, said_at = ?, live = ?, fine = ?, touched = ?
    WHERE id = ?
"""
