"""What a list says of a document, beside what is known of it: is it news, and may it be written?

Pure: rows in, rows out.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from lineal.model import Instant
from lineal.store.batches import Listing
from lineal.store.work.marks import Mark, Watched, marked

#: For so long, in microseconds, it is believed that what is listed with the version that is known
#: is as it was answered: a week, a fourth more or less, by its name, so that what was read together
#: is not all asked for again together. The answer may have come from a copy that lagged.
BELIEVED = 7 * 86_400 * 1_000_000


class Noted(NamedTuple):
    """A document after a list told of it."""

    row: Watched
    #: Whether it is news, so that it is marked.
    is_marked: bool
    #: Whether nothing newer can be known than what came whole with the list.
    is_newest: bool


def noted(known: Watched | None, source: str, document: str, said: Listing, now: Instant) -> Noted:
    """Return what is known of a document once a list told of it: its mark, if it is news."""
    if known is None:
        row = Watched(
            source, document, 1, 0, False, now, now,
            generation=said.generation, version=said.version,
        )  # fmt: skip
        return Noted(row, True, is_newest(known, said))
    is_known = _is_known(known, said.version, said.began_at)
    row = known if is_known else marked(known, Mark(source, document), now)
    if known.clean_seq and said.version not in (None, known.version):
        # What changed may be answered as it was before, and no event will tell.
        row = row._replace(looks=0)
    row = row._replace(generation=said.generation, version=said.version)
    return Noted(row, not is_known, is_newest(known, said))


def is_newest(known: Watched | None, said: Listing) -> bool:
    """Is what came whole with a list news, and can nothing newer be known?"""
    if said.whole_at is None:
        return False
    if known is None:
        return True
    return not _is_known(known, said.version, said.began_at) and _rests(known, said.whole_at)


def _rests(known: Watched, since: Instant) -> bool:
    """Was nothing told of a document, and did nobody ask for it, since then?"""
    if known.leased_until is not None:
        return False
    if known.dirty_at is not None:
        # Only referred to so far, or listed: whatever is answered is news.
        return known.told == known.clean_seq == known.attempts == 0 and not known.deleted
    return known.confirmed_at is None or known.confirmed_at < since


def _is_known(known: Watched, version: str | None, cut: Instant) -> bool:
    """Was this said before: by the list's own version, or since the sweep began?"""
    if version is not None:
        return known.version == version and not _is_long_ago(known, cut)
    return known.confirmed_at is not None and known.confirmed_at >= cut


def _is_long_ago(known: Watched, now: Instant) -> bool:
    """Is it long since it was answered for, and nobody is going to ask for it?"""
    if known.confirmed_at is None or known.dirty_at is not None or known.buried:
        return False
    share = zlib.crc32(known.document.encode()) / (1 << 32)
    return known.confirmed_at < now - BELIEVED * (0.75 + share / 2)
