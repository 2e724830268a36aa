"""Graphs that a question could run away on: a hub, a long chain, all of which feed each other."""

from __future__ import annotations

from collections.abc import Iterator

from lineal.model import EdgeStatement, Record, Statement, Uri

#: The time at which all of it is said.
AT = 1_000
#: How many edges one document states.
TOLD = 1_000

HUB = Uri("mlg://dataset/lake/hub")


def node(number: int, group: str = "n") -> Uri:
    """Return the URI of a thing by its number."""
    return Uri(f"mlg://dataset/lake/{group}{number}")


def _document(name: str, edges: list[EdgeStatement]) -> Record:
    subject = edges[0].start
    return Record("catalogue", name, subject, (Statement(subject, {}),), tuple(edges), AT)


def _documents(name: str, edges: Iterator[tuple[Uri, Uri]]) -> Iterator[Record]:
    """Yield documents that state that each first is derived from its second."""
    some: list[EdgeStatement] = []
    at = 0
    for start, end in edges:
        some.append(EdgeStatement(start, "derived_from", end))
        if len(some) == TOLD:
            yield _document(f"{name}/{at}", some)
            some, at = [], at + 1
    if some:
        yield _document(f"{name}/{at}", some)


def hub(many: int) -> Iterator[Record]:
    """Yield a table from which so many others are derived."""
    return _documents("hub", ((node(at, "of-hub-"), HUB) for at in range(many)))


def chain(many: int) -> Iterator[Record]:
    """Yield a chain of so many steps; data goes from the first to the last."""
    return _documents("chain", ((node(at + 1, "link-"), node(at, "link-")) for at in range(many)))


def complete(many: int) -> Iterator[Record]:
    """Yield so many tables, each derived from every other."""
    every = range(many)
    return _documents(
        "complete",
        ((node(a, "all-"), node(b, "all-")) for a in every for b in every if a != b),
    )
