"""What the two processes of a first load say to each other: plain values, one frame a batch."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from lineal.model import Instant

#: How long the frame is that follows.
LENGTH = struct.Struct("<Q")
#: How many numbers stand for one edge: src, kind, dst, document, valid_from, said and layer.
EDGE = 6


class Begin(NamedTuple):
    """The first frame: the file, and who loads it why."""

    path: str
    actor: str
    cause: str


class Told(NamedTuple):
    """What the records of one transaction say, as rows without their *t*."""

    instant: Instant
    #: The URIs that are named here first, in the order of their keys.
    named: list[str]
    #: The kinds of edges that are met here first, in the order of their numbers.
    kinds: list[str]
    #: Rows of documents: all columns.
    documents: list[tuple[Any, ...]]
    #: key, document, valid_from, said, body.
    statements: list[tuple[int, int, int, bool, str]]
    #: Packed 64-bit integers, `EDGE` for each edge, document by document.
    edges: bytes
    #: Edges that have an end or attributes: these numbers, and those two.
    others: list[tuple[Any, ...]]
    #: document, body.
    responses: list[tuple[int, str]]
    #: What documents were worded from: source, document, body.
    raws: list[tuple[str, str, str]]
    #: The facets that are met here first, in the order of their numbers: name, value.
    facets: list[tuple[str, str]]
    #: Rows of names: key, folded, deleted; and texts that are still to be broken into tokens: key,
    #: facets, name, words, description.
    names: list[tuple[int, str, bool]]
    texts: list[tuple[int, str, str, str, str]]
