"""Documents in one transaction: what each last said, what it says now, and which of them counts."""

from __future__ import annotations

from dataclasses import dataclass, field

from lineal import digests
from lineal.model import Instant, Record, Removal
from lineal.store import seals
from lineal.store.driver import Row
from lineal.store.rows import unpack


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


def outcome(word: Record | Removal, row: Document | None, digest: bytes) -> str:
    """Return what a word that counts is beside what is known: new, changed, removed or same."""
    if row is None:
        return "new" if isinstance(word, Record) else "removed"
    if isinstance(word, Removal):
        return "removed" if row.live else "same"
    return "same" if row.live and digests.is_same(digest, row.digest) else "changed"


def older(word: Record | Removal, said_at: Instant | None) -> bool:
    """Return whether the source said a word before what we have."""
    return said_at is not None and word.said_at is not None and word.said_at < said_at
