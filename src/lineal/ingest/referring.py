"""What is only referred to: marked to be asked for, where a source is registered to describe it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import structlog

from lineal.ingest.judging import Word
from lineal.model import Record, Uri
from lineal.points import reached
from lineal.sources import FetchedSource, Key
from lineal.store import Store, work

log = structlog.get_logger("lineal.ingest")

#: So many things and documents that were followed are remembered, so as not to ask for them again.
REMEMBERED = 200_000


class References:
    """Follows references to what no source has described."""

    def __init__(self, store: Store, fetched: Mapping[str, FetchedSource]) -> None:
        self._store = store
        self._known: set[tuple[str, str]] = set()
        #: What was looked at, whether or not a source is registered for it.
        self._followed: set[Uri] = set()
        #: Several may describe things of one platform: each knows which are its own.
        self._by_platform: dict[tuple[str, str], list[FetchedSource]] = {}
        for source in fetched.values():
            for pair in source.platforms:
                self._by_platform.setdefault(pair, []).append(source)

    def follow(self, words: Sequence[Word]) -> None:
        """Mark what words refer to."""
        # What is answered was marked before it: whoever refers to it need not look.
        self._known.update((one.dirty.source, one.dirty.document) for one in words)
        self._ask_for(_mentioned(words))

    def recover(self) -> None:
        """Mark what is referred to and was never asked for: whoever was at it may have ended."""
        self._known.clear()
        self._followed.clear()
        with self._store.looking() as driver:
            stubs = [Uri(text) for text in work.undescribed(driver)]
        self._ask_for(stubs)

    def _ask_for(self, uris: Iterable[Uri]) -> None:
        """Mark these, where a source is registered to describe them and was never asked."""
        wanted, fresh = set(), set(uris) - self._followed
        for uri in fresh:
            for source in self._by_platform.get((uri.type, uri.platform), ()):
                if (key := _key_of(source, uri)) is not None:
                    wanted.add((source.name, key.document))
        unseen = sorted(wanted - self._known)
        if unseen:
            with self._store.working() as ledger:
                work.mark_unknown(ledger, unseen, self._store.now())
                reached("stubs-marked")
            self._known.update(unseen)
        self._followed |= fresh
        if len(self._known) + len(self._followed) > REMEMBERED:
            self._known.clear()
            self._followed.clear()


def _key_of(source: FetchedSource, uri: Uri) -> Key | None:
    """Return the document that describes a thing; None also where a source fails to tell."""
    try:
        return source.key_of(uri)
    except Exception:
        # It would fail in every turn, and nothing of any other source would be done.
        log.exception("following failed", source=source.name, uri=uri)
        return None


def _mentioned(words: Iterable[Word]) -> set[Uri]:
    found: set[Uri] = set()
    for one in words:
        if isinstance(one.word, Record):
            for edge in one.word.edges:
                found |= {edge.start, edge.end}
    return found
